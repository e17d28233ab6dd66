import { createPublicKey } from 'node:crypto'
import { type JwtOptions, jwt } from '@sluice/access'
import { onRequest } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { accessSite } from '../kit/access-site.js'
import { deadTarget } from '../kit/dead-target.js'
import { type FrontKind, fronts, listening } from '../kit/fronts.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { hmacSigned, type SigningKey, signed, signingKey, tokenIssuer } from '../kit/token-issuer.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const bearer = (token: string): string[] => ['Authorization', `Bearer ${token}`]
const start = Date.parse('2026-06-01T12:00:00Z')

async function site(kind: FrontKind, options: Partial<JwtOptions> = {}) {
  const clock = { now: start }
  const issuer = own(await tokenIssuer(() => clock.now))
  const layer = jwt({
    jwks: issuer.jwks,
    issuer: 'issuer',
    audience: 'api',
    now: () => clock.now,
    ...options,
  })
  const made = await accessSite(own, kind, [layer as never])
  return {
    ...made,
    clock,
    issuer,
    fetches: () => issuer.origin.requests.length,
    status: async (token?: string) =>
      (await made.client.ask({ headers: token === undefined ? [] : bearer(token) })).status,
  }
}

describe.each(fronts)('jwt through $name', (kind) => {
  it('lets in who shows a token, and tells the target whose it is', async () => {
    const made = await site(kind, {
      headers: { 'X-User': 'sub', 'X-Roles': 'roles', 'X-None': 'none' },
      realm: 'api',
    })
    const { client, issuer, refused } = made
    const without = await client.ask()
    expect([without.status, without.text]).toEqual([401, '401 Unauthorized\n'])
    expect(value(without.headers, 'www-authenticate')).toBe('Bearer realm="api"')
    const wrong = await client.ask({ headers: bearer(issuer.token({ aud: 'other' })) })
    expect(wrong.status).toBe(401)
    expect(value(wrong.headers, 'www-authenticate')).toBe('Bearer realm="api", error="invalid_token"')
    expect(made.origin.requests).toEqual([])
    expect(refused).toEqual(['401 token-missing', '401 token-claim'])
    const forged = ['X-User', 'root', 'x_user', 'root', 'X-Roles', '["admin"]', 'x-none', 'x']
    const answer = await client.ask({
      method: 'POST',
      headers: [...bearer(issuer.token({ sub: 'Jürgen', roles: ['a', 'b'] })), ...forged],
      body: 'text',
    })
    expect([answer.status, answer.text]).toEqual([200, 'ok'])
    expect(made.told('authorization')).toEqual([undefined])
    expect(made.told('x-user')).toEqual([[Buffer.from('Jürgen').toString('latin1')]])
    expect(made.told('x-roles')).toEqual([['["a","b"]']])
    expect(made.told('x_user')).toEqual([undefined])
    expect(made.told('x-none')).toEqual([undefined])
    expect(made.fetches()).toBe(1)
  })

  it('lets nobody in where the keys are not to be had', async () => {
    const dead = own(await deadTarget())
    const made = await site(kind, { jwks: dead.url })
    const answer = await made.client.ask({ headers: bearer(made.issuer.token()) })
    expect([answer.status, answer.text]).toEqual([503, '503 Service Unavailable\n'])
    expect(made.refused).toEqual(['503 keys-unreachable'])
    expect(made.origin.requests).toEqual([])
  })
})

