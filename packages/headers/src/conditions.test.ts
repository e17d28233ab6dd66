import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { conditions, conditionsOf, type ValidatorFields } from './conditions.js'
import { parseEntityTag, parseEntityTags, strongMatch, weakMatch } from './entity-tag.js'

describe('entity tags', () => {
  it.each([
    ['"a"', { tag: 'a', weak: false }],
    ['W/"a"', { tag: 'a', weak: true }],
    ['""', { tag: '', weak: false }],
    ['"a,b"', { tag: 'a,b', weak: false }],
    ['"\xfc"', { tag: '\xfc', weak: false }],
    ['w/"a"', undefined],
    ['W/a', undefined],
    ['a', undefined],
    ['"a', undefined],
    ['"a b"', undefined],
    ['"a""', undefined],
    ['', undefined],
  ])('%s', (text, expected) => {
    expect(parseEntityTag(text)).toEqual(expected)
  })

  it('reads lists, commas in tags and all, and passes over what is none', () => {
    expect(parseEntityTags(' * ')).toBe('*')
    const tags = parseEntityTags('"a,b" ,W/"c",x, , "d", "*", w/"e"')
    expect(tags).toEqual([
      { tag: 'a,b', weak: false },
      { tag: 'c', weak: true },
      { tag: 'd', weak: false },
      { tag: '*', weak: false },
    ])
    expect(parseEntityTags('')).toEqual([])
  })

  it('finds again what was written', () => {
    const tag = fc.record({
      tag: fc.string({ unit: fc.constantFrom('a', ',', "'", '\\', '\xfc') }),
      weak: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(tag), (tags) => {
        expect(parseEntityTags(tags.map((one) => `${one.weak ? 'W/' : ''}"${one.tag}"`).join(', '))).toEqual(
          tags,
        )
      }),
    )
  })

  it('compares as RFC 9110 section 8.8.3.2 has it', () => {
    const [w1, w2, s1] = [
      { tag: '1', weak: true },
      { tag: '2', weak: true },
      { tag: '1', weak: false },
    ] as const
    expect([strongMatch(w1, w1), strongMatch(w1, w2), strongMatch(w1, s1), strongMatch(s1, s1)]).toEqual([
      false,
      false,
      false,
      true,
    ])
    expect([weakMatch(w1, w1), weakMatch(w1, w2), weakMatch(w1, s1), weakMatch(s1, s1)]).toEqual([
      true,
      false,
      true,
      true,
    ])
  })
})

const monday = 'Mon, 01 Jun 2026 00:00:00 GMT'
const tuesday = 'Tue, 02 Jun 2026 00:00:00 GMT'
const mondayBefore = 'Monday, 01-Jun-26 00:00:00 GMT'

