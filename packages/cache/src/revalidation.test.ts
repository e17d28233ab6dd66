import { ProxyError } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { answered, CacheRig, fresh, settled } from '../../../test/kit/cache-rig.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import type { CacheOptions } from './cache-options.js'
import { createCache } from './create-cache.js'

trapUnhandled()
const own = owner()
const rig = (options?: CacheOptions) => own(new CacheRig(createCache, options))
const status = (reply: { of(name: string): string | undefined }) => reply.of('cache-status')

/** A rig that holds `old` for `/`, stale by now. */
async function stale(headers: string[], options?: CacheOptions, seconds = 61): Promise<CacheRig> {
  const at = rig(options)
  at.origin = () => ({
    status: 200,
    headers: [...headers, 'ETag', '"a"', 'Content-Type', 'text/plain'],
    body: 'old',
  })
  await at.read('/')
  at.now += seconds * 1000
  at.origin = undefined
  at.calls.length = 0
  return at
}
/** The answers of a rig whose calls were cleared. */
const next = async (at: CacheRig, index = 0) => {
  await settled()
  const call = at.calls[index]
  if (call === undefined) throw new Error(`no fetch ${index}`)
  return call
}

describe('in the foreground', () => {
  it('one fetch confirms it for all who ask', async () => {
    const at = await stale([...fresh, 'Last-Modified', 'Mon, 01 Jun 2026 10:00:00 GMT'])
    const asked = Array.from({ length: 10 }, () =>
      at.ask('/', { headers: ['If-None-Match', '"mine"', 'Range', 'items=1'] }),
    )
    const call = await next(at)
    expect(call.fetch.headers).toEqual([
      'If-None-Match',
      '"a"',
      'If-Modified-Since',
      'Mon, 01 Jun 2026 10:00:00 GMT',
    ])
    call.answer(304, ['ETag', '"a"', 'X-New', '1', 'Cache-Control', 'max-age=120'])
    const replies = await Promise.all(asked.map(async (reply) => answered(await reply)))
    for (const reply of replies) {
      expect([reply.status, reply.text, reply.of('x-new'), reply.of('content-type')]).toEqual([
        200,
        'old',
        '1',
        'text/plain',
      ])
    }
    expect(replies.map(status)).toEqual([
      'sluice; fwd=stale; fwd-status=304; stored; ttl=120',
      ...Array(9).fill('sluice; fwd=stale; fwd-status=304; collapsed; ttl=120'),
    ])
    at.now += 119_000
    const hit = await at.read('/')
    expect([status(hit), hit.of('age')]).toEqual(['sluice; hit; ttl=1', '119'])
    expect(at.calls).toHaveLength(1)
  })

  it('another response takes its place', async () => {
    const at = await stale(fresh)
    const asked = [at.ask('/'), at.ask('/')]
    ;(await next(at)).answer(200, fresh, 'new')
    for (const reply of asked) expect((await answered(await reply)).text).toBe('new')
    expect((await at.read('/')).text).toBe('new')
  })

  it.each([
    ['of another entity tag', ['ETag', '"b"']],
    ['of a strong one for a weak one', ['ETag', '"other"', 'Last-Modified', 'Mon, 01 Jun 2026 10:00:00 GMT']],
  ])('a 304 %s brings nothing, so all is asked for', async (_, headers) => {
    const at = await stale(fresh)
    const asked = at.ask('/')
    ;(await next(at)).answer(304, headers)
    const call = await next(at, 1)
    expect(call.fetch.headers).toEqual([])
    call.answer(200, fresh, 'new')
    expect((await answered(await asked)).text).toBe('new')
  })

  it('a 304 that nobody asked for confirms nothing', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: fresh, body: 'old' })
    await at.read('/')
    at.now += 61_000
    at.origin = () => ({ status: 304, headers: fresh, body: null })
    expect((await at.read('/')).status).toBe(304)
  })

  it.each(['private', 'no-store', 'no-store, max-age=60'])(
    'a 304 with %s is for one alone, and what was stored goes',
    async (said) => {
      const at = await stale(fresh)
      const asked = [at.ask('/', { who: 'a' }), at.ask('/', { who: 'b' })]
      ;(await next(at)).answer(304, ['ETag', '"a"', 'Cache-Control', said])
      expect((await answered(await (asked[0] as Promise<never>))).text).toBe('old')
      ;(await next(at, 1)).answer(200, ['Cache-Control', said], 'for b')
      expect((await answered(await (asked[1] as Promise<never>))).text).toBe('for b')
      expect(at.store.kept.size).toBe(0)
    },
  )

  it('a 304 that varies on more than was known is for one alone', async () => {
    const at = await stale(fresh)
    const asked = at.ask('/')
    ;(await next(at)).answer(304, ['ETag', '"a"', 'Vary', 'Cookie'])
    expect((await answered(await asked)).text).toBe('old')
    expect(at.store.kept.size).toBe(0)
  })

  it('a cookie that comes with a 304 reaches the one who asked, and nobody later', async () => {
    const at = await stale(['Cache-Control', 'max-age=60'], { setCookie: 'never' })
    const asked = at.ask('/')
    ;(await next(at)).answer(304, ['ETag', '"a"', 'Set-Cookie', 'session=1', ...fresh])
    expect((await answered(await asked)).of('set-cookie')).toBe('session=1')
    const hit = await at.read('/')
    expect([status(hit), hit.of('set-cookie')]).toEqual(['sluice; hit; ttl=60', undefined])
  })

  it('a response that nobody else may have drops what was stored', async () => {
    const at = await stale([...fresh, 'Cache-Control', 'stale-if-error=600'])
    at.origin = () => ({ status: 200, headers: ['Cache-Control', 'no-store'], body: 'secret' })
    expect((await at.read('/')).text).toBe('secret')
    expect(at.store.kept.size).toBe(0)
  })
})

