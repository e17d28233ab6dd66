import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { responseDirectives } from './response-directives.js'
import { isHeuristic, isStorable, isUnderstood } from './status-codes.js'
import { storable, storedFields, type Unstorable } from './storable.js'
import { tagsOf } from './tags.js'
import { type PolicyOptions, policyDefaults } from './types.js'

const now = Date.UTC(2026, 5, 1, 12)
const date = 'Mon, 01 Jun 2026 12:00:00 GMT'
const dayBefore = 'Sun, 31 May 2026 12:00:00 GMT'
const later = 'Mon, 01 Jun 2026 13:00:00 GMT'

interface Case {
  method?: string
  url?: string
  request?: string[]
  /** A layer has let it in, and taken off what says for whom. */
  letIn?: boolean
  status?: number
  response?: string[]
  options?: Partial<PolicyOptions>
}

const judge = ({
  method = 'GET',
  url,
  request = [],
  letIn,
  status = 200,
  response = [],
  options = {},
}: Case) =>
  storable(
    { method, headers: request, authorized: letIn, ...(url === undefined ? {} : { url }) },
    { status, headers: response },
    { ...policyDefaults, ...options },
    now,
  )

const fresh = ['Cache-Control', 'max-age=60']
const modified = ['Date', date, 'Last-Modified', dayBefore]
const authorized = ['Authorization', 'Basic x']
const cookie = ['Set-Cookie', 'a=b']

