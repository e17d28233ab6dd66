import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { heapInUse } from '../../../test/kit/heap.js'
import { Deadline, Deadlines } from './deadlines.js'

/** How late one may be told: a tick, and the millisecond that a timer may be early or late. */
const latest = 50 + 2

let now = 0
const clock = (): number => now

/** Time goes by, for the clock and for the timers. */
function pass(ms: number): void {
  const until = now + ms
  while (now < until) {
    const step = Math.min(1, until - now)
    now += step
    vi.advanceTimersByTime(step)
  }
}

/** The event loop is held up: the time is over when the timers run. */
function hang(ms: number): void {
  now += ms
  vi.advanceTimersByTime(ms)
}

/** The same, where the timer that is late is followed by none that counts from before. */
function late(ms: number): void {
  now += ms
  vi.advanceTimersToNextTimer()
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  now = 0
})
afterEach(() => {
  vi.useRealTimers()
})

describe('Deadlines', () => {
  it('lets go of what a dropped one knows, though its slot has not come up', async () => {
    const deadlines = new Deadlines(clock)
    const known = (): WeakRef<object> => {
      const large = {}
      const deadline = new Deadline(() => expect(large).toBeUndefined())
      deadlines.set(deadline, 1_000)
      deadlines.drop(deadline)
      return new WeakRef(large)
    }
    const ref = known()
    await heapInUse()
    expect(ref.deref()).toBeUndefined()
    pass(2_000)
  })

  it.each([1, 49, 50, 51, 99, 100, 3_149, 3_150, 3_200, 3_201, 10_000, 100_000])(
    'tells one of %i ms in time',
    (ms) => {
      for (const start of [0, 1, 49, 50, 12_345.678]) {
        now = start
        const deadlines = new Deadlines(clock)
        const told: number[] = []
        const deadline = new Deadline(() => told.push(now))
        expect(deadlines.set(deadline, ms)).toBe(start)
        pass(ms + latest)
        expect(told).toHaveLength(1)
        expect(told[0]).toBeGreaterThanOrEqual(start + ms)
        pass(10_000)
        expect(told).toHaveLength(1)
        expect(vi.getTimerCount()).toBe(0)
      }
    },
  )

  it('does not tell one that was cleared, or set to 0', () => {
    const deadlines = new Deadlines(clock)
    const told = vi.fn<() => void>()
    const [one, other] = [new Deadline(told), new Deadline(told)]
    deadlines.set(one, 100)
    deadlines.set(other, 100)
    pass(99)
    deadlines.clear(one)
    deadlines.set(other, 0)
    pass(10_000)
    expect(told).not.toHaveBeenCalled()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('tells one that is set again once, at the later time', () => {
    const deadlines = new Deadlines(clock)
    const told: number[] = []
    const deadline = new Deadline(() => told.push(now))
    for (let i = 0; i < 200; i++) {
      deadlines.set(deadline, 1_000)
      pass(30)
    }
    expect(told).toEqual([])
    pass(1_000 + latest)
    expect(told).toHaveLength(1)
    expect(told[0]).toBeGreaterThanOrEqual(199 * 30 + 1_000)
  })

  it.each([0, 1, 2])(
    'tells one that is set to an earlier time at that, and leaves its neighbours: %i',
    (which) => {
      const deadlines = new Deadlines(clock)
      const told: [index: number, at: number][] = []
      const all = [0, 1, 2].map((index) => new Deadline(() => told.push([index, now])))
      for (const each of all) deadlines.set(each, 2_000)
      const earlier = new Deadline(() => told.push([3, now]))
      deadlines.set(earlier, 100)
      deadlines.set(all[which] as Deadline, 90)
      pass(100 + latest)
      expect(told.map(([index]) => index).sort()).toEqual([which, 3].sort())
      pass(5_000)
      expect(told.map(([index]) => index).sort()).toEqual([0, 1, 2, 3])
      for (const [index, at] of told)
        expect(at).toBeGreaterThanOrEqual(index === which ? 90 : index === 3 ? 100 : 2_000)
    },
  )

  it('one that is told may set itself and others, and clear others', () => {
    const deadlines = new Deadlines(clock)
    const told: string[] = []
    const again = new Deadline(() => {
      told.push('again')
      if (told.length < 3) deadlines.set(again, 10)
      deadlines.clear(cleared)
      deadlines.set(moved, 200)
    })
    const moved = new Deadline(() => told.push('moved'))
    const cleared = new Deadline(() => told.push('cleared'))
    // The last one set is looked at first.
    for (const each of [cleared, moved, again]) deadlines.set(each, 60)
    pass(1_000)
    expect(told).toEqual(['again', 'again', 'again', 'moved'])
  })

  it('tells all at once after the process was held up, when what has come meanwhile was read', () => {
    const deadlines = new Deadlines(clock)
    const told: number[] = []
    for (let ms = 10; ms <= 20_000; ms += 10) deadlines.set(new Deadline(() => told.push(ms)), ms)
    hang(15_000)
    expect(told).toEqual([])
    pass(latest)
    expect(told.filter((ms) => ms <= 15_000)).toHaveLength(1_500)
    expect(Math.max(...told)).toBeLessThanOrEqual(15_000 + latest)
    pass(5_000 + latest)
    expect(told).toHaveLength(2_000)
  })

  it('does not tell one that was met meanwhile, and one of a process that is always held up all the same', () => {
    const deadlines = new Deadlines(clock)
    const told: string[] = []
    const [met, moved, other] = ['met', 'moved', 'other'].map(
      (name) => new Deadline(() => told.push(name)),
    ) as [Deadline, Deadline, Deadline]
    deadlines.set(new Deadline(() => told.push('first')), 10)
    late(200)
    expect(told).toEqual([])
    for (const each of [met, moved, other]) deadlines.set(each, 100)
    // Late once more, which is nothing to those who weren't there.
    late(1_000)
    expect(told.splice(0)).toEqual(['first'])
    deadlines.clear(met)
    deadlines.set(moved, 500)
    late(400)
    expect(told).toEqual(['other'])
    pass(100 + latest)
    expect(told).toEqual(['other', 'moved'])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('has one timer, whatever it holds, and none for nothing', () => {
    const deadlines = new Deadlines(clock)
    expect(vi.getTimerCount()).toBe(0)
    for (let i = 1; i < 500; i++) deadlines.set(new Deadline(() => {}), i * 17)
    expect(vi.getTimerCount()).toBe(1)
    pass(500 * 17 + latest)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('forgets all when it closes, those too that are just being told, and takes them again', () => {
    const deadlines = new Deadlines(clock)
    const told: string[] = []
    const each = ['a', 'b', 'c'].map((name) => {
      const deadline = new Deadline(() => {
        told.push(name)
        deadlines.close()
      })
      deadlines.set(deadline, 100)
      return deadline
    })
    const later = new Deadline(() => told.push('later'))
    deadlines.set(later, 500)
    pass(10_000)
    expect(told).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
    for (const deadline of [...each, later]) expect(deadline).toMatchObject({ slot: -1, next: undefined })
    told.length = 0
    deadlines.set(later, 700)
    pass(700 + latest)
    expect(told).toEqual(['later'])
  })

  it('goes by a real clock of its own', () => {
    const deadlines = new Deadlines()
    const before = performance.now()
    expect(deadlines.set(new Deadline(() => {}), 0)).toBeGreaterThanOrEqual(before)
  })
})

type Step =
  | { readonly do: 'set'; readonly which: number; readonly ms: number }
  | { readonly do: 'clear'; readonly which: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'hang'; readonly ms: number }

const which = fc.nat(5)
const ms = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 1, max: 9_000 }),
  fc.constantFrom(50, 100, 3_200),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('set' as const), which, ms: fc.oneof(ms, fc.constant(0)) }),
  },
  fc.record({ do: fc.constant('clear' as const), which }),
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.oneof(fc.nat(60), fc.nat(4_000)) }),
  },
  fc.record({ do: fc.constant('hang' as const), ms: fc.oneof(fc.nat(200), fc.nat(9_000)) }),
)

