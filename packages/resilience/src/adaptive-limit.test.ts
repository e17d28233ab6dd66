import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AdaptiveLimit, type AdaptiveSettings } from './adaptive-limit.js'

/** A service that does `servers` calls at once, and lets the others wait in turn. */
interface Service {
  servers: number
  ms: number
}

/** Keeps as many calls in flight as the limit allows, and as `demand` asks for. */
function drive(
  limit: AdaptiveLimit,
  service: Service,
  calls: number,
  demand = Number.POSITIVE_INFINITY,
  lost: (call: number) => boolean = () => false,
): number[] {
  const seen: number[] = []
  const busy: number[] = []
  const flying: { begun: number; end: number }[] = []
  let now = 0
  let seed = 1
  const begin = (): void => {
    // Chance of a test's own: the same each time.
    seed = (seed * 48_271) % 2_147_483_647
    const length = service.ms * (0.8 + (0.4 * seed) / 2_147_483_647)
    busy.sort((a, b) => a - b)
    while (busy.length > service.servers) busy.shift()
    const free = busy.length < service.servers ? now : Math.max(now, busy.shift() as number)
    busy.push(free + length)
    flying.push({ begun: now, end: free + length })
  }
  for (let i = 0; i < calls; i++) {
    while (flying.length < Math.min(limit.value, demand)) begin()
    flying.sort((a, b) => a.end - b.end)
    const inFlight = flying.length
    const done = flying.shift() as { begun: number; end: number }
    now = Math.max(now, done.end)
    limit.sample(done.end - done.begun, inFlight, lost(i))
    seen.push(limit.value)
  }
  return seen
}

const settings: AdaptiveSettings = { initial: 20, min: 1, max: 1000 }
const average = (list: readonly number[]): number => list.reduce((sum, each) => sum + each, 0) / list.length
const settled = (list: readonly number[]): number => average(list.slice(list.length / 2))

describe('against a service of known capacity', () => {
  it.each([5, 10, 50, 150])('settles near %d', (servers) => {
    const limit = new AdaptiveLimit(settings)
    const at = settled(drive(limit, { servers, ms: 100 }, 20_000))
    expect(at).toBeGreaterThan(servers * 0.9)
    expect(at).toBeLessThan(servers * 2)
  })

  it('follows one that loses capacity, and one that gets it back', () => {
    const limit = new AdaptiveLimit(settings)
    const service = { servers: 50, ms: 100 }
    drive(limit, service, 20_000)
    service.servers = 15
    const less = settled(drive(limit, service, 20_000))
    expect(less).toBeGreaterThan(13)
    expect(less).toBeLessThan(30)
    service.servers = 50
    expect(settled(drive(limit, service, 40_000))).toBeGreaterThan(45)
  })

  it('stays near the capacity when every call takes longer', () => {
    const limit = new AdaptiveLimit(settings)
    const service = { servers: 40, ms: 50 }
    drive(limit, service, 20_000)
    service.ms = 250
    const at = settled(drive(limit, service, 60_000))
    expect(at).toBeGreaterThan(35)
    expect(at).toBeLessThan(80)
  })
})

it('is soon itself again after a spell of answers that come fast: what was cached, or not found', () => {
  const limit = new AdaptiveLimit(settings)
  const service = { servers: 50, ms: 100 }
  drive(limit, service, 20_000)
  service.ms = 1
  drive(limit, service, 400)
  service.ms = 100
  const back = drive(limit, service, 1_000)
  expect(Math.min(...back)).toBeGreaterThan(15)
  expect(Math.max(...back.slice(500))).toBeGreaterThan(50)
})

it('does not grow while it is not used', () => {
  const limit = new AdaptiveLimit(settings)
  expect(new Set(drive(limit, { servers: 100, ms: 10 }, 5000, 9))).toEqual(new Set([20]))
})

it('gives a dip up that calls without an end would hold: no answer in a long time is no queue', () => {
  const timers: { ms: number; fn: () => void }[] = []
  const opened: number[] = []
  const after = (ms: number, fn: () => void) => {
    const timer = { ms, fn }
    timers.push(timer)
    return () => void timers.splice(timers.indexOf(timer), 1)
  }
  const limit = new AdaptiveLimit(settings, after, () => opened.push(limit.value))
  const fill = (): void => {
    for (let i = 0; i < 100_000 && timers.length === 0; i++) limit.sample(200, limit.value)
  }
  fill()
  const dipped = limit.value
  expect(timers.map(({ ms }) => ms)).toEqual([2_000])
  timers.pop()?.fn()
  // It is as it was before, and measures again later.
  expect(opened).toEqual([limit.value])
  expect(limit.value).toBeGreaterThan(dipped * 1.9)
  fill()
  // One that comes to its end takes its timer back.
  for (let i = 0; i < 5_000 && timers.length > 0; i++) limit.sample(200, limit.value)
  expect([timers, opened.length]).toEqual([[], 1])
  fill()
  limit.stop()
  expect(timers).toEqual([])
})

it('sinks when calls are dropped', () => {
  const limit = new AdaptiveLimit(settings)
  for (let i = 0; i < 10; i++) limit.sample(10, 20, i === 3)
  expect(limit.value).toBe(18)
})

it('sinks by the part that was dropped: what is lost now and then takes no capacity away', () => {
  for (const servers of [50, 150]) {
    const limit = new AdaptiveLimit(settings)
    const at = settled(drive(limit, { servers, ms: 100 }, 40_000, undefined, (call) => call % 100 === 0))
    expect(at).toBeGreaterThan(servers * 0.9)
  }
  const all = new AdaptiveLimit(settings)
  for (let i = 0; i < 10; i++) all.sample(10, 20, true)
  expect(all.value).toBe(10)
})

it('takes no latency of a clock that has jumped, or tells no time', () => {
  for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_VALUE, -1e9]) {
    const [one, other] = [new AdaptiveLimit(settings), new AdaptiveLimit(settings)]
    for (let i = 0; i < 100; i++) {
      one.sample(10, 20)
      other.sample(10, 20)
      other.sample(odd, 20)
    }
    expect(other.value).toBe(one.value)
  }
})

it('stays within its bounds whatever it is told', () => {
  const told = fc.tuple(fc.double(), fc.nat(2000), fc.boolean())
  fc.assert(
    fc.property(fc.array(told, { maxLength: 500 }), (samples) => {
      const limit = new AdaptiveLimit({ initial: 5, min: 3, max: 40 })
      for (const [ms, inFlight, dropped] of samples) {
        limit.sample(ms, inFlight, dropped)
        expect(limit.value).toBeGreaterThanOrEqual(3)
        expect(limit.value).toBeLessThanOrEqual(40)
      }
    }),
  )
})
