import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatHttpDate, parseHttpDate } from './http-date.js'

const now = Date.UTC(2026, 5, 1)
const day = Date.UTC(2050, 7, 18, 2, 1, 18)

describe('parseHttpDate', () => {
  it.each<[string, string, number | undefined]>([
    ['the form of today', 'Thu, 18 Aug 2050 02:01:18 GMT', day],
    ['the form of RFC 850', 'Thursday, 18-Aug-50 02:01:18 GMT', day],
    ['the form of asctime', 'Thu Aug 18 02:01:18 2050', day],
    ['asctime, a day of one digit', 'Mon Aug  8 02:01:18 2050', Date.UTC(2050, 7, 8, 2, 1, 18)],
    ['any case', 'THU, 18 aUG 2050 02:01:18 gmt', day],
    ['two digits of the century before', 'Sunday, 06-Nov-94 08:49:37 GMT', Date.UTC(1994, 10, 6, 8, 49, 37)],
    ['fifty years ahead', 'Monday, 01-Jun-76 00:00:00 GMT', Date.UTC(2076, 5, 1)],
    ['more than that', 'Monday, 01-Jun-76 00:00:01 GMT', Date.UTC(1976, 5, 1, 0, 0, 1)],
    ['a year before Date has four digits for it', 'Mon, 01 Jan 0050 00:00:00 GMT', -60_589_296_000_000],
    ['far away', 'Sun, 21 Nov 2286 04:46:39 GMT', Date.UTC(2286, 10, 21, 4, 46, 39)],
    ['a leap second', 'Sat, 31 Dec 2016 23:59:60 GMT', Date.UTC(2017, 0, 1)],
    ['a leap day', 'Thu, 29 Feb 2024 00:00:00 GMT', Date.UTC(2024, 1, 29)],
    ['no leap day', 'Wed, 29 Feb 2023 00:00:00 GMT', undefined],
    ['no such day', 'Thu, 31 Apr 2025 00:00:00 GMT', undefined],
    ['day 0', 'Thu, 00 Apr 2025 00:00:00 GMT', undefined],
    ['hour 24', 'Thu, 18 Aug 2050 24:00:00 GMT', undefined],
    ['minute 60', 'Thu, 18 Aug 2050 00:60:00 GMT', undefined],
    ['UTC', 'Thu, 18 Aug 2050 02:01:18 UTC', undefined],
    ['another zone', 'Thu, 18 Aug 2050 02:01:18 AEST', undefined],
    ['an offset', 'Thu, 18 Aug 2050 02:01:18 +0000', undefined],
    ['a year of two digits', 'Thu, 18 Aug 50 02:01:18 GMT', undefined],
    ['no comma', 'Thu 18 Aug 2050 02:01:18 GMT', undefined],
    ['more blanks', 'Thu, 18  Aug  2050 02:01:18 GMT', undefined],
    ['dashes', 'Thu, 18-Aug-2050 02:01:18 GMT', undefined],
    ['points', 'Thu, 18 Aug 2050 02.01.18 GMT', undefined],
    ['an hour of one digit', 'Thu, 18 Aug 2050 2:01:18 GMT', undefined],
    ['two of them', 'Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT', undefined],
    ['a blank before', ' Thu, 18 Aug 2050 02:01:18 GMT', undefined],
    ['ISO 8601', '2050-08-18T02:01:18Z', undefined],
    ['0', '0', undefined],
    ['-1', '-1', undefined],
    ['nothing', '', undefined],
  ])('%s', (_name, text, expected) => {
    expect(parseHttpDate(text, now)).toBe(expected)
  })

  it('reads what formatHttpDate writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(1, 0) - 6e13, max: Date.UTC(9999, 11, 31) }), (ms) => {
        const date = new Date(ms)
        fc.pre(date.getUTCFullYear() >= 0)
        expect(parseHttpDate(formatHttpDate(ms), now)).toBe(Math.floor(ms / 1000) * 1000)
      }),
    )
  })

  it('gives a number or nothing', () => {
    const bit = fc.constantFrom(
      'Thu',
      ',',
      ' ',
      '18',
      'Aug',
      '2050',
      '02:01:18',
      'GMT',
      '-',
      '50',
      'Thursday',
    )
    fc.assert(
      fc.property(fc.array(bit), (bits) => {
        const found = parseHttpDate(bits.join(''), now)
        expect(found === undefined || Number.isFinite(found)).toBe(true)
      }),
    )
  })
})
