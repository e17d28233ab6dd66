import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { gcra } from './gcra.js'
import type { MemoryLimiter, Verdict } from './limiter.js'
import { slidingWindow } from './sliding-window.js'
import { tokenBucket } from './token-bucket.js'

/** A clock that a test moves. */
function handClock(start = 0) {
  let now = start
  return {
    now: () => now,
    pass(ms: number) {
      now += ms
    },
  }
}

interface Settings {
  readonly limit: number
  readonly window: number
  readonly burst: number
}

interface Kind {
  readonly name: string
  make(settings: Settings, clock: () => number, keys?: number): MemoryLimiter
  /** Units that may pass in any window of that length at most. */
  most(settings: Settings, ms: number): number
  /** Units at once. */
  atOnce(settings: Settings): number
}

const byRate = ({ limit, window, burst }: Settings, ms: number): number =>
  burst + Math.floor((ms * limit) / window + 1e-6)

const kinds: readonly Kind[] = [
  {
    name: 'gcra',
    make: ({ limit, window, burst }, clock, keys = 10) => gcra({ limit, window, burst, keys, clock }),
    most: byRate,
    atOnce: ({ burst }) => burst,
  },
  {
    name: 'tokenBucket',
    make: ({ limit, window, burst }, clock, keys = 10) =>
      tokenBucket({ rate: limit, per: window, burst, keys, clock }),
    most: byRate,
    atOnce: ({ burst }) => burst,
  },
  {
    name: 'slidingWindow',
    make: ({ limit, window }, clock, keys = 10) => slidingWindow({ limit, window, keys, clock }),
    // Of a longer stretch nothing is said: each window in it is looked at.
    most: ({ limit, window }, ms) => (ms < window ? limit : Number.POSITIVE_INFINITY),
    atOnce: ({ limit }) => limit,
  },
]

const settings = fc.record({
  limit: fc.integer({ min: 1, max: 40 }),
  window: fc.integer({ min: 1, max: 5_000 }),
  burst: fc.integer({ min: 1, max: 40 }),
})
/** Requests: how long after the one before, and what it costs. */
const requests = fc.array(
  fc.record({ after: fc.integer({ min: 0, max: 900 }), cost: fc.integer({ min: 0, max: 5 }) }),
  {
    maxLength: 60,
  },
)

interface Passed {
  readonly at: number
  readonly cost: number
}

/** What passes of a row of requests, each asked for again and again until it does where `insist` says so. */
function run(
  limiter: MemoryLimiter,
  clock: ReturnType<typeof handClock>,
  row: readonly { after: number; cost: number }[],
): Passed[] {
  const passed: Passed[] = []
  for (const { after, cost } of row) {
    clock.pass(after)
    if (limiter.take('a', cost).ok) passed.push({ at: clock.now(), cost })
  }
  return passed
}

