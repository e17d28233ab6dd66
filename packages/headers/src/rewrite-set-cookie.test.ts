import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CookieRules, isFieldValue, rewriteSetCookie } from './index.js'

const tls = { secure: true, prefix: '' }
const plain = { secure: false, prefix: '' }

describe('Domain', () => {
  it.each<[string, CookieRules['domain'], string]>([
    ['a=b; Domain=t.example; Path=/', false, 'a=b; Path=/'],
    ['a=b;domain=t.example;Domain=u.example', false, 'a=b'],
    ['a=b; DOMAIN = .t.example ; Path=/', 'site.example', 'a=b; DOMAIN =site.example; Path=/'],
    ['a=b; Path=/', 'site.example', 'a=b; Path=/'],
    // To a browser an empty one is none: the cookie is for one host, and must not become one for all below a domain.
    ['a=b; Domain=', 'site.example', 'a=b; Domain='],
    ['a=b; Domain', { '*': 'site.example' }, 'a=b; Domain'],
    ['a=b; Domain=t.example; Domain=', false, 'a=b'],
    ['a=b; Domain=T.example', { 't.example': 'site.example' }, 'a=b; Domain=site.example'],
    ['a=b; Domain=.t.example', { '.T.example': false }, 'a=b'],
    ['a=b; Domain=t.example', { 'u.example': 'site.example' }, 'a=b; Domain=t.example'],
    ['a=b; Domain=t.example', { 'u.example': 'x', '*': 'y' }, 'a=b; Domain=y'],
    ['a=b; Domain=t.example', { 't.example': 't.example' }, 'a=b; Domain=t.example'],
    ['a=b; Domain=u.example; Domain=t.example', { 't.example': 'x' }, 'a=b; Domain=u.example; Domain=x'],
    [
      'a=b; Domain=t.example; Domain=u.example',
      { 't.example': 'x' },
      'a=b; Domain=t.example; Domain=u.example',
    ],
  ])('of %s by %o: %s', (value, domain, to) => {
    expect(rewriteSetCookie(value, domain === undefined ? {} : { domain }, plain)).toBe(to)
  })
})

describe('Path', () => {
  it.each<[string, NonNullable<CookieRules['path']>, string, string]>([
    ['a=b; Path=/app', '/', '', 'a=b; Path=/'],
    ['a=b', '/', '', 'a=b'],
    ['a=b; Path=/app/x', { '/app': '/' }, '', 'a=b; Path=/x'],
    ['a=b; Path=/app', { '/app': '/' }, '', 'a=b; Path=/'],
    ['a=b; path=/apple; HttpOnly', { '/app': '/' }, '', 'a=b; path=/apple; HttpOnly'],
    ['a=b; Path=/app/x/y', { '/app': '/1', '/app/x': '/2' }, '', 'a=b; Path=/2/y'],
    ['a=b; Path=/other', { '/app': '/1', '*': '/2' }, '', 'a=b; Path=/2'],
    ['a=b; Path=/x', { '/': '/' }, '/api', 'a=b; Path=/api/x'],
    ['a=b; Path=/', { '/': '/' }, '/api', 'a=b; Path=/api'],
    ['a=b; Path=/app/', { '/app/': '/n/' }, '/api', 'a=b; Path=/api/n/'],
    ['a=b; Path=/app', '/', '/api', 'a=b; Path=/api'],
    ['a=b; Path=/x; Path=/app', { '/app': '/' }, '', 'a=b; Path=/x; Path=/'],
    ['a=b; Path', '/x', '', 'a=b; Path=/x'],
    // What stands in a path that a client has asked for begins no attribute.
    ['a=b; Path=/', { '/': '/' }, '/x; Domain=evil.example', 'a=b; Path=/'],
    ['a=b; Path=/', { '/': '/' }, '/x\r\n', 'a=b; Path=/'],
  ])('of %s by %o below %s: %s', (value, path, prefix, to) => {
    expect(rewriteSetCookie(value, { path }, { secure: false, prefix })).toBe(to)
  })
})

describe('flags', () => {
  it.each<[string, CookieRules, string]>([
    ['a=b', { secure: true }, 'a=b; Secure'],
    ['a=b; secure', { secure: true }, 'a=b; secure'],
    ['a=b; Secure; Path=/', { secure: false }, 'a=b; Path=/'],
    ['a=b; Secure=1; SECURE', { secure: false }, 'a=b'],
    ['a=b', { httpOnly: true }, 'a=b; HttpOnly'],
    ['a=b; HttpOnly', { httpOnly: false }, 'a=b'],
    ['a=b', { sameSite: 'lax' }, 'a=b; SameSite=Lax'],
    ['a=b; samesite=LAX', { sameSite: 'lax' }, 'a=b; samesite=LAX'],
    ['a=b; SameSite=None; Secure', { sameSite: 'strict' }, 'a=b; SameSite=Strict; Secure'],
    ['a=b; SameSite=Lax; SameSite', { sameSite: false }, 'a=b'],
    ['a=b', { sameSite: 'none' }, 'a=b; SameSite=None; Secure'],
    ['a=b', { sameSite: 'none', secure: false }, 'a=b; SameSite=None; Secure'],
    ['a=b', { partitioned: true }, 'a=b; Partitioned; Secure'],
    ['a=b; Secure; Partitioned', { partitioned: false }, 'a=b; Secure'],
    ['a=b; Secure; Partitioned', { partitioned: false, secure: false }, 'a=b'],
    // Browsers would refuse each of them without Secure.
    ['a=b; Secure; SameSite=None', { secure: false }, 'a=b; Secure; SameSite=None'],
    ['a=b; Secure; SameSite=None', { secure: false, sameSite: 'lax' }, 'a=b; SameSite=Lax'],
    ['a=b; Secure; Partitioned', { secure: false }, 'a=b; Secure; Partitioned'],
    ['a=Secure=HttpOnly; x', { secure: false, httpOnly: false }, 'a=Secure=HttpOnly; x'],
    ['Secure', { secure: false }, 'Secure'],
  ])('of %s by %o: %s', (value, rules, to) => {
    expect(rewriteSetCookie(value, rules, plain)).toBe(to)
  })

  it("go by how the client has come with secure: 'auto'", () => {
    expect(rewriteSetCookie('a=b', { secure: 'auto' }, tls)).toBe('a=b; Secure')
    expect(rewriteSetCookie('a=b; Secure', { secure: 'auto' }, plain)).toBe('a=b')
  })
})

