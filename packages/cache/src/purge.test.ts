import type { Reply } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { answered, CacheRig, fresh, settled } from '../../../test/kit/cache-rig.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import type { CacheOptions } from './cache-options.js'
import { type Cache, createCache } from './create-cache.js'
import type { PurgeKey } from './store.js'

trapUnhandled()
const own = owner()
const rig = (options?: CacheOptions) => own(new CacheRig(createCache, options))
const status = (reply: { of(name: string): string | undefined }) => reply.of('cache-status')
const tagged = [...fresh, 'Surrogate-Key', 'red blue', 'Cache-Tag', 'green', 'ETag', '"a"']
const whats: PurgeKey[] = [
  { url: 'http://A.example:80/shop/x' },
  { tag: 'blue' },
  { tag: 'green' },
  { prefix: 'http://a.example/shop/' },
]

describe.each(whats)('a purge of %j', (what) => {
  it.each([false, true])('drops what is stored (with a slow store: %s)', async (slow) => {
    const at = rig()
    at.store.slow = slow
    at.origin = (_, who) => ({ status: 200, headers: tagged, body: `for ${who}` })
    await at.read('/shop/x', { who: 'one' })
    await at.read('/other', { who: 'other' })
    expect(await at.cache.purge(what)).toBe(what.tag === undefined ? 1 : 2)
    expect((await at.read('/shop/x', { who: 'two' })).text).toBe('for two')
  })

  it('with soft makes it stale', async () => {
    const at = rig({ staleWhileRevalidate: 60_000 })
    at.origin = () => ({ status: 200, headers: tagged, body: 'old' })
    await at.read('/shop/x')
    await at.cache.purge(what, { soft: true })
    at.origin = undefined
    expect(status(await at.read('/shop/x'))).toBe('sluice; hit; ttl=0; detail=stale-while-revalidate')
    at.calls[1]?.answer(304, ['ETag', '"a"'])
    await settled()
    expect(status(await at.read('/shop/x'))).toBe('sluice; hit; ttl=60')
  })

  it.each([false, true])(
    'before the head of a fetch: those who waited get it, nobody later, and it is not stored (soft: %s)',
    async (soft) => {
      const at = rig()
      const early = [at.ask('/shop/x'), at.ask('/shop/x')]
      await settled()
      await at.cache.purge(what, { soft })
      const late = at.ask('/shop/x')
      await settled()
      expect(at.calls).toHaveLength(2)
      at.calls[0]?.answer(200, tagged, 'old')
      for (const reply of early) expect((await answered(await reply)).text).toBe('old')
      expect(at.store.kept.size).toBe(0)
      at.calls[1]?.answer(200, tagged, 'new')
      expect((await answered(await late)).text).toBe('new')
      expect((await at.read('/shop/x')).text).toBe('new')
    },
  )

  it('behind the head of a fetch: likewise', async () => {
    const at = rig()
    const early = at.ask('/shop/x')
    const body = (await at.call()).open(200, tagged)
    const reply = await early
    body.write('o')
    await at.cache.purge(what)
    const late = at.ask('/shop/x')
    await settled()
    body.write('ld')
    body.done()
    expect((await answered(reply)).text).toBe('old')
    expect(at.store.kept.size).toBe(0)
    at.calls[1]?.answer(200, tagged, 'new')
    expect((await answered(await late)).text).toBe('new')
  })

  it('between the end of a body and the store having it', async () => {
    const at = rig()
    at.store.trouble.set('commit', 'hangs')
    const early = at.ask('/shop/x')
    ;(await at.call()).answer(200, tagged, 'old')
    expect((await answered(await early)).text).toBe('old')
    await at.cache.purge(what)
    for (const go of at.store.waiting) go()
    at.store.trouble.clear()
    await settled()
    at.origin = () => ({ status: 200, headers: tagged, body: 'new' })
    expect((await at.read('/shop/x')).text).toBe('new')
  })

  it.each([false, true])(
    'while it is being validated: a 304 makes nothing fresh again (soft: %s)',
    async (soft) => {
      const at = rig()
      at.origin = () => ({ status: 200, headers: tagged, body: 'old' })
      await at.read('/shop/x')
      at.now += 61_000
      at.origin = undefined
      const early = at.ask('/shop/x')
      await settled()
      await at.cache.purge(what, { soft })
      at.calls[1]?.answer(304, ['ETag', '"a"'])
      expect((await answered(await early)).text).toBe('old')
      at.origin = () => ({ status: 200, headers: tagged, body: 'new' })
      expect((await at.read('/shop/x')).text).toBe('new')
    },
  )

  it('while a HEAD is under way: it makes nothing fresh again', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: tagged, body: 'old' })
    await at.read('/shop/x')
    at.now += 61_000
    at.origin = undefined
    const head = at.ask('/shop/x', { method: 'HEAD' })
    await settled()
    await at.cache.purge(what, { soft: true })
    at.calls[1]?.answer(200, tagged)
    await head
    at.origin = () => ({ status: 200, headers: tagged, body: 'new' })
    expect((await at.read('/shop/x')).text).toBe('new')
  })
})

