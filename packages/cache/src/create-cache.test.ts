import { channel } from 'node:diagnostics_channel'
import { ProxyError } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { type AskOptions, answered, CacheRig, fresh, settled } from '../../../test/kit/cache-rig.js'
import { owner } from '../../../test/kit/owner.js'
import { TestStore } from '../../../test/kit/test-store.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import type { CacheOptions } from './cache-options.js'
import type { ErrorMaker } from './cache-request.js'
import { createCache } from './create-cache.js'

trapUnhandled()
const own = owner()
const rig = (options?: CacheOptions) => own(new CacheRig(createCache, options))
const status = (reply: { of(name: string): string | undefined }) => reply.of('cache-status')

describe('options', () => {
  it.each<[unknown, RegExp]>([
    [{ stor: {} }, /cache\.stor\b/],
    [{ store: {} }, /cache\.store: .*a store/],
    [{ maxEntry: '5 bananas' }, /cache\.maxEntry/],
    [{ store: new TestStore(), maxSize: 5 }, /^cache\.maxSize: got 5, takes nothing beside store/],
    [{ setCookie: 'always' }, /cache\.setCookie/],
    [{ staleIfError: -1 }, /cache\.staleIfError/],
    [{ negative: { 99: '1s' } }, /cache\.negative/],
    [{ negative: { 404: 'soon' } }, /cache\.negative/],
    [{ targeted: ['a b'] }, /cache\.targeted/],
    [{ privateCookies: [''] }, /cache\.privateCookies/],
    [{ maxVariants: 0 }, /cache\.maxVariants/],
    [{ peers: [{}] }, /cache\.peers: .*an array of caches/],
    [{ peers: createCache() }, /cache\.peers: .*an array of caches/],
    [{ statusName: 'a b' }, /cache\.statusName/],
    [{ clock: 5 }, /cache\.clock/],
    [
      { coalesce: 'yes', heuristic: 5 },
      /cache\.coalesce[\s\S]*cache\.heuristic|cache\.heuristic[\s\S]*cache\.coalesce/,
    ],
  ])('%j is a TypeError', (options, message) => {
    expect(() => createCache(options as CacheOptions)).toThrow(TypeError)
    expect(() => createCache(options as CacheOptions)).toThrow(message)
  })

  it('a path of where they stand', () => {
    expect(() => createCache({ maxVariants: 0 }, 'routes[1].cache')).toThrow(
      /routes\[1\]\.cache\.maxVariants/,
    )
  })
})

describe('a hit', () => {
  const request = {
    method: 'GET',
    scheme: 'http',
    authority: 'a.example',
    path: '/',
    headers: ['Accept', '*/*'],
    body: null,
  }

  it('of the memory store is no promise, and its fields are its own', async () => {
    await using cache = createCache()
    const reply = { status: 200, headers: [...fresh, 'X', '1'], body: Buffer.from('hello') }
    await answered(await cache.handle(request, () => reply))
    await settled()
    const never = () => {
      throw new Error('fetched')
    }
    const hit = cache.handle(request, never)
    expect(hit).not.toBeInstanceOf(Promise)
    ;(hit as typeof reply).headers.push('Y', '2')
    const again = await answered(await cache.handle(request, never))
    expect([again.text, again.of('x'), again.of('y')]).toEqual(['hello', '1', undefined])
    expect(cache.handle({ ...request, method: 'HEAD' }, never)).not.toBeInstanceOf(Promise)
    expect(cache.handle({ ...request, headers: ['Range', 'bytes=0-1'] }, never)).not.toBeInstanceOf(Promise)
  })

  it('says no length of a 204', async () => {
    const at = rig()
    at.origin = () => ({ status: 204, headers: fresh, body: null })
    await at.read('/')
    expect((await at.read('/')).headers).not.toContain('Content-Length')
  })

  it('says the length of what came without one, but not ahead of trailers', async () => {
    const at = rig()
    for (const [path, trailers] of [
      ['/', undefined],
      ['/trailed', ['X-Sum', '1']],
    ] as const) {
      const asked = at.ask(path)
      const body = (await at.call()).open(200, fresh)
      const reply = await asked
      body.write('hello')
      body.done(trailers && [...trailers])
      await answered(reply)
    }
    expect((await at.read('/')).of('content-length')).toBe('5')
    expect((await at.read('/trailed')).of('content-length')).toBeUndefined()
  })
})