describe('storable', () => {
  it.each<[string, Case, Unstorable | undefined]>([
    ['explicit freshness', { response: fresh }, undefined],
    ['s-maxage', { response: ['Cache-Control', 's-maxage=1'] }, undefined],
    ['Expires', { response: ['Expires', later] }, undefined],
    [
      'a targeted field',
      { response: ['CDN-Cache-Control', 'max-age=1', 'Cache-Control', 'no-store'] },
      undefined,
    ],
    [
      'Expires beside a targeted field',
      { response: ['CDN-Cache-Control', 'foo', 'Expires', later] },
      'no-lifetime',
    ],
    ['heuristics', { response: modified }, undefined],
    ['nothing', {}, 'no-lifetime'],
    ['a validator alone', { response: ['ETag', '"a"'] }, undefined],
    [
      'a validator alone, without heuristics',
      { response: modified, options: { heuristic: false } },
      undefined,
    ],
    ['over when it comes', { response: ['Cache-Control', 'max-age=0'] }, 'no-lifetime'],
    ['over, with a validator', { response: ['Cache-Control', 'max-age=0', 'ETag', '"a"'] }, undefined],
    [
      'over, with a window',
      { response: ['Cache-Control', 'max-age=0, stale-while-revalidate=5'] },
      undefined,
    ],
    [
      'over, with a window for errors',
      { response: ['Cache-Control', 'max-age=0, stale-if-error=5'] },
      undefined,
    ],
    [
      'over, with a window by option',
      { response: ['Expires', '0'], options: { staleIfError: 1 } },
      undefined,
    ],
    ['never fresh, with a window', { response: ['Cache-Control', 'stale-if-error=5'] }, 'no-lifetime'],
    ['never fresh, with a window by option', { options: { staleWhileRevalidate: 1 } }, 'no-lifetime'],
    ['no-cache without a validator', { response: ['Cache-Control', 'no-cache, max-age=60'] }, 'no-validator'],
    ['no-cache with a validator', { response: ['Cache-Control', 'no-cache', 'ETag', '"a"'] }, undefined],

    ['HEAD', { method: 'HEAD', response: fresh }, 'method'],
    ['PUT', { method: 'PUT', response: fresh }, 'method'],
    ['get, in lower case another method', { method: 'get', response: fresh }, 'method'],
    ['POST', { method: 'POST', response: fresh }, 'method'],
    [
      'POST whose answer is what a GET would get',
      {
        method: 'POST',
        url: 'http://a.example/x',
        response: [...fresh, 'Content-Location', '/x'],
      },
      undefined,
    ],
    [
      'POST whose answer is what a GET elsewhere would get',
      {
        method: 'POST',
        url: 'http://a.example/x',
        response: [...fresh, 'Content-Location', '/y'],
      },
      'method',
    ],
    [
      'POST by heuristics',
      {
        method: 'POST',
        url: 'http://a.example/x',
        response: [...modified, 'Content-Location', '/x'],
      },
      'method',
    ],
    [
      'POST that made something',
      {
        method: 'POST',
        url: 'http://a.example/x',
        status: 201,
        response: [...fresh, 'Content-Location', '/x'],
      },
      'method',
    ],

    ['100', { status: 100, response: fresh }, 'status'],
    ['101', { status: 101, response: fresh }, 'status'],
    ['304', { status: 304, response: fresh }, 'status'],
    ['407', { status: 407, response: fresh }, 'status'],
    ['412', { status: 412, response: fresh }, 'status'],
    ['416', { status: 416, response: fresh }, 'status'],
    ['429', { status: 429, response: fresh }, 'status'],
    ['600', { status: 600, response: fresh }, 'status'],
    ['599', { status: 599, response: fresh }, undefined],
    [
      '599 that must be understood',
      { status: 599, response: ['Cache-Control', 'max-age=60, must-understand'] },
      'not-understood',
    ],
    [
      '599 that must be understood, or not stored',
      { status: 599, response: ['Cache-Control', 'max-age=60, must-understand, no-store'] },
      'not-understood',
    ],
    [
      '200 that must be understood, or not stored',
      { response: ['Cache-Control', 'max-age=60, must-understand, no-store'] },
      undefined,
    ],
    ['206', { status: 206, response: [...fresh, 'Content-Range', 'bytes 0-4/10'] }, undefined],
    ['206 of unknown size', { status: 206, response: [...fresh, 'Content-Range', 'bytes 0-4/*'] }, undefined],
    [
      '206 of several parts',
      { status: 206, response: [...fresh, 'Content-Type', 'multipart/byteranges; boundary=x'] },
      'partial',
    ],
    [
      '206 of another unit',
      { status: 206, response: [...fresh, 'Content-Range', 'items 0-4/10'] },
      'partial',
    ],

    ['403 by heuristics', { status: 403, response: modified }, 'no-lifetime'],
    ['403 with a validator', { status: 403, response: ['ETag', '"a"'] }, 'no-lifetime'],
    [
      '599 that is public, by heuristics',
      { status: 599, response: [...modified, 'Cache-Control', 'public'] },
      undefined,
    ],
    ['503 by an option', { status: 503, options: { negative: { 503: 1000 } } }, undefined],
    ['503 by an option of another', { status: 503, options: { negative: { 404: 1000 } } }, 'no-lifetime'],

    ['no-store', { response: ['Cache-Control', 'max-age=60, no-store'] }, 'no-store'],
    ['no-store, more to it', { response: ['Cache-Control', 'no-store=x, max-age=60'] }, 'no-store'],
    [
      'no-store in the request',
      { request: ['Cache-Control', 'no-store'], response: fresh },
      'request-no-store',
    ],
    ['private', { response: ['Cache-Control', 'private, max-age=60'] }, 'private'],
    ['private, some fields', { response: ['Cache-Control', 'private="x", max-age=60'] }, undefined],
    ['private in a targeted field', { response: ['CDN-Cache-Control', 'private', ...fresh] }, 'private'],

    ['Authorization', { request: authorized, response: fresh }, 'authorization'],
    ['let in', { letIn: true, response: fresh }, 'authorization'],
    ['let in, public', { letIn: true, response: ['Cache-Control', 'public, max-age=60'] }, undefined],
    ['Authorization, Expires', { request: authorized, response: ['Expires', later] }, 'authorization'],
    [
      'Authorization, public',
      { request: authorized, response: ['Cache-Control', 'max-age=60, public'] },
      undefined,
    ],
    [
      'Authorization, s-maxage',
      { request: authorized, response: ['Cache-Control', 's-maxage=60'] },
      undefined,
    ],
    [
      'Authorization, must-revalidate',
      { request: authorized, response: ['Cache-Control', 'max-age=60, must-revalidate'] },
      undefined,
    ],
    [
      'Authorization, proxy-revalidate',
      { request: authorized, response: ['Cache-Control', 'max-age=60, proxy-revalidate'] },
      'authorization',
    ],
    [
      'Authorization, public elsewhere',
      { request: authorized, response: ['Cache-Control', 'public', 'CDN-Cache-Control', 'max-age=60'] },
      'authorization',
    ],

    ['Vary: *', { response: [...fresh, 'Vary', 'a, *'] }, 'vary-all'],
    ['Vary', { response: [...fresh, 'Vary', 'a, b'] }, undefined],
    [
      'Vary of many',
      { response: [...fresh, 'Vary', Array.from({ length: 33 }, (_, i) => `a${i}`).join()] },
      'vary-many',
    ],
    [
      'many tags',
      { response: [...fresh, 'Surrogate-Key', Array.from({ length: 1001 }, (_, i) => `a${i}`).join(' ')] },
      'tags-many',
    ],

    ['Set-Cookie, explicit', { response: [...fresh, ...cookie] }, undefined],
    [
      'Set-Cookie, explicit and over',
      { response: ['Cache-Control', 'max-age=0', 'ETag', '"a"', ...cookie] },
      'set-cookie',
    ],
    ['Set-Cookie, heuristics', { response: [...modified, ...cookie] }, 'set-cookie'],
    ['Set-Cookie, a validator', { response: ['ETag', '"a"', ...cookie] }, 'set-cookie'],
    ['Set-Cookie, by status', { response: cookie, options: { negative: { 200: 1000 } } }, 'set-cookie'],
    [
      'Set-Cookie that is withheld',
      { response: [...modified, 'Cache-Control', 'no-cache="Set-Cookie"', ...cookie] },
      undefined,
    ],
    ['Set-Cookie, never', { response: [...fresh, ...cookie], options: { setCookie: 'never' } }, 'set-cookie'],
    [
      'Set-Cookie, stripped',
      { response: [...modified, ...cookie], options: { setCookie: 'strip' } },
      undefined,
    ],
  ])('%s', (_name, one, expected) => {
    expect(judge(one)).toBe(expected)
  })

  it('stores nothing that says no-store, private or Vary: *, whatever else it says', () => {
    const word = fc.constantFrom(
      'max-age=60',
      's-maxage=9',
      'public',
      'x="y, z"',
      'must-revalidate',
      'immutable',
    )
    const no = fc.constantFrom('no-store', 'private', 'NO-STORE', 'private="', 'no-store=1', 'private =x')
    fc.assert(
      fc.property(fc.array(word), fc.array(word), no, (before, after, no) => {
        const reason = judge({
          response: ['Cache-Control', [...before, no, ...after].join(', '), 'ETag', '"a"'],
        })
        expect(reason).toBe(/store/i.test(no) ? 'no-store' : 'private')
      }),
    )
  })
})

