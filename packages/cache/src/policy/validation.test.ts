import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { invalidates } from './invalidation.js'
import { freshen, headUpdates, matchesValidator, validators } from './validation.js'

const a = 'Mon, 01 Jun 2026 12:00:00 GMT'
const b = 'Mon, 01 Jun 2026 13:00:00 GMT'
const of = (headers: string[], status = 200) => ({ status, headers })

describe('validators', () => {
  it.each<[string[], string[]]>([
    [[], []],
    [
      ['etag', '"a"'],
      ['If-None-Match', '"a"'],
    ],
    [
      ['ETag', 'W/"a"'],
      ['If-None-Match', 'W/"a"'],
    ],
    [
      ['Last-Modified', a],
      ['If-Modified-Since', a],
    ],
    [
      ['Last-Modified', a, 'ETag', '"a"'],
      ['If-None-Match', '"a"', 'If-Modified-Since', a],
    ],
    [['ETag', '', 'Last-Modified', ''], []],
  ])('%j: %j', (headers, expected) => {
    expect(validators(of(headers))).toEqual(expected)
  })
})

describe('freshen', () => {
  it.each([
    'X',
    'Content-Foo',
    'Cache-Control',
    'Content-Location',
    'Content-Type',
    'Expires',
    'Set-Cookie',
    'Vary',
  ])('updates %s', (name) => {
    const stored = ['A', '1', name.toLowerCase(), 'old', 'B', '2', name, 'older', 'Date', a]
    expect(freshen(stored, ['Date', b, name, 'new', name, 'newer'])).toEqual([
      ...['A', '1', 'B', '2', 'Date', b],
      ...[name, 'new', name, 'newer'],
    ])
  })

  it.each([
    'Content-Encoding',
    'Content-Length',
    'Content-MD5',
    'Content-Range',
    'Content-Digest',
    'Repr-Digest',
    'Digest',
    'ETag',
  ])('leaves %s, which tells of the body', (name) => {
    expect(freshen([name, 'old', 'Date', a], [name, 'new', 'Date', b])).toEqual([name, 'old', 'Date', b])
    expect(freshen(['Date', a], [name, 'new', 'Date', b])).toEqual(['Date', b])
  })

  it('keeps no Date that was before', () => {
    expect(freshen(['Date', a, 'A', '1'], ['B', '2'])).toEqual(['A', '1', 'B', '2'])
  })

  it('comes to the same a second time, and edits nothing', () => {
    const field = fc.tuple(
      fc.constantFrom('A', 'a', 'ETag', 'Date', 'Content-Length', 'B'),
      fc.constantFrom('1', '2'),
    )
    const fields = fc.array(field).map((list) => Object.freeze(list.flat()) as string[])
    fc.assert(
      fc.property(fields, fields, (stored, update) => {
        const once = freshen(stored, update)
        expect(freshen(once, update)).toEqual(once)
      }),
    )
  })
})

describe('matchesValidator', () => {
  it.each<[string, string[], string[], boolean]>([
    ['the same', ['ETag', '"a"'], ['ETag', '"a"'], true],
    ['another', ['ETag', '"a"'], ['ETag', '"b"'], false],
    ['weak, and the same', ['ETag', 'W/"a"'], ['ETag', 'W/"a"'], true],
    ['weak of a strong one', ['ETag', '"a"'], ['ETag', 'W/"a"'], true],
    ['strong of a weak one', ['ETag', 'W/"a"'], ['ETag', '"a"'], false],
    ['no entity tags, but the same', ['ETag', 'a'], ['ETag', 'a'], true],
    ['no entity tags', ['ETag', 'a'], ['ETag', '"a"'], false],
    ['of one without', ['Last-Modified', a], ['ETag', '"a"'], false],
    ['the same date', ['Last-Modified', a], ['Last-Modified', a], true],
    ['another date', ['Last-Modified', a], ['Last-Modified', b], false],
    ['a date for an entity tag', ['ETag', '"a"'], ['Last-Modified', b], true],
    ['another date for an entity tag', ['ETag', '"a"', 'Last-Modified', a], ['Last-Modified', b], false],
    ['nothing said', ['ETag', '"a"'], [], true],
  ])('%s', (_name, stored, answer, expected) => {
    expect(matchesValidator(of(stored), of(answer, 304))).toBe(expected)
  })
})

describe('headUpdates', () => {
  const stored = of(['ETag', '"a"', 'Last-Modified', a, 'Content-Length', '5'])
  it.each<[string, ReturnType<typeof of>, ReturnType<typeof of>, string | undefined]>([
    ['nothing said', stored, of([]), 'update'],
    ['all the same', stored, of(stored.headers), 'update'],
    ['another entity tag', stored, of(['ETag', '"b"']), 'invalidate'],
    ['another date', stored, of(['Last-Modified', b]), 'invalidate'],
    ['another length', stored, of(['Content-Length', '6']), 'invalidate'],
    ['another coding', stored, of(['Content-Encoding', 'gzip']), 'invalidate'],
    ['a length where none was known', of([]), of(['Content-Length', '6']), 'update'],
    ['the whole length, of a part', of(['Content-Length', '5'], 206), of(['Content-Length', '6']), 'update'],
    ['another entity tag, of a part', of(['ETag', '"a"'], 206), of(['ETag', '"b"']), 'invalidate'],
    ['gone', stored, of([], 410), undefined],
    ['not there before', of([], 404), of([]), 'invalidate'],
  ])('%s', (_name, before, head, expected) => {
    expect(headUpdates(before, head)).toBe(expected)
  })
})

describe('invalidates', () => {
  const url = 'http://A.example:80/x/y?q#f'
  const own = 'http://a.example/x/y?q'
  it.each<[string, string, string[], number, string[]]>([
    ['POST', 'POST', [], 200, [own]],
    ['an unknown method', 'M-SEARCH', [], 204, [own]],
    ['a method in lower case is unknown', 'get', [], 200, [own]],
    ['a redirect', 'DELETE', [], 303, [own]],
    ['GET', 'GET', ['Location', '/z'], 200, []],
    ['QUERY', 'QUERY', [], 200, []],
    ['a failure', 'PUT', ['Location', '/z'], 400, []],
    ['an error', 'PUT', [], 500, []],
    ['Location', 'PUT', ['Location', 'z?1#f'], 201, [own, 'http://a.example/x/z?1']],
    [
      'both',
      'PUT',
      ['Location', '/z', 'Content-Location', '/w'],
      201,
      [own, 'http://a.example/z', 'http://a.example/w'],
    ],
    ['the same again', 'PUT', ['Location', '?q', 'Content-Location', url], 200, [own]],
    ['another host', 'PUT', ['Location', 'http://b.example/x'], 201, [own]],
    ['another scheme', 'PUT', ['Location', 'https://a.example/x'], 201, [own]],
    ['another port', 'PUT', ['Location', '//a.example:81/x'], 201, [own]],
    ['no URL', 'PUT', ['Location', 'http://'], 201, [own]],
  ])('%s', (_name, method, headers, status, expected) => {
    expect(invalidates({ method, url }, of(headers, status))).toEqual(expected)
  })
})