describe('a purge', () => {
  it('of a tag leaves what comes without it', async () => {
    const at = rig()
    const early = at.ask('/')
    const body = (await at.call()).open(200, [...fresh, 'Cache-Tag', 'red'])
    await early
    await at.cache.purge({ tag: 'blue' })
    body.write('x')
    body.done()
    expect(status(await at.read('/'))).toMatch(/hit/)
  })

  it('of a URL takes all that it varies on, and leaves others', async () => {
    const at = rig()
    at.origin = (_, who) => ({ status: 200, headers: [...fresh, 'Vary', 'X-Kind'], body: who })
    for (const kind of ['a', 'b']) await at.read('/', { headers: ['X-Kind', kind], who: `old ${kind}` })
    await at.read('/x', { who: 'other' })
    await at.cache.purge({ url: 'http://a.example/' })
    for (const kind of ['a', 'b'])
      expect((await at.read('/', { headers: ['X-Kind', kind], who: `new ${kind}` })).text).toBe(`new ${kind}`)
    expect((await at.read('/x')).text).toBe('other')
  })

  it('of a URL knows the parameters that the key ignores, and its order', async () => {
    const at = rig({ key: { query: { ignore: ['utm_*'], sort: true } } })
    at.origin = (_, who) => ({ status: 200, headers: fresh, body: who })
    await at.read('/?b=2&a=1&utm_x=1', { who: 'old' })
    await at.cache.purge({ url: 'http://a.example/?utm_y=2&a=1&b=2' })
    expect((await at.read('/?a=1&b=2', { who: 'new' })).text).toBe('new')
  })

  it.each([
    [{}, /^purge: got \{\}, takes one of \{ url \}, \{ tag \} and \{ prefix \}$/],
    [{ url: 'http://a/', tag: 'x' }, /^purge: got \{ url: 'http:\/\/a\/', tag: 'x' \}, takes one of/],
    [{ tag: 'x', soft: true } as never, /^purge: got \{ tag: 'x', soft: true \}, takes one of/],
    ['http://a/' as never, /^purge: got 'http:\/\/a\/', takes one of/],
    [{ url: '/x' }, /purge\.url: got '\/x', takes an absolute URL/],
    [{ prefix: 'ftp://a' }, /purge\.prefix: got .* takes an absolute URL/],
    [{ tag: '' }, /purge\.tag: got '', takes a text/],
    [{ tag: 5 as never }, /purge\.tag: got 5, takes a text/],
    [undefined as never, /^purge: got nothing/],
  ])('%j is a TypeError', async (what: PurgeKey, message) => {
    await expect(rig().cache.purge(what)).rejects.toThrow(message)
  })

  it.each([
    [{ softly: true }, /^purge\.softly: unknown option, did you mean soft\?/],
    [{ soft: 'yes' }, /^purge\.soft: got 'yes', takes true or false/],
    [true, /^purge: got true, takes \{ soft \}/],
    [null, /^purge: got null/],
  ])('with %j purges nothing harder than was meant', async (options, message) => {
    const at = rig()
    at.origin = (_, who) => ({ status: 200, headers: [...fresh, 'Cache-Tag', 'x'], body: who })
    await at.read('/', { who: 'old' })
    await expect(at.cache.purge({ tag: 'x' }, options as never)).rejects.toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringMatching(message) }),
    )
    expect((await at.read('/', { who: 'new' })).text).toBe('old')
  })

  it('tells what the store says', async () => {
    const at = rig()
    at.store.trouble.set('purge', 'rejects')
    await expect(at.cache.purge({ tag: 'x' })).rejects.toThrow('purge fails')
    at.store.trouble.set('purge', 'throws')
    await expect(at.cache.purge({ tag: 'x' })).rejects.toThrow('purge fails')
  })

  it('made by another proxy wins over what is being fetched here', async () => {
    const store = own(new CacheRig(createCache)).store
    let purge: (what: PurgeKey, soft: boolean) => void = () => {}
    let watched = true
    store.watch = (fn) => {
      purge = fn
      return () => {
        watched = false
      }
    }
    const at = own(new CacheRig(createCache, {}, store))
    const early = at.ask('/')
    await settled()
    purge({ url: 'http://a.example/' }, false)
    at.calls[0]?.answer(200, fresh, 'old')
    await answered(await early)
    expect(store.kept.size).toBe(0)
    await at.cache.close()
    expect(watched).toBe(false)
  })
})

