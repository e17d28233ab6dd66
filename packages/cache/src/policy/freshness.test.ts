import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ageField, bornAt, currentAge, withAge } from './age.js'
import { type Freshness, freshness } from './freshness.js'
import { keepUntil, life } from './life.js'
import { type PolicyOptions, policyDefaults, type StoredResponse } from './types.js'

const now = Date.UTC(2026, 5, 1, 12)
const hour = 60 * 60 * 1000
const at = (seconds: number) => new Date(now + seconds * 1000).toUTCString()

/** Sent a second before it came, half a second into a second. */
const stored = (headers: string[], more: Partial<StoredResponse> = {}): StoredResponse => ({
  status: 200,
  headers,
  requestTime: now - 500,
  responseTime: now + 500,
  ...more,
})

describe('freshness', () => {
  const of = (headers: string[], options: Partial<PolicyOptions> = {}, status = 200) =>
    freshness(stored(headers, { status }), { ...policyDefaults, ...options })
  const cc = (value: string) => ['Cache-Control', value]

  it.each<[string, string[], number, Freshness['by']]>([
    ['nothing', [], 0, 'none'],
    ['max-age', cc('max-age=60'), 60, 'max-age'],
    ['s-maxage before max-age', cc('max-age=60, s-maxage=1'), 1, 's-maxage'],
    [
      's-maxage before max-age and Expires',
      [...cc('max-age=0, s-maxage=9'), 'Expires', at(-9)],
      9,
      's-maxage',
    ],
    ['max-age before Expires', [...cc('max-age=0'), 'Expires', at(60), 'Date', at(0)], 0, 'max-age'],
    ['max-age that is none, before Expires', [...cc('max-age=x'), 'Expires', at(60)], 0, 'max-age'],
    ['max-age before Expires that is none', [...cc('max-age=60'), 'Expires', '0'], 60, 'max-age'],
    ['the most', cc('max-age=99999999999'), 2_147_483_648, 'max-age'],
    ['Expires', ['Expires', at(60), 'Date', at(0)], 60, 'expires'],
    ['Expires by a fast clock', ['Expires', at(300), 'Date', at(400)], 0, 'expires'],
    ['Expires by a slow clock', ['Expires', at(10), 'Date', at(-10)], 20, 'expires'],
    ['Expires without a Date', ['Expires', at(60)], 59.5, 'expires'],
    ['Expires with a Date that is none', ['Expires', at(60), 'Date', 'foo'], 59.5, 'expires'],
    ['Expires at once', ['Expires', at(0), 'Date', at(0)], 0, 'expires'],
    ['Expires that is none', ['Expires', '0', 'Last-Modified', at(-100)], 0, 'expires'],
    ['Expires twice', ['Expires', at(60), 'Expires', at(60), 'Date', at(0)], 0, 'expires'],
    ['heuristics', ['Last-Modified', at(-100), 'Date', at(0)], 10, 'heuristic'],
    ['heuristics without a Date', ['Last-Modified', at(-100)], 10.05, 'heuristic'],
    ['heuristics, at most', ['Last-Modified', at(-1e8), 'Date', at(0)], 24 * 60 * 60, 'heuristic'],
    ['heuristics, from the future', ['Last-Modified', at(100), 'Date', at(0)], 0, 'none'],
    ['heuristics, no date', ['Last-Modified', 'x', 'Date', at(0)], 0, 'none'],
    [
      'Pragma says nothing',
      ['Pragma', 'no-cache', 'Last-Modified', at(-100), 'Date', at(0)],
      10,
      'heuristic',
    ],
    ['targeted', ['CDN-Cache-Control', 'max-age=60', ...cc('max-age=1')], 60, 'max-age'],
    ['targeted, Expires', ['CDN-Cache-Control', 'foo', 'Expires', at(60)], 0, 'none'],
    [
      'targeted, heuristics',
      ['CDN-Cache-Control', 'foo', 'Last-Modified', at(-100), 'Date', at(0)],
      10,
      'heuristic',
    ],
  ])('%s', (_name, headers, seconds, by) => {
    expect(of(headers)).toEqual({ lifetime: seconds * 1000, by })
  })

  it('gives heuristics to the statuses that may have them, to what is public, and where they are on', () => {
    const headers = ['Last-Modified', at(-100), 'Date', at(0)]
    expect([200, 404, 403, 599].map((status) => of(headers, {}, status).by)).toEqual([
      'heuristic',
      'heuristic',
      'none',
      'none',
    ])
    expect(of([...headers, ...cc('public')], {}, 599).by).toBe('heuristic')
    expect(of(headers, { heuristic: false }).by).toBe('none')
  })

  it('gives what the options say to a status that says nothing itself', () => {
    const options = { negative: { 404: 5000 } }
    expect(of([], options, 404)).toEqual({ lifetime: 5000, by: 'negative' })
    expect(of(['Last-Modified', at(-100), 'Date', at(0)], options, 404).by).toBe('negative')
    expect(of(cc('max-age=1'), options, 404).by).toBe('max-age')
    expect(of(['Expires', '0'], options, 404).by).toBe('expires')
    expect(of([], options, 410).by).toBe('none')
  })
})

