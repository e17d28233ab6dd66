import type { Context, Reply } from '@sluice/core'
import { createUpstream, type Selected, type Target, type Tried, type Upstream } from '@sluice/upstream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countPicks, fakeTargets } from '../../../test/kit/targets.js'
import { balance, first, partsOf, roundRobin, type StickyOptions, sticky } from './index.js'

const secret = 'a secret that nobody knows'
const urls = ['http://10.1.2.3:81', 'http://10.1.2.4:82', 'http://10.1.2.5:83']
const upstreamOf = (): Upstream => createUpstream({ name: 'api', targets: urls })

interface Answer {
  readonly target: Target
  readonly setCookie: string | undefined
  readonly movable: boolean | undefined
}

/** Sends one request through `balance`, with the cookies of a client. */
async function ask(
  upstream: Upstream,
  options: StickyOptions | ReturnType<typeof sticky>,
  cookie?: string,
  keys: object = {},
  status = 200,
): Promise<Answer> {
  const policy = typeof options === 'function' ? options : sticky(roundRobin(), options)
  const headers = cookie === undefined ? [] : ['Cookie', cookie]
  const ctx = { out: { headers }, scheme: 'http', onClose() {}, ...keys } as unknown as Context &
    Selected &
    Tried
  const handler = balance(upstream, policy)(() => ({ status, headers: [], body: null }))
  const reply: Reply = await handler(ctx as never)
  const at = reply.headers.indexOf('set-cookie')
  const setCookie = at === -1 ? undefined : reply.headers[at + 1]
  return { target: ctx.target, setCookie, movable: ctx.movable }
}

const pairOf = (setCookie: string | undefined): string => (setCookie as string).split(';', 1)[0] as string

