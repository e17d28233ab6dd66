import { describe, expect, it } from 'vitest'
import { type Answered, answered, CacheRig, fresh, settled } from '../../../test/kit/cache-rig.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import type { CacheOptions } from './cache-options.js'
import { type Cache, createCache } from './create-cache.js'

trapUnhandled()
const own = owner()
const rig = (options?: CacheOptions) => own(new CacheRig(createCache, options))
const status = (reply: { of(name: string): string | undefined }) => reply.of('cache-status')
const key = 'http://a.example/'
const markerOf = (at: CacheRig) => at.store.kept.get(key)?.head

/** The target says what it has read, and that its answer varies on that. */
const varies = (at: CacheRig, ...names: string[]) => {
  at.origin = ({ headers }) => {
    const said = names.map((name) => headers[headers.indexOf(name) + 1] ?? '-')
    return { status: 200, headers: [...fresh, 'Vary', names.join(', ')], body: said.join() }
  }
}

describe('responses that vary', () => {
  it('are told apart by the fields that they name, in whatever case and order of names', async () => {
    const at = rig()
    varies(at, 'X-A', 'X-B')
    for (const [a, b] of ['12', '34', '13'] as unknown as [string, string][]) {
      const headers = ['X-B', b, 'X-A', a]
      expect((await at.read('/', { headers })).text).toBe(`${a},${b}`)
      const hit = await at.read('/', { headers: ['x-a', a, 'x-b', b] })
      expect([hit.text, status(hit)]).toEqual([`${a},${b}`, 'sluice; hit; ttl=60'])
    }
    expect(status(await at.read('/', { headers: ['X-A', '9'] }))).toMatch(/fwd=vary-miss/)
    expect(markerOf(at)?.vary).toEqual(['x-a', 'x-b'])
  })

  it('a field that is not there is another one than an empty one', async () => {
    const at = rig()
    varies(at, 'X-A')
    expect((await at.read('/', { headers: ['X-A', ''] })).text).toBe('')
    expect((await at.read('/')).text).toBe('-')
    expect(at.calls).toHaveLength(2)
  })

  it('on more than before: names grow together, and what was stored by fewer is not found by more', async () => {
    const at = rig()
    const one = { headers: ['X-A', '1', 'X-B', '1'] }
    varies(at, 'X-A')
    await at.read('/', one)
    varies(at, 'X-B')
    await at.read('/', { headers: ['X-A', '2', 'X-B', '2'] })
    expect(markerOf(at)?.vary).toEqual(['x-a', 'x-b'])
    varies(at, 'X-A', 'X-B')
    expect((await at.read('/', one)).text).toBe('1,1')
    // It doesn't vary any more, for one of them.
    at.origin = () => ({ status: 200, headers: fresh, body: 'the same' })
    expect((await at.read('/', { headers: ['X-A', '3'] })).text).toBe('the same')
    expect((await at.read('/', one)).text).toBe('1,1')
  })

  it('that are fetched at once are all known after', async () => {
    const at = rig()
    const asked = ['1', '2', '3'].map((value) =>
      at.ask('/', { headers: ['X-A', value, 'Range', 'bytes=0-'] }),
    )
    const other = ['4', '5'].map((value) => at.ask('/', { headers: ['X-A', value] }))
    await settled()
    for (const [i, { answer }] of at.calls.entries()) answer(200, [...fresh, 'Vary', 'X-A'], `${i}`)
    await settled()
    for (const { answer } of at.calls.slice(2)) answer(200, [...fresh, 'Vary', 'X-A'], 'x')
    for (const reply of [...asked, ...other]) await answered(await reply)
    expect(markerOf(at)?.variants).toHaveLength(5)
    expect(at.store.kept.size).toBe(6)
  })

  it.each([
    ['one cache', 1],
    ['two caches over one store', 2],
  ])('that end at once are all known after, to a store that answers later too: %s', async (_, count) => {
    const at = rig({ maxVariants: 4 })
    at.store.slow = true
    let looked = 0
    at.store.alter = (entry) => {
      if (entry.head.status === 0) looked++
      return entry
    }
    const caches = [at.cache, own(createCache({ store: at.store, clock: () => at.now, maxVariants: 4 }))]
    varies(at, 'X-A')
    await at.read('/', { headers: ['X-A', '0'] })
    at.origin = undefined
    const request = { method: 'GET', scheme: 'http', authority: 'a.example', path: '/', body: null }
    const all = Array.from({ length: 10 }, async (_, i) => {
      const cache = caches[i % count] as Cache
      return answered(await cache.handle({ ...request, headers: ['X-A', `${i + 1}`] }, at.fetcher, ''))
    })
    await until(() => at.calls.length === 11, 'all fetches')
    looked = 0
    for (const { answer } of at.calls.slice(1)) answer(200, [...fresh, 'Vary', 'X-A'], 'x')
    await Promise.all(all)
    await until(() => markerOf(at)?.variants?.length === 4, 'the marker of the newest')
    await settled()
    // The four newest, and the marker: none is left that no marker knows, and so is never dropped.
    expect(new Set(at.store.kept.keys())).toEqual(new Set([key, ...(markerOf(at)?.variants ?? [])]))
    // What waits for its turn goes in one.
    expect(looked).toBeLessThanOrEqual(2)
  })

  it('are known after a round in which the store has failed, too', async () => {
    const at = rig()
    at.store.slow = true
    varies(at, 'X-A')
    await at.read('/', { headers: ['X-A', '0'] })
    await settled()
    at.store.trouble.set('commit', 'rejects')
    await at.read('/', { headers: ['X-A', '1'] })
    await settled()
    at.store.trouble.clear()
    await Promise.all(['2', '3'].map((value) => at.read('/', { headers: ['X-A', value] })))
    await settled()
    expect(markerOf(at)?.variants).toHaveLength(3)
  })

  it('one that ends after names have grown is not kept where nobody would find it', async () => {
    const at = rig()
    const early = at.ask('/', { headers: ['X-A', '1'] })
    const body = (await at.call()).open(200, [...fresh, 'Vary', 'X-A'])
    await early
    const ranged = at.ask('/', { headers: ['X-A', '2', 'X-B', '2', 'Cache-Control', 'no-cache'] })
    ;(await at.call()).answer(200, [...fresh, 'Vary', 'X-A, X-B'], 'both')
    await answered(await ranged)
    body.write('early')
    body.done()
    expect((await answered(await early)).text).toBe('early')
    expect(markerOf(at)?.vary).toEqual(['x-a', 'x-b'])
    expect(at.store.kept.size).toBe(2)
    at.origin = () => ({ status: 200, headers: fresh, body: 'again' })
    expect((await at.read('/', { headers: ['X-A', '1', 'X-B', '7'] })).text).toBe('again')
    expect((await at.read('/', { headers: ['X-A', '2', 'X-B', '2'] })).text).toBe('both')
  })

  it('no more than maxVariants are kept: the oldest goes', async () => {
    const at = rig({ maxVariants: 3 })
    varies(at, 'X-A')
    for (let i = 0; i < 10; i++) await at.read('/', { headers: ['X-A', `${i}`] })
    expect(at.store.kept.size).toBe(4)
    expect(status(await at.read('/', { headers: ['X-A', '7'] }))).toMatch(/hit/)
    expect(status(await at.read('/', { headers: ['X-A', '6'] }))).toMatch(/vary-miss/)
  })

  it('a target that names ever others begins anew', async () => {
    const at = rig()
    for (let i = 0; i < 50; i++) {
      at.origin = () => ({ status: 200, headers: [...fresh, 'Vary', `X-${i}`], body: 'x' })
      await at.read('/', { headers: ['Cache-Control', 'no-cache'] })
      expect(markerOf(at)?.vary?.length).toBeLessThanOrEqual(32)
      expect(at.store.kept.size).toBe(2)
    }
  })

  it.each([
    ['*', ['Vary', '*'], 'vary-all'],
    ['* among others', ['Vary', 'X-A', 'Vary', 'X-B, *'], 'vary-all'],
    ['1,000 names', ['Vary', Array.from({ length: 1000 }, (_, i) => `X-${i}`).join()], 'vary-many'],
  ])('on %s are not kept', async (_, headers, detail) => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [...fresh, ...headers], body: 'x' })
    expect(status(await at.read('/'))).toBe(`sluice; fwd=uri-miss; fwd-status=200; detail=${detail}`)
    expect(at.store.kept.size).toBe(0)
  })

  it('the marker stays as long as the longest of what it leads to', async () => {
    const at = rig({ staleIfDisconnected: 0 })
    at.origin = ({ headers }) => ({
      status: 200,
      headers: [
        'Cache-Control',
        headers.includes('long') ? 'max-age=600' : 'max-age=6',
        'Vary',
        'X-A',
        'ETag',
        '"a"',
      ],
      body: 'x',
    })
    await at.read('/', { headers: ['X-A', 'long'] })
    const until = markerOf(at)?.keepUntil ?? 0
    await at.read('/', { headers: ['X-A', 'short'] })
    expect(markerOf(at)?.keepUntil).toBe(until)
    at.now += 300_000
    at.origin = () => ({ status: 304, headers: ['ETag', '"a"', 'Cache-Control', 'max-age=6000'], body: null })
    await at.read('/', { headers: ['X-A', 'short'] })
    await settled()
    expect(markerOf(at)?.keepUntil).toBe(at.now + 6_000_000 + 3_600_000)
  })

  it('a marker that is gone is made anew', async () => {
    const at = rig()
    varies(at, 'X-A')
    await at.read('/', { headers: ['X-A', '1'] })
    at.origin = undefined
    const second = at.ask('/', { headers: ['X-A', '2'] })
    await settled()
    at.store.kept.delete(key)
    at.calls[1]?.answer(200, [...fresh, 'Vary', 'X-A'], 'x')
    await answered(await second)
    expect(status(await at.read('/', { headers: ['X-A', '2'] }))).toMatch(/hit/)
    expect(status(await at.read('/', { headers: ['X-A', '1'] }))).toMatch(/hit/)
  })
})