describe('tokens', () => {
  const seconds = start / 1_000

  it.each<[string, Record<string, unknown>, string]>([
    ['that has ended', { exp: seconds - 6 }, 'token-expired'],
    ['without an end', { exp: undefined }, 'token-claim'],
    ['whose end is a text', { exp: `${seconds + 60}` }, 'token-claim'],
    ['that has not begun', { nbf: seconds + 6 }, 'token-claim'],
    ['of another issuer', { iss: 'other' }, 'token-claim'],
    ['of no issuer', { iss: undefined }, 'token-claim'],
    ['for others', { aud: ['b', 'c'] }, 'token-claim'],
    ['for nobody', { aud: undefined }, 'token-claim'],
  ])('one %s is refused', async (_, claims, reason) => {
    const made = await site(listening)
    expect(await made.status(made.issuer.token(claims))).toBe(401)
    expect(made.refused).toEqual([`401 ${reason}`])
    expect(await made.status(made.issuer.token())).toBe(200)
  })

  it.each<[string, Record<string, unknown>]>([
    ['that ends and begins within the tolerance', { exp: seconds - 4, nbf: seconds + 4 }],
    ['for several', { aud: ['b', 'api'] }],
  ])('one %s passes', async (_, claims) => {
    const made = await site(listening)
    expect(await made.status(made.issuer.token(claims))).toBe(200)
  })

  const algorithms = [
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
    'Ed25519',
  ] as const
  it.each(algorithms)('%s is taken, and not where it is not among the algorithms', async (alg) => {
    const key = signingKey(alg, 'k')
    const made = await site(listening, { jwks: { keys: [key.jwk] } as never })
    expect(await made.status(made.issuer.token({}, { key }))).toBe(200)
    const [head, body, signature = ''] = made.issuer.token({}, { key }).split('.')
    const other = signature[5] === 'A' ? 'B' : 'A'
    expect(
      await made.status([head, body, signature.slice(0, 5) + other + signature.slice(6)].join('.')),
    ).toBe(401)
    const less = await site(listening, {
      jwks: { keys: [key.jwk] } as never,
      algorithms: algorithms.filter((each) => each !== alg),
    })
    expect(await less.status(less.issuer.token({}, { key }))).toBe(401)
    expect(less.refused).toEqual(['401 token-algorithm'])
  })

  // CVE-2015-9235 and its like: the head of a token must not choose how it is verified.
  it('none is no signature, in whatever case', async () => {
    const made = await site(listening)
    const claims = { iss: 'issuer', aud: 'api', sub: 'root', exp: seconds + 60 }
    for (const alg of ['none', 'None', 'NONE', '', undefined]) {
      const text = [{ alg, kid: 'one' }, claims].map((part) =>
        Buffer.from(JSON.stringify(part)).toString('base64url'),
      )
      for (const signature of ['', 'AAAA'])
        expect(await made.status(`${text.join('.')}.${signature}`)).toBe(401)
    }
    expect(made.origin.requests).toEqual([])
  })

  // CVE-2016-5431 and its like: a public key is known to all, and so no secret to sign with.
  it('a public key is no shared secret', async () => {
    const key = signingKey('RS256', 'k')
    const made = await site(listening, { jwks: { keys: [key.jwk] } as never })
    const claims = { iss: 'issuer', aud: 'api', sub: 'root', exp: seconds + 60 }
    const pem = createPublicKey({ key: key.jwk as never, format: 'jwk' }).export({
      type: 'spki',
      format: 'pem',
    })
    const der = createPublicKey({ key: key.jwk as never, format: 'jwk' }).export({
      type: 'spki',
      format: 'der',
    })
    for (const secret of [pem, der, JSON.stringify(key.jwk), String(key.jwk.n)]) {
      expect(await made.status(hmacSigned({ alg: 'HS256', kid: 'k' }, claims, secret))).toBe(401)
      expect(await made.status(hmacSigned({ alg: 'HS256' }, claims, secret))).toBe(401)
    }
    expect(new Set(made.refused)).toEqual(new Set(['401 token-algorithm']))
  })

  // CVE-2018-0114: a key that comes with the token is the sender's.
  it("a key in the head of a token is nobody's", async () => {
    const stranger = signingKey('ES256', 'mine')
    const made = await site(listening)
    const header = { jwk: stranger.jwk, jku: 'http://127.0.0.1:1/keys', x5u: 'http://127.0.0.1:1/cert' }
    expect(await made.status(made.issuer.token({}, { key: stranger, header }))).toBe(401)
    expect(
      await made.status(made.issuer.token({}, { key: stranger, header: { ...header, kid: 'one' } })),
    ).toBe(401)
    expect(made.refused).toEqual(['401 token-key', '401 token-signature'])
  })

  it('one that names no key is tried with those that fit', async () => {
    const keys = [
      signingKey('ES256', 'a'),
      signingKey('RS256', 'b'),
      signingKey('ES256', 'c'),
      signingKey('ES256'),
    ]
    const made = await site(listening, { jwks: { keys: keys.map(({ jwk }) => jwk) } as never })
    for (const key of keys)
      expect(
        await made.status(signed({ alg: key.alg }, { iss: 'issuer', aud: 'api', exp: seconds + 9 }, key)),
      ).toBe(200)
    const stranger = signingKey('ES256')
    expect(await made.status(made.issuer.token({}, { key: stranger }))).toBe(401)
    expect(made.refused).toEqual(['401 token-signature'])
  })

  it.each([
    ['in two parts', 'a.b'],
    ['that is no base64', '!.!.!'],
    ['without anything', '..'],
    ['whose claims are no object', `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.MQ.MQ`],
    ['of many dots', '.'.repeat(5_000)],
    ['with a blank in it', 'a b.c.d'],
  ])('one %s is malformed', async (_, token) => {
    const made = await site(listening)
    expect(await made.status(token)).toBe(401)
    expect(made.refused[0]).toMatch(/^401 token-(malformed|algorithm|signature|key)$/)
    expect(made.origin.requests).toEqual([])
  })

  it('of another type are refused where a type is asked for', async () => {
    const made = await site(listening, { type: 'at+jwt' })
    expect(await made.status(made.issuer.token({}, { header: { typ: 'JWT' } }))).toBe(401)
    expect(await made.status(made.issuer.token())).toBe(401)
    expect(await made.status(made.issuer.token({}, { header: { typ: 'application/at+jwt' } }))).toBe(200)
  })

  it('that are valid may still not be enough', async () => {
    const made = await site(listening, { allow: ({ scope }) => `${scope}`.split(' ').includes('write') })
    const answer = await made.client.ask({ headers: bearer(made.issuer.token({ scope: 'read' })) })
    expect([answer.status, value(answer.headers, 'www-authenticate')]).toEqual([
      403,
      'Bearer error="insufficient_scope"',
    ])
    expect(made.refused).toEqual(['403 token-insufficient'])
    expect(await made.status(made.issuer.token({ scope: 'read write' }))).toBe(200)
  })

  it('whose claim can be no field are refused', async () => {
    const made = await site(listening, { headers: { 'X-User': 'sub' } })
    expect(await made.status(made.issuer.token({ sub: 'a\r\nX-Admin: 1' }))).toBe(401)
    expect(made.origin.requests).toEqual([])
  })

  it('go on if they are to, and layers further in hear of the claims', async () => {
    const seen: unknown[] = []
    const clock = { now: start }
    const issuer = own(await tokenIssuer(() => clock.now))
    const made = await accessSite(own, listening, [
      jwt({
        jwks: issuer.jwks,
        issuer: ['issuer', 'b'],
        audience: ['x', 'api'],
        now: () => clock.now,
        forward: true,
      }) as never,
      onRequest((ctx) => void seen.push((ctx as { claims?: { sub?: string } }).claims?.sub, ctx.authorized)),
    ])
    const token = issuer.token()
    await made.client.ask({ headers: bearer(token) })
    expect(made.told('authorization')).toEqual([[`Bearer ${token}`]])
    expect(seen).toEqual(['alice', true])
  })
})

