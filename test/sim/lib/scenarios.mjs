// What happens to the servers, and who asks. Ten servers, four requests at once each, 40 ms a request: together 1 request a ms. Rates
// are for three quarters of it, where nothing else is said. `mark` is the server that something happens to, `at` and `until` when.
import { drawn, exponential } from './chance.mjs'

const url = (i) => `http://10.0.0.${i + 1}`
const alike = (count, init = {}) => Array.from({ length: count }, (_, i) => ({ url: url(i), ...init }))

/** Users, the most frequent of whom sends one request in ninety. */
const users = drawn(2_000, (k) => 1 / Math.sqrt(k))

/** Requests that come independently of each other, `rate` a ms on average, each of a user. */
function poisson(length, rate, who = users) {
  return function* trace(random) {
    for (let at = exponential(random, 1 / rate); at < length; at += exponential(random, 1 / rate))
      yield request(at, who(random))
  }
}

/** Times are what a recorded trace keeps of them: replayed it is the same run. */
function request(at, user) {
  return { at: Math.round(at * 1e3) / 1e3, key: `user-${user}`, work: 1, method: 'GET' }
}

const become = (i, mode) => (world) => world.servers.get(url(i)).become(mode)
/** The first so many. */
const all = (count, mode) => (world) => {
  for (let i = 0; i < count; i++) become(i, mode)(world)
}
const slow = (i, factor) => (world) => {
  world.servers.get(url(i)).slow = factor
}

/** One of ten is so from 2 s to 7 s. */
function ill(mode, about) {
  return {
    about: `one of ten ${about} from 2 s to 7 s`,
    length: 20_000,
    servers: () => alike(10),
    trace: poisson(20_000, 0.65),
    changes: [
      { at: 2_000, change: become(3, mode) },
      { at: 7_000, change: become(3, 'up') },
    ],
    mark: url(3),
    at: 2_000,
    until: 7_000,
  }
}

export const scenarios = {
  steady: {
    about: 'ten servers alike',
    length: 10_000,
    servers: () => alike(10),
    trace: poisson(10_000, 0.75),
  },
  begins: {
    about: 'ten servers alike, and requests from the first moment on, when probes have found nobody yet',
    length: 10_000,
    before: 0,
    servers: () => alike(10),
    trace: poisson(10_000, 0.75),
  },
  weights: {
    about: 'ten servers, the first five twice as strong as the others and of twice their weight',
    length: 10_000,
    servers: () => alike(10).map((each, i) => (i < 5 ? { ...each, weight: 2, width: 8 } : each)),
    trace: poisson(10_000, 1.125),
  },
  slow: {
    about: 'ten servers, one ten times slower than the others all the time',
    length: 10_000,
    servers: () => alike(10),
    trace: poisson(10_000, 0.5),
    changes: [{ at: 0, change: slow(3, 10) }],
    mark: url(3),
  },
  weak: {
    about: 'ten servers, one of which can serve one request at once instead of four, from 2 s on',
    length: 12_000,
    servers: () => alike(10),
    trace: poisson(12_000, 0.65),
    changes: [
      {
        at: 2_000,
        change({ servers }) {
          servers.get(url(3)).width = 1
        },
      },
    ],
    mark: url(3),
  },
  hot: {
    about: 'ten servers alike, and one user in 2,000 who sends every sixth request',
    length: 10_000,
    servers: () => alike(10),
    trace: poisson(
      10_000,
      0.75,
      drawn(2_000, (k) => (k === 1 ? 400 : 1)),
    ),
  },
  herd: {
    about: 'ten servers alike, and twenty proxies, each of which knows of its own requests alone',
    length: 10_000,
    proxies: 20,
    servers: () => alike(10),
    trace: poisson(10_000, 0.85),
  },
  dies: ill('refuses', 'refuses connections'),
  errors: ill('503', 'answers 503 at once, so that it looks like the quickest,'),
  half: ill('half', 'answers half of its requests with 503'),
  hangs: ill('hangs', 'takes requests and never answers'),
  misjudged: {
    about: 'ten servers that serve, and from 2 s to 7 s the probes of seven of them fail',
    length: 10_000,
    servers: () => alike(10),
    trace: poisson(10_000, 0.65),
    changes: [
      { at: 2_000, change: all(7, 'misjudged') },
      { at: 7_000, change: all(7, 'up') },
    ],
  },
  tiers: {
    about:
      'six servers and four that stand in for them, and from 2 s to 7 s three of the six refuse connections',
    length: 10_000,
    servers: () => alike(10).map((each, i) => (i < 6 ? each : { ...each, priority: 1 })),
    trace: poisson(10_000, 0.4),
    changes: [
      { at: 2_000, change: all(3, 'refuses') },
      { at: 7_000, change: all(3, 'up') },
    ],
  },
  stumbles: {
    about: 'ten servers, one of which takes twenty times longer for one request in ten',
    length: 20_000,
    servers: () => alike(10, { hears: true }).map((each, i) => (i === 3 ? { ...each, stumbles: 0.1 } : each)),
    trace: poisson(20_000, 0.5),
  },
  tail: {
    about: 'ten servers, each of which takes twenty times longer for one request in a hundred',
    length: 20_000,
    servers: () => alike(10, { hears: true, stumbles: 0.01 }),
    trace: poisson(20_000, 0.5),
  },
  overload: {
    about: 'ten servers, and from 2 s to 8 s half as many requests again as they can serve',
    length: 12_000,
    servers: () => alike(10),
    *trace(random) {
      const [calm, rush] = [0.5, 1.5]
      for (let at = 0; ; ) {
        at += exponential(random, 1 / (at >= 2_000 && at < 8_000 ? rush : calm))
        if (at >= 12_000) return
        yield request(at, users(random))
      }
    },
  },
  joins: {
    about: 'an eleventh server joins at 3 s, whose first 100 requests take up to five times longer',
    length: 10_000,
    servers: () => alike(10),
    trace: poisson(10_000, 0.75),
    changes: [{ at: 3_000, change: ({ join }) => join({ url: url(10), cold: 100 }) }],
    mark: url(10),
    joins: 3_000,
  },
  leaves: {
    about: 'one of ten leaves the list at 5 s',
    length: 10_000,
    servers: () => alike(10),
    trace: poisson(10_000, 0.6),
    changes: [{ at: 5_000, change: ({ leave }) => leave(url(3)) }],
    mark: url(3),
    leaves: 5_000,
  },
}
