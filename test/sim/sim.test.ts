import { describe, expect, it } from 'vitest'
import { exp, ln } from './lib/chance.mjs'
import { policies } from './lib/policies.mjs'
import { scenarios } from './lib/scenarios.mjs'
import { Server } from './lib/server.mjs'
import { readSetting } from './lib/settings.mjs'
import { simulate } from './lib/simulate.mjs'
import { compare } from './lib/tables.mjs'
import { VirtualTime } from './lib/virtual-time.mjs'

type Scenario = Parameters<typeof simulate>[0]
type Policy = Parameters<typeof simulate>[1]

/** One row for each setting. */
async function rows(scenario: Scenario, policy: string, settings: (string | [string, object])[]) {
  const made = settings.map((each) => (typeof each === 'string' ? readSetting(each) : readSetting(...each)))
  return await compare(scenario, { [policy]: policies[policy as keyof typeof policies] }, made)
}

it('time goes from event to event, timers included, and comes back', async () => {
  const time = new VirtualTime()
  const { setTimeout: before } = globalThis
  const heard: string[] = []
  const note = (name: string) => () => void heard.push(`${name} ${performance.now()}`)
  time.install()
  try {
    setTimeout(note('late'), 20)
    setTimeout(note('early'), 10)
    time.after(10, note('as early, but later planned'))
    const repeated = setInterval(note('again'), 8)
    const refreshed = setTimeout(note('refreshed'), 5)
    time.after(4, () => refreshed.refresh())
    time.after(17, () => clearInterval(repeated))
    clearTimeout(setTimeout(note('never'), 1))
    await time.run(100)
    expect(performance.now()).toBe(100)
  } finally {
    time.restore()
  }
  expect(heard).toEqual([
    'again 8',
    'refreshed 9',
    'early 10',
    'as early, but later planned 10',
    'again 16',
    'late 20',
  ])
  expect(globalThis.setTimeout).toBe(before)
})

it('what waits for promises goes on before the next event, however many in a row', async () => {
  const time = new VirtualTime()
  const heard: string[] = []
  time.after(1, async () => {
    for (let i = 0; i < 1_000; i++) await undefined
    heard.push('first')
  })
  time.after(1, () => void heard.push('second'))
  await time.run(2)
  expect(heard).toEqual(['first', 'second'])
})

it('makes logarithms and powers of e from what IEEE 754 has one result for', () => {
  for (const x of [2 ** -32, 1e-3, 0.5, 0.7, 1, Math.SQRT2, 3, 1e6])
    expect(ln(x)).toBeCloseTo(Math.log(x), 12)
  for (const x of [-20, -1, -0.1, 0, 0.3, 1, 5]) expect(exp(x) / Math.exp(x)).toBeCloseTo(1, 12)
})

it('is the same for the same seed, and another for another', async () => {
  const short = { ...scenarios.dies, length: 5_000 }
  const run = async (seed: number) =>
    await compare(short, { 'peak-ewma': policies['peak-ewma'] }, [readSetting('probes+breaker')], seed)
  expect(await run(3)).toEqual(await run(3))
  expect(await run(3)).not.toEqual(await run(4))
})

it('serves as queueing theory says: one server, half of its time busy', async () => {
  const one = {
    about: '',
    length: 400_000,
    servers: () => [{ url: 'http://10.0.0.1', width: 1, mean: 10 }],
    *trace(random: () => number) {
      for (let at = 0; at < 400_000; at += -Math.log(1 - random()) * 20)
        yield { at, key: '', work: -Math.log(1 - random()), method: 'GET' }
    },
  }
  const { requests } = await simulate(one as unknown as Scenario, policies.random as Policy)
  const mean = requests.reduce((sum, { at, end = 0 }) => sum + end - at, 0) / requests.length
  // Pollaczek and Khinchine: λ E[S²] / (2 (1 - ρ)) in line, then the service and the way; E[S²] of exponential times log-normal.
  const theory = (0.05 * 2 * 100 * Math.exp(0.25)) / (2 * (1 - 0.5)) + 10 + 0.5
  expect(Math.abs(mean / theory - 1)).toBeLessThan(0.05)
})

it('a policy that throws ends the run with its error', async () => {
  const broken: Policy = () => () => {
    throw new Error('a bug of the policy')
  }
  await expect(simulate({ ...scenarios.steady, length: 100 }, broken)).rejects.toThrow('a bug of the policy')
})

it('Peak EWMA and power of two beat round robin’s p99 three times and more beside a server ten times slower', async () => {
  const found: Record<string, number> = {}
  for (const policy of ['round-robin', 'power-of-two', 'peak-ewma', 'least-requests']) {
    const [row] = await rows(scenarios.slow, policy, ['none'])
    found[policy] = row?.p99 as number
  }
  const turns = found['round-robin'] as number
  expect(turns / (found['peak-ewma'] as number)).toBeGreaterThan(3)
  expect(turns / (found['power-of-two'] as number)).toBeGreaterThan(3)
  expect(turns / (found['least-requests'] as number)).toBeGreaterThan(3)
})