describe('where fetching fails', () => {
  const fails: [string, (at: CacheRig) => void][] = [
    ['503', (at) => (at.origin = () => ({ status: 503, headers: [], body: 'down' }))],
    ['no connection', (at) => (at.origin = () => Promise.reject(new ProxyError('connection_refused')))],
    ['a fault of the app', (at) => (at.origin = () => Promise.reject(new TypeError('x is undefined')))],
  ]
  it.each(fails)('%s: stale, where stale-if-error allows it', async (_, fail) => {
    const at = await stale(['Cache-Control', 'max-age=60, stale-if-error=60'])
    fail(at)
    const replies = await Promise.all([at.read('/'), at.read('/'), at.read('/', { method: 'HEAD' })])
    expect(replies.map(({ text }) => text)).toEqual(['old', 'old', ''])
    for (const reply of replies) {
      expect([reply.status, reply.of('age')]).toEqual([200, '61'])
      expect(status(reply)).toMatch(/^sluice; fwd=stale;( fwd-status=503;)? ttl=-1; detail=stale-if-error$/)
    }
    at.now += 59_000
    const last = await at.read('/').catch((error: unknown) => error)
    expect(last).not.toMatchObject({ text: 'old', status: 503 })
  })

  it.each([500, 502, 503, 504])('%i is an error that stale-if-error speaks of', async (code) => {
    const at = await stale(['Cache-Control', 'max-age=60, stale-if-error=60'])
    at.origin = () => ({ status: code, headers: [], body: null })
    for (const method of ['GET', 'HEAD']) expect((await at.read('/', { method })).status).toBe(200)
  })

  it.each([501, 505, 511, 599])('%i is none', async (code) => {
    const at = await stale(['Cache-Control', 'max-age=60, stale-if-error=60'])
    at.origin = ({ method }) => ({ status: code, headers: [], body: method === 'HEAD' ? null : 'no' })
    for (const method of ['GET', 'HEAD']) expect((await at.read('/', { method })).status).toBe(code)
    const asked = [at.ask('/', { who: 'a' }), at.ask('/', { who: 'b' })]
    for (const reply of asked) expect((await answered(await reply)).text).toBe('no')
    // Nor was it an answer to what is stored.
    expect(at.store.kept.size).toBe(1)
  })

  it('503 goes out where nothing allows to serve stale', async () => {
    const at = await stale(fresh)
    at.origin = () => ({ status: 503, headers: [], body: 'down' })
    const reply = await at.read('/')
    expect([reply.status, reply.text, status(reply)]).toEqual([
      503,
      'down',
      'sluice; fwd=stale; fwd-status=503; detail=error',
    ])
    // It was no answer to what is stored.
    expect(at.store.kept.size).toBe(1)
  })

  it.each(['must-revalidate', 'proxy-revalidate', 's-maxage=60', 'no-cache'])(
    'an error in spite of all under %s',
    async (said) => {
      const at = await stale(['Cache-Control', `max-age=60, stale-if-error=600, ${said}`])
      at.origin = () => Promise.reject(new ProxyError('connection_refused'))
      await expect(at.read('/')).rejects.toThrow()
      await expect(at.read('/', { method: 'HEAD' })).rejects.toThrow()
    },
  )

  it('stale for staleIfDisconnected where nobody answers, and an error after that', async () => {
    const at = await stale(fresh, { staleIfDisconnected: '5m' })
    at.origin = () => Promise.reject(new ProxyError('connection_refused'))
    expect((await at.read('/')).text).toBe('old')
    at.now += 5 * 60_000
    await expect(at.read('/')).rejects.toThrow()
    const none = await stale(fresh, { staleIfDisconnected: 0 })
    none.origin = at.origin
    await expect(none.read('/')).rejects.toThrow()
  })
})