describe.each([
  ['signed', {}],
  ['encrypted', { encrypt: true }],
])('sticky, %s', (kind, mode) => {
  const options = { secret, ...mode }

  it('keeps each client on the target of its first answer', async () => {
    const upstream = upstreamOf()
    const policy = sticky(roundRobin(), options)
    const seen = new Set<Target>()
    for (let client = 0; client < 6; client++) {
      const { target, setCookie } = await ask(upstream, policy)
      seen.add(target)
      for (let i = 0; i < 4; i++) {
        const again = await ask(upstream, policy, `a=b; ${pairOf(setCookie)}; c=d`)
        expect([again.target, again.setCookie]).toEqual([target, undefined])
      }
    }
    expect(seen.size).toBe(3)
  })

  it('shows nothing of the target', async () => {
    const upstream = createUpstream({
      name: 'api',
      targets: ['http://a', 'http://b.a-much-longer-name.example:8080'],
    })
    const policy = sticky(roundRobin(), options)
    const values = new Map<Target, Set<string>>(upstream.all.map((target) => [target, new Set()]))
    for (let i = 0; i < 6; i++) {
      const { target, setCookie } = await ask(upstream, policy)
      values.get(target)?.add(pairOf(setCookie).split('=')[1] as string)
    }
    const all = [...values.values()].flatMap((set) => [...set])
    expect(new Set(all.map(({ length }) => length)).size).toBe(1)
    for (const value of all) {
      const bytes = Buffer.from(value, 'base64url').toString('latin1')
      for (const text of [value, bytes]) expect(text).not.toMatch(/http|8080|example/)
    }
    // Encrypted ones can't even be compared.
    for (const set of values.values()) expect(set.size).toBe(kind === 'signed' ? 1 : 3)
  })

  it('takes a tampered cookie for none', async () => {
    const upstream = upstreamOf()
    const policy = sticky(roundRobin(), { ...options, gone: 'refuse' })
    const pair = pairOf((await ask(upstream, policy)).setCookie)
    const value = pair.slice(pair.indexOf('=') + 1)
    const change = fc.oneof(
      fc
        .tuple(fc.nat(value.length - 1), fc.constantFrom('A', 'b', '9', '-', '_', '.', ' '))
        .map(([at, char]) => {
          return value.slice(0, at) + char + value.slice(at + 1)
        }),
      fc.nat(value.length - 1).map((length) => value.slice(0, length)),
      fc.string().map((text) => value + text.replaceAll(/[;\s]/g, 'x')),
      fc
        .string({ minLength: value.length, maxLength: value.length })
        .map((text) => text.replaceAll(';', 'x')),
      fc.base64String(),
    )
    await fc.assert(
      fc.asyncProperty(change, async (changed) => {
        if (changed.trim() === value) return
        const { setCookie } = await ask(upstream, policy, `sluice_affinity=${changed}`)
        expect(setCookie).toBeDefined()
      }),
      { numRuns: 150 },
    )
  })

  it('is worth nothing under another name, secret or kind', async () => {
    const upstream = upstreamOf()
    const value = pairOf((await ask(upstream, options)).setCookie).split('=')[1]
    for (const [name, other] of [
      ['other', { ...options, name: 'other' }],
      ['sluice_affinity', { ...options, secret: 'another' }],
      ['sluice_affinity', { secret, encrypt: kind === 'signed' }],
    ] as const)
      expect((await ask(upstream, other, `${name}=${value}`)).setCookie).toBeDefined()
  })

  it('takes cookies of every secret, and makes new ones by the first', async () => {
    const upstream = upstreamOf()
    const old = await ask(upstream, { ...options, secret: 'old' })
    const rotated = { ...options, secret: ['new', 'old'] }
    const failing = await ask(upstream, rotated, pairOf(old.setCookie), {}, 503)
    expect([failing.target, failing.setCookie]).toEqual([old.target, undefined])
    // Else the old one could never be given up: clients keep their first cookie.
    const kept = await ask(upstream, rotated, pairOf(old.setCookie))
    expect([kept.target, kept.setCookie]).toEqual([old.target, expect.any(String)])
    const moved = await ask(upstream, { ...options, secret: 'new' }, pairOf(kept.setCookie))
    expect([moved.target, moved.setCookie]).toEqual([old.target, undefined])
    upstream.drain(old.target.id)
    const away = await ask(upstream, rotated, pairOf(old.setCookie))
    expect(away.target).not.toBe(old.target)
    upstream.undrain(old.target.id)
    expect((await ask(upstream, rotated, pairOf(away.setCookie))).target).toBe(old.target)
    const fresh = await ask(upstream, sticky(first(), rotated))
    const alone = await ask(upstream, { ...options, secret: 'new' }, pairOf(fresh.setCookie))
    expect([alone.target, alone.setCookie]).toEqual([fresh.target, undefined])
    expect(
      (await ask(upstream, { ...options, secret: 'old' }, pairOf(fresh.setCookie))).setCookie,
    ).toBeDefined()
  })

  it('finds its cookie among others of the same name and in several fields', async () => {
    const upstream = upstreamOf()
    const policy = sticky(roundRobin(), options)
    const { target, setCookie } = await ask(upstream, policy)
    const headers = ['cookie', 'sluice_affinity=planted', 'Cookie', `x=y;${pairOf(setCookie)}`]
    const again = await ask(upstream, policy, undefined, { out: { headers } })
    expect([again.target, again.setCookie]).toEqual([target, undefined])
  })

  it('gives a client whose target is gone another one, or 503', async () => {
    const upstream = upstreamOf()
    const { target, setCookie } = await ask(upstream, options)
    upstream.replace(urls.filter((url) => url !== target.url))
    const again = await ask(upstream, options, pairOf(setCookie))
    expect(again.target).not.toBe(target)
    expect((await ask(upstream, options, pairOf(again.setCookie))).target).toBe(again.target)
    await expect(ask(upstream, { ...options, gone: 'refuse' }, pairOf(setCookie))).rejects.toMatchObject({
      code: 'destination_unavailable',
      status: 503,
      message: 'the target that this client had of upstream api is gone',
    })
  })

  it.each<[string, (upstream: Upstream, target: Target) => object | void]>([
    ['was tried', (_upstream, target) => ({ tried: [target] })],
    ['is full', (upstream, target) => void upstream.gate((each) => each !== target)],
    ['is ejected', (upstream, target) => upstream.eject(target, 'ejection', 'failures')],
    ['is unhealthy', (upstream, target) => upstream.mark(target, 'unhealthy', 'probe')],
    ['is draining', (upstream, target) => upstream.drain(target.id)],
  ])('asks another target for this attempt where its own %s, and keeps the cookie', async (_name, change) => {
    const upstream = upstreamOf()
    const policy = sticky(roundRobin(), { ...options, gone: 'refuse' })
    const { target, setCookie } = await ask(upstream, policy)
    const keys = change(upstream, target) ?? {}
    const other = await ask(upstream, policy, pairOf(setCookie), keys)
    expect(other.target).not.toBe(target)
    expect(other.setCookie).toBeUndefined()
  })

  it('takes no client away from its target for a spare try', async () => {
    const upstream = upstreamOf()
    const { target, setCookie } = await ask(upstream, options)
    const spare = { tried: [target], spare: true }
    await expect(ask(upstream, options, pairOf(setCookie), spare)).rejects.toMatchObject({
      message: 'upstream api has one target alone for this client',
    })
    // One who has none yet stays with whoever answers first.
    expect((await ask(upstream, options, undefined, spare)).setCookie).toBeDefined()
  })

  it('has no transport send a client elsewhere that waits for its target, and others that do', async () => {
    const upstream = upstreamOf()
    const policy = sticky(roundRobin(), options)
    const fresh = await ask(upstream, policy, undefined, { movable: true })
    const cookie = pairOf(fresh.setCookie)
    const bound = await ask(upstream, policy, cookie, { movable: true })
    const lost = await ask(upstream, policy, cookie, { movable: true, tried: [fresh.target] })
    expect([fresh.movable, bound.movable, lost.movable]).toEqual([true, false, true])
  })

  it('finds its target in a rank behind others', async () => {
    const upstream = upstreamOf()
    const { target, setCookie } = await ask(upstream, options)
    upstream.degrade(target, true, 'said so')
    expect((await ask(upstream, options, pairOf(setCookie))).target).toBe(target)
  })

  it('works with no server', () => {
    const all = fakeTargets({}, {}, {})
    const policy = sticky(roundRobin(), options)
    const ctx = { out: { headers: [] } }
    expect(countPicks(3, () => policy(all, ctx))).toEqual({ 0: 1, 1: 1, 2: 1 })
    const cookie = pairOf(partsOf(policy).affinity?.cookie(all[1] as Target, ctx))
    const known = { out: { headers: ['cookie', cookie] } }
    expect(countPicks(3, () => policy(all, known))).toEqual({ 1: 3 })
    expect(policy(all, known, ({ id }) => id === '1')?.id).not.toBe('1')
    expect(policy(all.slice(2), known)?.id).toBe('2')
  })
})

