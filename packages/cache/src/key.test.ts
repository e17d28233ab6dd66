import type { HeaderList } from '@sluice/headers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createKey, type KeyRequest } from './key.js'
import { type KeyOptions, resolveKey } from './key-options.js'
import { variantKey } from './variant-key.js'

const request = (
  path: string,
  headers: HeaderList = [],
  authority = 'site.test',
  scheme = 'http',
): KeyRequest => ({
  scheme,
  authority,
  path,
  headers,
})
const keyOf = (options: KeyOptions, ...of: Parameters<typeof request>): string => {
  const key = createKey(resolveKey(options))(request(...of))
  return key.refused ?? key.primary
}

describe('the key', () => {
  it.each([
    ['HTTP', 'site.test', '/A?b=C', 'http://site.test/A?b=C'],
    ['https', 'site.test:80', '/', 'https://site.test:80/'],
    ['http', '[::1]:8080', '/', 'http://[::1]:8080/'],
    ['http', 'site.test', '', 'http://site.test/'],
    ['http', 'site.test', '?a', 'http://site.test/?a'],
    ['http', 'site.test', '/%41/a//b/../c?', 'http://site.test/%41/a//b/../c?'],
    ['http', 'a/b', '/', 'key-authority'],
    ['http', 'user@site.test', '/', 'key-authority'],
    ['http', '', '/', 'key-authority'],
    ['ftp', 'site.test', '/', 'key-authority'],
    ['http', 'site.test', '*', 'key-path'],
    ['http', 'site.test', '/a#b', 'key-path'],
    ['http', 'site.test', '/a b', 'key-path'],
    ['http', 'site.test', '/a\nb', 'key-path'],
  ])('of %s %s %s is %s', (scheme, authority, path, key) => {
    expect(keyOf({}, path, [], authority, scheme)).toBe(key)
    const made = createKey(resolveKey())(request(path, [], authority, scheme))
    if (made.refused === undefined) expect(made.url).toBe(made.primary)
  })

  it.each([
    ['http', 'Site.TEST', 'http://site.test/'],
    ['http', 'site.test:80', 'http://site.test/'],
    ['http', 'site.test:080', 'http://site.test/'],
    ['http', 'site.test:', 'http://site.test/'],
    ['https', 'site.test:443', 'https://site.test/'],
    ['http', 'site.test:08080', 'http://site.test:8080/'],
    ['http', '[::A]', 'http://[::a]/'],
  ])('of %s %s is another than that of %s, whose URL it has', (scheme, authority, url) => {
    const made = createKey(resolveKey())(request('/', [], authority, scheme))
    expect(made).toEqual({ primary: `${url} o=${authority}`, url })
  })

  it('remembers hosts, and not the last for another scheme', () => {
    const make = createKey(resolveKey())
    const keys = ['http', 'https', 'http', 'https'].map((scheme) => make(request('/', [], 'A.test', scheme)))
    expect(keys.map((key) => 'url' in key && key.url)).toEqual([
      'http://a.test/',
      'https://a.test/',
      'http://a.test/',
      'https://a.test/',
    ])
    expect(make(request('/', [], 'no/host')).refused).toBe('key-authority')
    expect(make(request('/', [], 'no/host')).refused).toBe('key-authority')
    for (let i = 0; i < 3000; i++) expect(make(request('/', [], `h${i}`)).refused).toBeUndefined()
  })

  it('has who asks as a proxy tells the target, and what came, which an app may read', () => {
    const asked = (said: HeaderList, caller?: string) =>
      createKey(resolveKey({ headers: ['X-Forwarded-For'] }))({ ...request('/', said), caller })
    const of = (...callers: string[]) => ({
      primary: `http://site.test/ h:x-forwarded-for=${callers.join('=')}`,
      url: 'http://site.test/',
    })
    expect(asked([], '192.0.2.1')).toEqual(of('192.0.2.1'))
    expect(asked(['X-Forwarded-For', '6.6.6.6'], '192.0.2.1')).toEqual(of('192.0.2.1', '6.6.6.6'))
    expect(asked(['X-Forwarded-For', '6.6.6.6'])).toEqual(of('6.6.6.6'))
    const varied = (said: HeaderList, caller?: string) =>
      variantKey('http://site.test/', ['x-forwarded-for', 'forwarded'], said, caller)
    expect(varied([], 'a')).toBe(varied(['X-Other', 'b'], 'a'))
    for (const said of ['Forwarded', 'X-Forwarded-For'])
      expect(varied([], 'a')).not.toBe(varied([said, 'b'], 'a'))
    expect(varied([], 'a')).not.toBe(varied([], 'b'))
    expect(varied(['Forwarded', 'a'])).not.toBe(varied(['Forwarded', 'b']))
  })

  it('is refused where it is too long', () => {
    const longest = '/'.padEnd(8192 - 'http://site.test'.length, 'a')
    expect(keyOf({}, longest)).toMatch(/^http/)
    expect(keyOf({}, `${longest}a`)).toBe('key-too-long')
    expect(keyOf({ headers: ['a'], maxKey: 100 }, '/', ['a', 'b'.repeat(100)])).toBe('key-too-long')
  })
})