describe('what fetch throws', () => {
  const thrown = (at: CacheRig, path: string, options?: AskOptions, make?: ErrorMaker): Promise<unknown> =>
    at.ask(path, { ...options, ...(make === undefined ? undefined : { failed: make }) }).then(
      () => expect.unreachable(),
      (error: unknown) => error,
    )

  it('is thrown as it is, to each who waits', async () => {
    const at = rig()
    const both = [thrown(at, '/'), thrown(at, '/')]
    const error = new TypeError('no')
    ;(await at.call()).fail(error)
    for (const got of await Promise.all(both)) expect(got).toBe(error)
  })

  it.each<[string, AskOptions, string]>([
    ['a miss', {}, 'sluice; fwd=uri-miss; detail=error'],
    ['HEAD', { method: 'HEAD' }, 'sluice; fwd=uri-miss; detail=error'],
    ['no-store', { headers: ['Cache-Control', 'no-store'] }, 'sluice; fwd=uri-miss; detail=request-no-store'],
    ['POST', { method: 'POST' }, 'sluice; fwd=method; detail=error'],
    ['a GET with content', { body: 'x' }, 'sluice; fwd=bypass; detail=request-content'],
    ['no key', { authority: 'a b' }, 'sluice; fwd=bypass; detail=key-authority'],
  ])('goes through the maker with the fields to give the answer: %s', async (_name, options, expected) => {
    const at = rig({ xCache: true })
    for (const sync of [false, true]) {
      const error = new Error('no')
      const fetcher = () => {
        if (sync) throw error
        return Promise.reject(error)
      }
      const got = await thrown(at, '/', { ...options, fetcher }, (...args) => args)
      const x = expected.includes('uri-miss') ? 'MISS' : 'BYPASS'
      expect(got).toEqual([error, ['Cache-Status', expected, 'X-Cache', x]])
    }
  })

  it('and with those of each who waits, of one of them collapsed', async () => {
    const at = rig()
    const both = [1, 2].map(() => thrown(at, '/', {}, (_, fields) => fields[1]))
    ;(await at.call()).fail(new Error('no'))
    expect(await Promise.all(both)).toEqual([
      'sluice; fwd=uri-miss; detail=error',
      'sluice; fwd=uri-miss; collapsed; detail=error',
    ])
  })

  it('where there is nothing to tell, or nobody to tell it, stays as it is', async () => {
    for (const [at, error] of [
      [rig({ statusName: false }), new Error('no')],
      [rig(), new ProxyError('client_left')],
    ] as const) {
      const fetcher = () => Promise.reject(error)
      expect(await thrown(at, '/', { fetcher }, () => 'made')).toBe(error)
    }
  })

  it('of a key that was one client alone says so, and a function of the key does too', async () => {
    const at = rig()
    await at.read('/', { fetcher: () => ({ status: 200, headers: ['Cache-Control', 'private'], body: 'x' }) })
    const fetcher = () => Promise.reject(new Error('no'))
    expect(await thrown(at, '/', { fetcher }, (_, fields) => fields[1])).toBe(
      'sluice; fwd=uri-miss; detail=private',
    )
    const wrong = rig({
      key: {
        device: () => {
          throw new Error('no')
        },
      },
    })
    for (const method of ['GET', 'POST'])
      expect(await thrown(wrong, '/', { method }, (_, fields) => fields[1])).toBe('sluice; detail=error')
  })
})