describe('keys', () => {
  it('are fetched once for all who wait, and again when they are old', async () => {
    const made = await site(listening)
    const token = () => made.issuer.token({}, {})
    expect(await Promise.all([1, 2, 3, 4, 5].map(() => made.status(token())))).toEqual([
      200, 200, 200, 200, 200,
    ])
    expect(made.fetches()).toBe(1)
    made.clock.now += 449_000
    expect(await made.status(token())).toBe(200)
    expect(made.fetches()).toBe(1)
    made.clock.now += 1_000
    // Behind the request: those that are there serve it.
    made.issuer.answer = 'none'
    expect(await made.status(token())).toBe(200)
    await made.issuer.origin.request(1)
    expect(made.fetches()).toBe(2)
  })

  it('that were withdrawn let nobody in after refresh, though nobody has come for a while', async () => {
    const made = await site(listening)
    const withdrawn = () => made.status(made.issuer.token({}, { key: stolen }))
    const [stolen] = made.issuer.keys as [SigningKey]
    expect(await withdrawn()).toBe(200)
    made.issuer.keys = [signingKey('ES256', 'two')]
    made.clock.now += 599_000
    expect(await withdrawn()).toBe(200)
    await until(() => made.fetches() === 2, 'the fetch behind it')
    await until(async () => (await withdrawn()) === 401, 'the new keys')
    made.issuer.keys = [stolen]
    made.clock.now += 600_000
    expect(await withdrawn()).toBe(200)
    made.issuer.keys = [signingKey('ES256', 'three')]
    made.clock.now += 3_540_000
    expect(await Promise.all([withdrawn(), withdrawn(), withdrawn()])).toEqual([401, 401, 401])
  })

  it('are fetched for a token that names another one', async () => {
    const made = await site(listening)
    expect(await made.status(made.issuer.token())).toBe(200)
    const next = signingKey('RS256', 'two')
    made.issuer.keys = [...made.issuer.keys, next]
    made.clock.now += 30_000
    expect(await made.status(made.issuer.token({}, { key: next }))).toBe(200)
    expect(made.fetches()).toBe(2)
  })

  it('are not fetched for each token that names one that there is not', async () => {
    const made = await site(listening)
    const stranger = signingKey('ES256')
    const flood = Array.from({ length: 40 }, (_, i) =>
      made.status(made.issuer.token({}, { key: stranger, header: { kid: `k${i}` } })),
    )
    expect(new Set(await Promise.all(flood))).toEqual(new Set([401]))
    expect(made.fetches()).toBe(1)
    made.clock.now += 30_000
    for (let i = 0; i < 10; i++)
      expect(await made.status(made.issuer.token({}, { key: stranger, header: { kid: `l${i}` } }))).toBe(401)
    expect(made.fetches()).toBe(2)
    expect(made.refused.every((each) => each === '401 token-key')).toBe(true)
    expect(made.origin.requests).toEqual([])
  })

  it('serve while the issuer is away, and not for ever', async () => {
    const made = await site(listening)
    expect(await made.status(made.issuer.token())).toBe(200)
    made.issuer.answer = { status: 500, body: '' }
    made.clock.now += 3_599_000
    expect(await made.status(made.issuer.token())).toBe(200)
    made.clock.now += 1_000
    expect(await made.status(made.issuer.token())).toBe(503)
    expect(made.refused).toEqual(['503 keys-unreachable'])
    made.issuer.answer = undefined
    made.clock.now += 30_000
    expect(await made.status(made.issuer.token())).toBe(200)
  })

  it('that a token names while the issuer is away may be good ones', async () => {
    const made = await site(listening)
    expect(await made.status(made.issuer.token())).toBe(200)
    made.issuer.answer = { status: 500, body: '' }
    made.clock.now += 30_000
    const next = signingKey('ES256', 'two')
    expect(await made.status(made.issuer.token({}, { key: next }))).toBe(503)
    // Soon after, and not asked again: still nobody can say.
    expect(await made.status(made.issuer.token({}, { key: next }))).toBe(503)
    expect(made.fetches()).toBe(2)
    expect(await made.status(made.issuer.token())).toBe(200)
  })

  it.each([
    ['is no JSON', { status: 200, body: '<html>' }],
    ['has no keys', { status: 200, body: '{"keys":[]}' }],
    ['is a list', { status: 200, body: '[]' }],
    ['is null', { status: 200, body: 'null' }],
    ['holds what is no key', { status: 200, body: '{"keys":[1]}' }],
    ['is too large', { status: 200, body: `{"keys":[{"kty":"RSA","x":"${'a'.repeat(300_000)}"}]}` }],
    ['has too many keys', { status: 200, body: JSON.stringify({ keys: Array(101).fill({ kty: 'EC' }) }) }],
    ['is a redirect', { status: 302, body: '', headers: { Location: 'http://127.0.0.1:1/' } }],
    ['is an error', { status: 404, body: '{"keys":[{"kty":"EC"}]}' }],
  ])('are none where the answer %s', async (_, answer) => {
    const made = await site(listening)
    made.issuer.answer = answer
    expect(await made.status(made.issuer.token())).toBe(503)
    made.issuer.answer = undefined
    made.clock.now += 1_000
    expect(await made.status(made.issuer.token())).toBe(200)
  })

  it('that can not be read let nobody in', async () => {
    const made = await site(listening)
    made.issuer.answer = {
      status: 200,
      body: '{"keys":[{"kty":"EC","crv":"P-256","kid":"one","x":"AA","y":"AA"}]}',
    }
    expect(await made.status(made.issuer.token())).toBe(401)
    expect(made.refused).toEqual(['401 token-key'])
  })

  it('are waited for no longer than the timeout', async () => {
    const made = await site(listening, { timeout: '50ms' })
    made.issuer.answer = 'none'
    expect(await made.status(made.issuer.token())).toBe(503)
  })
})