it('Peak EWMA goes by the simulated clock: a server that was slow is asked again', async () => {
  const better: Scenario = {
    ...scenarios.slow,
    changes: [
      ...(scenarios.slow.changes ?? []),
      {
        at: 2_000,
        change: ({ servers }: { servers: Map<string, { slow: number }> }) => {
          for (const server of servers.values()) server.slow = 1
        },
      },
    ],
  } as Scenario
  const { requests } = await simulate(better, policies['peak-ewma'] as Policy)
  const late = requests.filter(({ at }) => at > 8_000)
  const own = late.filter(({ tries }) => tries[0]?.url === scenarios.slow.mark).length
  expect((own / late.length) * 10).toBeGreaterThan(0.1)
})

it('a server that refuses loses no request where there is a second try, and gets traffic again', async () => {
  const [probed, ejected, alone] = await rows(scenarios.dies, 'round-robin', [
    'probes',
    'ejection',
    ['none', { retry: { attempts: 1 } }],
  ])
  expect(probed).toMatchObject({ errors: 0 })
  expect(probed?.detected).toBeLessThan(3_000)
  expect(probed?.recovered).toBeLessThan(3_000)
  expect(ejected).toMatchObject({ errors: 0, detected: 0 })
  expect(ejected?.recovered).toBeLessThan(3_000)
  expect(alone?.errors).toBeGreaterThan(0.02)
  expect(alone?.detected).toBeUndefined()
  expect(alone?.recovered).toBeUndefined()
})

it('ejection and breakers take a server out that fails half of its requests, each by its own options', async () => {
  const [none, ejection, breaker, deaf] = await rows(scenarios.half, 'round-robin', [
    'none',
    'ejection',
    ['breaker', { breaker: { failures: 0.3 } }],
    ['breaker', { breaker: { failures: 0.9 } }],
  ])
  expect(none?.detected).toBeUndefined()
  for (const row of [ejection, breaker]) {
    expect(row?.detected).toBeLessThan(4_000)
    expect(row?.errors).toBeLessThan((none?.errors as number) * 0.75)
  }
  expect(deaf?.detected).toBeUndefined()
})

it('an overloaded server gets no more than its limit, fixed or found by itself', async () => {
  const [none, fixed, adaptive] = await rows(scenarios.weak, 'round-robin', [
    'none',
    ['limit', { limit: { limit: 8 } }],
    'adaptive',
  ])
  expect(none?.errors).toBeGreaterThan(0.05)
  for (const row of [fixed, adaptive]) {
    expect(row?.errors).toBe(0)
    expect((none?.p99 as number) / (row?.p99 as number)).toBeGreaterThan(3)
  }
})

it('slow start spares a cold server that joins, and parts stand together', async () => {
  const [none, slowly, all] = await rows(scenarios.joins, 'round-robin', [
    'none',
    'slow-start',
    'slow-start+ejection+breaker+adaptive+probes',
  ])
  expect((none?.p99 as number) / (slowly?.p99 as number)).toBeGreaterThan(3)
  expect(all?.errors).toBe(0)
  expect(all?.p99).toBeLessThan(none?.p99 as number)
})

it('panic and overflow are options of a run', async () => {
  const [alone, panic] = await rows(scenarios.misjudged, 'power-of-two', [
    'probes',
    ['probes', { upstream: { panic: 0.5 } }],
  ])
  expect(alone?.errors).toBeGreaterThan(0.1)
  expect(panic?.errors).toBe(0)
  const [strict, over] = await rows(scenarios.tiers, 'power-of-two', [
    'ejection',
    ['ejection', { balance: { overflow: 1.4 } }],
  ])
  expect((strict?.p99 as number) / (over?.p99 as number)).toBeGreaterThan(3)
})

it('a try that takes too long is the target’s fault, a client that leaves is not', async () => {
  const [alone, timed] = await rows(scenarios.hangs, 'round-robin', [
    'ejection',
    ['ejection', { retry: { perTry: '500ms' } }],
  ])
  expect(alone?.detected).toBeUndefined()
  expect(alone?.errors).toBeGreaterThan(0.03)
  expect(timed).toMatchObject({ errors: 0 })
  expect(timed?.detected).toBeLessThan(1_000)
})

it.each(['rendezvous', 'ring', 'maglev'])(
  'says how many keys of %s move when a server leaves or joins, beside the least possible',
  async (policy) => {
    for (const scenario of [scenarios.leaves, scenarios.joins]) {
      const [row] = await rows(scenario, policy, ['none'])
      expect(row?.wandering).toBe(0)
      expect(row?.least).toBeGreaterThan(0.05)
      // Of those that join a share is by chance more or less than the fair one.
      expect(Math.abs((row?.moved as number) - (row?.least as number))).toBeLessThan(0.02)
      if (scenario === scenarios.leaves && policy !== 'maglev') expect(row?.moved).toBe(row?.least)
    }
  },
)

it('keys that bounded load sends elsewhere at any time are told apart, and what has no keys has no such figure', async () => {
  const [bounded] = await rows(scenarios.leaves, 'bounded-ring', ['none'])
  expect(bounded?.wandering).toBeGreaterThan(0)
  const [turns] = await rows(scenarios.leaves, 'round-robin', ['none'])
  expect(turns?.moved).toBeUndefined()
})