describe.each(kinds)('$name', ({ make, most, atOnce }) => {
  it('lets as many pass at once as it says, tells what is left, and no more', () => {
    const clock = handClock(17)
    const limiter = make({ limit: 5, window: 1_000, burst: 5 }, clock.now)
    const verdicts = Array.from({ length: 6 }, () => limiter.take('a'))
    expect(verdicts.map(({ ok }) => ok)).toEqual([true, true, true, true, true, false])
    expect(verdicts.map(({ remaining }) => remaining)).toEqual([4, 3, 2, 1, 0, 0])
    expect(verdicts.map(({ limit }) => limit)).toEqual([5, 5, 5, 5, 5, 5])
    expect(verdicts[0]).not.toHaveProperty('retryAfterMs')
    expect(limiter.take('b').ok).toBe(true)
    expect(limiter.size).toBe(2)
    // Once all is back it is as at the beginning.
    clock.pass((verdicts[5] as Verdict).resetMs)
    expect(limiter.take('a')).toEqual(verdicts[0])
  })

  it('says to the millisecond when a refused request passes', () => {
    fc.assert(
      fc.property(settings, requests, (given, row) => {
        const clock = handClock()
        const limiter = make(given, clock.now)
        const said: boolean[] = []
        for (const { after, cost } of row) {
          clock.pass(after)
          const verdict = limiter.take('a', cost)
          if (verdict.ok) continue
          const { retryAfterMs } = verdict
          if (cost > atOnce(given)) {
            said.push(retryAfterMs === undefined)
            continue
          }
          clock.pass((retryAfterMs as number) - 1)
          const early = limiter.take('a', cost)
          clock.pass(1)
          said.push(
            (retryAfterMs as number) >= 1 &&
              !early.ok &&
              early.retryAfterMs === 1 &&
              limiter.take('a', cost).ok,
          )
        }
        expect(said).not.toContain(false)
      }),
    )
  })

  it('never lets more pass in any stretch of time than it may', () => {
    fc.assert(
      fc.property(settings, requests, (given, row) => {
        const clock = handClock()
        const passed = run(make(given, clock.now), clock, row)
        const tooMuch = passed.filter((first, i) => {
          let sum = 0
          return passed.slice(i).some(({ at, cost }) => {
            sum += cost
            return sum > most(given, at - first.at)
          })
        })
        expect(tooMuch).toEqual([])
      }),
    )
  })

  it('takes a clock that is set back, or set ahead, and is in no debt for longer than ever', () => {
    const clock = handClock(1e9)
    const limiter = make({ limit: 4, window: 1_000, burst: 4 }, clock.now)
    for (let i = 0; i < 5; i++) limiter.take('a')
    clock.pass(-1e8)
    const verdict = limiter.take('a')
    expect(verdict.ok).toBe(false)
    expect(verdict.resetMs).toBeLessThanOrEqual(1_000)
    clock.pass(verdict.retryAfterMs as number)
    expect(limiter.take('a').ok).toBe(true)
    clock.pass(1e12)
    expect(limiter.take('a')).toMatchObject({ ok: true, remaining: 3 })
  })

  it('charges nothing for what it refuses, and for what costs nothing', () => {
    const clock = handClock()
    const limiter = make({ limit: 10, window: 1_000, burst: 10 }, clock.now)
    expect(limiter.take('a', 8).ok).toBe(true)
    expect(limiter.take('a', 3)).toMatchObject({ ok: false, remaining: 2 })
    expect(limiter.take('a', 11).retryAfterMs).toBeUndefined()
    expect(limiter.take('a', 0)).toMatchObject({ ok: true, remaining: 2 })
    expect(limiter.take('a', 2)).toMatchObject({ ok: true, remaining: 0 })
    expect(limiter.take('a', 0)).toMatchObject({ ok: true, remaining: 0 })
  })

  it.each([[-1], [Number.NaN], [Number.POSITIVE_INFINITY], ['1'], [null]])(
    'throws for the cost %j',
    (cost) => {
      const limiter = make({ limit: 1, window: 1_000, burst: 1 }, () => 0)
      expect(() => limiter.take('a', cost as number)).toThrow(/^cost: got .*, takes a number, 0 or more$/)
      expect(limiter.take('a').ok).toBe(true)
    },
  )

  it('throws for a key that is no text', () => {
    const limiter = make({ limit: 1, window: 1_000, burst: 1 }, () => 0)
    expect(() => limiter.take(undefined as never)).toThrow('key: got nothing, takes a text')
  })

  it('tells long keys apart, by all of their characters', () => {
    const limiter = make({ limit: 1, window: 1_000, burst: 1 }, () => 0)
    const long = 'é'.repeat(20_000)
    expect(limiter.take(`${long}1`).ok).toBe(true)
    expect(limiter.take(`${long}2`).ok).toBe(true)
    expect(limiter.take(`${long}1`).ok).toBe(false)
  })

  it('finds keys of any characters again, half a pair of surrogates among them', () => {
    const limiter = make({ limit: 1, window: 1_000, burst: 1 }, () => 0)
    for (const key of [
      '\ud800 is half a pair',
      '日本語日本語日本語日本語日本語',
      '\0'.repeat(20),
      '',
      'é'.repeat(20),
    ]) {
      expect(limiter.take(key).ok).toBe(true)
      expect(limiter.take(key).ok).toBe(false)
    }
  })

  it('with the same requests says the same for each of many keys, whatever comes between', () => {
    fc.assert(
      fc.property(settings, requests, (given, row) => {
        const clock = handClock()
        const alone = make(given, clock.now)
        const among = make(given, clock.now, 4)
        const got: Verdict[] = []
        const wanted: Verdict[] = []
        for (const { after, cost } of row) {
          clock.pass(after)
          for (const other of ['b', 'c', 'd']) among.take(other, cost)
          got.push(among.take('a', cost))
          wanted.push(alone.take('a', cost))
        }
        expect(got).toEqual(wanted)
      }),
      { numRuns: 30 },
    )
  })
})