describe('what is said to be fresh for no time', () => {
  const windows = { staleWhileRevalidate: '1m', staleIfError: '1m' } as const
  const tag = (who: string) => ['ETag', `W/"${who}"`]

  it('goes to another only once the target has said so', async () => {
    const at = await stale([], windows, 0)
    at.origin = (_, who) => ({ status: 200, headers: tag(who), body: who })
    for (const headers of [[], ['Cache-Control', 'max-stale'], ['Cache-Control', 'max-stale=9']])
      expect((await at.read('/', { headers, who: 'bob' })).text).toBe('bob')
    expect(at.calls[0]?.fetch.headers).toEqual(['If-None-Match', '"a"'])
    at.origin = () => ({ status: 304, headers: tag('bob'), body: null })
    const reply = await at.read('/')
    expect([reply.text, status(reply)]).toEqual(['bob', 'sluice; fwd=stale; fwd-status=304; stored; ttl=0'])
  })

  it.each(['no connection', '503'])('%s: nobody gets what another got', async (how) => {
    const at = await stale([], windows, 0)
    at.origin = () =>
      how === '503'
        ? { status: 503, headers: [], body: 'down' }
        : Promise.reject(new ProxyError('connection_refused'))
    const headers = ['Cache-Control', 'stale-if-error=60']
    const came = await at.read('/', { headers }).catch((error: unknown) => error)
    expect(came).toMatchObject(how === '503' ? { text: 'down' } : { code: 'connection_refused' })
    const only = ['Cache-Control', 'only-if-cached, max-stale']
    expect((await at.read('/', { headers: only })).status).toBe(504)
  })
})