describe('storedFields', () => {
  const kept = (headers: string[], options: Partial<PolicyOptions> = {}) =>
    storedFields({ status: 200, headers }, { ...policyDefaults, ...options })

  it('keeps what is for everybody, and nothing else', () => {
    const headers = [
      'Connection',
      'x',
      'X',
      '1',
      'Age',
      '5',
      'Proxy-Authenticate',
      'Basic',
      'Keep-Alive',
      '5',
    ]
    const end = ['CDN-Cache-Control', 'max-age=5', 'Set-Cookie', 'a', 'set-cookie', 'b', 'ETag', '"a"']
    expect(kept([...headers, ...end])).toEqual(end)
    expect(kept(end, { setCookie: 'strip' })).toEqual(['CDN-Cache-Control', 'max-age=5', 'ETag', '"a"'])
  })

  it('leaves out what private and no-cache name', () => {
    const headers = [
      'Cache-Control',
      'no-cache="a, b"',
      'a',
      '1',
      'B',
      '2',
      'c',
      '3',
      'Cache-Control',
      'private=C',
    ]
    expect(kept(headers)).toEqual(['Cache-Control', 'no-cache="a, b"', 'Cache-Control', 'private=C'])
  })

  it('takes time that grows with what is named and what came, and not with their product', () => {
    const headers = Array.from({ length: 20_000 }, (_, i) => [`x-${i}`, 'v']).flat()
    const names = Array.from({ length: 400_000 }, (_, i) => `y-${i}`)
    const said = responseDirectives({ status: 200, headers }, policyDefaults)
    const stored = storedFields({ status: 200, headers }, policyDefaults, { ...said, withheld: names })
    expect(stored).toHaveLength(headers.length)
  })

  it('edits nothing', () => {
    const headers = Object.freeze(['Age', '5', 'Set-Cookie', 'a'])
    expect(storedFields({ status: 200, headers }, { ...policyDefaults, setCookie: 'strip' })).toEqual([])
  })
})

describe('status codes', () => {
  it('has for each one word', () => {
    const all = Array.from({ length: 700 }, (_, i) => i)
    expect(all.filter(isHeuristic)).toEqual([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 451, 501])
    expect(all.filter((one) => isHeuristic(one) && !isUnderstood(one))).toEqual([])
    const unstorable = all.filter((one) => one >= 200 && one < 600 && !isStorable(one))
    expect(unstorable).toEqual([304, 407, 412, 416, 417, 428, 429, 431, 511])
    expect(all.filter((one) => isStorable(one) && (one < 200 || one > 599))).toEqual([])
    expect([206, 299, 499, 599].map(isUnderstood)).toEqual([true, false, false, false])
  })
})

describe('tagsOf', () => {
  it.each<[string[], string[] | undefined]>([
    [[], []],
    [
      ['Surrogate-Key', 'a  b,c\td '],
      ['a', 'b,c', 'd'],
    ],
    [
      ['Cache-Tag', 'a b, c ,,a b'],
      ['a b', 'c'],
    ],
    [
      ['cache-tag', 'a', 'SURROGATE-KEY', 'b a', 'Cache-Tag', 'c'],
      ['a', 'b', 'c'],
    ],
    [['Cache-Tag', 'x'.repeat(1024)], ['x'.repeat(1024)]],
    [['Cache-Tag', 'x'.repeat(1025)], undefined],
  ])('%j', (headers, expected) => {
    expect(tagsOf(headers)).toEqual(expected)
  })
})
