import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type RenewalFacts, renewalTime } from './renewal.js'

const day = 86_400_000
const facts = (more: Partial<RenewalFacts>): RenewalFacts => ({
  notBefore: 0,
  notAfter: 90 * day,
  renewBefore: undefined,
  window: undefined,
  share: 0,
  since: 0,
  ...more,
})
const days = (more: Partial<RenewalFacts>): number => renewalTime(facts(more)) / day

it('leaves a third of life without a word of the server, or half of a short one', () => {
  expect(days({})).toBe(60)
  expect(days({ notAfter: 6 * day })).toBe(3)
  expect(days({ share: 0.5 })).toBeCloseTo(59.1)
})

it('leaves what the user wants, up to two thirds of life', () => {
  expect(days({ renewBefore: 20 * day })).toBe(70)
  expect(days({ renewBefore: 365 * day })).toBe(30)
})

it('takes a time in the window of the server', () => {
  const window = { start: 50 * day, end: 54 * day }
  expect(days({ window })).toBe(50)
  expect(days({ window, share: 0.5 })).toBe(52)
  expect(days({ window, renewBefore: 20 * day })).toBe(50)
  expect(days({ window, renewBefore: 45 * day })).toBe(45)
})

it('takes a window that is over for now, but not of a certificate that has just come', () => {
  expect(days({ window: { start: -2 * day, end: -day } })).toBe(1)
  expect(days({ window: { start: -2 * day, end: -day }, notAfter: 5 * day })).toBe(0.5)
})

it('is no earlier than a tenth of life after it came, however old it was then', () => {
  expect(days({ notBefore: -85 * day, notAfter: 5 * day, since: -85 * day })).toBe(-25)
  expect(days({ notBefore: -85 * day, notAfter: 5 * day, since: 0 })).toBe(1)
})

it('does not let a server put it off until it is too late', () => {
  expect(days({ window: { start: 200 * day, end: 201 * day } })).toBe(85.5)
})

it('takes a window that ends before it begins for none', () => {
  expect(days({ window: { start: 20 * day, end: 20 * day } })).toBe(60)
  expect(days({ window: { start: Number.NaN, end: 20 * day } })).toBe(60)
})

it('is in the life of the certificate, whatever the facts are', () => {
  const time = fc.integer({ min: -1e13, max: 1e13 })
  fc.assert(
    fc.property(
      time,
      fc.integer({ min: 1, max: 1e12 }),
      fc.option(fc.integer({ min: 1, max: 1e12 }), { nil: undefined }),
      fc.option(fc.record({ start: time, end: time }), { nil: undefined }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (notBefore, life, renewBefore, window, share) => {
        const at = renewalTime({
          notBefore,
          notAfter: notBefore + life,
          renewBefore,
          window,
          share,
          since: notBefore,
        })
        // To the millisecond: these numbers have no more digits.
        expect(at - notBefore).toBeGreaterThanOrEqual(Math.min(life / 10, day) - 1)
        expect(at - notBefore).toBeLessThanOrEqual(life * 0.95 + 1)
      },
    ),
  )
})
