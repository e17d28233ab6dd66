import { get, type HeaderList } from '@sluice/headers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { StoredPart } from '../store.js'
import {
  combine,
  combinedHead,
  isWhole,
  mayCombine,
  missingFor,
  type PartialResponse,
  partOf,
  shortPartOf,
} from './partial.js'

const partial = (...headers: HeaderList): PartialResponse => ({ status: 206, headers })

describe('partOf', () => {
  it.each<[string, PartialResponse, StoredPart | undefined]>([
    [
      'a range',
      partial('Content-Range', 'bytes 4-9/10', 'Content-Length', '6'),
      { first: 4, last: 9, size: 10 },
    ],
    ['one of unknown length', partial('content-range', 'bytes 4-9/*'), { first: 4, last: 9 }],
    ['another status', { status: 200, headers: ['Content-Range', 'bytes 4-9/10'] }, undefined],
    ['no Content-Range', partial('Content-Length', '6'), undefined],
    ['two of them', partial('Content-Range', 'bytes 4-9/10', 'Content-Range', 'bytes 4-9/10'), undefined],
    ['none satisfied', partial('Content-Range', 'bytes */10'), undefined],
    ['another unit', partial('Content-Range', 'items 4-9/10'), undefined],
    ['fewer bytes than told', partial('Content-Range', 'bytes 4-9/10', 'Content-Length', '5'), undefined],
    ['more bytes than told', partial('Content-Range', 'bytes 4-9/10', 'Content-Length', '7'), undefined],
    ['no number', partial('Content-Range', 'bytes 4-9/10', 'Content-Length', '6x'), undefined],
    [
      'several ranges',
      partial('Content-Type', 'Multipart/Byteranges; boundary=x', 'Content-Range', 'bytes 4-9/10'),
      undefined,
    ],
  ])('%s', (_, response, part) => {
    expect(partOf(response)).toEqual(part)
  })
})

describe('shortPartOf', () => {
  it.each<[string, PartialResponse, StoredPart | undefined]>([
    [
      'fewer bytes',
      partial('Content-Range', 'bytes 4-9/10', 'Content-Length', '5'),
      { first: 4, last: 8, size: 9 },
    ],
    ['as many', partial('Content-Range', 'bytes 4-9/10', 'Content-Length', '6'), undefined],
    ['more', partial('Content-Range', 'bytes 4-9/10', 'Content-Length', '7'), undefined],
    ['no length: it may have been cut off', partial('Content-Range', 'bytes 4-9/10'), undefined],
    ['not at the end', partial('Content-Range', 'bytes 4-8/10', 'Content-Length', '4'), undefined],
    ['none', partial('Content-Range', 'bytes 4-9/10', 'Content-Length', '0'), undefined],
    ['all of it, cut off', partial('Content-Range', 'bytes 0-9/10', 'Content-Length', '5'), undefined],
  ])('%s', (_, response, part) => {
    expect(shortPartOf(response)).toEqual(part)
  })
})

describe('mayCombine', () => {
  const range = ['Content-Range', 'bytes 0-4/10']
  const date = ['Last-Modified', 'Tue, 01 Jul 2025 10:00:00 GMT', 'Date', 'Tue, 01 Jul 2025 11:00:00 GMT']
  it.each<[string, HeaderList, HeaderList, boolean]>([
    ['the same strong tag', ['ETag', '"a"'], ['ETag', '"a"'], true],
    ['two tags', ['ETag', '"a"'], ['ETag', '"b"'], false],
    ['a weak tag', ['ETag', 'W/"a"'], ['ETag', 'W/"a"'], false],
    ['a tag in one', ['ETag', '"a"', ...date], date, false],
    ['no validator', [], [], false],
    ['the same strong date', date, date, true],
    ['a date that is weak', date.slice(0, 2), date.slice(0, 2), false],
    ['two codings', ['ETag', '"a"', 'Content-Encoding', 'gzip'], ['ETag', '"a"'], false],
    [
      'one coding',
      ['ETag', '"a"', 'Content-Encoding', 'GZIP'],
      ['ETag', '"a"', 'content-encoding', 'gzip'],
      true,
    ],
    ['bytes that do not fit', ['ETag', '"a"', 'Content-Length', '4'], ['ETag', '"a"'], false],
  ])('%s', (_, stored, came, may) => {
    expect(mayCombine(partial(...range, ...stored), partial(...range, ...came))).toBe(may)
  })
})

