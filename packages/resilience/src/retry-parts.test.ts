import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoff } from './backoff.js'
import { retryAfter } from './retry-after.js'
import { retryBudget } from './retry-budget.js'

describe('Retry-After', () => {
  const now = Date.UTC(2026, 10, 26, 12, 0, 0)
  it.each([
    ['0', 0],
    ['120', 120_000],
    ['Thu, 26 Nov 2026 12:00:30 GMT', 30_000],
    ['Thu, 26 Nov 2026 11:00:00 GMT', 0],
    ['1.5', undefined],
    ['-1', undefined],
    ['soon', undefined],
    ['', undefined],
    ['9999999999', undefined],
    ['Thursday, 26-Nov-26 12:00:30 GMT', undefined],
    ['Thu, 99 Foo 2026 12:00:30 GMT', undefined],
  ])('%j is %s ms', (value, ms) => {
    expect(retryAfter(value, now)).toBe(ms)
  })
})

it('the first further try waits for nothing, the others within a limit that doubles', () => {
  fc.assert(
    fc.property(
      fc.nat(40),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (retries, random) => {
        const wait = backoff(retries, { base: 50, max: 1_000 }, random)
        expect(wait).toBeGreaterThanOrEqual(0)
        expect(wait).toBeLessThanOrEqual(retries === 0 ? 0 : Math.min(1_000, 50 * 2 ** (retries - 1)))
      },
    ),
  )
  expect([1, 2, 3, 9].map((n) => backoff(n, { base: 50, max: 1_000 }, 0.5))).toEqual([25, 50, 100, 500])
})

describe('a budget', () => {
  it('gives a share of the requests of the last ten seconds, and some always', () => {
    let now = 5_000
    const budget = retryBudget({ share: 0.2, min: 1 }, () => now)
    const all = (): number => {
      let taken = 0
      while (budget.take()) taken++
      return taken
    }
    expect(all()).toBe(10)
    for (let i = 0; i < 50; i++) budget.requested()
    expect(all()).toBe(10)
    now += 9_000
    expect(all()).toBe(0)
    now += 1_000
    expect(all()).toBe(10)
    now += 3_600_000
    expect(all()).toBe(10)
    now -= 3_600_000
    expect(all()).toBe(0)
  })

  it('is never more than that, whenever requests and retries come', () => {
    const step = fc.record({ wait: fc.nat(3_000), requests: fc.nat(20), retries: fc.nat(20) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let now = 0
        const budget = retryBudget({ share: 0.5, min: 0 }, () => now)
        const log: { at: number; requests: number; taken: number }[] = []
        for (const { wait, requests, retries } of steps) {
          now += wait
          let taken = 0
          for (let i = 0; i < requests; i++) budget.requested()
          for (let i = 0; i < retries; i++) if (budget.take()) taken++
          log.push({ at: Math.floor(now / 1_000), requests, taken })
          const recent = log.filter(({ at }) => at > Math.floor(now / 1_000) - 10)
          const sum = (of: 'requests' | 'taken'): number =>
            recent.reduce((total, each) => total + each[of], 0)
          // The last one may have been taken when there was less than one left.
          if (taken > 0) expect(sum('taken')).toBeLessThan(0.5 * sum('requests') + 1)
        }
      }),
    )
  })

  it('refuses wrong options', () => {
    expect(() => retryBudget({ share: 2 })).toThrow(/budget.share: got 2/)
    expect(() => retryBudget({ min: -1 })).toThrow(/budget.min: got -1/)
  })
})
