import { createServer } from 'node:http'
import { type CacheOptions, memoryStore } from '@sluice/cache'
import { createProxy, type ProxyOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { statusOf } from '../kit/cached-site.js'
import { type HttpClient, httpClient } from '../kit/client.js'
import { leakCheck } from '../kit/leak-check.js'
import { listen } from '../kit/listen.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { values } from '../kit/raw-request.js'
import { pattern, same } from '../kit/store-entries.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Says its name and a number, to be kept for a minute. */
const named = (name: string): OriginHandler => {
  let count = 0
  return (_req, res) =>
    void res.writeHead(200, ['Cache-Control', 'max-age=60', 'Cache-Tag', 'all']).end(`${name} ${++count}`)
}
const target = async (handler: OriginHandler) => own(await originServer(handler))

async function proxyOf(options: ProxyOptions) {
  const proxy = own(createProxy(options))
  const { port } = await proxy.listen()
  return { proxy, client: own(httpClient({ port })) as HttpClient, at: `http://127.0.0.1:${port}` }
}

const ask = async (client: HttpClient, path = '/', ...headers: string[]) => {
  const answer = await client.ask({ path, headers })
  return [answer.text, /hit|fwd=[a-z-]+/.exec(statusOf(answer) ?? 'no cache')?.[0]]
}

describe('routes of one URL', () => {
  it('that share a store count once what a soft purge makes stale', async () => {
    const [a, b] = [await target(named('a')), await target(named('b'))]
    const { client, proxy, at } = await proxyOf({
      upstreams: { a: a.url, b: b.url },
      routes: [
        { headers: { 'x-side': 'a' }, upstream: 'a' },
        { upstream: 'b' },
        { path: '/c', upstream: 'b' },
      ],
      cache: true,
    })
    await ask(client, '/', 'X-Side', 'a')
    await ask(client, '/')
    expect(await proxy.cache?.purge({ url: `${at}/` }, { soft: true })).toBe(2)
  })

  it('that go by fields never mix, and a purge reaches both', async () => {
    const [a, b] = [await target(named('a')), await target(named('b'))]
    const { client, proxy, at } = await proxyOf({
      upstreams: { a: a.url, b: b.url },
      routes: [{ headers: { 'x-side': 'a' }, upstream: 'a' }, { upstream: 'b' }],
      cache: true,
    })
    const both = async () => [await ask(client, '/', 'X-Side', 'a'), await ask(client, '/')]
    const miss = 'fwd=uri-miss'
    expect(await both()).toEqual([
      ['a 1', miss],
      ['b 1', miss],
    ])
    const hits = [
      ['a 1', 'hit'],
      ['b 1', 'hit'],
    ]
    expect(await both()).toEqual(hits)
    expect(await proxy.cache?.purge({ url: `${at}/` })).toBe(2)
    expect(await both()).toEqual([
      ['a 2', miss],
      ['b 2', miss],
    ])
    expect(await proxy.cache?.purge({ tag: 'all' })).toBe(2)
  })

  it('that go by method never mix', async () => {
    const [a, b] = [await target(named('a')), await target(named('b'))]
    const { client } = await proxyOf({
      upstreams: { a: a.url, b: b.url },
      routes: [
        { method: 'HEAD', upstream: 'a' },
        { method: 'GET', upstream: 'b' },
      ],
      cache: true,
    })
    await ask(client)
    const head = await client.ask({ method: 'HEAD' })
    expect([head.status, statusOf(head)]).toEqual([200, expect.stringContaining('fwd=uri-miss')])
    expect(await ask(client)).toEqual(['b 1', 'hit'])
  })

  it('keep their answers where they change places, in a store that outlives the proxy', async () => {
    const store = own(memoryStore())
    const origins = { a: (await target(named('a'))).url, b: (await target(named('b'))).url }
    const routes = [
      { upstream: 'a', headers: { 'x-site': 'a' } },
      { upstream: 'b', headers: { 'x-site': /^b/ } },
    ]
    const before = await proxyOf({ upstreams: origins, routes, cache: { store } })
    const after = await proxyOf({ upstreams: origins, routes: routes.toReversed(), cache: { store } })
    const host = ['Host', 'site.example']
    expect(await ask(before.client, '/', ...host, 'X-Site', 'a')).toEqual(['a 1', 'fwd=uri-miss'])
    expect(await ask(after.client, '/', ...host, 'X-Site', 'b')).toEqual(['b 1', 'fwd=uri-miss'])
    expect(await ask(after.client, '/', ...host, 'X-Site', 'a')).toEqual(['a 1', 'hit'])
  })

  it('of two sites over one store never mix either', async () => {
    const store = own(memoryStore())
    const sites = []
    for (const scope of ['one', 'two']) {
      const origin = await target(named(scope))
      const routes = [{ upstream: 'site' }]
      sites.push(await proxyOf({ upstreams: { site: origin.url }, routes, cache: { store, key: { scope } } }))
    }
    const [one, two] = sites as [(typeof sites)[0], (typeof sites)[0]]
    const host = ['Host', 'site.example']
    expect(await ask(one.client, '/', ...host)).toEqual(['one 1', 'fwd=uri-miss'])
    expect(await ask(two.client, '/', ...host)).toEqual(['two 1', 'fwd=uri-miss'])
    expect(await ask(one.client, '/', ...host)).toEqual(['one 1', 'hit'])
    // By the URL, which both have.
    expect(await one.proxy.cache?.purge({ url: 'http://site.example/' })).toBe(2)
  })
})

describe('a route', () => {
  it('may stay out of the cache, or be the only one in it', async () => {
    const origin = await target(named('x'))
    const upstreams = { x: origin.url }
    const out = await proxyOf({
      upstreams,
      routes: [{ path: '/out', upstream: 'x', cache: false }, { upstream: 'x' }],
      cache: true,
    })
    for (const i of [1, 2]) expect(await ask(out.client, '/out')).toEqual([`x ${i}`, undefined])
    expect(await ask(out.client, '/in')).toEqual(['x 3', 'fwd=uri-miss'])
    expect(await ask(out.client, '/in')).toEqual(['x 3', 'hit'])
    const only = await proxyOf({
      upstreams,
      routes: [{ path: '/in', upstream: 'x', cache: true }, { upstream: 'x' }],
    })
    expect(only.proxy.cache).toBeDefined()
    for (const i of [4, 5]) expect(await ask(only.client, '/out')).toEqual([`x ${i}`, undefined])
    await ask(only.client, '/in')
    expect(await ask(only.client, '/in')).toEqual(['x 6', 'hit'])
    const none = await proxyOf({ upstreams, routes: [{ upstream: 'x', cache: false }], cache: true })
    expect(none.proxy.cache).toBeUndefined()
  })

  it('lays its options over those of the proxy', async () => {
    const origin = await target((_req, res) => void res.writeHead(404).end('none'))
    const { client } = await proxyOf({
      upstreams: { x: origin.url },
      routes: [
        { path: '/a', upstream: 'x', cache: { statusName: 'route-a' } },
        { path: '/b', upstream: 'x', cache: { negative: {} } },
        { path: '/c', upstream: 'x', cache: true },
      ],
      cache: { negative: { 404: '1m' }, xCache: true },
    })
    const asked = async (path: string) => {
      await client.ask({ path })
      const { headers } = await client.ask({ path })
      return [statusOf({ headers })?.split(';').slice(0, 2).join(';'), ...values(headers, 'x-cache')]
    }
    expect(await asked('/a')).toEqual(['route-a; hit', 'HIT'])
    expect(await asked('/b')).toEqual(['sluice; fwd=uri-miss', 'MISS'])
    expect(await asked('/c')).toEqual(['sluice; hit', 'HIT'])
  })

  it('keeps bodies of its own size, whatever the others do', async () => {
    const big = pattern(300_000, 5)
    const origin = await target((_req, res) => res.writeHead(200, ['Cache-Control', 'max-age=60']).end(big))
    const { client } = await proxyOf({
      upstreams: { x: origin.url },
      routes: [
        { path: '/small', upstream: 'x', cache: { maxEntry: '1kb' } },
        { path: '/large', upstream: 'x', cache: { maxEntry: '1mb' } },
      ],
      cache: { maxEntry: '10kb' },
    })
    for (const [path, found] of [
      ['/small', 'fwd=uri-miss'],
      ['/large', 'hit'],
    ] as const) {
      await client.ask({ path })
      const answer = await client.ask({ path })
      expect([path, same(answer.body, big)]).toEqual([path, true])
      expect(statusOf(answer)).toContain(found)
    }
  })

  it('with a store of its own is purged with the others', async () => {
    const store = own(memoryStore())
    const origin = await target(named('x'))
    const { client, proxy } = await proxyOf({
      upstreams: { x: origin.url },
      routes: [
        { path: '/own', upstream: 'x', cache: { store } },
        { path: '/sized', upstream: 'x', cache: { maxSize: '1mb' } },
        { upstream: 'x' },
      ],
      cache: true,
    })
    for (const path of ['/own', '/sized', '/']) await client.ask({ path })
    expect(store.count).toBe(1)
    expect(await proxy.cache?.purge({ tag: 'all' })).toBe(3)
    expect(store.count).toBe(0)
  })

  it('that rewrites the path is known by the public one', async () => {
    const origin = await target(named('x'))
    const { client, proxy, at } = await proxyOf({
      upstreams: { x: origin.url },
      routes: [{ path: '/v1', upstream: 'x', rewrite: { strip: '/v1' } }],
      cache: true,
    })
    await ask(client, '/v1/a')
    expect(origin.requests[0]?.url).toBe('/a')
    expect(await proxy.cache?.purge({ url: `${at}/a` })).toBe(0)
    expect(await proxy.cache?.purge({ url: `${at}/v1/a` })).toBe(1)
  })
})

describe('an unsafe method drops what the caches of all routes have for its URL', () => {
  const query = { ignore: ['utm_*'] }
  it.each<[string, () => CacheOptions | boolean, CacheOptions | boolean]>([
    ['of which one has a size of its own', () => ({ maxSize: '1mb' }), true],
    ['of which the other has', () => true, { maxSize: '1mb' }],
    ['of which each has', () => ({ maxSize: '1mb' }), { maxSize: '1mb' }],
    ['of which one has a store', () => ({ store: own(memoryStore()) }), true],
    ['of which one has none', () => true, false],
    ['of which one has none, and the other a size', () => ({ maxSize: '1mb' }), false],
    ['of which one ignores parameters', () => ({ key: { query } }), true],
    ['of which the other does', () => true, { key: { query } }],
    ['which are alike', () => true, true],
  ])('%s', async (_name, forGet, forOthers) => {
    const origin = await target((req, res) => {
      const made = req.method === 'POST' ? ['Location', '/made'] : ['Cache-Control', 'max-age=60']
      res.writeHead(req.method === 'DELETE' ? 404 : 200, made).end(`${req.method} ${origin.requests.length}`)
    })
    const { client } = await proxyOf({
      upstreams: { x: origin.url },
      routes: [
        { method: ['GET', 'HEAD'], upstream: 'x', cache: forGet() },
        { upstream: 'x', cache: forOthers },
      ],
      cache: true,
    })
    const hits = async () => {
      const found = []
      for (const path of ['/a?utm_x=1', '/made', '/other'])
        found.push((await ask(client, path))[1] === 'hit' ? path : '')
      return found.filter((path) => path !== '')
    }
    await hits()
    expect(await hits()).toEqual(['/a?utm_x=1', '/made', '/other'])
    for (const method of ['OPTIONS', 'DELETE']) await client.ask({ method, path: '/a?utm_x=1' })
    expect(await hits()).toEqual(['/a?utm_x=1', '/made', '/other'])
    await client.ask({ method: 'PUT', path: '/a?utm_x=1' })
    expect(await hits()).toEqual(['/made', '/other'])
    await client.ask({ method: 'POST', path: '/a?utm_x=1' })
    expect(await hits()).toEqual(['/other'])
  })

  it('by the public URL of a route that rewrites it', async () => {
    const origin = await target(named('x'))
    const { client } = await proxyOf({
      upstreams: { x: origin.url },
      routes: [
        { path: '/v1', method: 'GET', upstream: 'x', cache: true },
        { path: '/v1', upstream: 'x', rewrite: { strip: '/v1' } },
      ],
    })
    await ask(client, '/v1/a')
    expect((await ask(client, '/v1/a'))[1]).toBe('hit')
    await client.ask({ method: 'PUT', path: '/v1/a' })
    expect((await ask(client, '/v1/a'))[1]).toBe('fwd=uri-miss')
  })

  it('and what they are fetching meanwhile is not stored', async () => {
    const origin = await target(async (_req, _res) => {})
    const { client } = await proxyOf({
      upstreams: { x: origin.url },
      routes: [
        { method: 'GET', upstream: 'x', cache: { maxSize: '1mb' } },
        { upstream: 'x', cache: false },
      ],
    })
    const early = client.call()
    const { res } = await origin.request()
    const put = client.call({ method: 'PUT' })
    ;(await origin.request(1)).res.end('put')
    await put.answer()
    res.writeHead(200, ['Cache-Control', 'max-age=60']).end('old')
    expect((await early.answer()).text).toBe('old')
    const later = client.call()
    ;(await origin.request(2)).res.end('new')
    expect((await later.answer()).text).toBe('new')
  })

  it('but for the answer to a POST that the route itself keeps', async () => {
    const origin = await target((_req, res) =>
      res.writeHead(200, ['Cache-Control', 'max-age=60', 'Content-Location', '/']).end('posted'),
    )
    const { client } = await proxyOf({
      upstreams: { x: origin.url },
      routes: [
        { path: '/other', upstream: 'x', cache: { maxSize: '1mb' } },
        { path: '/more', upstream: 'x', cache: { key: { query } } },
        { upstream: 'x' },
      ],
      cache: true,
    })
    await client.ask({ method: 'POST' })
    expect(await ask(client)).toEqual(['posted', 'hit'])
  })
})

describe('who the client is', () => {
  it('counts in the key: the scheme that somebody trusted tells', async () => {
    const origin = await target(({ headers }, res) => {
      res.writeHead(200, ['Cache-Control', 'max-age=60']).end(`${headers['x-forwarded-proto']}`)
    })
    const asked = async (trust: string[], proto: string) => {
      const { client } = await proxyOf({ upstreams: { x: origin.url }, trust, cache: true })
      await client.ask()
      return ask(client, '/', 'X-Forwarded-Proto', proto, 'X-Forwarded-For', '192.0.2.1')
    }
    expect(await asked(['127.0.0.1'], 'https')).toEqual(['https', 'fwd=uri-miss'])
    expect(await asked(['127.0.0.1'], 'http')).toEqual(['http', 'hit'])
    // Of anybody else it is a way to have one's own answer kept for all.
    expect(await asked([], 'https')).toEqual(['http', 'hit'])
  })

  it('and which target it stays on, is nobody else his concern', async () => {
    const origins = []
    for (const name of ['a', 'b', 'c'])
      origins.push(
        await target((req, res) => {
          const life = req.url === '/shared' ? 'max-age=60' : 'private'
          res.writeHead(200, ['Cache-Control', life, 'Set-Cookie', 'own=1']).end(name)
        }),
      )
    const { client } = await proxyOf({
      upstreams: {
        x: { targets: origins.map(({ url }) => url), sticky: { secret: 'a secret of the tests' } },
      },
      cache: true,
    })
    const cookies = (headers: readonly string[]) =>
      values(headers, 'set-cookie').map((one) => one.split('=')[0])
    for (const [found, given] of [
      ['stored', ['own', 'sluice_x']],
      ['hit', ['own']],
      ['hit', ['own']],
    ] as const) {
      const { headers } = await client.ask({ path: '/shared' })
      expect([statusOf({ headers }), cookies(headers).sort()]).toEqual([
        expect.stringContaining(found),
        given,
      ])
    }
    for (let i = 0; i < 3; i++) {
      const { headers, text } = await client.ask({ path: '/own' })
      expect(cookies(headers).sort()).toEqual(['own', 'sluice_x'])
      const mine = values(headers, 'set-cookie').find((one) => one.startsWith('sluice_x=')) as string
      const again = await client.ask({ path: '/own', headers: ['Cookie', mine.split(';')[0] as string] })
      expect([again.text, cookies(again.headers)]).toEqual([text, ['own']])
    }
  })

  it('and who else waits, is as much: those who share a fetch get no cookie of the one whose it is', async () => {
    const origin = await target(named('x'))
    const { client } = await proxyOf({
      upstreams: { x: { targets: [origin.url], sticky: { secret: 'a secret of the tests' } } },
      cache: true,
    })
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.ask()))
    expect(origin.requests).toHaveLength(1)
    expect(answers.flatMap(({ headers }) => values(headers, 'set-cookie'))).toHaveLength(1)
  })
})