describe('age', () => {
  it.each<[string, string[], number]>([
    ['nothing said: since it was asked for', [], 1],
    ['Age comes on top', ['Age', '30'], 31],
    ['Age, at most', ['Age', '99999999999'], 2_147_483_649],
    ['a Date of now', ['Date', at(0)], 1],
    ['a Date before', ['Date', at(-100)], 100],
    ['a Date before, and a larger Age', ['Date', at(-100), 'Age', '200'], 201],
    ['a Date before, and a smaller Age', ['Date', at(-100), 'Age', '50'], 100],
    ['a Date ahead', ['Date', at(1000)], 1],
    ['a Date that is none', ['Date', 'x'], 1],
  ])('%s', (_name, headers, seconds) => {
    const one = stored(headers)
    expect(currentAge(one, now + 500)).toBe(seconds * 1000)
    expect(currentAge(one, now + 10_500)).toBe(seconds * 1000 + 10_000)
    // The same where the head keeps it in its times.
    const head = { ...one, requestTime: withAge(one.requestTime, headers) }
    const without = headers.flatMap((_, i) =>
      i % 2 === 0 && headers[i] !== 'Age' ? headers.slice(i, i + 2) : [],
    )
    expect(bornAt({ ...head, headers: without })).toBe(bornAt(one))
  })

  // RFC 9111 section 5.1.
  it.each<[string, string[], number | undefined]>([
    ['none', [], undefined],
    ['a number', ['0'], 0],
    ['the first of two', ['7200, 0'], 7200],
    ['the first of two, which is younger', ['0,7200'], 0],
    ['the first line', ['7200', '0'], 7200],
    ['the first line, which is younger', ['0', '7200'], 0],
    ['what has parameters', ['7200;foo=bar'], 7200],
    ['words', ['abc'], undefined],
    ['below zero', ['-7200'], undefined],
    ['a fraction', ['7200.0'], undefined],
    ['nothing before a comma', [',5'], undefined],
  ])('the field: %s', (_name, lines, expected) => {
    expect(ageField(lines.flatMap((line) => ['Age', line]))).toBe(expected)
  })

  it('is never below 0, and never less than has passed since it came', () => {
    const time = fc.integer({ min: -1e12, max: 1e12 })
    const field = fc.oneof(fc.string(), fc.nat().map(String))
    fc.assert(
      fc.property(time, time, time, field, fc.option(time), (requestTime, responseTime, when, age, date) => {
        const headers = ['Age', age, ...(date === null ? [] : ['Date', new Date(date).toUTCString()])]
        const found = currentAge({ status: 200, headers, requestTime, responseTime }, when)
        expect(found).toBeGreaterThanOrEqual(Math.max(0, when - responseTime))
      }),
    )
  })
})

describe('life', () => {
  const of = (headers: string[], options: Partial<PolicyOptions> = {}, more: Partial<StoredResponse> = {}) =>
    life(stored(headers, more), { ...policyDefaults, ...options })
  const windows = 'stale-while-revalidate=5, stale-if-error=6'

  it('says all that reuse looks at', () => {
    expect(
      of(['Cache-Control', `max-age=60, immutable, ${windows}`, 'ETag', '"a"'], {}, { purged: true }),
    ).toEqual({
      bornAt: now - 500,
      freshFor: 60_000,
      staleWhileRevalidate: 5000,
      staleIfError: 6000,
      staleIfDisconnected: hour,
      revalidate: 'no',
      immutable: true,
      by: 'max-age',
      hasValidator: true,
      purged: true,
    })
  })

  it.each([
    ['no-cache', 'always'],
    ['no-cache, must-revalidate', 'always'],
    ['no-cache="a"', 'no'],
    ['must-revalidate', 'when-stale'],
    ['proxy-revalidate', 'when-stale'],
    ['s-maxage=60', 'when-stale'],
    ['public', 'no'],
  ] as const)('%s: %s', (directive, revalidate) => {
    const found = of(['Cache-Control', `${directive}, max-age=60, ${windows}`])
    expect(found.revalidate).toBe(revalidate)
    expect(found.staleWhileRevalidate + found.staleIfError).toBe(revalidate === 'no' ? 11_000 : 0)
  })

  it('takes windows from the options where the response says nothing of them', () => {
    const options = { staleWhileRevalidate: 1, staleIfError: 2 }
    const both = ({ staleWhileRevalidate, staleIfError }: ReturnType<typeof life>) => [
      staleWhileRevalidate,
      staleIfError,
    ]
    expect(both(of(['Cache-Control', 'max-age=0'], options))).toEqual([1, 2])
    const said = 'max-age=0, stale-while-revalidate=0, stale-if-error=3'
    expect(both(of(['Cache-Control', said], options))).toEqual([0, 3000])
    expect(both(of(['Cache-Control', 'max-age=0, must-revalidate'], options))).toEqual([0, 0])
  })

  it('opens no window to what was never fresh for anybody', () => {
    const options = { staleWhileRevalidate: 1, staleIfError: 2, heuristic: false }
    for (const headers of [
      [],
      ['Cache-Control', windows],
      ['Last-Modified', new Date(now - hour).toUTCString()],
    ])
      expect(of([...headers, 'ETag', '"a"'], options)).toMatchObject({
        by: 'none',
        revalidate: 'when-stale',
        staleWhileRevalidate: 0,
        staleIfError: 0,
        staleIfDisconnected: 0,
      })
    expect(of(['Cache-Control', 'no-cache'], options).revalidate).toBe('always')
  })

  it('keeps it while it may be of use, and longer where it can be validated', () => {
    const unless = { staleIfDisconnected: 0 }
    expect(keepUntil(of(['Cache-Control', 'max-age=60'], unless))).toBe(now - 500 + 60_000)
    expect(keepUntil(of(['Cache-Control', `max-age=60, ${windows}`], unless))).toBe(now - 500 + 66_000)
    expect(keepUntil(of(['Cache-Control', 'max-age=60']))).toBe(now - 500 + 60_000 + hour)
    expect(keepUntil(of(['Cache-Control', 'max-age=60, must-revalidate']))).toBe(now - 500 + 60_000)
    expect(keepUntil(of(['Cache-Control', 'max-age=60', 'Last-Modified', 'x']))).toBe(
      now - 500 + 60_000 + hour,
    )
  })
})
