import fc from 'fast-check'
import { expect, it } from 'vitest'
import { retryAfter } from './retry-after.js'

const now = Date.UTC(1994, 10, 6, 8, 49, 0)

it.each([
  ['120', 120_000],
  [' 0 ', 0],
  ['9'.repeat(400), Number.MAX_SAFE_INTEGER],
  ['Sun, 06 Nov 1994 08:49:37 GMT', 37_000],
  ['Sunday, 06-Nov-94 08:49:37 GMT', 37_000],
  ['Sun Nov  6 08:49:37 1994', 37_000],
  ['Sun, 06 Nov 1994 08:48:37 GMT', 0],
])('%s is %d ms', (value, ms) => {
  expect(retryAfter(value, now)).toBe(ms)
})

it.each([
  '',
  '-1',
  '1.5',
  '1e3',
  '0x10',
  '1, 2',
  'soon',
  '1994-11-06',
  'Sun, 06 Foo 1994 08:49:37 GMT',
  'Sun, 00 Nov 1994 08:49:37 GMT',
  'Sun, 06 Nov 1994 24:00:00 GMT',
])('ignores %j', (value) => {
  expect(retryAfter(value, now)).toBeUndefined()
})

it('takes a year of two digits that is more than 50 years ahead as past', () => {
  expect(retryAfter('Sunday, 06-Nov-45 08:49:37 GMT', now)).toBe(0)
})

it('reads every date that it is told, and never gives a negative or endless wait', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e9 }), fc.integer({ min: 0, max: 4e9 }), (at, from) => {
      const date = new Date(at * 1_000).toUTCString()
      expect(retryAfter(date, from * 1_000)).toBe(Math.max(0, at - from) * 1_000)
    }),
  )
  fc.assert(
    fc.property(fc.string(), (text) => {
      const ms = retryAfter(text, now)
      expect(ms === undefined || (ms >= 0 && Number.isFinite(ms))).toBe(true)
    }),
  )
})
