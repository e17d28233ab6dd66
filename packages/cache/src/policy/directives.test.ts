import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { noDirectives, type RequestDirectives, requestDirectives } from './request-directives.js'
import { type ResponseDirectives, responseDirectives } from './response-directives.js'
import { policyDefaults } from './types.js'

describe('requestDirectives', () => {
  it.each<[string, string[], Partial<RequestDirectives>]>([
    ['nothing', ['Accept', '*/*'], {}],
    ['no-cache', ['Cache-Control', 'no-cache'], { noCache: true }],
    ['a reload', ['cache-control', 'max-age=0'], { maxAge: 0 }],
    ['in any case', ['CACHE-CONTROL', 'No-Cache, MAX-AGE=1'], { noCache: true, maxAge: 1 }],
    ['no-store', ['Cache-Control', 'no-store'], { noStore: true }],
    ['only-if-cached', ['Cache-Control', 'only-if-cached'], { onlyIfCached: true }],
    ['min-fresh', ['Cache-Control', 'min-fresh=5'], { minFresh: 5 }],
    ['max-stale', ['Cache-Control', 'max-stale=5'], { maxStale: 5 }],
    ['max-stale, however long', ['Cache-Control', 'max-stale'], { maxStale: Number.POSITIVE_INFINITY }],
    ['max-stale that is none', ['Cache-Control', 'max-stale=x'], {}],
    ['stale-if-error', ['Cache-Control', 'stale-if-error=5'], { staleIfError: 5 }],
    ['quotes', ['Cache-Control', 'max-age="5"'], { maxAge: 5 }],
    ['what is quoted is none', ['Cache-Control', 'x="no-store"'], {}],
    [
      'several lines',
      ['Cache-Control', 'no-store', 'Cache-Control', 'no-cache'],
      { noStore: true, noCache: true },
    ],
    ['the first counts', ['Cache-Control', 'max-age=5, max-age=6'], { maxAge: 5 }],
    ['no number', ['Cache-Control', 'max-age=-5'], {}],
    ['Pragma', ['Pragma', 'no-cache'], { noCache: true }],
    ['Pragma beside others', ['Pragma', 'x=1, NO-cache'], { noCache: true }],
    ['another Pragma', ['Pragma', 'unknown'], {}],
    ['Pragma with Cache-Control', ['Pragma', 'no-cache', 'Cache-Control', 'max-age=5'], { maxAge: 5 }],
    ['Pragma with an empty one', ['Pragma', 'no-cache', 'Cache-Control', ''], {}],
  ])('%s', (_name, headers, expected) => {
    expect(requestDirectives(headers)).toEqual({ ...noDirectives, ...expected })
  })

  it('gives one and the same value where there is nothing', () => {
    expect(requestDirectives(['Host', 'a', 'X-Pragma', 'no-cache'])).toBe(noDirectives)
    expect(requestDirectives(['Cache-Control', ''])).toBe(noDirectives)
    expect(Object.isFrozen(noDirectives)).toBe(true)
  })
})

const read = (...headers: string[]) => responseDirectives({ status: 200, headers }, policyDefaults)
const cc = (...lines: string[]) => read(...lines.flatMap((line) => ['Cache-Control', line]))

describe('responseDirectives', () => {
  const nothing = read()

  it.each<[string, string[], Partial<ResponseDirectives>]>([
    ['lifetimes', ['max-age=1, s-maxage=2'], { maxAge: 1, sMaxAge: 2 }],
    ['a lifetime that is none is over', ['max-age=x, s-maxage'], { maxAge: 0, sMaxAge: 0 }],
    ['below zero is over', ['max-age=-3600'], { maxAge: 0 }],
    ['blanks around = are no lifetime', ['max-age =3600, s-maxage= 1'], { maxAge: 0, sMaxAge: 0 }],
    ['no-store', ['No-StOrE'], { noStore: true }],
    ['no-cache', ['no-cache'], { noCache: true }],
    ['no-cache with names', ['no-cache="a, B"'], { withheld: ['a', 'b'] }],
    ['private with names', ['private=a', 'no-cache="b"'], { withheld: ['a', 'b'] }],
    ['private', ['private'], { private: true }],
    [
      'private with what is no list of names',
      ['private="a b", no-cache= "a"'],
      { private: true, noCache: true },
    ],
    ['private with an empty list', ['private=""'], { private: true }],
    ['names without which it is another response', ['private="content-encoding"'], { private: true }],
    ['both', ['no-cache="a", no-cache'], { noCache: true }],
    [
      'the rest',
      ['public, must-revalidate, proxy-revalidate, immutable, must-understand'],
      {
        public: true,
        mustRevalidate: true,
        proxyRevalidate: true,
        immutable: true,
        mustUnderstand: true,
      },
    ],
    [
      'stale windows',
      ['stale-while-revalidate=1, stale-if-error=2'],
      { staleWhileRevalidate: 1, staleIfError: 2 },
    ],
    ['stale windows that are none', ['stale-while-revalidate=x, stale-if-error'], {}],
  ])('%s', (_name, lines, expected) => {
    expect(cc(...lines)).toEqual({ ...nothing, ...expected })
  })

  it('takes the targeted field in place of Cache-Control', () => {
    const found = read('Cache-Control', 'no-store', 'CDN-Cache-Control', 'max-age=5')
    expect(found).toEqual({ ...nothing, targeted: true, maxAge: 5 })
  })

  it('passes over a targeted field that can not be read', () => {
    expect(read('Cache-Control', 'no-store', 'CDN-Cache-Control', 'max-age=5, &&')).toMatchObject({
      targeted: false,
      noStore: true,
      maxAge: undefined,
    })
  })

  it('takes the first of the list that is there, and Cache-Control where the list is empty', () => {
    const headers = ['B', 'max-age=2', 'A', 'max-age=1', 'Cache-Control', 'max-age=3']
    const of = (targeted: string[]) =>
      responseDirectives({ status: 200, headers }, { ...policyDefaults, targeted })
    expect([of(['a', 'b']).maxAge, of(['x', 'b']).maxAge, of([]).maxAge]).toEqual([1, 2, 3])
  })

  it('leaves Surrogate-Control to those whose it is', () => {
    expect(read('Surrogate-Control', 'max-age=5')).toEqual(nothing)
  })

  it('takes anything', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        read('Cache-Control', a, 'CDN-Cache-Control', b)
        requestDirectives(['Cache-Control', a, 'Pragma', b])
      }),
    )
  })
})
