import { describe, expect, it } from 'vitest'
import { seeded } from '../../../test/kit/seeded.js'
import { type Rank, ranks, Shedder } from './shedder.js'

/** What comes: requests a second of each rank, from a time on. */
interface Phase {
  readonly from: number
  readonly perSecond: Partial<Record<keyof typeof ranks, number>>
}

interface Load {
  /** Milliseconds of the loop that a request takes, and that a refusal takes. */
  readonly cost: number
  readonly refusal: number
  readonly phases: readonly Phase[]
  readonly until: number
  readonly delay?: number
  /** Milliseconds at which the loop is held, and for how long. */
  readonly pauses?: readonly (readonly [at: number, ms: number])[]
  /** Milliseconds by which it wakes late each time that it has slept. */
  readonly starved?: number
  readonly seed?: number
}

interface Come {
  readonly at: number
  readonly rank: Rank
  /** When it was answered; nothing if it was refused. */
  done?: number
}

/**
 * An event loop: each turn first runs the timer, if it is due, then works off what has come in until then. Requests come by chance
 * (exponentially apart).
 */
function run({ cost, refusal, phases, until, delay = 10, pauses = [], starved = 0, seed = 1 }: Load) {
  const random = seeded(seed)
  const come: Come[] = []
  phases.forEach(({ from, perSecond }, i) => {
    const to = phases[i + 1]?.from ?? until
    for (const [name, rate] of Object.entries(perSecond)) {
      const rank = ranks[name as keyof typeof ranks]
      for (let at = from - Math.log(1 - random()) * (1_000 / rate); at < to; ) {
        come.push({ at, rank })
        at -= Math.log(1 - random()) * (1_000 / rate)
      }
    }
  })
  come.sort((a, b) => a.at - b.at)
  const shedder = new Shedder({ delay, inFlight: 0 })
  const left = [...pauses]
  let now = 0
  let due = 5
  let next = 0
  let idle = 0
  shedder.begin(0, 0)
  while (now < until) {
    if (now >= due) {
      shedder.tick(now, now - due, idle)
      due = now + 5
    }
    const turn = now
    if (left[0] !== undefined && left[0][0] <= now) now += (left.shift() as [number, number])[1]
    for (let each = come[next]; each !== undefined && each.at <= turn; each = come[++next]) {
      const isIn = shedder.admit(each.rank, now, false) === undefined
      now += isIn ? cost : refusal
      if (isIn) each.done = now
    }
    if (now === turn) {
      now = Math.min(due, come[next]?.at ?? due)
      // The processor may be somebody else's then, so that the loop wakes late.
      idle += now - turn + starved
      now += starved
    }
  }
  return {
    /** Of those that came in a time, of some ranks. */
    of(from: number, to: number, ...names: (keyof typeof ranks)[]) {
      const wanted = names.map((name) => ranks[name])
      const all = come.filter(
        ({ at, rank }) => at >= from && at < to && (wanted.length === 0 || wanted.includes(rank as never)),
      )
      const waits = all
        .flatMap(({ at, done }) => (done === undefined ? [] : [done - at]))
        .sort((a, b) => a - b)
      return {
        come: all.length,
        admitted: waits.length,
        share: waits.length / all.length,
        perSecond: (waits.length / (to - from)) * 1_000,
        p99: waits[Math.floor(waits.length * 0.99)] ?? 0,
      }
    },
    shedder,
  }
}

// A proxy that does 10,000 a second, one that does 1,000 and one that does 100. A refusal costs what it costs in Node, but no more than a request's third.
const sizes = [
  { name: '10,000', cost: 0.1, refusal: 0.01 },
  { name: '1,000', cost: 1, refusal: 0.025 },
  { name: '100', cost: 10, refusal: 0.025 },
] as const