describe('hedging', () => {
  it('takes the tail off where a server stumbles now and then, for a few requests more', async () => {
    for (const scenario of [scenarios.stumbles, scenarios.tail]) {
      const [none, hedged, unheard] = await rows(scenario, 'power-of-two', [
        'none',
        'hedge',
        ['hedge', { servers: { hears: false } }],
      ])
      expect((none?.p999 as number) / (hedged?.p999 as number)).toBeGreaterThan(2)
      expect(none?.further).toBe(0)
      // One in twenty is slow by the quantile, and no second try has a third.
      expect(hedged?.further).toBeGreaterThan(0.01)
      expect(hedged?.further).toBeLessThan(0.06)
      expect(hedged?.errors).toBe(0)
      // A loser whose server hears of it frees its place.
      expect(unheard?.work).toBeGreaterThan(hedged?.work as number)
    }
  })

  it('goes by the engine’s own delay: the quantile of what was seen, within its bounds', async () => {
    const further = async (hedge: object) =>
      (await rows(scenarios.steady, 'random', [['hedge', { hedge }]]))[0]?.further
    expect(await further({ quantile: 0.99 })).toBeLessThan(0.02)
    expect(await further({ quantile: 0.8 })).toBeGreaterThan(0.1)
    expect(await further({ after: '3s' })).toBe(0)
  })

  it('is bounded by its budget, a second of the simulated clock at a time', async () => {
    const length = 10_000
    const settings = [0, 1].map((min) => ['hedge', { hedge: { after: 1, budget: { share: 0, min } } }])
    const [none, one] = await rows({ ...scenarios.steady, length }, 'random', settings as [string, object][])
    expect(none?.further).toBe(0)
    const tries = (one?.further as number) * (one?.requests as number)
    expect(Math.round(tries)).toBeGreaterThanOrEqual(length / 1_000)
    expect(Math.round(tries)).toBeLessThanOrEqual(length / 1_000 + 1)
  })

  it('gives up the loser at once, though its server never answers', async () => {
    const stuck = {
      ...scenarios.hangs,
      changes: scenarios.hangs.changes.slice(0, 1),
    } as Scenario
    const setting = readSetting('hedge')
    const { requests, upstream } = await simulate(stuck, policies['round-robin'] as Policy, { setting })
    expect(requests.filter(({ status }) => status !== 200)).toEqual([])
    expect(upstream.all.map(({ inFlight }) => inFlight)).toEqual(Array(10).fill(0))
  })

  it('makes a rush worse for servers that hear of no loser, and not for those that do', async () => {
    const of = async (hears: boolean) => {
      const options = { servers: { hears } }
      const [none, hedged] = await rows(scenarios.overload, 'power-of-two', [
        ['none', options],
        ['hedge', options],
      ])
      return (hedged?.errors as number) / (none?.errors as number)
    }
    expect(await of(false)).toBeGreaterThan(1.5)
    expect(await of(true)).toBeLessThan(1.1)
  })

  it('stands outside of a limit and inside of retry, in whatever order a setting names them', async () => {
    const all = await rows(scenarios.weak, 'round-robin', ['hedge+limit', 'limit+hedge'])
    const [one, other] = all.map(({ setting: _setting, ...figures }) => figures)
    expect(one).toEqual(other)
    expect(one?.errors).toBe(0)
  })
})

it.each([true, false])(
  'a request given up frees its place at once where the server hears of it: %s',
  async (hears) => {
    const time = new VirtualTime()
    const server = new Server(time, () => 0.3, { url: 'http://a', width: 1, hears })
    const ends: [string, number][] = []
    const ask = (name: string) => {
      const { answer, drop } = server.ask()
      void answer.then(() => ends.push([name, time.now]))
      return drop
    }
    const drops = ['first', 'second', 'third'].map(ask)
    time.after(1, () => {
      drops[0]?.()
      drops[1]?.()
      drops[1]?.()
    })
    await time.run(1_000)
    const [[, alone] = ['', 0]] = ends
    if (hears) expect(ends).toEqual([['third', expect.closeTo(alone)]])
    else expect(ends.map(([name]) => name)).toEqual(['first', 'second', 'third'])
    expect(server.busy).toBeCloseTo(hears ? alone - 0.5 : (alone - 0.5) * 3)
    expect([server.asked, server.served]).toEqual([3, hears ? 1 : 3])
  },
)

it('the budget of retry goes by the simulated clock', async () => {
  const options = { retry: { statuses: [503], budget: { share: 0, min: 1 } } }
  const [row, none] = await rows(scenarios.errors, 'round-robin', [
    ['none', options],
    ['none', { retry: { ...options.retry, budget: false } }],
  ])
  // One a second of the five in which a server answers 503, or of the six that they touch.
  const tries = Math.round((row?.further as number) * (row?.requests as number))
  expect([tries >= 5, tries <= 6]).toEqual([true, true])
  expect(none?.errors).toBe(0)
})