describe('in the background', () => {
  const swr = ['Cache-Control', 'max-age=60, stale-while-revalidate=60']

  it('one fetch, however many are served stale meanwhile, and for no client', async () => {
    const at = await stale(swr)
    const replies = await Promise.all(Array.from({ length: 10 }, () => at.read('/')))
    for (const reply of replies)
      expect([reply.text, status(reply)]).toEqual([
        'old',
        'sluice; hit; ttl=-1; detail=stale-while-revalidate',
      ])
    expect(at.calls.map(({ fetch }) => [fetch.shared, fetch.inform, ...fetch.headers])).toEqual([
      [true, false, 'If-None-Match', '"a"'],
    ])
    at.calls[0]?.answer(200, swr, 'new')
    await settled()
    const reply = await at.read('/')
    expect([reply.text, status(reply)]).toEqual(['new', 'sluice; hit; ttl=60'])
  })

  it('a 304 makes it fresh', async () => {
    const at = await stale(swr)
    await at.read('/')
    at.calls[0]?.answer(304, ['ETag', '"a"'])
    await settled()
    expect(status(await at.read('/'))).toBe('sluice; hit; ttl=60')
    expect(at.calls).toHaveLength(1)
  })

  it.each([
    ['that is rejected', (at: CacheRig) => at.calls.at(-1)?.fail(new Error('down'))],
    ['that breaks', (at: CacheRig) => at.calls.at(-1)?.answer(500, [], 'x')],
    ['that is not understood', (at: CacheRig) => at.calls.at(-1)?.answer(501, fresh, 'x')],
  ])('one %s is told to nobody, and made again after a second', async (_, fail) => {
    const at = await stale(swr)
    await at.read('/')
    fail(at)
    await settled()
    for (let i = 0; i < 10; i++) expect((await at.read('/')).text).toBe('old')
    expect(at.calls).toHaveLength(1)
    at.now += 1000
    await at.read('/')
    expect(at.calls).toHaveLength(2)
    at.calls[1]?.answer(304, ['ETag', '"a"'])
  })

  it('drops the body of what is not for all, and what was stored', async () => {
    const at = await stale(swr)
    await at.read('/')
    const body = at.calls[0]?.open(200, ['Cache-Control', 'private'])
    await settled()
    expect(body?.stopped).toBeInstanceOf(Error)
    expect(at.store.kept.size).toBe(0)
  })

  it('a fetcher that throws at once harms nobody', async () => {
    const at = await stale(swr)
    at.origin = () => {
      throw new Error('at once')
    }
    expect((await at.read('/')).text).toBe('old')
    await settled()
  })

  it('a part is asked for again as a part', async () => {
    const at = rig()
    const headers = [...swr, 'ETag', '"a"', 'Content-Range', 'bytes 0-2/6']
    at.origin = () => ({ status: 206, headers, body: 'abc' })
    const options = { headers: ['Range', 'bytes=0-2'] }
    await at.read('/', options)
    at.now += 61_000
    at.origin = () => ({ status: 206, headers, body: 'ABC' })
    expect((await at.read('/', options)).text).toBe('abc')
    await settled()
    expect(at.calls[1]?.fetch.headers).toEqual(['Range', 'bytes=0-2'])
    expect((await at.read('/', options)).text).toBe('ABC')
  })
})

describe('clocks', () => {
  it('what was stored before the clock was set back is validated', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [...fresh, 'ETag', '"a"'], body: 'x' })
    await at.read('/')
    at.now -= 3_600_000
    at.origin = () => ({ status: 304, headers: ['ETag', '"a"'], body: null })
    expect(status(await at.read('/'))).toBe('sluice; fwd=stale; fwd-status=304; stored; ttl=60')
    expect(status(await at.read('/'))).toBe('sluice; hit; ttl=60')
  })

  it('what could not be fetched again before that is tried at once', async () => {
    const swr = ['Cache-Control', 'max-age=60, stale-while-revalidate=86400']
    const at = await stale(swr, {}, 7_200)
    await at.read('/')
    at.calls[0]?.fail(new Error('down'))
    await settled()
    at.now -= 3_600_000
    await at.read('/')
    at.calls[1]?.answer(200, swr, 'new')
    await settled()
    expect((await at.read('/')).text).toBe('new')
  })

  it('a little is no reason', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
    await at.read('/')
    at.now -= 1000
    const reply = await at.read('/')
    expect([status(reply), reply.of('age')]).toEqual(['sluice; hit; ttl=60', '0'])
  })
})