describe.each(sizes)('an event loop that can do $name requests a second', ({ cost, refusal }) => {
  const capacity = 1_000 / cost
  // Where requests are few it takes longer until chance evens out.
  const long = cost === 10 ? 40_000 : 8_000
  /** What is left for requests when all above it is refused. */
  const leftAt = (times: number): number => (1_000 - times * capacity * refusal) / (cost - refusal)

  it.each([0.3, 0.6, 0.8])('refuses next to nothing at %s of it', (part) => {
    const phases = [{ from: 0, perSecond: { normal: capacity * part } }]
    const { share } = run({ cost, refusal, phases, until: long }).of(0, long)
    // Where each takes 10 ms, chance alone has some of them wait for long.
    expect(share).toBeGreaterThan(part > 0.7 ? (cost === 10 ? 0.96 : 0.995) : 0.999)
  })

  it.each([1.5, 3])('admits what it can at %s times of it, and all of that in time', (times) => {
    const phases = [{ from: 0, perSecond: { normal: capacity * times } }]
    const { perSecond, p99 } = run({ cost, refusal, phases, until: 5_000 + long }).of(5_000, 5_000 + long)
    expect(perSecond).toBeGreaterThan(0.8 * leftAt(times))
    expect(p99).toBeLessThan(10 * 2.5 + 10 * cost)
  })

  it('does so from the first second on, and lets all in soon after it', () => {
    const calm = { normal: capacity * 0.3 }
    const phases = [
      { from: 0, perSecond: calm },
      { from: 5_000, perSecond: { normal: capacity * 5 } },
      { from: 15_000, perSecond: calm },
    ]
    const seen = run({ cost, refusal, phases, until: 25_000 })
    // The first turns work for 4 delays each.
    expect(seen.of(5_000, 6_000).p99).toBeLessThan(Math.max(3 * 4 * 10, 20 * cost))
    expect(seen.of(6_000, 15_000).p99).toBeLessThan(10 * 2.5 + 10 * cost)
    expect(seen.of(15_500, 25_000).share).toBeGreaterThan(0.99)
    expect(seen.shedder.isShedding).toBe(false)
  })

  it('sees a flood within three turns, and lets in half of what it could beside refusing the rest', () => {
    const phases = [
      { from: 0, perSecond: { normal: capacity * 0.25 } },
      { from: 3_000, perSecond: { normal: capacity * 10 } },
    ]
    // At ten times its load to refuse may take all that a loop has.
    const cheap = Math.min(refusal, cost * 0.035)
    const seen = run({ cost, refusal: cheap, phases, until: 13_000 })
    const left = (1_000 - 10 * capacity * cheap) / (cost - cheap)
    const first = seen.of(3_000, 3_500)
    // Two turns of 4 delays each, and what came meanwhile is looked at.
    expect(first.admitted).toBeLessThan(left / 2 + (3 * 4 * 10) / cost + 3)
    expect(seen.of(4_000, 12_500).p99).toBeLessThan(Math.max(25, 7 * cost))
    expect(seen.of(4_000, 12_500).perSecond).toBeGreaterThan(left / 2)
  })

  it('is steady: what it admits each second is about the same', () => {
    const phases = [{ from: 0, perSecond: { normal: capacity * 3 } }]
    const seen = run({ cost, refusal, phases, until: 40_000 })
    const each = Array.from(
      { length: 30 },
      (_, i) => seen.of(10_000 + i * 1_000, 11_000 + i * 1_000).admitted,
    )
    const mean = each.reduce((a, b) => a + b) / each.length
    for (const count of each) expect(Math.abs(count - mean) / mean).toBeLessThan(0.25)
  })

  it('refuses what ranks lowest first, and never what is critical', () => {
    const part = (of: number): number => capacity * of
    const phases = [
      { from: 0, perSecond: { low: part(3), normal: part(0.3), high: part(0.1), critical: part(0.02) } },
      { from: long, perSecond: { low: part(1), normal: part(3), high: part(0.2), critical: part(0.02) } },
    ]
    const seen = run({ cost, refusal, phases, until: 2 * long })
    expect(seen.of(0, 2 * long - 1_000, 'critical').share).toBe(1)
    expect(seen.of(2_000, 2 * long, 'high').share).toBeGreaterThan(0.98)
    expect(seen.of(2_000, long, 'normal').share).toBeGreaterThan(0.92)
    expect(seen.of(2_000, long, 'low').share).toBeGreaterThan(0.05)
    expect(seen.of(long + 5_000, 2 * long, 'low').share).toBeLessThan(0.07)
  })

  it('takes a pause for a pause', () => {
    const phases = [{ from: 0, perSecond: { normal: capacity * 0.5 } }]
    const pauses = [5, 6, 7, 8, 9].map((at) => [at * 1_000, 120] as const)
    expect(run({ cost, refusal, phases, pauses, until: 10_000 }).of(0, 10_000).share).toBeGreaterThan(0.97)
  })
})

it('lets some in even where it is something else that holds the loop', () => {
  const pauses = Array.from({ length: 100 }, (_, i) => [i * 200, 200] as const)
  const phases = [{ from: 0, perSecond: { normal: 200 } }]
  const { perSecond } = run({ cost: 0.1, refusal: 0.02, phases, pauses, until: 20_000 }).of(10_000, 20_000)
  expect(perSecond).toBeGreaterThan(8)
})

it('refuses nothing where it is other processes that make it late', () => {
  const phases = [{ from: 0, perSecond: { normal: 40 } }]
  const { share } = run({ cost: 0.1, refusal: 0.02, phases, starved: 150, until: 20_000 }).of(0, 19_000)
  expect(share).toBe(1)
})

describe('requests under way', () => {
  it('are limited: each rank has its share, and what is critical goes beyond it', () => {
    const shedder = new Shedder({ delay: 0, inFlight: 20 })
    const most = (rank: Rank): number => {
      let count = 0
      while (count < 100 && shedder.admit(rank, 0, true) === undefined) count++
      return count
    }
    expect([most(ranks.low), most(ranks.normal), most(ranks.high), most(ranks.critical)]).toEqual([
      15, 3, 2, 100,
    ])
    expect(shedder.admit(ranks.high, 0, true)).toBe('in-flight')
    for (let i = 0; i < 101; i++) shedder.done()
    expect(shedder.inFlight).toBe(19)
    expect(most(ranks.high)).toBe(1)
  })

  it('are one at least, of any rank', () => {
    const shedder = new Shedder({ delay: 0, inFlight: 1 })
    expect(shedder.admit(ranks.low, 0, true)).toBeUndefined()
    expect(shedder.admit(ranks.high, 0, true)).toBe('in-flight')
  })
})

it('outlives a clock that jumps', () => {
  const shedder = new Shedder({ delay: 20, inFlight: 0 })
  shedder.begin(1e6, 0)
  for (const jump of [1e6, -1e7, 1e9, 0]) {
    for (let now = jump; now < jump + 1_000; now += 5) {
      shedder.tick(now, 0, 0)
      expect(shedder.admit(ranks.normal, now, false)).toBeUndefined()
    }
    for (let now = jump + 1_000; now < jump + 2_000; now += 200) shedder.tick(now, 195, 0)
    expect(shedder.isShedding).toBe(true)
    // Back by a second and more, and on time from there.
    for (let now = jump - 5_000; now < jump; now += 5) shedder.tick(now, 0, 0)
    expect(shedder.isShedding).toBe(false)
  }
})
