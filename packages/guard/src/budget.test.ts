import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Budget } from './budget.js'

describe('Budget', () => {
  it('has a burst, and then its rate', () => {
    const budget = new Budget({ burst: 3, rate: 2 }, 0)
    expect([0, 0, 0, 0].map((now) => budget.spend(now))).toEqual([true, true, true, false])
    expect(budget.spend(499)).toBe(false)
    expect(budget.spend(1_000)).toBe(true)
  })

  it('is no fuller than at first, and a clock that goes back gives nothing', () => {
    const budget = new Budget({ burst: 2, rate: 1_000 }, 0)
    expect([9_999, 9_999, 9_999, 5_000].map((now) => budget.spend(now))).toEqual([true, true, false, false])
  })

  it('never gives more than burst and rate in any stretch', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 300 })),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 50 }),
        (gaps, burst, rate) => {
          const budget = new Budget({ burst, rate }, 0)
          const given: number[] = []
          let now = 0
          for (const gap of gaps) {
            now += gap
            if (budget.spend(now)) given.push(now)
          }
          for (let i = 0; i < given.length; i++)
            for (let j = i; j < given.length; j++) {
              const stretch = (given[j] as number) - (given[i] as number)
              expect(j - i + 1).toBeLessThanOrEqual(burst + (stretch / 1_000) * rate + 1e-6)
            }
        },
      ),
    )
  })
})
