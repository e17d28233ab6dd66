import fc from 'fast-check'
import { expect, it } from 'vitest'
import { backoffDelay } from './backoff.js'

it('doubles its bound up to the greatest', () => {
  const settings = { base: 10, max: 50, random: () => 1 }
  expect([1, 2, 3, 4, 5].map((attempt) => backoffDelay(attempt, settings))).toEqual([10, 20, 40, 50, 50])
  expect(backoffDelay(2, { ...settings, random: () => 0.5 })).toBe(10)
})

it('is a number from 0 to the greatest, whatever chance says', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000 }),
      fc.nat(1e6),
      fc.nat(1e9),
      fc.double(),
      (n, base, max, chance) => {
        const delay = backoffDelay(n, { base, max, random: () => chance })
        expect(delay).toBeGreaterThanOrEqual(0)
        expect(delay).toBeLessThanOrEqual(max)
      },
    ),
  )
})