describe('combine', () => {
  const text = 'abcdefghijklmnop'
  it('is the union of what touches, with the bytes of each place', () => {
    const range = fc
      .tuple(fc.nat(15), fc.nat(15))
      .map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }))
    const size = fc.constantFrom(16, undefined)
    fc.assert(
      fc.property(range, range, size, size, (a, b, sizeA, sizeB) => {
        const stored: StoredPart = sizeA === undefined ? a : { ...a, size: sizeA }
        const came: StoredPart = sizeB === undefined ? b : { ...b, size: sizeB }
        const both = combine(stored, came)
        const touch = a.first <= b.last + 1 && b.first <= a.last + 1
        expect(both !== undefined).toBe(touch)
        if (both === undefined) return
        const known = sizeA ?? sizeB
        const union = { first: Math.min(a.first, b.first), last: Math.max(a.last, b.last) }
        expect(both.part).toEqual(known === undefined ? union : { ...union, size: known })
        const bytes = both.take.map(({ of, from, to }) => {
          const { first, last } = of === 'stored' ? stored : came
          expect(to > from).toBe(true)
          return text.slice(first, last + 1).slice(from, to)
        })
        expect(bytes.join('')).toBe(text.slice(union.first, union.last + 1))
      }),
    )
  })

  it('refuses two sizes, and bytes past the size', () => {
    expect(combine({ first: 0, last: 4, size: 10 }, { first: 5, last: 9, size: 11 })).toBeUndefined()
    expect(combine({ first: 0, last: 4, size: 10 }, { first: 5, last: 10 })).toBeUndefined()
  })

  it('takes nothing new where nothing new came', () => {
    expect(combine({ first: 0, last: 9 }, { first: 3, last: 4, size: 10 })).toEqual({
      part: { first: 0, last: 9, size: 10 },
      take: [{ of: 'stored', from: 0, to: 10 }],
    })
  })
})

describe('combinedHead', () => {
  const stored = partial(
    'Content-Type', 'text/plain', 'A', '1', 'B', '1', 'B', '2', 'Content-Range', 'bytes 0-4/10', 'Content-Length', '5',
    'Content-Digest', 'x', 'ETag', '"a"',
  ) // biome-ignore format: a pair a line would hide the two
  const came = partial(
    'b',
    '3',
    'Content-Range',
    'bytes 5-9/10',
    'Content-Length',
    '5',
    'Date',
    'now',
    'ETag',
    '"a"',
  )

  it('of the whole is a 200 with what came in the place of what was stored', () => {
    expect(combinedHead(stored, came, { first: 0, last: 9, size: 10 })).toEqual({
      status: 200,
      headers: [
        'Content-Type',
        'text/plain',
        'A',
        '1',
        'b',
        '3',
        'Date',
        'now',
        'ETag',
        '"a"',
        'Content-Length',
        '10',
      ],
    })
  })

  it('of a part is a 206 with its range', () => {
    const { status, headers } = combinedHead(stored, came, { first: 0, last: 8, size: 10 })
    expect(status).toBe(206)
    expect(get(headers, 'content-range')).toBe('bytes 0-8/10')
    expect(get(headers, 'content-length')).toBe('9')
    expect(partOf({ status, headers })).toEqual({ first: 0, last: 8, size: 10 })
  })

  it('knows the whole', () => {
    expect(isWhole({ first: 0, last: 9, size: 10 })).toBe(true)
    expect(isWhole({ first: 0, last: 9 })).toBe(false)
    expect(isWhole({ first: 1, last: 9, size: 10 })).toBe(false)
    expect(isWhole({ first: 0, last: 8, size: 10 })).toBe(false)
  })
})

describe('missingFor', () => {
  const tagged = ['ETag', '"a"']
  it('asks for the rest of the whole, if it is the representation yet', () => {
    expect(missingFor({ first: 0, last: 4, size: 10 }, tagged)).toEqual({ range: 'bytes=5-', ifRange: '"a"' })
    expect(missingFor({ first: 0, last: 4 }, ['ETag', 'W/"a"'])).toEqual({ range: 'bytes=5-' })
    const dated = ['Last-Modified', 'Tue, 01 Jul 2025 10:00:00 GMT', 'Date', 'Tue, 01 Jul 2025 11:00:00 GMT']
    expect(missingFor({ first: 0, last: 4 }, dated)?.ifRange).toBe(dated[1])
    // A client that has a tag doesn't use the date (RFC 9110 section 13.1.5).
    expect(missingFor({ first: 0, last: 4 }, ['ETag', 'W/"a"', ...dated])?.ifRange).toBeUndefined()
  })

  it('asks for the rest of a range that begins in the part', () => {
    const part = { first: 2, last: 4, size: 10 }
    expect(missingFor(part, tagged, { first: 3, last: 8 })?.range).toBe('bytes=5-8')
    expect(missingFor(part, tagged, { first: 2 })?.range).toBe('bytes=5-')
  })

  it.each<[string, StoredPart, Parameters<typeof missingFor>[2]]>([
    ['a part that is no beginning', { first: 1, last: 4, size: 10 }, undefined],
    ['the whole', { first: 0, last: 9, size: 10 }, undefined],
    ['a range ahead of the part', { first: 2, last: 4, size: 10 }, { first: 1, last: 8 }],
    ['a range behind it', { first: 2, last: 4, size: 10 }, { first: 5, last: 8 }],
    ['a range within it', { first: 2, last: 4, size: 10 }, { first: 3, last: 4 }],
    ['the end', { first: 2, last: 4, size: 10 }, { suffix: 8 }],
    ['a part that has the end', { first: 2, last: 9, size: 10 }, { first: 3 }],
  ])('has nothing to ask for: %s', (_, part, wanted) => {
    expect(missingFor(part, tagged, wanted)).toBeUndefined()
  })
})