describe('Cache-Status', () => {
  it.each<[string, CacheOptions, string[], string[], string]>([
    ['a miss', {}, fresh, [], 'sluice; fwd=uri-miss; fwd-status=200; stored; ttl=60'],
    ['another name', { statusName: 'edge' }, fresh, [], 'edge; fwd=uri-miss; fwd-status=200; stored; ttl=60'],
    [
      'no-store',
      {},
      ['Cache-Control', 'no-store'],
      [],
      'sluice; fwd=uri-miss; fwd-status=200; detail=no-store',
    ],
    ['private', {}, ['Cache-Control', 'private'], [], 'sluice; fwd=uri-miss; fwd-status=200; detail=private'],
    ['no lifetime', {}, [], [], 'sluice; fwd=uri-miss; fwd-status=200; detail=no-lifetime'],
    [
      'request no-store',
      {},
      fresh,
      ['Cache-Control', 'no-store'],
      'sluice; fwd=uri-miss; fwd-status=200; detail=request-no-store',
    ],
    [
      'a wrong length',
      {},
      [...fresh, 'Content-Length', '9'],
      [],
      'sluice; fwd=uri-miss; fwd-status=200; detail=length',
    ],
    [
      'two lengths',
      {},
      [...fresh, 'Content-Length', '1, 1'],
      [],
      'sluice; fwd=uri-miss; fwd-status=200; detail=length',
    ],
    [
      'the key',
      { statusKey: true, key: { headers: ['X-Tenant'] } },
      fresh,
      ['X-Tenant', 'a "b"'],
      'sluice; fwd=uri-miss; fwd-status=200; stored; ttl=60; key="http://a.example/ h:x-tenant=a%20\\"b\\""',
    ],
  ])('of %s', async (_, options, headers, asked, expected) => {
    const at = rig(options)
    at.origin = () => ({ status: 200, headers, body: 'x' })
    expect(status(await at.read('/', { headers: asked }))).toBe(expected)
  })

  it("of what never goes out, and of what is none of the cache's", async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
    const only = await at.read('/', { headers: ['Cache-Control', 'only-if-cached'] })
    expect([only.status, status(only), at.calls.length]).toEqual([504, 'sluice; detail=only-if-cached', 0])
    expect(status(await at.read('/', { body: 'x' }))).toBe(
      'sluice; fwd=bypass; fwd-status=200; detail=request-content',
    )
    expect(status(await at.read('*'))).toBe('sluice; fwd=bypass; fwd-status=200; detail=key-path')
    expect(status(await at.read(`/${'x'.repeat(9000)}`))).toBe(
      'sluice; fwd=bypass; fwd-status=200; detail=key-too-long',
    )
    expect(status(await at.read('/', { method: 'PUT' }))).toBe('sluice; fwd=method; fwd-status=200')
    expect(at.store.kept.size).toBe(0)
  })

  it('stands behind those of caches further in, in what is stored as well', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [...fresh, 'Cache-Status', 'inner; hit'], body: 'x' })
    const all = (reply: { headers: string[] }) =>
      reply.headers.filter((_, i) => i % 2 === 1 && reply.headers[i - 1] === 'Cache-Status')
    expect(all(await at.read('/'))).toEqual([
      'inner; hit',
      'sluice; fwd=uri-miss; fwd-status=200; stored; ttl=60',
    ])
    expect(all(await at.read('/'))).toEqual(['inner; hit', 'sluice; hit; ttl=60'])
  })

  it('is not there where statusName is false; X-Cache is where it is asked for', async () => {
    const at = rig({ statusName: false, xCache: true, staleWhileRevalidate: '1m', staleIfError: '1h' })
    at.origin = () => ({ status: 200, headers: [...fresh, 'ETag', '"a"'], body: 'x' })
    const said: unknown[] = []
    const ask = async (options = {}) => {
      const reply = await at.read('/', options)
      said.push(reply.of('x-cache'))
      expect(status(reply)).toBeUndefined()
    }
    await ask()
    await ask()
    await ask({ headers: ['If-None-Match', '"a"'] })
    at.now += 61_000
    at.origin = () => ({ status: 503, headers: [], body: '' })
    await ask()
    await settled()
    at.now += 60_000
    await ask()
    at.origin = () => ({ status: 304, headers: ['ETag', '"a"'], body: null })
    await ask()
    at.now += 200_000
    at.origin = () => ({ status: 200, headers: fresh, body: 'y' })
    await ask()
    await ask({ method: 'POST' })
    await ask({ body: 'x' })
    expect(said).toEqual([
      'MISS',
      'HIT',
      'HIT',
      'STALE',
      'STALE',
      'REVALIDATED',
      'EXPIRED',
      'BYPASS',
      'BYPASS',
    ])
  })

  it('is published, too', async () => {
    const at = rig()
    const seen: unknown[] = []
    const hear = (message: unknown) => seen.push(message)
    const decisions = channel('sluice:cache:decision')
    decisions.subscribe(hear)
    try {
      at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
      await at.read('/')
      expect(status(await at.read('/'))).toBe('sluice; hit; ttl=60')
    } finally {
      decisions.unsubscribe(hear)
    }
    expect(seen).toMatchObject([
      { hit: false, forwarded: 'uri-miss', forwardedStatus: 200, stored: true, ttl: 60, status: 200 },
      { hit: true, ttl: 60, status: 200, request: { path: '/' } },
    ])
  })
})

