import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type LocationMap, mapLinks } from './index.js'

const map: LocationMap = {
  from: ['http://t:1'],
  base: '',
  scheme: 'https',
  authority: 'site.example',
  prefix: '/api',
  all: false,
}

describe('links', () => {
  it.each([
    ['<http://t:1/a>', '<https://site.example/api/a>'],
    ['<http://t:1/a>; rel=next', '<https://site.example/api/a>; rel=next'],
    [
      '<http://t:1/a,b>;rel="next , <http://t:1/no>", ,\t</c>, <//t:1/d>;title="a\\",<http://t:1/no>"',
      '<https://site.example/api/a,b>;rel="next , <http://t:1/no>", ,\t</c>, <//site.example/api/d>;title="a\\",<http://t:1/no>"',
    ],
    ['<http://o/a>, <http://t:1/b>', '<http://o/a>, <https://site.example/api/b>'],
    ['</a>; anchor="http://t:1/b"; rel=x', '</a>; anchor="https://site.example/api/b"; rel=x'],
    ['</a>; title="x"; ANCHOR = "http://t:1/b"', '</a>; title="x"; ANCHOR = "https://site.example/api/b"'],
  ])('%s become %s', (value, to) => {
    expect(mapLinks(value, map)).toBe(to)
  })

  it.each([
    '',
    ',',
    'http://t:1/a',
    '<http://t:1/a',
    'x <http://t:1/a>',
    '</a>; title="http://t:1/b"',
    '</a>; xanchor="http://t:1/b"',
    '</a>; title="open, <http://t:1/b>',
    '< http://t:1/a >',
  ])('%s stay as they are', (value) => {
    expect(mapLinks(value, map)).toBe(value)
  })

  it('after something that is no link stay as they are', () => {
    expect(mapLinks('<http://t:1/a>, b, <http://t:1/c>', map)).toBe(
      '<https://site.example/api/a>, b, <http://t:1/c>',
    )
  })

  it('are not broken by what stands in a path', () => {
    expect(mapLinks('<http://t:1/a>', { ...map, prefix: '/x>; rel=preload, <y' })).toBe('<http://t:1/a>')
    expect(mapLinks('</>;anchor="http://t:1/a"', { ...map, prefix: '/x";rel="y' })).toBe(
      '</>;anchor="http://t:1/a"',
    )
  })

  it('stay divided as they were: only their URLs differ', () => {
    const url = fc.constantFrom('http://t:1/a', 'http://t:1/a,b', '/c', 'http://o/d', '')
    const parameter = fc.oneof(
      fc.constantFrom('rel=next', 'rel="a b"', 'title="x, <http://t:1/y>"', 'title="\\"<http://t:1/>"', 'a'),
    )
    const link = fc.tuple(url, fc.array(parameter, { maxLength: 3 }))
    const gap = fc.constantFrom(',', ', ', ' ,, ')
    fc.assert(
      fc.property(fc.array(link, { minLength: 1, maxLength: 5 }), gap, (links, between) => {
        const written = (of: (url: string) => string): string =>
          links.map(([each, rest]) => [`<${of(each)}>`, ...rest].join('; ')).join(between)
        expect(mapLinks(written(String), map)).toBe(
          written((each) => each.replace(/^http:\/\/t:1/, 'https://site.example/api')),
        )
      }),
    )
  })

  it('take time by their length alone', () => {
    const value = `<a>${';a="b"'.repeat(10_000)}${';'.repeat(20_000)}${'\t'.repeat(20_000)}"`
    expect(mapLinks(value, map)).toBe(value)
  })

  it('come back whole whatever they are', () => {
    const piece = fc.constantFrom('<', '>', '"', '\\', ',', ';', ' ', 'anchor=', '/x', 'a')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        expect(mapLinks(pieces.join(''), map)).toBe(pieces.join(''))
      }),
    )
  })
})