describe('an unsafe method', () => {
  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'M-X'])(
    '%s drops what it has changed, before its answer is seen',
    async (method) => {
      const at = rig()
      at.store.slow = true
      at.origin = (fetch, who) =>
        fetch.method === 'GET'
          ? { status: 200, headers: fresh, body: who }
          : {
              status: 201,
              headers: ['Location', '/made', 'Content-Location', 'http://b.example/other'],
              body: null,
            }
      for (const path of ['/', '/made', '/other']) await at.read(path, { who: `old ${path}` })
      await at.read('/other', { authority: 'b.example', who: 'b' })
      const reply = await at.read('/', { method, body: 'x' })
      expect(status(reply)).toBe('sluice; fwd=method; fwd-status=201')
      expect((await at.read('/', { who: 'new' })).text).toBe('new')
      expect((await at.read('/made', { who: 'new' })).text).toBe('new')
      expect((await at.read('/other', { who: 'new' })).text).toBe('old /other')
      expect((await at.read('/other', { authority: 'b.example', who: 'new' })).text).toBe('b')
    },
  )

  it.each([
    ['GET-like', 'OPTIONS', 200],
    ['failed', 'POST', 404],
    ['broken', 'POST', 500],
  ])('%s ones leave it', async (_, method, code) => {
    const at = rig()
    at.origin = (fetch) => ({ status: fetch.method === 'GET' ? 200 : code, headers: fresh, body: 'x' })
    await at.read('/')
    await at.read('/', { method })
    expect(status(await at.read('/'))).toMatch(/hit/)
  })

  it('wins over what was being fetched meanwhile', async () => {
    const at = rig()
    const early = at.ask('/')
    await settled()
    const post = at.ask('/', { method: 'POST', body: 'x' })
    await settled()
    at.calls[1]?.answer(200, [])
    await post
    at.calls[0]?.answer(200, fresh, 'old')
    expect((await answered(await early)).text).toBe('old')
    at.origin = () => ({ status: 200, headers: fresh, body: 'new' })
    expect((await at.read('/')).text).toBe('new')
  })

  it.each(['09', '%', '1.2.3.4.5', 'a..b', '[::1]'])(
    'goes through for the host %s, and drops what is stored',
    async (authority) => {
      const at = rig()
      at.origin = (fetch, who) => ({
        status: 200,
        headers: fetch.method === 'GET' ? fresh : ['Location', '/x'],
        body: who,
      })
      await at.read('/', { authority, who: 'old' })
      expect((await at.read('/', { authority, method: 'POST', who: 'posted' })).text).toBe('posted')
      expect((await at.read('/', { authority, who: 'new' })).text).toBe('new')
    },
  )

  it('drops it from the peers of the cache too, by what their keys make of its URL', async () => {
    const peers: Cache[] = []
    const all = [{ peers }, { key: { query: { ignore: ['x'] } } }, {}].map((options) => {
      const at = rig(options)
      at.origin = (_fetch, who) => ({ status: 200, headers: fresh, body: who })
      peers.push(at.cache)
      return at
    })
    for (const at of all) await at.read('/a?x=1', { who: 'old' })
    // Nobody has told the second of any.
    await all[1]?.read('/a?x=1', { method: 'PUT', who: 'put' })
    const texts = () => Promise.all(all.map(async (at) => (await at.read('/a?x=1', { who: 'new' })).text))
    expect(await texts()).toEqual(['old', 'new', 'old'])
    for (const at of all) await at.cache.purge({ prefix: 'http://a.example/' })
    for (const at of all) await at.read('/a?x=1', { who: 'old' })
    await all[0]?.read('/a?x=1', { method: 'PUT', who: 'put' })
    expect(await texts()).toEqual(['new', 'new', 'new'])
  })

  it('waits for a peer that throws, hangs or does not know the URL no longer than for its own store', async () => {
    const broken = rig({
      key: {
        device: () => {
          throw new Error('no')
        },
      },
    })
    const hanging = rig({ storeTimeout: 1 })
    hanging.store.trouble.set('purge', 'hangs')
    const peers = [broken.cache, hanging.cache, rig({ key: { maxKey: 1 } }).cache]
    const mine = rig({ peers })
    mine.origin = (_fetch, who) => ({ status: 200, headers: fresh, body: who })
    await mine.read('/', { who: 'old' })
    expect((await mine.read('/', { method: 'PUT', who: 'put' })).text).toBe('put')
    expect((await mine.read('/', { who: 'new' })).text).toBe('new')
  })

  it('asks the store for each URL once', async () => {
    const at = rig()
    const asked: PurgeKey[] = []
    const { purge } = at.store
    at.store.purge = (what, soft) => {
      asked.push(what)
      return purge.call(at.store, what, soft)
    }
    at.origin = () => ({ status: 201, headers: ['Location', '/made', 'Content-Location', '/'], body: null })
    await at.read('/', { method: 'PUT' })
    expect(asked).toEqual([{ url: 'http://a.example/' }, { url: 'http://a.example/made' }])
  })

  it('goes through without a key', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [], body: 'x' })
    expect(status(await at.read('*', { method: 'OPTIONS' }))).toBe(
      'sluice; fwd=method; fwd-status=200; detail=key-path',
    )
  })
})