describe('Cookie and Authorization', () => {
  it('an answer that varies on Cookie is for that cookie alone', async () => {
    const at = rig()
    varies(at, 'Cookie')
    const people = ['a=1', 'a=2', 'a=3']
    const texts = await Promise.all(
      people.map(async (who) => (await at.read('/', { headers: ['Cookie', who] })).text),
    )
    expect(texts).toEqual(people)
    expect((await at.read('/', { headers: ['Cookie', 'a=2'] })).text).toBe('a=2')
  })

  it('an answer to somebody who has said who asks is for nobody else', async () => {
    const at = rig()
    const asked = ['ann', 'bob', ''].map((who) =>
      at.ask('/', { who, headers: who === '' ? [] : ['Authorization', who] }),
    )
    ;(await at.call()).answer(200, fresh, 'for ann')
    await settled()
    for (const { answer, arg } of at.calls.slice(1)) answer(200, fresh, `for ${arg}`)
    const texts = await Promise.all(asked.map(async (reply) => (await answered(await reply)).text))
    expect(texts).toEqual(['for ann', 'for bob', 'for '])
  })

  it('nor does it drop what is stored for all', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [...fresh, 'ETag', '"a"'], body: 'for all' })
    await at.read('/')
    at.now += 61_000
    at.origin = () => ({ status: 200, headers: fresh, body: 'for ann' })
    expect((await at.read('/', { headers: ['Authorization', 'ann'] })).text).toBe('for ann')
    at.origin = () => ({ status: 304, headers: ['ETag', '"a"'], body: null })
    expect((await at.read('/')).text).toBe('for all')
  })

  const session = ['Set-Cookie', 'session=1']
  it.each([
    ['explicit', 'session=1', 'session=1'],
    ['strip', 'session=1', undefined],
  ] as const)('Set-Cookie under %s', async (setCookie, first, later) => {
    const at = rig({ setCookie })
    at.origin = () => ({ status: 200, headers: [...fresh, ...session], body: 'x' })
    expect((await at.read('/')).of('set-cookie')).toBe(first)
    expect((await at.read('/')).of('set-cookie')).toBe(later)
    expect(at.calls).toHaveLength(1)
  })

  it('Set-Cookie under never', async () => {
    const at = rig({ setCookie: 'never' })
    at.origin = () => ({ status: 200, headers: [...fresh, ...session], body: 'x' })
    expect((await at.read('/')).of('set-cookie')).toBe('session=1')
    expect(status(await at.read('/'))).toMatch(/detail=set-cookie/)
  })

  it.each(['private="Set-Cookie, X-Mine"', 'no-cache="set-cookie, x-mine"'])(
    'fields that %s names go to the one who asked, and no further',
    async (said) => {
      const at = rig()
      const asked = [at.ask('/'), at.ask('/')]
      ;(await at.call()).answer(
        200,
        ['Cache-Control', `max-age=60, ${said}`, ...session, 'X-Mine', '1', 'X', '2'],
        'x',
      )
      const replies = await Promise.all(asked.map(async (reply) => answered(await reply)))
      replies.push(await at.read('/'))
      expect(replies.map((reply) => [reply.of('set-cookie'), reply.of('x-mine'), reply.of('x')])).toEqual([
        ['session=1', '1', '2'],
        [undefined, undefined, '2'],
        [undefined, undefined, '2'],
      ])
    },
  )

  it.each(['private="Set-Cookie, X-Mine"', 'no-cache="set-cookie, x-mine"'])(
    'nor do those that come with what renews it, which says %s no more',
    async (said) => {
      const at = rig()
      const etag = ['ETag', '"a"']
      const mine = (who: string) => ['Set-Cookie', who, 'X-Mine', who, 'X', who]
      const given = (reply: Answered) => ['set-cookie', 'x-mine', 'x'].map((name) => reply.of(name))
      const first = ['Cache-Control', `max-age=60, ${said}`, ...etag, ...mine('alice')]
      at.origin = () => ({ status: 200, headers: first, body: 'x' })
      expect(given(await at.read('/'))).toEqual(['alice', 'alice', 'alice'])
      at.now += 61_000
      at.origin = undefined
      const asked = [at.ask('/'), at.ask('/')]
      await settled()
      at.calls[1]?.answer(304, [...etag, ...mine('bob')])
      const replies = await Promise.all(asked.map(async (reply) => answered(await reply)))
      replies.push(await at.read('/'))
      expect(replies.map(given)).toEqual([
        ['bob', 'bob', 'bob'],
        [undefined, undefined, 'bob'],
        [undefined, undefined, 'bob'],
      ])
      at.now += 61_000
      at.origin = () => ({ status: 200, headers: [...etag, ...mine('carol')], body: null })
      expect(given(await at.read('/', { method: 'HEAD' }))).toEqual(['carol', 'carol', 'carol'])
      expect(given(await at.read('/'))).toEqual([undefined, undefined, 'carol'])
    },
  )

  describe('cookies that a layer inside sets for each client', () => {
    const sticky = ['Set-Cookie', 'node=7; Path=/', 'set-cookie', 'other=1']
    const cookies = (reply: { headers: string[] }) =>
      reply.headers.filter((_, i) => i % 2 === 1 && /^(?:node|other)=/.test(reply.headers[i] ?? ''))

    it('are for the one who has asked, and count for nothing', async () => {
      const at = rig({ privateCookies: ['node'], setCookie: 'never' })
      at.origin = () => ({ status: 200, headers: [...fresh, ...sticky.slice(0, 2)], body: 'x' })
      const first = await at.read('/')
      const second = await at.read('/')
      expect([first, second].map(cookies)).toEqual([['node=7; Path=/'], []])
      expect(status(second)).toMatch(/hit/)
    })

    it('leave others where they are', async () => {
      const at = rig({ privateCookies: ['node'] })
      at.origin = () => ({ status: 200, headers: [...fresh, ...sticky], body: 'x' })
      expect([await at.read('/'), await at.read('/')].map(cookies)).toEqual([
        ['node=7; Path=/', 'other=1'],
        ['other=1'],
      ])
    })

    it('are in one that is for its client alone', async () => {
      const at = rig({ privateCookies: ['node'] })
      at.origin = () => ({ status: 200, headers: ['Cache-Control', 'private', ...sticky], body: 'x' })
      expect(cookies(await at.read('/'))).toEqual(['node=7; Path=/', 'other=1'])
      expect(cookies(await at.read('/'))).toEqual(['node=7; Path=/', 'other=1'])
      expect(cookies(await at.read('/', { method: 'POST' }))).toEqual(['node=7; Path=/', 'other=1'])
    })

    it('that come with what confirms are for the one who has asked', async () => {
      const at = rig({ privateCookies: ['node'] })
      at.origin = () => ({ status: 200, headers: [...fresh, 'ETag', '"a"'], body: 'x' })
      await at.read('/')
      at.now += 61_000
      at.origin = () => ({
        status: 304,
        headers: [...fresh, 'ETag', '"a"', ...sticky.slice(0, 2)],
        body: null,
      })
      expect([await at.read('/'), await at.read('/')].map(cookies)).toEqual([['node=7; Path=/'], []])
    })
  })
})

it('who waited for another variant validates its own', async () => {
  const at = rig()
  const headers = [...fresh, 'Vary', 'X-A', 'ETag', '"b"']
  at.origin = () => ({ status: 200, headers, body: 'b' })
  await at.read('/', { headers: ['X-A', 'b'] })
  at.store.kept.delete(key)
  at.now += 61_000
  at.origin = undefined
  const asked = [at.ask('/', { headers: ['X-A', 'a'] }), at.ask('/', { headers: ['X-A', 'b'] })]
  await settled()
  at.calls[1]?.answer(200, headers, 'a')
  await settled()
  at.calls[2]?.answer(304, ['ETag', '"b"'])
  const replies = await Promise.all(asked.map(async (reply) => answered(await reply)))
  expect(replies.map((reply) => reply.text)).toEqual(['a', 'b'])
  expect(status(replies[1] as never)).toBe('sluice; fwd=stale; fwd-status=304; stored; ttl=60')
})