describe('slidingWindow', () => {
  it('up to a limit of eight is a log of all that has passed', () => {
    const small = settings.map((given) => ({ ...given, limit: 1 + (given.limit % 8) }))
    fc.assert(
      fc.property(small, requests, ({ limit, window }, row) => {
        const clock = handClock()
        const limiter = slidingWindow({ limit, window, clock: clock.now, keys: 10 })
        let log: Passed[] = []
        for (const { after, cost } of row) {
          clock.pass(after)
          log = log.filter(({ at }) => clock.now() - at < window)
          const used = log.reduce((sum, each) => sum + each.cost, 0)
          const { ok } = limiter.take('a', cost)
          if (ok !== used + cost <= limit) return false
          if (ok && cost > 0) log.push({ at: clock.now(), cost })
        }
        return true
      }),
    )
  })

  it('counts nothing for longer than a window and a seventh', () => {
    fc.assert(
      fc.property(settings, requests, ({ limit, window }, row) => {
        const clock = handClock()
        const limiter = slidingWindow({ limit, window, clock: clock.now, keys: 10 })
        const passed: Passed[] = []
        for (const { after, cost } of row) {
          clock.pass(after)
          const lately = passed.filter(({ at }) => clock.now() - at < window + Math.ceil(window / 7) + 1)
          const verdict = limiter.take('a', cost)
          if (verdict.ok) passed.push({ at: clock.now(), cost })
          else if (lately.reduce((sum, each) => sum + each.cost, 0) + cost <= limit) return false
        }
        return true
      }),
    )
  })

  it('has room for what comes evenly, up to a window and a seventh of it', () => {
    const clock = handClock()
    const limiter = slidingWindow({ limit: 81, window: 700, clock: clock.now, keys: 10 })
    let refused = 0
    for (let i = 0; i < 1_000; i++) {
      if (!limiter.take('a').ok) refused++
      clock.pass(10)
    }
    expect(refused).toBe(0)
  })

  it('takes costs in whole units, rounded up, and limits above 65,535', () => {
    const limiter = slidingWindow({ limit: 100_000, window: '1s', clock: () => 0 })
    expect(limiter.take('a', 0.1)).toMatchObject({ ok: true, remaining: 99_999 })
    expect(limiter.take('a', 99_999)).toMatchObject({ ok: true, remaining: 0 })
    expect(limiter.take('a', 1).ok).toBe(false)
  })

  it('never lets too much pass by a clock of fractions', () => {
    const clock = handClock(0.4)
    const limiter = slidingWindow({ limit: 1, window: 10, clock: clock.now, keys: 10 })
    expect(limiter.take('a').ok).toBe(true)
    clock.pass(9.99)
    const { ok, retryAfterMs } = limiter.take('a')
    expect(ok).toBe(false)
    clock.pass(retryAfterMs as number)
    expect(limiter.take('a').ok).toBe(true)
  })
})

