import { once } from 'node:events'
import { createServer, IncomingMessage, request, type Server } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, Socket } from 'node:net'
import { format } from 'node:util'
import { roundRobin, slowStart, weightedRoundRobin } from '@sluice/balance'
import { chain, type ProxyError, unhandled } from '@sluice/core'
import { wireTransport } from '@sluice/forward'
import debug from 'debug'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { type Origin, type OriginHandler, originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { program } from '../../../test/kit/program.js'
import { rawOrigin } from '../../../test/kit/raw-origin.js'
import { until } from '../../../test/kit/until.js'
import {
  createProxy,
  type KeyedPolicyOption,
  type Proxy,
  type ProxyOptions,
  type UpstreamOptions,
} from './index.js'

const own = owner()

async function origin(handler?: OriginHandler): Promise<Origin> {
  return own(await originServer(handler))
}
const named =
  (name: string): OriginHandler =>
  (req, res) =>
    void res.end(`${name} ${req.url}`)

function proxyOf(options: string | string[] | ProxyOptions): Proxy {
  const proxy = createProxy(options)
  own({ close: () => proxy.close({ drain: 0 }) })
  return proxy
}
async function urlOf(proxy: Proxy): Promise<string> {
  return `http://127.0.0.1:${(await proxy.listen()).port}`
}
function ending(server: Server): void {
  server.close()
  server.closeAllConnections()
}
const text = async (url: string, init?: RequestInit): Promise<string> => (await fetch(url, init)).text()

describe('the forms of its argument', () => {
  it('takes a target, a list, options with texts, lists and objects', async () => {
    const a = await origin(named('a'))
    const b = await origin(named('b'))
    expect(await text(await urlOf(proxyOf(a.url)))).toBe('a /')
    const both = await urlOf(proxyOf([a.url, b.url]))
    expect([await text(both), await text(both)].sort()).toEqual(['a /', 'b /'])
    for (const site of [
      a.url,
      [a.url],
      { targets: [{ url: a.url, weight: 3 }], balance: 'first' as const },
    ]) {
      const proxy = proxyOf({ upstreams: { site } })
      expect([...proxy.upstreams.keys()]).toEqual(['site'])
      expect(await text(await urlOf(proxy))).toBe('a /')
    }
  })

  it('holds no process open', async () => {
    const script = `import { createProxy } from 'sluice'
      createProxy({ upstreams: { a: { targets: ['http://127.0.0.1:1'], health: {} } } })
      console.log('made')`
    const run = own(program(['--input-type=module', '-e', script]))
    expect(await run.ended).toBe(0)
    expect(run.output).toBe('made\n')
  })
})

describe('wrong options', () => {
  const url = 'http://a'
  it.each<[unknown, string]>([
    [undefined, 'options: got nothing, takes a URL, a list of URLs, or { upstreams, '],
    [{ upstreams: { a: 3 } }, 'upstreams.a: got 3, takes a URL, a list of URLs, or { targets, '],
    ['localhost:3000', "takes a URL with its scheme: 'http://localhost:3000'"],
    [[], 'got an empty list'],
    [[url, 'http://a/'], 'takes each target once'],
    [{}, 'upstreams: got nothing'],
    [{ upstreams: {} }, 'upstreams: got none'],
    [{ upstreams: { a: url, b: url } }, 'routes: got none with several upstreams ("a", "b")'],
    [{ upstreams: { a: { targets: ['http://u:p@a'] } } }, 'upstreams.a.targets[0]'],
    [{ upstreams: { a: { targets: [] } } }, 'upstreams.a.targets: got an empty list'],
    [
      { upstreams: { a: { targets: [url], balance: 'maglev' } } },
      "upstreams.a.balance: got 'maglev', takes 'round-robin'",
    ],
    [
      { upstreams: { a: { targets: [url], ejection: { consecutive: -1 } } } },
      'upstreams.a.ejection.consecutive',
    ],
    [
      { upstreams: { a: { targets: [url], ejection: { succesRate: {} } } } },
      'upstreams.a.ejection.succesRate: unknown option, did you mean successRate?',
    ],
    [{ upstreams: { a: { targets: [url], ejection: 'on' } } }, 'upstreams.a.ejection'],
    [{ upstreams: { a: { targets: [url], declared: { for: 0 } } } }, 'upstreams.a.declared.for'],
    [{ upstreams: { a: { targets: [url], panic: 50 } } }, 'upstreams.a.panic'],
    [
      { upstreams: { a: { targets: [url], health: { type: 'tcp', path: '/x' } } } },
      'upstreams.a.health.path: unknown option',
    ],
    [
      { upstreams: { a: { targets: [url], balance: { policy: 'ring' } } } },
      'upstreams.a.balance.key: got nothing',
    ],
    [
      { upstreams: { a: { targets: [url], balance: { policy: 'first', key: 'ip' } } } },
      "upstreams.a.balance.key: got 'ip', takes 'client', 'path', 'header:name' or 'cookie:name'",
    ],
    [{ upstreams: { a: { targets: [url], sticky: {} } } }, 'upstreams.a.sticky.secret: got nothing'],
    [{ upstreams: { a: { targets: [url], overflow: 0 } } }, 'upstreams.a.overflow: got 0'],
    [{ upstreams: { a: { targets: [url], slowStart: 'soon' } } }, "upstreams.a.slowStart: got 'soon'"],
    [{ upstreams: { a: { targets: [url], slowStart: {} } } }, 'upstreams.a.slowStart.window: got nothing'],
    [
      { upstreams: { a: { targets: [url], slowStart: { window: 1, from: 2 } } } },
      'upstreams.a.slowStart.from: got 2',
    ],
    [
      { upstreams: { a: { targets: [url], slowStart: '9s', ejection: { ramp: '9s' } } } },
      'upstreams.a.slowStart: got it with ejection.ramp, takes one of them',
    ],
    [
      { upstreams: { a: { targets: [url], slowStart: '9s', balance: slowStart(roundRobin(), '9s') } } },
      'upstreams.a.slowStart: got it with a policy that has a slow start of its own',
    ],
    [
      {
        upstreams: { a: { targets: [url], ejection: { ramp: 1 }, balance: slowStart(roundRobin(), '9s') } },
      },
      'upstreams.a.ejection.ramp: got it with a policy that has a slow start of its own',
    ],
    [{ upstreams: { a: { targets: [url], subset: { size: 0 } } } }, 'upstreams.a.subset.size: got 0'],
    [{ upstreams: { a: { targets: [url], subset: { size: 9 } } } }, 'upstreams.a.subset.seed: got nothing'],
    [{ upstreams: { a: { targets: [url], preferZone: '' } } }, "upstreams.a.preferZone: got ''"],
    [
      { upstreams: { a: { targets: [url], preferZone: { zone: 'eu', min: 0 } } } },
      'upstreams.a.preferZone.min: got 0',
    ],
    [{ upstreams: { a: { targets: [url], health: { interval: 'soon' } } } }, 'upstreams.a.health.interval'],
    [{ upstreams: { a: { targets: [url], retry: { attempts: 0 } } } }, 'upstreams.a.retry.attempts'],
    [
      { upstreams: { a: { targets: [url], hedge: { quantile: 1, methods: ['CONNECT'] } } } },
      "upstreams.a.hedge.methods[0]: got 'CONNECT'",
    ],
    [{ upstreams: { a: { targets: [url], hedge: true } } }, 'upstreams.a.hedge: got true'],
    [{ upstreams: { a: { targets: [url], timeouts: { head: -1 } } } }, 'upstreams.a.timeouts.head'],
    [{ upstreams: { a: { targets: [url], host: 'other' } } }, 'upstreams.a.host'],
    [
      { upstreams: { a: url }, routes: [{ path: '/x', upstream: 'b' }] },
      'routes[0].upstream: got "b", takes a name of upstreams: "a"',
    ],
    [{ upstreams: { a: url }, routes: [{ path: 'x', upstream: 'a' }] }, 'routes[0].path'],
    [
      { upstreams: { a: url }, routes: [{ upstream: 'a' }, { upstream: 'a' }] },
      'routes[1]: takes just the requests of routes[0]',
    ],
    [{ upstreams: { a: url }, trust: ['10.0.0.1/8'] }, "trust[0]: got '10.0.0.1/8'"],
    [
      { upstreams: { a: url }, trustFields: 'both' },
      "trustFields: got 'both', takes 'x-forwarded', 'forwarded'",
    ],
    [{ upstreams: { a: url }, forwarded: { x: 1 } }, 'forwarded.x: got 1, takes true or false'],
    [{ upstreams: { a: url }, forwarded: false }, 'forwarded: got false'],
    [
      { upstreams: { a: url }, forwarded: { rfc7239: 'secret' } },
      "forwarded.rfc7239: got 'secret', takes false, 'real', 'hidden', 'unknown'",
    ],
    [{ upstreams: { a: url }, forwarded: { rfc: 'real' } }, 'forwarded.rfc: unknown option'],
    [
      { upstreams: { a: { targets: [url], http2: 'h2' } } },
      "upstreams.a.http2: got 'h2', takes false, 'alpn'",
    ],
    [
      { upstreams: { a: { targets: [url], proxyProtocol: 3 } } },
      'upstreams.a.proxyProtocol: got 3, takes 1 or 2',
    ],
    [
      { upstreams: { a: { targets: [url], http2: 'prior-knowledge', proxyProtocol: 2 } } },
      'upstreams.a.proxyProtocol: got it with http2',
    ],
    [
      { upstreams: { a: { targets: [url], proxyProtocol: 1, transport: wireTransport() } } },
      'upstreams.a.proxyProtocol: got it with a transport',
    ],
    [
      { upstreams: { a: { targets: [url], http2: 'alpn', transport: wireTransport() } } },
      'upstreams.a.http2: got it with a transport',
    ],
    [
      { upstreams: { a: { targets: ['https://a'], tls: { pin: ['x'] } } } },
      'upstreams.a.tls.pin[0]: got "x", takes \'sha256/\'',
    ],
    [
      { upstreams: { a: { targets: [{ url, tls: {} }] } } },
      'upstreams.a.targets[0].tls: got settings for a target without TLS',
    ],
    [{ upstreams: { a: url }, use: [5] }, 'use[0]'],
    [{ upstreams: { a: url }, via: 'two words' }, 'via'],
    [
      { upstreams: { a: url }, rewrite: { request: { set: { Connection: 'close' } } } },
      "rewrite.request.set.Connection: got 'Connection', takes the name of a field, and none that frames",
    ],
    [
      { upstreams: { a: { targets: [url], rewrite: { response: { append: { 'X-A': 'a\nb' } } } } } },
      "upstreams.a.rewrite.response.append.X-A: got 'a\\nb', takes a text without line breaks",
    ],
    [
      {
        upstreams: { a: url },
        routes: [{ upstream: 'a', rewrite: { cookies: { path: 'x' }, locations: 'all' } }],
      },
      'routes[0].rewrite.locations: unknown option, did you mean location?',
    ],
    [{ upstreams: { a: url }, guard: true }, 'guard: got true, takes false, or { bodyLimit'],
    [{ upstreams: { a: url }, observe: true }, 'observe: unknown option'],
    [{ upstreams: [url] }, 'takes groups of targets by their names, such as { site:'],
    [
      { upstreams: { a: url }, routes: [{ upstream: 'a', headers: new Headers({ 'x-beta': '1' }) }] },
      'routes[0].headers: got Headers',
    ],
    [{ upstreams: { a: url }, rewrite: { request: { set: ['X-A', 'b'] } } }, 'rewrite.request.set: got ['],
    [{ upstreams: { a: url }, guard: Promise.resolve({ bodyLimit: '1mb' }) }, 'guard: got Promise'],
  ])('%j', (options, says) => {
    expect(() => createProxy(options as never)).toThrow(TypeError)
    expect(() => createProxy(options as never)).toThrow(says)
  })

  it('tells what is wrong of rewriting together with all else', () => {
    const rewrite = { request: { remove: ['TE'] }, location: 1 }
    const options = { upstreams: { a: { targets: ['x'], rewrite } }, rewrite, trust: ['y'] }
    let told = ''
    try {
      createProxy(options as never)
    } catch (error) {
      told = String(error)
    }
    for (const path of [
      'upstreams.a.rewrite.request.remove[0]: ',
      'upstreams.a.rewrite.location: ',
      'rewrite.request.remove[0]: ',
      'rewrite.location: ',
      'upstreams.a.targets[0]: ',
      'trust[0]: ',
    ])
      expect(told).toContain(path)
  })

  it('are told all at once, of whatever kind they are', () => {
    const options = {
      upstreams: { a: { targets: ['localhost:1'], balanse: 'first' }, b: 'http://u:p@b', c: [] },
      routes: [{ path: 'x', upstream: 'd' }],
      trust: ['10.0.0.1/8'],
      trustFields: 'x',
      forwarded: { x: 'no', rfc7239: true },
    }
    let message = ''
    try {
      createProxy(options as never)
    } catch (error) {
      message = (error as Error).message
    }
    const told = message.split('\n').map((line) => line.slice(0, line.indexOf(':')))
    expect(told.toSorted()).toEqual(
      [
        ...['forwarded.rfc7239', 'forwarded.x', 'trustFields'],
        ...['routes[0].path', 'routes[0].upstream', 'trust[0]', 'upstreams.a.balanse'],
        ...['upstreams.a.targets[0]', 'upstreams.b.targets[0]', 'upstreams.c.targets'],
      ].toSorted(),
    )
  })
})

it('routes by host, path and method, with layers and a Host of its own; the rest is 404', async () => {
  const a = await origin(named('a'))
  const b = await origin((req, res) => void res.end(`b ${req.headers.host}`))
  const url = await urlOf(
    proxyOf({
      upstreams: { a: a.url, b: b.url },
      routes: [
        { path: '/a', upstream: 'a' },
        { path: '/a', method: 'DELETE', upstream: 'b', hostHeader: { fixed: 'deleted.example' } },
        {
          path: '=/teapot',
          upstream: 'a',
          use: [() => () => ({ status: 418, headers: [], body: 'short and stout' })],
        },
      ],
    }),
  )
  expect(await text(`${url}/a/x`)).toBe('a /a/x')
  expect(await text(`${url}/a`, { method: 'DELETE' })).toBe('b deleted.example')
  expect(await text(`${url}/teapot`)).toBe('short and stout')
  expect((await fetch(`${url}/none`)).status).toBe(404)
})

it('asks onError, and sends what it gives', async () => {
  const heard: string[] = []
  const proxy = proxyOf({
    upstreams: { gone: { targets: ['http://127.0.0.1:1'], retry: false } },
    onError(error: ProxyError, ctx) {
      heard.push(`${error.code} ${ctx.out.path}`)
      return ctx.out.path === '/page'
        ? { status: 503, headers: ['x-page', '1'], body: 'our page' }
        : undefined
    },
  })
  const url = await urlOf(proxy)
  expect(await text(`${url}/page`)).toBe('our page')
  expect((await fetch(`${url}/other`)).status).toBe(502)
  expect(heard).toEqual(['connection_refused /page', 'connection_refused /other'])
})

it('runs layers of its user, outermost first, with the client known', async () => {
  const a = await origin((req, res) => void res.end(String(req.headers['x-order'])))
  const url = await urlOf(
    proxyOf({
      upstreams: { a: a.url },
      use: [
        (next) => (ctx) => {
          ctx.out.headers.push('X-Order', `1 ${ctx.client.address}`)
          return next(ctx)
        },
        (next) => (ctx) => {
          ctx.out.headers.push('X-Order', '2')
          return next(ctx)
        },
      ],
    }),
  )
  expect(await text(url)).toBe('1 127.0.0.1, 2')
})

it('gives the next target what the first refused, and leaves no lease', async () => {
  const a = await origin(named('a'))
  const proxy = proxyOf({ upstreams: { a: { targets: ['http://127.0.0.1:1', a.url], balance: 'first' } } })
  const url = await urlOf(proxy)
  for (let i = 0; i < 5; i++)
    expect(await text(url, { method: i % 2 === 0 ? 'GET' : 'POST', body: null })).toBe('a /')
  expect(await text(url, { method: 'POST', body: 'not sent before' })).toBe('a /')
  const upstream = proxy.upstreams.get('a')
  await until(() => upstream?.all.every(({ inFlight }) => inFlight === 0), 'every lease to end')
})

it('has one budget of further tries for all routes of an upstream', async () => {
  const a = await origin(named('a'))
  const breaks = own(
    await rawOrigin(async (connection) => {
      await connection.head()
      connection.reset()
    }),
  )
  const proxy = proxyOf({
    upstreams: {
      a: {
        targets: [breaks.url, a.url],
        balance: 'first',
        ejection: false,
        retry: { budget: { share: 0.5, min: 0 } },
      },
    },
    routes: [
      { path: '/x', upstream: 'a' },
      { path: '/y', upstream: 'a' },
    ],
  })
  const url = await urlOf(proxy)
  // One in two: the first can't have it, the second on another route can.
  expect((await fetch(`${url}/x`)).status).toBe(502)
  expect(await text(`${url}/y`)).toBe('a /y')
})

describe('policies', () => {
  const three = () => Promise.all(['a', 'b', 'c'].map((name) => origin(named(name))))

  it('take turns by weight, counted over all routes', async () => {
    const [a, b] = (await three()) as [Origin, Origin]
    const proxy = proxyOf({
      upstreams: {
        site: { targets: [{ url: a.url, weight: 2 }, b.url], balance: 'weighted-round-robin' },
      },
      routes: [
        { path: '/x', upstream: 'site' },
        { path: '/y', upstream: 'site' },
      ],
    })
    const url = await urlOf(proxy)
    const seen: string[] = []
    for (let i = 0; i < 6; i++) seen.push((await text(url + (i % 2 === 0 ? '/x' : '/y')))[0] as string)
    expect(seen.join('')).toBe('abaaba')
  })

  it.each(['weighted-random', 'peak-ewma', 'least-requests'] as const)('%s serves', async (balance) => {
    const targets = (await three()).map(({ url }) => url)
    expect(await text(await urlOf(proxyOf({ upstreams: { a: { targets, balance } } })))).toMatch(/^[abc] /)
  })

  it.each<[string, string, string, (value: string) => [string, RequestInit]]>([
    ['ring', 'header:X-Tenant', 'a field', (value) => ['/', { headers: { 'x-tenant': value } }]],
    ['maglev', 'cookie:id', 'a cookie', (value) => ['/', { headers: { cookie: `x=y; id=${value}` } }]],
    ['rendezvous', 'path', 'the path', (value) => [`/${value}?${Math.random()}`, {}]],
    [
      'ring',
      'client',
      'the client',
      (value) => ['/', { headers: { 'x-forwarded-for': `192.0.2.${value}` } }],
    ],
  ])('%s by %s goes by %s', async (policy, key, _what, of) => {
    const targets = (await three()).map(({ url }) => url)
    const balance = { policy, key } as KeyedPolicyOption
    const url = await urlOf(proxyOf({ upstreams: { a: { targets, balance } }, trust: ['127.0.0.1'] }))
    const ask = async (value: number): Promise<string> => {
      const [path, init] = of(String(value))
      return (await text(url + path, init))[0] as string
    }
    const homes = await Promise.all(Array.from({ length: 24 }, (_, i) => ask(i)))
    expect(new Set(homes).size).toBe(3)
    expect(await Promise.all(Array.from({ length: 24 }, (_, i) => ask(i)))).toEqual(homes)
  })

  it('give targets of a lower priority what those above can not take', async () => {
    const [a, b, c] = (await three()) as [Origin, Origin, Origin]
    const targets = [a.url, b.url, { url: c.url, priority: 1 }]
    const proxy = proxyOf({ upstreams: { site: { targets, overflow: 1 } } })
    const url = await urlOf(proxy)
    const upstream = proxy.upstreams.get('site')
    upstream?.eject(upstream.all[0] as never, 'ejection', 'failures')
    const seen = new Set<string>()
    await until(async () => {
      seen.add((await text(url))[0] as string)
      return seen.size === 2
    }, 'both tiers to serve')
    expect([...seen].sort()).toEqual(['b', 'c'])
  })

  it('keep to the zone of the proxy as long as it has enough targets', async () => {
    const [a, b, c] = (await three()) as [Origin, Origin, Origin]
    const targets = [
      { url: a.url, zone: 'eu' },
      { url: b.url, zone: 'eu' },
      { url: c.url, zone: 'us' },
    ]
    const proxy = proxyOf({
      upstreams: {
        one: { targets, balance: 'round-robin', preferZone: 'eu' },
        two: { targets, balance: 'round-robin', preferZone: { zone: 'us', min: 2 } },
      },
      routes: [
        { path: '/one', upstream: 'one' },
        { path: '/two', upstream: 'two' },
      ],
    })
    const url = await urlOf(proxy)
    const asked = async (path: string): Promise<string> => {
      const seen = new Set<string>()
      for (let i = 0; i < 6; i++) seen.add((await text(url + path))[0] as string)
      return [...seen].sort().join('')
    }
    expect([await asked('/one'), await asked('/two')]).toEqual(['ab', 'abc'])
    for (const id of [a.url, b.url]) proxy.upstreams.get('one')?.drain(new URL(id).origin)
    expect(await asked('/one')).toBe('c')
  })

  it('ask a subset of the targets, which instances share out among them', async () => {
    const targets = (await three()).map(({ url }) => url)
    const seen = new Set<string>()
    for (const seed of [0, 1, 2, 3, 4]) {
      const proxy = proxyOf({ upstreams: { a: { targets, subset: { size: 1, seed } } } })
      const url = await urlOf(proxy)
      const own = new Set<string>()
      for (let i = 0; i < 4; i++) own.add((await text(url))[0] as string)
      expect(own.size).toBe(1)
      for (const each of own) seen.add(each)
    }
    expect([...seen].sort()).toEqual(['a', 'b', 'c'])
  })

  it.each<[string, UpstreamOptions['slowStart'], UpstreamOptions['balance'], number]>([
    ['a time', '1h', 'weighted-round-robin', 3],
    ['an object', { window: '1h', from: 0.5 }, 'weighted-round-robin', 11],
    ['none', 0, 'weighted-round-robin', 16],
    ['one of the policy, and not twice', undefined, slowStart(weightedRoundRobin(), '1h', { from: 0.5 }), 11],
  ])('warm up a target that joins, by %s', async (_name, slow, balance, expected) => {
    const [a, b] = (await three()) as [Origin, Origin]
    const warm = slow === undefined ? {} : { slowStart: slow }
    const options = { targets: [a.url], ...(balance === undefined ? {} : { balance }), ...warm }
    const proxy = proxyOf({ upstreams: { site: options } })
    const url = await urlOf(proxy)
    proxy.upstreams.get('site')?.replace([a.url, b.url])
    let fresh = 0
    for (let i = 0; i < 33; i++) if ((await text(url)).startsWith('b')) fresh++
    expect(fresh).toBe(expected)
  })

  it('keep clients on their targets by a cookie of each upstream', async () => {
    const [a, b] = (await three()) as [Origin, Origin]
    const sticky = { secret: 'secret' }
    const proxy = proxyOf({
      upstreams: {
        'our shop': { targets: [a.url, b.url], sticky },
        site: { targets: [a.url, b.url], balance: 'round-robin', sticky },
      },
      routes: [
        { path: '/shop', upstream: 'our shop' },
        { path: '/', upstream: 'site' },
      ],
    })
    const url = await urlOf(proxy)
    const cookies: string[] = []
    const homes: Record<string, string> = {}
    for (const path of ['/shop', '/']) {
      const answer = await fetch(url + path)
      cookies.push((answer.headers.get('set-cookie') as string).split(';', 1)[0] as string)
      homes[path] = (await answer.text())[0] as string
    }
    expect(cookies.map((cookie) => cookie.split('=', 1)[0])).toEqual(['sluice_our.20shop', 'sluice_site'])
    for (let i = 0; i < 4; i++) {
      for (const [path, home] of Object.entries(homes)) {
        const answer = await fetch(url + path, { headers: { cookie: cookies.join('; ') } })
        expect(answer.headers.has('set-cookie')).toBe(false)
        expect((await answer.text())[0]).toBe(home)
      }
    }
  })
})

it('takes targets out that fail their probes, and back in', async () => {
  let fit = false
  const sick = await origin((req, res) => {
    if (req.url === '/health' && !fit) res.statusCode = 500
    res.end('sick')
  })
  const well = await origin(() => {})
  well.server.removeAllListeners('request')
  well.server.on('request', (_req, res) => res.end('well'))
  const proxy = proxyOf({
    upstreams: {
      site: {
        targets: [sick.url, well.url],
        health: { path: '/health', interval: 20, unhealthyInterval: 10, rise: 2, fall: 2 },
      },
    },
  })
  const states = () => [...(proxy.upstreams.get('site')?.all ?? [])].map(({ state }) => state).join()
  await until(() => states() === 'unhealthy,healthy', 'the verdicts')
  const url = await urlOf(proxy)
  for (let i = 0; i < 6; i++) expect(await text(url)).toBe('well')
  fit = true
  await until(() => states() === 'healthy,healthy', 'the recovery')
})

it('probes by the type that is named, and marks what has no such thing', async () => {
  const a = await origin()
  const proxy = proxyOf({
    upstreams: {
      tcp: { targets: [a.url], health: { type: 'tcp', interval: 20 } },
      grpc: { targets: [a.url], health: { type: 'grpc', service: 'a.B', interval: 20 } },
    },
    routes: [
      { path: '/', upstream: 'tcp' },
      { path: '/grpc', upstream: 'grpc' },
    ],
  })
  const stateOf = (name: string) => proxy.upstreams.get(name)?.all[0]?.state
  await until(() => stateOf('tcp') === 'healthy' && stateOf('grpc') === 'unhealthy', 'the verdicts')
})

it('ejects nobody with ejection: false', async () => {
  const sick = await origin((_req, res) => void res.writeHead(503).end())
  const targets = [sick.url, (await origin()).url]
  const proxy = proxyOf({
    upstreams: { a: { targets, ejection: false }, b: { targets } },
    routes: [
      { path: '/a', upstream: 'a' },
      { path: '/b', upstream: 'b' },
    ],
  })
  const url = await urlOf(proxy)
  for (let i = 0; i < 12; i++) {
    await text(`${url}/a`)
    await text(`${url}/b`)
  }
  const states = (name: string) => proxy.upstreams.get(name)?.all.map(({ state }) => state)
  expect([states('a'), states('b')]).toEqual([
    ['unknown', 'unknown'],
    ['ejected', 'unknown'],
  ])
})

describe('close', () => {
  it('answers 503 with Connection: close wherever it is still called', async () => {
    const a = await origin(named('a'))
    const proxy = proxyOf(a.url)
    const server = createServer(proxy.listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    own({ close: () => ending(server) })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await text(url)).toBe('a /')
    await proxy.close()
    const response = await fetch(url)
    expect([response.status, response.headers.get('connection')]).toEqual([503, 'close'])
    await expect(proxy.listen()).rejects.toThrow('closed')
    await proxy.close()
  })

  it('leaves no server behind that was about to listen', async () => {
    const proxy = createProxy('http://127.0.0.1:1')
    const listening = proxy.listen()
    await proxy.close()
    await expect(listening).rejects.toThrow('closed')
  })

  it('lets what is in flight finish, and takes nothing new', async () => {
    const slow = await origin(() => {})
    const proxy = createProxy(slow.url)
    const url = await urlOf(proxy)
    const answer = text(`${url}/slow`)
    const { res } = await slow.request()
    const closing = proxy.close()
    await expect(fetch(url)).rejects.toThrow()
    res.end('whole')
    expect(await answer).toBe('whole')
    await closing
  })

  it('ends what does not finish within the drain: requests and tunnels', async () => {
    const slow = await origin(() => {})
    const sockets = new WebSocketServer({ server: slow.server })
    const proxy = createProxy(slow.url)
    const url = await urlOf(proxy)
    const lost = fetch(`${url}/never`).then(
      ({ status }) => status,
      () => 'cut',
    )
    await slow.request()
    const socket = new WebSocket(url.replace('http', 'ws'))
    await once(socket, 'open')
    const closed = once(socket, 'close')
    await proxy.close({ drain: 1 })
    await closed
    expect([503, 502, 'cut']).toContain(await lost)
    sockets.close()
  })
})

it('attaches below a path, strips it, for upgrades too, and leaves the rest to others', async () => {
  const a = await origin(named('a'))
  const sockets = new WebSocketServer({ server: a.server })
  sockets.on('connection', (socket, req) => socket.send(String(req.url)))
  const server = createServer((req, res) => {
    if (!/^\/api(\/|$)/.test(String(req.url))) res.end('the app')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({ close: () => ending(server) })
  const { port } = server.address() as AddressInfo
  const detach = proxyOf(a.url).attach(server, { path: '/api/' })
  expect(await text(`http://127.0.0.1:${port}/api/x?y`)).toBe('a /x?y')
  expect(await text(`http://127.0.0.1:${port}/apis`)).toBe('the app')
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/live`)
  const [message] = (await once(socket, 'message')) as [Buffer]
  expect(String(message)).toBe('/live')
  socket.close()
  await once(socket, 'close')
  detach()
  expect(server.listenerCount('upgrade')).toBe(0)
})

it('speaks HTTP/2 to targets where it is told to', async () => {
  const target = createHttp2Server((req, res) => {
    res.end(`HTTP/${req.httpVersion} ${req.method} ${req.url}`)
  })
  target.listen(0, '127.0.0.1')
  await once(target, 'listening')
  const url = `http://127.0.0.1:${(target.address() as AddressInfo).port}`
  const proxy = own(createProxy({ upstreams: { api: { targets: [url], http2: 'prior-knowledge' } } }))
  const { port } = await proxy.listen()
  const answer = await fetch(`http://127.0.0.1:${port}/a?b`)
  expect(await answer.text()).toBe('HTTP/2.0 GET /a?b')
  await proxy.close()
  await new Promise((resolve) => target.close(resolve))
})

it('keeps to the connections of an upstream where a target does not choose HTTP/2', async () => {
  const sockets = new Set<unknown>()
  const { url } = await origin((req, res) => {
    sockets.add(req.socket)
    res.end('ok')
  })
  const proxy = proxyOf({ upstreams: { api: { targets: [url], http2: 'alpn', connections: 1 } } })
  const { port } = await proxy.listen()
  const ask = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/`)).text()
  expect(await Promise.all([ask(), ask(), ask()])).toEqual(['ok', 'ok', 'ok'])
  expect(sockets.size).toBe(1)
})

it('is a handler that ends a chain, and passes on what it does not take', async () => {
  const a = await origin(named('a'))
  const proxy = proxyOf({ upstreams: { a: a.url }, routes: [{ path: '/a', upstream: 'a' }] })
  const handler = chain()
    .use((next) => async (ctx) => {
      const reply = await next(ctx)
      return reply === unhandled ? { status: 200, headers: [], body: 'mine' } : reply
    })
    .handle(proxy.handler)
  const outer = createProxy({ upstreams: { none: 'http://127.0.0.1:1' }, use: [() => handler] })
  own({ close: () => outer.close({ drain: 0 }) })
  const url = await urlOf(outer)
  expect([await text(`${url}/a`), await text(`${url}/b`)]).toEqual(['a /a', 'mine'])
})

it('says what a server takes where it was given the handler', () => {
  const proxy = createProxy('http://127.0.0.1:1')
  own({ close: () => proxy.close() })
  const came = new IncomingMessage(new Socket())
  expect(() => proxy.handler(came as never)).toThrow(/takes a context.*of a proxy its listener/)
})

it('keeps connections to clients and to targets', async () => {
  const a = await origin(named('a'))
  const url = new URL(await urlOf(proxyOf(a.url)))
  const { Agent } = await import('node:http')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  own({ close: () => agent.destroy() })
  for (let i = 0; i < 5; i++) {
    const [res] = await once(request({ host: url.hostname, port: url.port, agent }).end(), 'response')
    res.resume()
    await once(res, 'end')
  }
  expect(a.connections).toBe(1)
})

it('leaves nothing at work when its options are refused', async () => {
  const a = await origin()
  let watched = 0
  const targets = {
    watch: () => {
      watched++
      return { [Symbol.dispose]: () => void watched-- }
    },
  }
  const health = { interval: '10ms' as const, jitter: 0 }
  const routes = [{ upstream: 'a' }]
  for (const options of [
    { upstreams: { a: { targets }, b: ['nonsense'] }, routes },
    { upstreams: { a: { targets }, b: { targets: [a.url], health } }, routes, trust: ['nonsense'] },
    { upstreams: { a: { targets }, b: { targets: [a.url], health } }, routes: [...routes, ...routes] },
  ] as ProxyOptions[]) {
    expect(() => createProxy(options)).toThrow(TypeError)
    expect(watched).toBe(0)
  }
  // A probe that was begun comes before this one, which the same target has to answer.
  const proxy = proxyOf({ upstreams: { a: { targets: [a.url], health: { ...health, path: '/mine' } } } })
  await until(() => proxy.upstreams.get('a')?.all[0]?.state === 'healthy', 'a probe that is ours')
  expect(a.requests.filter(({ url }) => url !== '/mine')).toEqual([])
})

it('tells who debugs of a request that no route takes', async () => {
  const a = await origin()
  const url = await urlOf(proxyOf({ upstreams: { a: a.url }, routes: [{ path: '/a', upstream: 'a' }] }))
  const said: string[] = []
  const { log } = debug
  debug.log = (...args: unknown[]) => void said.push(format(...args))
  debug.enable('sluice:proxy')
  try {
    await fetch(`${url}/a`)
    expect(said.join()).not.toContain('no route')
    expect((await fetch(`${url}/b?x`)).status).toBe(404)
  } finally {
    debug.disable()
    debug.log = log
  }
  expect(said.join()).toMatch(/no route takes GET 127\.0\.0\.1:\d+\/b\?x/)
})