describe('request directives', () => {
  const said = (text: string) => ({ headers: ['Cache-Control', text] })

  it.each([
    ['max-age=10', 11, /fwd=request/],
    ['max-age=10', 10, /hit/],
    ['min-fresh=50', 11, /fwd=request/],
    ['min-fresh=49', 11, /hit/],
    ['max-stale=5', 65, /hit; ttl=-5; detail=stale/],
    ['max-stale=4', 65, /fwd=stale/],
    ['max-stale', 9000, /hit/],
    ['no-cache', 1, /fwd=request/],
    ['only-if-cached', 1, /hit/],
    ['only-if-cached', 61, /^sluice; detail=only-if-cached/],
    ['no-store', 1, /hit/],
  ])('%s, after %i s', async (text, seconds, expected) => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [...fresh, 'ETag', '"a"'], body: 'x' })
    await at.read('/')
    at.now += seconds * 1000
    expect(status(await at.read('/', said(text)))).toMatch(expected)
  })

  it('Pragma, where there is nothing else', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
    await at.read('/')
    expect(status(await at.read('/', { headers: ['Pragma', 'no-cache'] }))).toMatch(/fwd=request/)
    expect(status(await at.read('/', { headers: ['Pragma', 'no-cache', 'Cache-Control', 'x'] }))).toMatch(
      /hit/,
    )
  })
})

describe('what is fetched', () => {
  it('without conditions, ranges, and fields that the key does not tell apart', async () => {
    const at = rig({ key: { headers: ['X-Forwarded-Host'] } })
    at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
    const sent = ['Accept', 'a', 'Cookie', 'b', 'X-Forwarded-Host', 'c']
    const gone = [
      'If-None-Match',
      '"x"',
      'If-Match',
      '*',
      'X_Original_URL',
      '/admin',
      'x-forwarded-proto',
      'https',
    ]
    await at.read('/', { headers: [...gone, ...sent] })
    expect(at.calls[0]?.fetch).toEqual({ method: 'GET', headers: sent, shared: true, inform: true })
  })

  it('as it came, where it is for one alone', async () => {
    const at = rig()
    at.origin = () => ({ status: 206, headers: [], body: 'x' })
    const headers = [
      'Cache-Control',
      'no-store',
      'Range',
      'bytes=0-0',
      'If-None-Match',
      '"x"',
      'X-Forwarded-Host',
      'y',
    ]
    await at.read('/', { headers })
    expect(at.calls[0]?.fetch).toEqual({ method: 'GET', headers, shared: false, inform: true })
  })

  it('HEAD by HEAD, which renews or drops what is stored', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [...fresh, 'ETag', '"a"'], body: 'x' })
    await at.read('/')
    at.now += 61_000
    expect(status(await at.read('/', { method: 'HEAD' }))).toBe('sluice; fwd=stale; fwd-status=200')
    expect(status(await at.read('/'))).toBe('sluice; hit; ttl=60')
    at.now += 61_000
    at.origin = () => ({ status: 200, headers: [...fresh, 'ETag', '"b"'], body: null })
    await at.read('/', { method: 'HEAD' })
    expect(at.store.kept.size).toBe(0)
    at.origin = () => ({ status: 200, headers: fresh, body: null })
    await at.read('/', { method: 'HEAD' })
    expect(at.store.kept.size).toBe(0)
  })
})

describe('negative answers and assets', () => {
  it('are fresh for as long as is said by status, where they say nothing', async () => {
    const at = rig({ negative: { 404: '10s', 500: 5000 } })
    at.origin = () => ({ status: 404, headers: [], body: 'no' })
    expect(status(await at.read('/'))).toBe('sluice; fwd=uri-miss; fwd-status=404; stored; ttl=10')
    at.now += 9000
    expect((await at.read('/')).status).toBe(404)
    expect(at.calls).toHaveLength(1)
  })

  it('what looks like an asset and is none is not kept under pathGuard', async () => {
    const at = rig({ pathGuard: true })
    at.origin = () => ({ status: 200, headers: [...fresh, 'Content-Type', 'text/html'], body: 'mine' })
    await at.read('/account/x.css')
    expect(at.store.kept.size).toBe(0)
    await at.read('/account')
    expect(at.store.kept.size).toBe(1)
  })
})

describe('close', () => {
  it('leaves a store alone that it was given', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
    await at.read('/')
    await at.cache.close()
    expect(at.store.kept.size).toBe(1)
  })

  it('closes its own', async () => {
    const cache = createCache()
    await cache.close()
    await cache.close()
    await cache[Symbol.asyncDispose]()
  })
})
