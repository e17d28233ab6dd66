// What docs/balancing.md shows: by the name of its place there, a scenario, the rows of a table, and the lines of a plot.
import { quantile } from './figures.mjs'
import { readSetting } from './settings.mjs'

const none = readSetting('none')
const probes = readSetting('probes')
const ejection = readSetting('ejection')
/** What createProxy has without being asked. */
const usual = { ...readSetting('ejection+slow-start'), title: 'as createProxy' }
const slowStart = readSetting('slow-start')
const adaptive = readSetting('adaptive')
const titled = (title, name, options) => ({ ...readSetting(name, options), title })
const hedge = readSetting('hedge')
const perTry = titled('250 ms a try', 'none', { retry: { perTry: '250ms' } })

/** Every policy under every setting. */
const rows = (policies, settings = [none]) =>
  policies.flatMap((policy) => settings.map((setting) => [policy, setting]))

export const sections = {
  steady: {
    scenario: 'steady',
    rows: rows([
      'round-robin',
      'random',
      'least-requests',
      'power-of-two',
      'peak-ewma',
      'rendezvous',
      'ring',
      'maglev',
      'bounded-ring',
    ]),
  },
  weights: {
    scenario: 'weights',
    rows: rows(['round-robin', 'weighted-round-robin', 'least-requests', 'power-of-two', 'peak-ewma']),
  },
  slow: {
    scenario: 'slow',
    rows: rows([
      'round-robin',
      'random',
      'ring',
      'bounded-ring',
      'least-requests',
      'power-of-two',
      'peak-ewma',
    ]),
    plot: () => ({
      name: 'balancing-slow.svg',
      title: 'One of ten servers is ten times slower',
      x: 'seconds',
      y: 'p99 of each second, ms (logarithmic; clients leave after 2 000 ms)',
      log: true,
      of: lines(p99, ({ policy }) => (policy === 'random' || policy === 'ring' ? undefined : policy)),
    }),
  },
  weak: {
    scenario: 'weak',
    rows: [
      ...rows(['power-of-two']),
      ...rows(['round-robin'], [none, titled('limit of 8', 'limit', { limit: { limit: 8 } }), adaptive]),
    ],
  },
  herd: {
    scenario: 'herd',
    rows: rows(['round-robin', 'random', 'least-requests', 'power-of-two', 'peak-ewma']),
  },
  hot: {
    scenario: 'hot',
    rows: rows(['rendezvous', 'ring', 'maglev', 'bounded-ring', 'bounded-maglev']),
  },
  leaves: {
    scenario: 'leaves',
    rows: rows(['rendezvous', 'ring', 'maglev', 'bounded-ring']),
  },
  joins: {
    scenario: 'joins',
    rows: [
      ...rows(['round-robin', 'power-of-two'], [none, slowStart]),
      ...rows(['rendezvous', 'ring', 'maglev', 'bounded-ring']),
      ...rows(['ring'], [slowStart]),
    ],
    plot: ({ joins }) => ({
      name: 'balancing-joins.svg',
      title: 'A cold server joins ten warm ones at 3 s',
      x: 'seconds',
      y: 'p99 of each second, ms (logarithmic)',
      log: true,
      spans: [{ from: joins / 1000, to: joins / 1000 + 5, name: 'slow start of 5 s' }],
      of: lines(p99, ({ policy, setting }) =>
        policy.includes('-') && policy !== 'bounded-ring'
          ? `${policy}${setting === 'none' ? '' : `, ${setting}`}`
          : undefined,
      ),
    }),
  },
  dies: {
    scenario: 'dies',
    rows: rows(['power-of-two'], [none, probes, ejection, usual]),
  },
  errors: {
    scenario: 'errors',
    rows: rows(['round-robin'], [none, ejection]).concat(
      rows(['least-requests', 'power-of-two'], [none]),
      rows(['power-of-two'], [probes, ejection, usual]),
    ),
    plot: (scenario) => ({
      name: 'balancing-errors.svg',
      title: 'One of ten servers answers 503 at once: power-of-two',
      x: 'seconds',
      y: 'its requests, as a part of a fair share',
      spans: [{ from: scenario.at / 1000, to: scenario.until / 1000, name: 'answers 503' }],
      of: lines(share, ({ policy, setting }) => (policy === 'power-of-two' ? setting : undefined)),
    }),
  },
  half: {
    scenario: 'half',
    rows: rows(
      ['power-of-two'],
      [
        none,
        probes,
        ejection,
        titled('breaker at 30 %', 'breaker', { breaker: { failures: 0.3 } }),
        titled('ejection and breaker at 30 %', 'ejection+breaker', { breaker: { failures: 0.3 } }),
        titled('ejection, 503 tried again', 'ejection', { retry: { statuses: [503] } }),
      ],
    ),
    plot: (scenario) => ({
      name: 'balancing-half.svg',
      title: 'One of ten servers answers half of its requests with 503: power-of-two',
      x: 'seconds',
      y: 'its requests, as a part of a fair share',
      spans: [{ from: scenario.at / 1000, to: scenario.until / 1000, name: 'fails half' }],
      of: lines(share, ({ setting }) =>
        ['none', 'ejection', 'breaker at 30 %'].includes(setting) ? setting : undefined,
      ),
    }),
  },
  hangs: {
    scenario: 'hangs',
    rows: [
      ...rows(['power-of-two', 'round-robin']),
      ...rows(
        ['round-robin'],
        [
          ejection,
          titled('probes of 500 ms', 'probes', { probes: { timeout: '500ms' } }),
          titled('ejection, 500 ms a try', 'ejection', { retry: { perTry: '500ms' } }),
        ],
      ),
    ],
  },
  stumbles: {
    scenario: 'stumbles',
    rows: [
      ...rows(['round-robin'], [none, hedge]),
      ...rows(['power-of-two'], [none, perTry, hedge]),
      ...rows(['peak-ewma'], [none, hedge]),
    ],
  },
  tail: {
    scenario: 'tail',
    rows: [
      ...rows(['peak-ewma']),
      ...rows(
        ['power-of-two'],
        [
          none,
          perTry,
          hedge,
          titled('hedge after p99', 'hedge', { hedge: { quantile: 0.99 } }),
          titled('hedge, servers don’t hear', 'hedge', { servers: { hears: false } }),
        ],
      ),
    ],
    plot: () => ({
      name: 'balancing-tail.svg',
      title: 'Any of ten servers takes twenty times longer for one request in a hundred',
      x: 'seconds',
      y: 'p99 of each second, ms (logarithmic)',
      log: true,
      of: lines(p99, ({ policy, setting }) => {
        if (policy === 'peak-ewma') return policy
        if (setting === 'none') return policy
        return ['250 ms a try', 'hedge'].includes(setting) ? `${policy}, ${setting}` : undefined
      }),
    }),
  },
  rush: {
    scenario: 'overload',
    rows: rows(
      ['power-of-two'],
      [
        none,
        hedge,
        titled('hedge, budget of a tenth', 'hedge', { hedge: { budget: { share: 0.1, min: 0 } } }),
        titled('hedge and adaptive', 'hedge+adaptive'),
        titled('none, servers hear', 'none', { servers: { hears: true } }),
        titled('hedge, servers hear', 'hedge', { servers: { hears: true } }),
      ],
    ),
  },
  misjudged: {
    scenario: 'misjudged',
    rows: rows(
      ['power-of-two'],
      [none, probes, titled('probes, panic of 0.5', 'probes', { upstream: { panic: 0.5 } })],
    ),
  },
  tiers: {
    scenario: 'tiers',
    rows: rows(
      ['power-of-two'],
      [ejection, titled('ejection, overflow of 1.4', 'ejection', { balance: { overflow: 1.4 } })],
    ),
  },
  overload: {
    scenario: 'overload',
    rows: rows(['power-of-two'], [none, titled('limit of 8', 'limit', { limit: { limit: 8 } }), adaptive]),
    plot: () => ({
      name: 'balancing-overload.svg',
      title: 'Half as many requests again as the servers can do: power-of-two',
      x: 'seconds',
      y: 'answered in time, of the requests of each second, %',
      spans: [{ from: 2, to: 8, name: '1 500 requests a second, where 1 000 can be served' }],
      of: lines(answered, ({ setting }) => setting),
    }),
  },
}

/** A line of each run that has a name. */
function lines(reduce, nameOf) {
  return ({ row, requests, servers, scenario }) => {
    const name = nameOf(row)
    if (name === undefined) return undefined
    const seconds = Array.from({ length: Math.floor(scenario.length / 1000) }, () => [])
    for (const request of requests) seconds[Math.floor(request.at / 1000)]?.push(request)
    return { name, points: seconds.map((list, i) => [i + 0.5, reduce(list, servers, scenario)]) }
  }
}

function p99(list) {
  const times = list.map(({ at, end }) => end - at).sort((a, b) => a - b)
  return quantile(times, 0.99)
}

function share(list, servers, { mark }) {
  const own = list.filter(({ tries }) => tries[0]?.url === mark).length
  return (own / list.length) * servers.length
}

function answered(list) {
  return (list.filter(({ status }) => status === 200).length / list.length) * 100
}