describe('gcra and tokenBucket', () => {
  it('are one, told in limit and window, or in rate and bucket', () => {
    fc.assert(
      fc.property(settings, requests, ({ limit, window, burst }, row) => {
        const clock = handClock()
        const one = gcra({ limit, window, burst, clock: clock.now, keys: 10 })
        const other = tokenBucket({ rate: limit, per: window, burst, clock: clock.now, keys: 10 })
        const got: Verdict[] = []
        const wanted: Verdict[] = []
        for (const { after, cost } of row) {
          clock.pass(after)
          got.push(one.take('a', cost))
          wanted.push(other.take('a', cost))
        }
        expect(got).toEqual(wanted)
      }),
    )
  })

  it('are a bucket that tokens flow into', () => {
    fc.assert(
      fc.property(settings, requests, ({ limit, window, burst }, row) => {
        const clock = handClock()
        const limiter = tokenBucket({ rate: limit, per: window, burst, clock: clock.now, keys: 10 })
        // In parts of a token of which all sums are whole.
        const token = window
        let level = burst * token
        const got: unknown[] = []
        const wanted: unknown[] = []
        for (const { after, cost } of row) {
          clock.pass(after)
          level = Math.min(burst * token, level + after * limit)
          const { ok, remaining, resetMs } = limiter.take('a', cost)
          got.push([ok, remaining, resetMs])
          const passes = cost * token <= level
          if (passes) level -= cost * token
          wanted.push([passes, Math.floor(level / token), Math.ceil((burst * token - level) / limit)])
        }
        expect(got).toEqual(wanted)
      }),
    )
  })

  it('take rates below one, and costs that are no whole number', () => {
    const clock = handClock()
    const limiter = tokenBucket({ rate: 0.5, clock: clock.now, keys: 10 })
    expect(limiter.take('a', 0.25)).toMatchObject({ ok: true, limit: 1, remaining: 0, resetMs: 500 })
    expect(limiter.take('a')).toMatchObject({ ok: false, retryAfterMs: 500 })
    clock.pass(500)
    expect(limiter.take('a').ok).toBe(true)
  })

  it('let nothing more pass at once, however short the time is that a unit takes to come back', () => {
    const bytes = gcra({ limit: 10_000_000, window: '1s', clock: () => 0, keys: 10 })
    for (let i = 0; i < 10; i++) expect(bytes.take('a', 1_000_000).ok).toBe(true)
    expect(bytes.take('a', 10)).toMatchObject({ ok: false, remaining: 0, retryAfterMs: 1 })
    const parts = gcra({ limit: 100, window: '1s', clock: () => 0, keys: 10 })
    expect(parts.take('a', 100).ok).toBe(true)
    expect(parts.take('a', 0.0001)).toMatchObject({ ok: false, retryAfterMs: 1 })
    const most = gcra({ limit: 2 ** 32 - 1, window: '1s', clock: () => 0, keys: 10 })
    expect(most.take('a').remaining).toBe(2 ** 32 - 2)
    expect(most.policy).toEqual({ quota: 2 ** 32 - 1, window: 1 })
    expect(tokenBucket({ rate: 1e9, clock: () => 0, keys: 10 }).policy).toEqual({ quota: 1e9, window: 1 })
  })

  it('are owed what they have rounded, also where what costs nothing comes in between', () => {
    const clock = handClock()
    const limiter = gcra({ limit: 500, window: 1, burst: 10, clock: clock.now, keys: 10 })
    let passed = 0
    for (let half = 0; half < 100; half++) {
      while (limiter.take('a').ok) passed++
      limiter.take('a', 0)
      clock.pass(0.001)
    }
    expect(passed).toBeLessThanOrEqual(10 + 50)
  })

  it('let no more pass than they may, at any rate, with costs of any size and none', () => {
    const rates = fc.record({
      power: fc.integer({ min: 0, max: 10 }),
      burst: fc.integer({ min: 1, max: 20 }),
    })
    const steps = fc.array(
      fc.record({
        units: fc.constantFrom(0, 0, 0.25, 0.5, 1, 7),
        cost: fc.constantFrom(0, 0.01, 0.5, 1, 1, 3),
      }),
      { maxLength: 200 },
    )
    fc.assert(
      fc.property(rates, steps, ({ power, burst }, row) => {
        const clock = handClock()
        const rate = 10 ** power
        const limiter = tokenBucket({ rate, burst, clock: clock.now, keys: 10 })
        let passed = 0
        for (const { units, cost } of row) {
          clock.pass((units * 1_000) / rate)
          if (limiter.take('a', cost).ok) passed += cost
        }
        // Half of a unit counts as rounding where that is below a microsecond.
        return passed <= burst + (clock.now() * rate) / 1_000 + 0.5 + 1e-3
      }),
    )
  })

  it('stay exact by a clock that counts since 1970', () => {
    const clock = handClock(1.8e12)
    const limiter = gcra({ limit: 3, window: '1s', clock: clock.now, keys: 10 })
    for (let i = 0; i < 50; i++) {
      while (limiter.take('a').ok);
      clock.pass((limiter.take('a').retryAfterMs as number) - 1)
      expect(limiter.take('a').ok).toBe(false)
      clock.pass(1)
      expect(limiter.take('a').ok).toBe(true)
    }
  })

  it.each([
    [{ rate: 10 }, { quota: 10, window: 1 }],
    [
      { rate: 100, burst: 20 },
      { quota: 100, window: 1 },
    ],
    [
      { rate: 10, burst: 50 },
      { quota: 50, window: 5 },
    ],
    [
      { rate: 2, burst: 3 },
      { quota: 4, window: 2 },
    ],
    [
      { rate: 1, per: '1h' as const },
      { quota: 1, window: 3_600 },
    ],
    [
      { rate: 100, per: '1m' as const },
      { quota: 100, window: 60 },
    ],
    [
      { rate: 3, per: 7 },
      { quota: 428, window: 1 },
    ],
  ])('of %j tell the policy %j: the rate as it is, and never less than the bucket', (options, policy) => {
    expect(tokenBucket(options).policy).toEqual(policy)
  })

  it('of a sliding window tell it in whole seconds', () => {
    expect(slidingWindow({ limit: 5, window: 250 }).policy).toEqual({ quota: 20, window: 1 })
    expect(slidingWindow({ limit: 5, window: '1m' }).policy).toEqual({ quota: 5, window: 60 })
  })
})