describe('a proxy that closes', () => {
  it('answers those who wait, and takes no more', async () => {
    const gate = deferred()
    const origin = await target(async (_req, res) => {
      res.writeHead(200, ['Cache-Control', 'max-age=60'])
      res.write('one')
      await gate.promise
      res.end('two')
    })
    const proxy = own(createProxy({ upstreams: { x: origin.url }, cache: true }))
    const { client } = own(await listen(createServer(proxy.listener)))
    const calls = Array.from({ length: 4 }, () => client.call())
    for (const call of calls) await call.head
    const closed = proxy.close()
    gate.resolve()
    for (const call of calls) expect((await call.answer()).text).toBe('onetwo')
    await closed
    expect((await client.ask()).status).toBe(503)
    expect(origin.requests).toHaveLength(1)
    await until(() => origin.sockets === 0, 'the connection to the target to close')
  })

  it.each([0, '10s'] as const)(
    'waits for no fetch that nobody waits for, after a drain of %s',
    async (drain) => {
      const check = leakCheck()
      const origin = await target((_req, res) => {
        res.writeHead(200, ['Cache-Control', 'max-age=60, stale-while-revalidate=60'])
        // It never ends.
        res.write('one')
      })
      const proxy = own(createProxy({ upstreams: { x: origin.url }, cache: true }))
      const mounted = own(await listen(createServer(proxy.listener)))
      const { client } = mounted
      const call = client.call()
      const { body } = await call.head
      body.on('error', () => {})
      call.abort()
      await until(() => mounted.sockets === 0, 'the client to have left')
      expect(origin.sockets).toBe(1)
      await within(proxy.close({ drain }), 'the proxy to close', 5_000)
      await until(() => origin.sockets === 0, 'the connection to the target to close')
      await mounted.close()
      await origin.close()
      await check.settled()
    },
  )
})