describe('conditions', () => {
  const both = { etag: '"a"', lastModified: monday, date: tuesday }
  it.each<[string, string[], ValidatorFields, 304 | 412 | undefined]>([
    ['none', ['Accept', '*/*'], both, undefined],
    ['If-None-Match with the same', ['If-None-Match', '"a"'], both, 304],
    ['with another', ['If-None-Match', '"b"'], both, undefined],
    ['the first of a list', ['If-None-Match', '"a", "b"'], both, 304],
    ['the last of a list', ['If-None-Match', '"b", "a"'], both, 304],
    ['on several lines', ['If-None-Match', '"b"', 'if-none-match', '"a"'], both, 304],
    ['compares weakly', ['If-None-Match', 'W/"a"'], both, 304],
    ['a weak one with itself', ['If-None-Match', 'W/"a"'], { etag: 'W/"a"' }, 304],
    ['any', ['If-None-Match', '*'], {}, 304],
    ['without quotes, stored with them', ['If-None-Match', 'a'], both, undefined],
    ['without quotes, stored without', ['If-None-Match', 'a'], { etag: 'a' }, 304],
    ['W without a slash, stored so', ['If-None-Match', 'W"a"'], { etag: 'W"a"' }, 304],
    ['nothing stored', ['If-None-Match', '"a"'], {}, undefined],
    ['before If-Modified-Since, no', ['If-None-Match', '"b"', 'If-Modified-Since', tuesday], both, undefined],
    [
      'before If-Modified-Since, yes',
      ['If-Modified-Since', 'Sun, 01 Jan 2023 00:00:00 GMT', 'If-None-Match', '"a"'],
      both,
      304,
    ],
    ['If-Modified-Since, the same', ['If-Modified-Since', monday], both, 304],
    ['in another form', ['If-Modified-Since', mondayBefore], both, 304],
    ['later', ['If-Modified-Since', tuesday], both, 304],
    ['earlier', ['If-Modified-Since', monday], { lastModified: tuesday }, undefined],
    ['no date', ['If-Modified-Since', 'yesterday'], both, undefined],
    ['two dates', ['If-Modified-Since', tuesday, 'If-Modified-Since', tuesday], both, undefined],
    ['Date in place of Last-Modified, yes', ['If-Modified-Since', tuesday], { date: monday }, 304],
    ['Date in place of Last-Modified, no', ['If-Modified-Since', monday], { date: tuesday }, undefined],
    ['no date stored', ['If-Modified-Since', monday], {}, undefined],
    ['junk that is the same', ['If-Modified-Since', 'x'], { lastModified: 'x' }, 304],
    ['If-Match with the same', ['If-Match', '"a"'], both, undefined],
    ['with another', ['If-Match', '"b"'], both, 412],
    ['compares strongly', ['If-Match', 'W/"a"'], { etag: 'W/"a"' }, 412],
    ['a weak one of a list', ['If-Match', '"b", W/"a"'], both, 412],
    ['any', ['If-Match', '*'], {}, undefined],
    ['nothing stored', ['If-Match', '"a"'], {}, 412],
    [
      'before If-Unmodified-Since',
      ['If-Match', '"a"', 'If-Unmodified-Since', 'Sun, 01 Jan 2023 00:00:00 GMT'],
      both,
      undefined,
    ],
    ['and then If-None-Match', ['If-Match', '"a"', 'If-None-Match', '"a"'], both, 304],
    ['If-Unmodified-Since, later', ['If-Unmodified-Since', tuesday], both, undefined],
    ['the same', ['If-Unmodified-Since', monday], both, undefined],
    ['earlier', ['If-Unmodified-Since', monday], { lastModified: tuesday }, 412],
    ['no date', ['If-Unmodified-Since', 'x'], both, undefined],
    ['a Date alone', ['If-Unmodified-Since', monday], { etag: '"a"', date: tuesday }, undefined],
    ['nothing stored', ['If-Unmodified-Since', monday], {}, undefined],
    ['junk stored', ['If-Unmodified-Since', monday], { lastModified: 'x', date: tuesday }, undefined],
    [
      'a Date alone, and then If-None-Match',
      ['If-Unmodified-Since', monday, 'If-None-Match', '"a"'],
      { etag: '"a"', date: tuesday },
      304,
    ],
    ['If-Range is none', ['If-Range', '"b"'], both, undefined],
    ['nor is another field of that length', ['If-Xatch', '"b"', 'Ix-None-Match', '"a"'], both, undefined],
  ])('%s: %j', (_name, headers, stored, expected) => {
    expect(conditions(headers, stored)).toBe(expected)
  })

  it('makes nothing of a request without any', () => {
    expect(conditionsOf(['Host', 'a', 'Accept', '*/*', 'Range', 'bytes=0-'])).toBeUndefined()
  })

  it('takes anything', () => {
    const bit = fc.constantFrom('"', 'W/', 'a', ',', '*', ' ', monday, '\\')
    const names = fc.constantFrom('If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since')
    const field = fc.tuple(
      names,
      fc.array(bit).map((bits) => bits.join('')),
    )
    fc.assert(
      fc.property(fc.array(field), fc.array(bit), (fields, etag) => {
        expect([undefined, 304, 412]).toContain(
          conditions(fields.flat(), { etag: etag.join(''), lastModified: monday }),
        )
      }),
    )
    for (const text of ['"', 'W/"', '",', ',', '" ', 'W/'])
      conditions(['If-None-Match', text.repeat(50_000)], { etag: '"a"' })
  })
})