describe.each(kinds)('$name when it is full', ({ make }) => {
  const given = { limit: 10, window: 60_000, burst: 10 }

  it('lets the key go that was asked for longest ago, which then has all of its limit', () => {
    const limiter = make(given, () => 0, 3)
    for (const key of ['a', 'b', 'c', 'a', 'd']) limiter.take(key)
    expect(limiter.size).toBe(3)
    expect(limiter.take('a').remaining).toBe(7)
    expect(limiter.take('b').remaining).toBe(9)
  })

  it('goes on with what it has when it needs room for more', () => {
    const limiter = gcra({ limit: 4, window: '1h', keys: 2_000, clock: () => 0 })
    for (let i = 0; i < 2_000; i++) expect(limiter.take(`${i}`).remaining).toBe(3)
    expect(limiter.size).toBe(2_000)
    // The first one goes, and the place of no other.
    limiter.take('new')
    expect(limiter.size).toBe(2_000)
    expect(limiter.take('1').remaining).toBe(2)
    expect(limiter.take('1999').remaining).toBe(2)
    expect(limiter.take('0').remaining).toBe(3)
  })

  it('takes little memory for few keys: each route may have a limit', () => {
    const before = process.memoryUsage().arrayBuffers
    const limiters = Array.from({ length: 50 }, () => gcra({ limit: 4, window: '1h' }))
    for (const limiter of limiters) limiter.take('a')
    expect((process.memoryUsage().arrayBuffers - before) / 50).toBeLessThan(100_000)
  })

  it('keeps a limit that is used up, however many other keys come', () => {
    const clock = handClock()
    const limiter = make(given, clock.now, 100)
    while (limiter.take('attacker').ok);
    for (let i = 0; i < 10_000; i++) {
      limiter.take(`key ${i}`)
      clock.pass(0.1)
    }
    expect(limiter.size).toBe(100)
    expect(limiter.take('attacker', 2).ok).toBe(false)
  })

  it('keeps it no longer than it is used up', () => {
    const clock = handClock()
    const limiter = make(given, clock.now, 10)
    while (limiter.take('attacker').ok);
    clock.pass(120_000)
    for (let i = 0; i < 10; i++) limiter.take(`key ${i}`)
    // All ten are others now, so it comes as a new one in the place of the first.
    limiter.take('attacker')
    expect(limiter.take('key 0').remaining).toBe(9)
  })

  it('lets one go after eight that stay, where all are used up', () => {
    const limiter = make(given, () => 0, 20)
    for (let i = 0; i < 20; i++) limiter.take(`key ${i}`, 10)
    limiter.take('new')
    expect(limiter.size).toBe(20)
    const gone = Array.from({ length: 20 }, (_, i) => i).filter(
      (i) => limiter.take(`key ${i}`, 0).remaining === 10,
    )
    expect(gone).toContain(8)
  })
})

describe('wrong options', () => {
  it.each([
    [() => gcra({} as never), ['gcra.limit: got nothing', 'gcra.window: got nothing']],
    [
      () => gcra({ limit: 0, window: '1 minute' as never, burst: 0 }),
      ['gcra.limit: got 0', "gcra.window: got '1 minute'", 'gcra.burst: got 0'],
    ],
    [() => gcra({ limit: 1, window: 0 }), ['gcra.window: got 0, takes 1ms or more']],
    [
      () => tokenBucket({ rate: 0, keys: 0 }),
      ['tokenBucket.rate: got 0, takes a number, more than 0', 'tokenBucket.keys: got 0'],
    ],
    [
      () => tokenBucket({ rate: 1, per: -1, clock: 3 as never }),
      ['tokenBucket.per: got -1', 'tokenBucket.clock: got 3, takes a function'],
    ],
    [() => slidingWindow({ limit: 1.5, window: '1s' }), ['slidingWindow.limit: got 1.5']],
    [
      () => slidingWindow({ limit: 1, window: '1s', burst: 2 } as never),
      ['slidingWindow.burst: unknown option'],
    ],
    [() => slidingWindow(undefined as never, 'a.b'), ['a.b: got nothing']],
  ])('%s names each', (make, faults) => {
    for (const fault of faults) expect(make).toThrow(fault)
    expect(make).toThrow(TypeError)
  })
})
