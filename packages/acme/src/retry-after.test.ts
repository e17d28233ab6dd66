import fc from 'fast-check'
import { expect, it } from 'vitest'
import { retryAfterMs } from './retry-after.js'

const now = Date.parse('2030-01-01T00:00:00Z')

it.each<[string | undefined, number | undefined]>([
  [undefined, undefined],
  ['0', 0],
  ['120', 120_000],
  ['Tue, 01 Jan 2030 00:01:00 GMT', 60_000],
  ['Mon, 31 Dec 2029 23:59:00 GMT', undefined],
  ['Tue, 01 Jan 2030 00:00:00 GMT', undefined],
  ['tomorrow', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  ['2030-01-01T01:00:00Z', undefined],
])('of %s is %s ms', (field, ms) => {
  expect(retryAfterMs(field, now)).toBe(ms)
})

it('is a time to come, or none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.date().map(String), fc.integer().map(String)), (field) => {
      const ms = retryAfterMs(field, now)
      expect(ms === undefined || (ms >= 0 && Number.isFinite(ms))).toBe(true)
    }),
  )
})