it('a model: never early, late by a tick at most once a timer can run, once each, and never when cleared', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.nat(5_000).map((n) => n / 7),
      (steps, start) => {
        vi.clearAllTimers()
        now = start
        const deadlines = new Deadlines(clock)
        let resumed = now
        const due = new Array<number>(6).fill(Number.POSITIVE_INFINITY)
        const all = due.map(
          (_, i) =>
            new Deadline(() => {
              const at = due[i] as number
              expect(now, 'not set, or early').toBeGreaterThanOrEqual(at)
              // What was due while nothing could run is told with the first timer that can.
              expect(now, 'late').toBeLessThanOrEqual(Math.max(at, resumed) + latest)
              due[i] = Number.POSITIVE_INFINITY
            }),
        )
        for (const each of [...steps, { do: 'pass', ms: 20_000 } as const]) {
          switch (each.do) {
            case 'set':
              deadlines.set(all[each.which] as Deadline, each.ms)
              due[each.which] = each.ms === 0 ? Number.POSITIVE_INFINITY : now + each.ms
              break
            case 'clear':
              deadlines.clear(all[each.which] as Deadline)
              due[each.which] = Number.POSITIVE_INFINITY
              break
            case 'hang':
              resumed = now + each.ms
              hang(each.ms)
              break
            case 'pass':
              pass(each.ms)
          }
        }
        expect(due.every((at) => at === Number.POSITIVE_INFINITY)).toBe(true)
        expect(vi.getTimerCount()).toBe(0)
      },
    ),
    { numRuns: 60 },
  )
})