describe('Age', () => {
  const date = (ms: number) => ['Date', new Date(ms).toUTCString()]

  it('counts from when the response was made, through caches, clocks and the time it took to come', async () => {
    const at = rig()
    const asked = at.ask('/')
    const call = await at.call()
    const sent = at.now
    at.now += 3000
    call.answer(200, ['Cache-Control', 'max-age=100', 'Age', '10', ...date(sent)], 'x')
    const first = await answered(await asked)
    expect([first.of('age'), first.of('date')]).toEqual(['13', new Date(sent).toUTCString()])
    at.now += 999
    expect((await at.read('/')).of('age')).toBe('13')
    at.now += 1
    const hit = await at.read('/')
    expect([hit.of('age'), status(hit)]).toEqual(['14', 'sluice; hit; ttl=86'])
  })

  it('is that of Date where that says more', async () => {
    const at = rig()
    at.origin = () => ({
      status: 200,
      headers: ['Cache-Control', 'max-age=100', ...date(at.now - 40_000)],
      body: 'x',
    })
    await at.read('/')
    at.now += 1000
    expect((await at.read('/')).of('age')).toBe('41')
  })

  it('is never made less by a clock that is ahead', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [...fresh, 'Age', '5', ...date(at.now + 40_000)], body: 'x' })
    await at.read('/')
    at.now += 1000
    expect((await at.read('/')).of('age')).toBe('6')
  })

  it('is not there where the origin itself was asked', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [...fresh, 'ETag', '"a"'], body: 'x' })
    expect((await at.read('/')).of('age')).toBeUndefined()
    expect((await at.read('/')).of('age')).toBe('0')
    at.now += 61_000
    at.origin = () => ({
      status: 304,
      headers: ['ETag', '"a"', 'Date', new Date(at.now).toUTCString()],
      body: null,
    })
    const reply = await at.read('/')
    expect([reply.of('age'), reply.of('date')]).toEqual([undefined, new Date(at.now).toUTCString()])
    expect((await at.read('/')).of('age')).toBe('0')
  })
})

describe('an error that may be stored', () => {
  const down = { status: 503, headers: ['Cache-Control', 'max-age=10'], body: 'down' }

  it('takes the place of what is stale, so that those who wait need not all ask', async () => {
    const at = await stale(fresh)
    const asked = Array.from({ length: 5 }, () => at.ask('/'))
    ;(await next(at)).answer(down.status, down.headers, down.body)
    for (const reply of asked) expect((await answered(await reply)).text).toBe('down')
    expect(status(await at.read('/'))).toBe('sluice; hit; ttl=10')
    expect(at.calls).toHaveLength(1)
  })

  it('does not where stale is better', async () => {
    const at = await stale(['Cache-Control', 'max-age=60, stale-if-error=60'])
    at.origin = () => down
    expect((await at.read('/')).text).toBe('old')
    const behind = await stale(['Cache-Control', 'max-age=60, stale-while-revalidate=60'])
    behind.origin = () => down
    await behind.read('/')
    await settled()
    expect((await behind.read('/')).text).toBe('old')
  })
})

describe("conditions that are the origin's to answer", () => {
  it('If-Match is held against what the origin says now', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [...fresh, 'ETag', '"a"'], body: 'old' })
    await at.read('/')
    expect(status(await at.read('/', { headers: ['If-Match', '"a"'] }))).toMatch(/hit/)
    at.origin = () => ({ status: 200, headers: [...fresh, 'ETag', '"b"'], body: 'new' })
    const reply = await at.read('/', { headers: ['If-Match', '"b"'] })
    expect([reply.text, status(reply)]).toEqual([
      'new',
      'sluice; fwd=request; fwd-status=200; stored; ttl=60',
    ])
    at.origin = () => ({ status: 304, headers: ['ETag', '"b"'], body: null })
    expect((await at.read('/', { headers: ['If-Match', '"c"'] })).status).toBe(412)
    at.now += 61_000
    at.origin = () => Promise.reject(new ProxyError('connection_refused'))
    await expect(at.read('/', { headers: ['If-Match', '"c"'] })).rejects.toThrow()
  })
})

it('a store that takes its time makes nothing younger', async () => {
  const at = rig({ storeTimeout: 0 })
  at.origin = () => ({ status: 200, headers: fresh, body: 'x' })
  await at.read('/')
  at.store.trouble.set('get', 'hangs')
  const asked = at.read('/')
  await settled()
  at.now += 61_000
  at.store.trouble.clear()
  for (const go of at.store.waiting) go()
  expect(status(await asked)).toMatch(/fwd=stale/)
})