describe('the answer to a POST', () => {
  const self = [...fresh, 'Content-Location', '/']
  const post = (at: CacheRig, who = '') => at.ask('/', { method: 'POST', body: 'x', who })

  it('is what a GET gets, where it says so', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: self, body: 'posted' })
    expect((await answered(await post(at))).text).toBe('posted')
    const reply = await at.read('/')
    expect([reply.text, status(reply)]).toEqual(['posted', 'sluice; hit; ttl=60'])
  })

  it.each([
    ['of another URL', [...fresh, 'Content-Location', '/y']],
    ['without a lifetime', ['Content-Location', '/']],
    ['for one alone', ['Cache-Control', 'private, max-age=60', 'Content-Location', '/']],
  ])('%s is stored nowhere', async (_, headers) => {
    const at = rig()
    at.origin = () => ({ status: 200, headers, body: 'posted' })
    await answered(await post(at))
    expect(at.store.kept.size).toBe(0)
  })

  it('is not stored where its client leaves, nor after a purge before and behind its head', async () => {
    const at = rig()
    const left = post(at)
    const body = (await at.call()).open(200, self)
    const reply = (await left) as Reply & { body: { cancel(): void } }
    reply.body.cancel()
    expect(body.stopped).toBeInstanceOf(Error)

    const before = post(at)
    const call = await at.call()
    await at.cache.purge({ url: 'http://a.example/' })
    call.answer(200, self, 'old')
    await answered(await before)

    const behind = post(at)
    const flowing = (await at.call()).open(200, self)
    const came = await behind
    await at.cache.purge({ url: 'http://a.example/' })
    flowing.write('old')
    flowing.done()
    expect((await answered(came)).text).toBe('old')
    expect(at.store.kept.size).toBe(0)
  })

  it('two at once: none brings back what the other has changed', async () => {
    const at = rig()
    const one = post(at)
    const two = post(at)
    await settled()
    at.calls[1]?.answer(200, self, 'two')
    await answered(await two)
    at.calls[0]?.answer(200, self, 'one')
    await answered(await one)
    at.origin = () => ({ status: 200, headers: fresh, body: 'asked again' })
    expect((await at.read('/')).text).toBe('asked again')
  })
})