describe('the query in the key', () => {
  it.each<[string, NonNullable<KeyOptions['query']>, string, string]>([
    ['ignores', { ignore: ['a'] }, '/?a=1&b=2&a=3&c', '/?b=2&c'],
    ['ignores by a beginning', { ignore: ['utm_*'] }, '/?utm_x=1&utm=2&xutm_=3&utm_', '/?utm=2&xutm_=3'],
    ['ignores all', { ignore: ['*'] }, '/?a=1', '/'],
    ['ignores what decodes to it', { ignore: ['utm_x'] }, '/?utm%5fx=1&b', '/?b'],
    ['keeps what hides another', { ignore: ['utm_x'] }, '/?utm_x=1;id=2', '/?utm_x=1;id=2'],
    ['keeps another case', { ignore: ['a'] }, '/?A=1', '/?A=1'],
    ['takes only', { only: ['id'] }, '/?x=1&id=2&y=3', '/?id=2'],
    [
      'takes only, and what may be it',
      { only: ['id'] },
      '/?ID=1&id[]=2&%69d=3&%2569d=4&+id=5&id%00x=6',
      '/?ID=1&id[]=2&%69d=3&%2569d=4&+id=5&id%00x=6',
    ],
    [
      'takes only, beyond ASCII',
      { only: ['ä b'] },
      '/?%C3%a4+b=1&\xc3\xa4%20b=2&a=3',
      '/?%C3%a4+b=1&\xc3\xa4%20b=2',
    ],
    ['ignores beyond ASCII', { ignore: ['ä%'] }, '/?%c3%a4%25=1&a%25=2', '/?a%25=2'],
    ['takes only, as IIS reads it', { only: ['id'] }, '/?%u0069d=1&%u0169d=2', '/?%u0069d=1'],
    ['takes only, as PHP reads it', { only: ['a_b'] }, '/?a.b=1&a+b=2&ab=3', '/?a.b=1&a+b=2'],
    ['takes only, and what may hide it', { only: ['id'] }, '/?x=1;id=2&x=1', '/?x=1;id=2'],
    ['takes none', { only: [] }, '/?a=1&b', '/'],
    ['both', { only: ['a*'], ignore: ['ab'] }, '/?a=1&ab=2&c=3', '/?a=1'],
    ['sorts by name, stable', { sort: true }, '/?b=2&a=2&b=1&a=1&A', '/?A&a=2&a=1&b=2&b=1'],
    ['an empty one is left and goes', { ignore: ['a'] }, '/?a&', '/'],
    ['an empty one goes', { sort: true }, '/?', '/'],
    ['keeps the order', { ignore: ['x'] }, '/?b&&a', '/?b&&a'],
  ])('%s', (_, query, path, key) => {
    expect(keyOf({ query }, path)).toBe(`http://site.test${key}`)
    const made = createKey(resolveKey({ query }))(request(path))
    if (made.refused === undefined) expect(made.url).toBe(`http://site.test${key}`)
  })

  it('hides no parameter behind one that is ignored', () => {
    const value = fc.stringMatching(/^[a-z0-9=;%&+.[\]]{0,12}$/)
    fc.assert(
      fc.property(value, value, (a, b) => {
        // Every parameter that a target could read as id, by splitting at & or ;, is in the key.
        const ids = (query: string): string[] =>
          query.split(/[?&;]/).filter((parameter) => parameter === 'id' || parameter.startsWith('id='))
        const path = `/?utm_a=${a}&${b}&utm_b=1`
        expect(ids(keyOf({ query: { ignore: ['utm_*'] } }, path))).toEqual(ids(path))
        expect(ids(keyOf({ query: { only: ['id'] } }, path))).toEqual(ids(path))
      }),
    )
  })
})

