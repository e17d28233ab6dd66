import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isRetryBudget, retryBudget } from './retry-budget.js'

const takes = (budget: { take(): boolean }, n: number) =>
  Array.from({ length: n }, () => budget.take()).filter(Boolean).length

it('gives a share of the requests, and forgets those of more than ten seconds ago', () => {
  let now = 0
  const budget = retryBudget({ share: 0.2, min: 0, clock: () => now })
  expect(budget.take()).toBe(false)
  for (let i = 0; i < 100; i++) budget.request()
  expect(takes(budget, 50)).toBe(20)
  now = 9_999
  expect(budget.take()).toBe(false)
  now = 10_000
  for (let i = 0; i < 10; i++) budget.request()
  expect(takes(budget, 50)).toBe(2)
})

it('gives some each second whatever the traffic', () => {
  let now = 0
  const budget = retryBudget({ share: 0, min: 3, clock: () => now })
  let all = 0
  for (; now < 20_000; now += 100) all += takes(budget, 10)
  expect(all).toBe(60)
})

it.each([
  [0.5, 1, 50],
  [0.5, 2, 50],
  [0.5, 7, 14],
  [0.1, 1, 10],
  [0.01, 1, 1],
  [2.5, 1, 250],
  [2.9, 1, 290],
])('gives %s each second, asked every %s s: %s in a hundred', (min, every, expected) => {
  let second = 0
  const budget = retryBudget({ share: 0, min, clock: () => second * 1_000 })
  let all = 0
  for (; second <= 100; second += every) all += takes(budget, every === 1 ? 10 : 1)
  expect(all).toBeGreaterThan(0)
  expect(Math.abs(all - expected)).toBeLessThanOrEqual(Math.ceil(min))
})

it('saves up no more than one, however long nobody asks', () => {
  let now = 0
  const budget = retryBudget({ share: 0, min: 0.5, clock: () => now })
  expect(takes(budget, 10)).toBe(0)
  now = 3_600_000
  expect(takes(budget, 10)).toBe(1)
})

it('holds its bound in every window, whatever the clock does', () => {
  const step = fc.record({
    wait: fc.oneof(fc.integer({ min: -2_000, max: 15_000 }), fc.integer({ min: -60_000, max: 0 })),
    requests: fc.nat(30),
    takes: fc.nat(30),
  })
  fc.assert(
    fc.property(
      fc.array(step),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.oneof(fc.nat(5), fc.double({ min: 0, max: 5, noNaN: true })),
      (steps, share, min) => {
        let now = 0
        const budget = retryBudget({ share, min, clock: () => now })
        const log: { second: number; requests: number; taken: number }[] = []
        let latest = Number.NEGATIVE_INFINITY
        for (const one of steps) {
          now += one.wait
          const second = Math.floor(now / 1_000)
          // Far back it begins anew.
          if (second <= latest - 10) {
            log.length = 0
            latest = second
          }
          latest = Math.max(latest, second)
          for (let i = 0; i < one.requests; i++) budget.request()
          log.push({ second: latest, requests: one.requests, taken: 0 })
          ;(log.at(-1) as { taken: number }).taken = takes(budget, one.takes)
          const window = log.filter(({ second }) => second > latest - 10)
          const requests = window.reduce((sum, entry) => sum + entry.requests, 0)
          const taken = window.reduce((sum, entry) => sum + entry.taken, 0)
          // Requests that left the window may have allowed some that are still in it.
          const before = log
            .filter(({ second }) => second > latest - 20)
            .reduce((sum, entry) => sum + entry.requests, 0)
          expect(taken).toBeLessThanOrEqual(
            Math.max(requests, before) * share + min * 10 + (Number.isInteger(min) ? 0 : 1) + 1e-6,
          )
        }
      },
    ),
  )
})

it('begins its window anew when its clock jumps back behind it, and goes on', () => {
  let now = 1e9
  const budget = retryBudget({ share: 0.5, min: 2, clock: () => now })
  for (let i = 0; i < 10; i++) budget.request()
  expect(takes(budget, 50)).toBe(7)
  now = 0
  let all = 0
  for (; now < 5_000; now += 1_000) all += takes(budget, 10)
  expect(all).toBe(10)
})

it('survives a clock that has no number', () => {
  const budget = retryBudget({ share: 1, min: 0, clock: () => Number.NaN })
  budget.request()
  expect([budget.take(), budget.take()]).toEqual([true, false])
})

it('is told from other things, and refuses what it does not know', () => {
  expect(isRetryBudget(retryBudget())).toBe(true)
  expect([null, undefined, {}, 5].some(isRetryBudget)).toBe(false)
  expect(() => retryBudget({ share: 2 })).toThrow('retryBudget.share')
  expect(() => retryBudget({ part: 2 } as never)).toThrow('retryBudget.part')
})
