import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  failed,
  nextOrder,
  noOrders,
  type OrderHistory,
  ordered,
  ordersAnHour,
  readHistory,
  succeeded,
} from './order-history.js'

const minute = 60_000
const hour = 3_600_000
const failure = { problem: 'no', retryAfterMs: undefined }

it('waits a minute after a failure, twice as long after each further one, up to a day', () => {
  let history = noOrders
  const waits = Array.from({ length: 14 }, () => {
    history = failed(history, 0, failure, 0)
    return history.wait / minute
  })
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440, 1440])
  expect(failed(noOrders, 0, failure, 0.5).wait).toBe(0.9 * minute)
})

it('stays away as long as the server says, no shorter than it would by itself, and not for years', () => {
  const told = (retryAfterMs: number) => nextOrder(failed(noOrders, 5, { ...failure, retryAfterMs }, 0.9)) - 5
  expect(told(1)).toBeCloseTo(0.82 * minute)
  expect(told(168 * hour)).toBe(168 * hour)
  expect(told(1e12)).toBe(8 * 24 * hour)
})

it('begins no more than five orders in an hour, successes counted', () => {
  let history: OrderHistory = noOrders
  for (const at of [0, 1, 2, 3, 4]) {
    expect(nextOrder(readHistory(history, at))).toBeLessThanOrEqual(at)
    history = succeeded(ordered(history, at))
  }
  expect(nextOrder(readHistory(history, 5))).toBe(hour)
  expect(nextOrder(readHistory(history, hour))).toBe(0)
})

it('takes what lies in the future for what has just happened: a clock that was set back blocks nothing for long', () => {
  const year = 365 * 24 * hour
  const history = failed(ordered(noOrders, year), year, failure, 0)
  expect(nextOrder(readHistory(history, 0))).toBe(minute)
  const full = Array.from({ length: 5 }).reduce<OrderHistory>((each) => ordered(each, year), noOrders)
  expect(nextOrder(readHistory(full, 7))).toBe(7 + hour)
})

it('never gives more than five in an hour, whatever happens and however the clock is set back', () => {
  const step = fc.record({
    pass: fc.nat(20 * minute),
    set: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: -1e12, max: 0 })),
    end: fc.constantFrom('good', 'bad', 'none', 'at once'),
    chance: fc.double({ min: 0, max: 0.999, noNaN: true }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let real = 0
      let off = 0
      let history: OrderHistory = noOrders
      const began: number[] = []
      for (const { chance, end, pass, set } of steps) {
        real += pass
        off += set
        const now = real + off
        // Each look is stored: that is where a clock that was set back is seen.
        history = readHistory(history, now)
        if (nextOrder(history) > now) continue
        began.push(real)
        history = ordered(history, now)
        if (end === 'good') history = succeeded(history)
        if (end === 'bad') history = failed(history, now, failure, chance)
        if (end === 'at once') history = failed(history, now, { ...failure, retryAfterMs: 0 }, chance)
      }
      for (const [i, at] of began.entries()) {
        const [past = Number.NEGATIVE_INFINITY] = began.slice(i - ordersAnHour, i - ordersAnHour + 1)
        if (i >= ordersAnHour) expect(at - past).toBeGreaterThanOrEqual(hour)
      }
    }),
  )
})