describe('the cookie', () => {
  const attributes = async (options: Partial<StickyOptions>, keys: object = {}): Promise<string> => {
    const { setCookie = '' } = await ask(upstreamOf(), { secret, ...options }, undefined, keys)
    return setCookie.replace(/=[^;]*/, '')
  }

  it('is for the session, the whole host and no scripts unless told otherwise', async () => {
    expect(await attributes({})).toBe('sluice_affinity; Path=/; HttpOnly; SameSite=Lax')
    expect(
      await attributes({
        name: 'at',
        path: '/api',
        domain: 'example.com',
        sameSite: 'none',
        secure: true,
        httpOnly: false,
        maxAge: '1h',
      }),
    ).toBe('at; Path=/api; Domain=example.com; Max-Age=3600; SameSite=None; Secure')
  })

  it('has no end of its own with a maxAge of 0, which turns a limit off', async () => {
    expect(await attributes({ maxAge: 0 })).not.toMatch(/Max-Age/)
  })

  it('is Secure where the client came with TLS, also to a proxy in front that is believed', async () => {
    expect(await attributes({}, { scheme: 'https' })).toMatch(/; Secure$/)
    expect(await attributes({}, { client: { scheme: 'https' } })).toMatch(/; Secure$/)
    expect(await attributes({}, { scheme: 'https', client: { scheme: 'http' } })).not.toMatch(/Secure/)
    expect(await attributes({ secure: false }, { scheme: 'https' })).not.toMatch(/Secure/)
  })

  it('binds nobody to a target that fails', async () => {
    expect((await ask(upstreamOf(), { secret }, undefined, {}, 404)).setCookie).toBeDefined()
    expect((await ask(upstreamOf(), { secret }, undefined, {}, 503)).setCookie).toBeUndefined()
  })

  it('may have a name with a promise that it keeps', async () => {
    expect(await attributes({ name: '__Host-at', secure: true })).toMatch(/^__Host-at; Path=\/; .*Secure$/)
  })

  it.each([
    [{}, 'sticky.secret: got nothing'],
    [{ secret: '' }, 'sticky.secret: got an empty text, takes a text'],
    [{ secret: [] }, 'sticky.secret: got [], takes at least one text'],
    [{ secret: ['a', 5] }, 'sticky.secret[1]: got a number'],
    [{ secret, name: 'a b' }, "sticky.name: got 'a b'"],
    [{ secret, path: '/; Domain=evil' }, 'sticky.path'],
    [{ secret, domain: 'a;b' }, 'sticky.domain'],
    [{ secret, sameSite: 'none' }, "takes true with sameSite 'none'"],
    [{ secret, name: '__Secure-at' }, "takes true with a name that begins with '__Secure-'"],
    [{ secret, name: '__Host-at', secure: 'auto' }, "takes true, beside path '/' and no domain"],
    [{ secret, name: '__Host-at', secure: true, path: '/api' }, "takes true, beside path '/' and no domain"],
    [
      { secret, name: '__host-at', secure: true, domain: 'a.test' },
      "takes true, beside path '/' and no domain",
    ],
    [{ secret, gone: 'wait' }, "sticky.gone: got 'wait', takes 'repick', 'refuse'"],
    [{ secret, secrets: 'x' }, 'sticky.secrets: unknown option, did you mean secret?'],
  ])('refuses %j', (options, says) => {
    expect(() => sticky(first(), options as never)).toThrow(says)
  })

  it.each([secret, { secret, sameSite: 'none' }, { secret: Buffer.from(secret) }, { secret, gone: 1 }])(
    'shows no secret in an error: %j',
    (options) => {
      const told = (): string => {
        try {
          sticky(first(), options as never)
          return 'nothing'
        } catch (error) {
          return (error as Error).message
        }
      }
      expect(told()).toMatch(/^sticky/)
      expect(told()).not.toContain(secret)
      expect(told()).not.toContain('<Buffer')
    },
  )
})
