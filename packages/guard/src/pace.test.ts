import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Pace } from './pace.js'

describe('Pace', () => {
  it('gives one that moves nothing its grace', () => {
    const pace = new Pace(100, 1_000, 7)
    expect(pace.isLate(7, 999)).toBe(false)
    expect(pace.isLate(7, 1)).toBe(true)
  })

  it('saves nothing up for one that was fast', () => {
    const pace = new Pace(100, 1_000, 0)
    expect(pace.isLate(1_000_000, 10)).toBe(false)
    expect(pace.isLate(1_000_000, 1_000)).toBe(true)
  })

  it('takes any byte for enough where there is no rate', () => {
    const pace = new Pace(0, 1_000, 0)
    for (let i = 1; i < 50; i++) expect(pace.isLate(i, 999)).toBe(false)
    expect(pace.isLate(49, 1_000)).toBe(true)
  })

  it('ends whoever is slower than the rate for long enough, and nobody who never falls behind by the grace', () => {
    const looks = fc.array(fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 100 })))
    fc.assert(
      fc.property(
        looks,
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 1_000 }),
        (steps, rate, grace) => {
          const pace = new Pace(rate, grace, 0)
          let bytes = 0
          let time = 0
          // The most that any stretch up to now has fallen short of the rate, in ms: the lag behind the best start.
          let best = 0
          for (const [moved, elapsed] of steps) {
            bytes += moved
            time += elapsed
            const lead = (bytes / rate) * 1_000 - time
            best = Math.max(best, lead)
            expect(pace.isLate(bytes, elapsed)).toBe(near(best - lead, grace))
            if (best - lead >= grace) return
          }
        },
      ),
    )
  })
})

/** At least, but for the last bits of sums that were made in another order. */
function near(value: number, limit: number): boolean {
  return value >= limit - 1e-6
}