describe('prefixes of names', () => {
  const all: CookieRules = {
    domain: false,
    path: { '/': '/x' },
    secure: false,
    httpOnly: false,
    sameSite: 'lax',
  }

  it.each([
    ['__Host-a=b; Path=/; Secure', '__Host-a=b; Path=/; Secure; SameSite=Lax'],
    [' __host-a=b; Path=/; Secure', ' __host-a=b; Path=/; Secure; SameSite=Lax'],
    ['__Secure-a=b; Path=/; Secure; HttpOnly', '__Secure-a=b; Path=/x; Secure; SameSite=Lax'],
    ['__Http-a=b; Path=/; Secure; HttpOnly', '__Http-a=b; Path=/x; Secure; HttpOnly; SameSite=Lax'],
    ['__Host-Http-a=b; Path=/; Secure; HttpOnly', '__Host-Http-a=b; Path=/; Secure; HttpOnly; SameSite=Lax'],
    ['__Hostile=b; Path=/; Secure', '__Hostile=b; Path=/x; SameSite=Lax'],
  ])('%s stays acceptable: %s', (value, to) => {
    expect(rewriteSetCookie(value, all, plain)).toBe(to)
  })
})

describe('whatever it is given', () => {
  const attribute = fc.constantFrom(
    ' Domain=t.example',
    'domain=.u.example',
    ' Path=/app',
    'PATH = /app/x ',
    ' Path',
    ' Secure',
    ' HttpOnly',
    ' SameSite=None',
    'samesite',
    ' Partitioned',
    ' Expires=Wed, 21 Oct 2065 07:28:00 GMT',
    ' Max-Age=5',
    ' Priority=High',
    '',
    ' =x',
  )
  const name = fc.constantFrom('a=b', '__Host-a=b', '__Secure-a=', 'a="b c"', '', '=x')
  const cookie = fc
    .tuple(name, fc.array(attribute, { maxLength: 8 }))
    .map(([pair, attributes]) => [pair, ...attributes].join(';'))
  const rules = fc.record(
    {
      domain: fc.constantFrom<NonNullable<CookieRules['domain']> | false>(false, 'site.example', {
        't.example': 'x.example',
        '*': false as const,
      }),
      path: fc.constantFrom('/', { '/app': '/' }, { '*': '/n' }),
      secure: fc.constantFrom(true, false, 'auto' as const),
      httpOnly: fc.boolean(),
      sameSite: fc.constantFrom('strict' as const, 'lax' as const, 'none' as const, false as const),
      partitioned: fc.boolean(),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<CookieRules>
  const client = fc.record({ secure: fc.boolean(), prefix: fc.constantFrom('', '/api', '/a;b') })

  it('without rules a cookie stays byte for byte', () => {
    fc.assert(
      fc.property(fc.string(), client, (value, by) => {
        expect(rewriteSetCookie(value, {}, by)).toBe(value)
      }),
    )
  })

  it('keeps the pair and the attributes that no rule names, in order, and is the same the second time', () => {
    fc.assert(
      fc.property(cookie, rules, client, (value, by, to) => {
        const once = rewriteSetCookie(value, by, to)
        expect(untouched(once)).toEqual(untouched(value))
        expect(isFieldValue(once)).toBe(true)
        // What a map has changed once is another path or domain for it.
        if (by.path === undefined && typeof by.domain !== 'object')
          expect(rewriteSetCookie(once, by, to)).toBe(once)
      }),
    )
  })

  it('makes no cookie that browsers refuse out of one that they take', () => {
    fc.assert(
      fc.property(cookie, rules, client, (value, by, to) => {
        if (acceptable(value)) expect(acceptable(rewriteSetCookie(value, by, to))).toBe(true)
      }),
    )
  })
})

const rewritten = /^\s*(domain|path|secure|httponly|samesite|partitioned)\s*(=|$)/i

function untouched(value: string): string[] {
  const [pair = '', ...attributes] = value.split(';')
  return [pair, ...attributes.filter((each) => !rewritten.test(each))]
}

/** The checks of RFC 6265bis on what depends on other attributes. */
function acceptable(value: string): boolean {
  const [pair = '', ...attributes] = value.split(';').map((each) => each.trim())
  const found = new Map(
    attributes.map((each) => {
      const [key = '', ...rest] = each.split('=')
      return [key.trim().toLowerCase(), rest.join('=').trim()] as const
    }),
  )
  const secure = found.has('secure')
  if (/^__host-/i.test(pair) && (!secure || found.get('path') !== '/' || found.has('domain'))) return false
  if (/^__secure-/i.test(pair) && !secure) return false
  return secure || (found.get('samesite')?.toLowerCase() !== 'none' && !found.has('partitioned'))
}