describe('values in the key', () => {
  it('are those of fields, cookies and device', () => {
    const options: KeyOptions = { headers: ['Accept-Language'], cookies: ['region'], device: () => 'tv' }
    const headers = [
      'accept-language',
      'de, en',
      'Cookie',
      'x=1; region=a b; region=c',
      'cookie',
      'region=d;region',
    ]
    expect(keyOf(options, '/a', headers)).toBe(
      'http://site.test/a h:accept-language=de,%20en c:region=a%20b=c=d d=tv',
    )
    expect(keyOf(options, '/a')).toBe('http://site.test/a h:accept-language c:region d=tv')
    expect(keyOf({ headers: ['a'] }, '/', ['a', ''])).not.toBe(keyOf({ headers: ['a'] }, '/'))
    const made = createKey(resolveKey(options))(request('/a', headers))
    expect(made).toMatchObject({ url: 'http://site.test/a' })
  })

  it('are escaped, so that none passes for two, or for another', () => {
    const of = (...headers: HeaderList): string => keyOf({ headers: ['a', 'b'] }, '/', headers)
    const different = [
      of('a', 'x', 'a', 'y'),
      of('a', 'x=y'),
      of('a', 'x%3dy'),
      of('a', 'x b:y'),
      of('a', 'x', 'b', 'y'),
      of('a', 'x h:b=y'),
      of('a', 'x%20h:b=y'),
      of('a', 'x\nh:b=y'),
      of('a', 'x'),
      of('a', 'x', 'a', ''),
      of('b', 'x'),
    ]
    expect(new Set(different).size).toBe(different.length)
  })

  it('are of the built-in device class', () => {
    expect(keyOf({ device: true }, '/', ['User-Agent', 'Mozilla/5.0 (iPhone)'])).toBe(
      'http://site.test/ d=mobile',
    )
    expect(keyOf({ device: true }, '/')).toBe('http://site.test/ d=desktop')
  })

  it('tell of a device that is no string', () => {
    const device = (() => 1) as unknown as () => string
    expect(() => keyOf({ device }, '/')).toThrow(TypeError('device gave number, takes a string'))
  })

  it('are the same where and only where the requests are, whatever the values hold', () => {
    const character = fc.constantFrom(
      'a',
      'b',
      '/',
      '?',
      '=',
      ';',
      '%',
      '2',
      '0',
      ' ',
      '\n',
      '\t',
      ':',
      'h',
      'c',
      'd',
      ',',
      '&',
    )
    const text = fc.string({ unit: character, maxLength: 6 })
    const values = fc.array(text, { maxLength: 2 })
    const input = fc.record({ path: text, a: values, b: values, device: text, vary: values })
    const options = resolveKey({ headers: ['a', 'b'], device: (headers) => headers.at(-1) ?? '' })
    const make = createKey(options)
    const all = ({
      path,
      a,
      b,
      device,
      vary,
    }: {
      path: string
      a: string[]
      b: string[]
      device: string
      vary: string[]
    }): string | undefined => {
      const headers = [
        ...a.flatMap((v) => ['a', v]),
        ...b.flatMap((v) => ['b', v]),
        ...vary.flatMap((v) => ['c', v]),
        'device',
        device,
      ]
      const key = make(request(`/${path}`, headers))
      return key.refused === undefined ? variantKey(key.primary, ['c'], headers) : undefined
    }
    fc.assert(
      fc.property(input, input, (one, other) => {
        const [key, otherKey] = [all(one), all(other)]
        if (key === undefined || otherKey === undefined) return
        const normal = ({ vary, ...rest }: typeof one): string =>
          JSON.stringify([
            rest,
            vary.length > 0 &&
              vary
                .join(',')
                .split(',')
                .map((part) => part.trim()),
          ])
        expect(key === otherKey).toBe(normal(one) === normal(other))
        expect(all({ ...one })).toBe(key)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('variantKey', () => {
  it('is that of the values, in one form', () => {
    const of = (...headers: HeaderList): string => variantKey('p', ['accept', 'x'], headers)
    expect(of('Accept', 'a, b')).toBe(of('accept', 'a', 'X-Other', '1', 'Accept', 'b '))
    expect(of('Accept', '')).not.toBe(of())
    expect(of('Accept', 'a')).not.toBe(of('X', 'a'))
    expect(of('Accept', 'a'.repeat(9000))).toMatch(/^p\n[\w-]{43}$/)
    expect(of('Accept', 'a'.repeat(9000))).toBe(of('Accept', 'a'.repeat(9000)))
    for (let i = 0; i < 3000; i++) of('Accept', `${i}`)
  })
})

describe('key options', () => {
  it('that are wrong are told all at once', () => {
    const wrong = {
      query: { ignore: ['a*b', '', '\ud800'], sorted: true },
      headers: ['a b'],
      cookies: ['a='],
      device: 'x',
      maxKey: '1tb',
    }
    let message = ''
    try {
      resolveKey(wrong as never, 'cache.key')
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError)
      message = (error as Error).message
    }
    for (const at of ['query.ignore', 'query.sorted', 'headers', 'cookies', 'device', 'maxKey'])
      expect(message).toContain(`cache.key.${at}`)
  })
})
