import { createServer } from 'node:http'
import { createServer as createTls } from 'node:https'
import { connect as connectTcp, type LookupFunction } from 'node:net'
import { targetFrom } from '@sluice/balance'
import { attach, chain, ProxyError, toListener } from '@sluice/core'
import {
  type ConnectHook,
  forward,
  http2Transport,
  type LookupAll,
  safeTargets,
  type Transport,
  undiciTransport,
  wireTransport,
} from '@sluice/forward'
import type { TargetInit } from '@sluice/upstream'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { ask, send, targetOf } from '../kit/attempt.js'
import { testAuthority } from '../kit/authority.js'
import { http2Origin } from '../kit/http2-origin.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()
const prohibited = { code: 'destination_ip_prohibited', status: 502, retryable: false }
const at =
  (...addresses: unknown[]): LookupAll =>
  (_name, _options, callback) =>
    callback(null, addresses.map((address) => ({ address, family: 'strange' })) as never)

describe.each([
  ['wireTransport', (connect: ConnectHook) => wireTransport({ connect }), () => originServer()],
  [
    'wireTransport with proxyProtocol',
    (connect: ConnectHook) => wireTransport({ connect, proxyProtocol: 1 as const }),
    undefined,
  ],
  ['http2Transport', (connect: ConnectHook) => http2Transport({ connect }), () => http2Origin()],
] as const)('%s', (_name, make, origin) => {
  const client = { source: { address: '127.0.0.1', port: 1 }, destination: { address: '127.0.0.1', port: 2 } }
  const from = (transport: Transport) =>
    send(transport, targetOf('http://a.test:9'), {}, {}, { client: client as never })

  it.each<[string, LookupAll, object]>([
    [
      'throws',
      () => {
        throw new Error('a bug')
      },
      { code: 'proxy_internal_error' },
    ],
    ['gives nothing', (_n, _o, callback) => callback(null, undefined as never), prohibited],
    ['gives one text', (_n, _o, callback) => callback(null, '127.0.0.1' as never), prohibited],
    ['gives null for an address', (_n, _o, callback) => callback(null, [null] as never), prohibited],
    ['gives no address', at(), { code: 'dns_error' }],
    ['gives a zone', at('fe80::1%lo', 'fe80::1%1'), prohibited],
  ])('bears a lookup that %s, and keeps no pool', async (_what, lookup, error) => {
    const transport = make(safeTargets({ lookup }))
    await expect(from(transport)).rejects.toMatchObject(error)
    await transport.close()
  })

  it('bears a lookup that never answers: the connect timeout counts', async () => {
    const transport = make(safeTargets({ lookup: () => {} }))
    await expect(
      send(transport, targetOf('http://a.test'), {}, { connect: 20 }, { client: client as never }),
    ).rejects.toMatchObject({ code: 'connection_timeout' })
    await transport.close()
  })

  it('bears a hook of one’s own whose lookup gives junk', async () => {
    const gives: LookupFunction[] = [
      (_n, _o, callback) => callback(null, []),
      (_n, _o, callback) => callback(null, undefined as never),
      (_n, _o, callback) => callback(null, [{ address: 'a.test', family: 4 }]),
    ]
    for (const lookup of gives) {
      const transport = make({ check() {}, lookup })
      await expect(from(transport)).rejects.toBeInstanceOf(ProxyError)
      await transport.close()
    }
  })

  it('lets nothing pass for a check that is async', async () => {
    const check = (() => Promise.reject(new Error('refused, but too late'))) as ConnectHook['check']
    const transport = make({ check })
    await expect(from(transport)).rejects.toMatchObject({ code: 'proxy_internal_error' })
    await transport.close()
  })

  it('tries only checked addresses, one after the other', async () => {
    if (origin === undefined) return
    const good = own(await origin())
    const bad = createServer()
    let met = 0
    bad.on('connection', (socket) => {
      met++
      socket.destroy()
    })
    await new Promise<void>((resolve) => bad.listen(good.port, '127.0.0.2', resolve))
    own({ close: () => void bad.close() })
    const hook = safeTargets({
      allow: ['127.0.0.1', '127.0.0.3'],
      lookup: at('127.0.0.3', '127.0.0.2', '127.0.0.1'),
    })
    expect(await ask(own(make(hook)), targetOf(`http://a.test:${good.port}`))).toBe('ok')
    expect(met).toBe(0)
  })
})

it('takes IPv4-mapped ranges for IPv4, and no other range of IPv6', () => {
  const passes = (allow: string[], host: string): boolean => {
    try {
      safeTargets({ allow }).check({ host, port: 80 })
      return true
    } catch {
      return false
    }
  }
  expect(passes(['::ffff:10.0.0.0/104'], '10.1.2.3')).toBe(true)
  expect(passes(['::ffff:10.0.0.0/104'], '::ffff:a01:203')).toBe(true)
  expect(passes(['::ffff:10.0.0.0/104'], '11.0.0.1')).toBe(true) // public anyway
  expect(passes(['::ffff:10.0.0.0/104'], '192.168.0.1')).toBe(false)
  expect(passes(['::/0'], '10.1.2.3')).toBe(false)
  expect(passes(['::/0'], 'fd00::1')).toBe(true)
  expect(passes([], '2a00:1:2:3:0:5efe:10.0.0.1')).toBe(false)
  expect(passes([], '2a00:1:2:3:200:5efe:169.254.169.254')).toBe(false)
  expect(passes([], '2002:808:808::200:5efe:127.0.0.1')).toBe(false)
  expect(passes([], '2a00:1:2:3:0:5efe:8.8.8.8')).toBe(true)
})

it('names what is wrong in allow by its place, and takes sockets as targets write them', () => {
  expect(() => safeTargets({ allow: ['unix:/a.sock', '10.0.0.1/8'] })).toThrow('safeTargets.allow[1]')
  expect(() => safeTargets({ allow: ['10.0.0.0/8', 'unix:a.sock'] })).toThrow('safeTargets.allow[1]')
  const hook = safeTargets({ allow: ['unix:///run/a.sock'] })
  expect(() => hook.check({ path: '/run/a.sock' })).not.toThrow()
})

it('createProxy puts the hook of a given transport before what stands behind it', async () => {
  const inside = own(await originServer())
  const transport = own(http2Transport({ connect: safeTargets() }))
  const proxy = own(
    createProxy({
      upstreams: { app: { targets: [inside.url], transport } },
      guard: { validate: { connect: 'pass' } },
    }),
  )
  const { port } = await proxy.listen()
  const socket = connectTcp(port, '127.0.0.1', () =>
    socket.write('CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n'),
  )
  own({ close: () => socket.destroy() })
  const head = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))))
  expect(head).toMatch(/^HTTP\/1.1 502/)
  expect(inside.connections).toBe(0)
})

describe.each<[string, () => Transport]>([
  ['wireTransport', () => wireTransport()],
  ['undiciTransport', () => undiciTransport()],
])('targetFrom over %s', (_name, make) => {
  async function app(fn: (path: string) => TargetInit | undefined, max = 1) {
    const transport = make()
    own({ close: () => transport.close(true) })
    const handler = chain()
      .use(targetFrom((ctx) => fn(ctx.out.path), { max }))
      .handle(forward({ transport }))
    const { port } = own(await listen(createServer(toListener(handler))))
    return { transport, get: (path: string) => fetch(`http://127.0.0.1:${port}${path}`) }
  }

  it('what falls out during an exchange serves it to its end, and closes then', async () => {
    const one = own(await originServer((_req, res) => res.write('a')))
    const two = own(await originServer())
    const { get } = await app((path) => (path === '/1' ? one.url : two.url))
    const answer = await get('/1')
    await (await get('/2')).text()
    expect(one.sockets).toBe(1)
    ;(await one.request()).res.end('b')
    expect(await answer.text()).toBe('ab')
    await until(() => one.sockets === 0, 'the connection of the first to be closed')
  })

  it('makes one target of requests that come together, in whatever way its URL is written', async () => {
    const one = own(await originServer())
    const made = new Set<unknown>()
    const { transport } = await app(() => one.url)
    const handler = chain()
      .use(targetFrom((ctx) => (ctx.out.path === '/1' ? one.url : `${one.url.replace('http', 'HTTP')}/`)))
      .handle((ctx) => {
        made.add(ctx.target)
        return forward({ transport })(ctx)
      })
    const { port } = own(await listen(createServer(toListener(handler))))
    const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
    expect(await Promise.all([get('/1'), get('/2'), get('/1')])).toEqual(['ok', 'ok', 'ok'])
    expect(made.size).toBe(1)
  })

  it('closes connections with the transport', async () => {
    const one = own(await originServer())
    const { get, transport } = await app(() => one.url)
    await (await get('/')).text()
    await transport.close()
    await until(() => one.sockets === 0, 'the connections to be closed')
  })

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('secret')
      },
    ],
    ['is async', () => Promise.reject(new Error('secret'))],
    ['gives null', () => null],
    ['gives a number', () => 7],
    ['gives an empty object', () => ({})],
  ])('a function that %s is 500 and tells nothing', async (_what, fn) => {
    const { get } = await app(fn as never)
    const answer = await get('/')
    expect(answer.status).toBe(500)
    expect(await answer.text()).not.toContain('secret')
  })
})

it('the pool of http2Transport hears that its target has fallen out', async () => {
  const [one, two] = [own(await http2Origin()), own(await http2Origin())]
  const transport = own(http2Transport())
  const handler = chain()
    .use(targetFrom((ctx) => (ctx.out.path === '/1' ? one.url : two.url), { max: 1 }))
    .handle(forward({ transport }))
  const { port } = own(await listen(createServer(toListener(handler))))
  for (const path of ['/1', '/2']) await (await fetch(`http://127.0.0.1:${port}${path}`)).text()
  await until(() => one.sessions.size === 0, 'the connection of the first to be closed')
  expect(two.sessions.size).toBe(1)
})

it('an upgrade asks the hook, and without a target it is nobody’s', async () => {
  const inside = own(await originServer())
  const server = createServer()
  const transport = own(wireTransport({ connect: safeTargets() }))
  attach(
    server,
    chain()
      .use(targetFrom((ctx) => (ctx.out.path === '/none' ? undefined : inside.url)))
      .handle(forward({ transport })),
  )
  const { port } = own(await listen(server))
  const statusOf = (path: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connectTcp(port, '127.0.0.1', () =>
        socket.write(
          `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
        ),
      )
      own({ close: () => socket.destroy() })
      socket.once('data', (data) => resolve(String(data).slice(9, 12)))
    })
  expect(await statusOf('/')).toBe('502')
  expect(await statusOf('/none')).toBe('404')
  expect(inside.connections).toBe(0)
})

it('asks again for each connection, whatever TLS session there is, and what it refuses isn’t tried again', async () => {
  const authority = testAuthority()
  skipUnless(authority !== undefined, 'needs openssl')
  if (authority === undefined) return
  const server = createTls(authority.issue('DNS:a.test'), (_req, res) => {
    res.setHeader('Connection', 'close')
    res.end('ok')
  })
  const { port } = own(await listen(server))
  let asked = 0
  const lookup: LookupAll = (_name, _options, callback) =>
    callback(null, [{ address: asked++ === 0 ? '127.0.0.1' : '169.254.169.254', family: 4 }])
  const connect = safeTargets({ allow: ['127.0.0.1'], lookup })
  const targets = [{ url: `https://a.test:${port}`, tls: { ca: authority.cert } }]
  const proxy = own(createProxy({ upstreams: { app: { targets, connect } } }))
  const listening = await proxy.listen()
  const get = () => fetch(`http://127.0.0.1:${listening.port}/`)
  expect(await (await get()).text()).toBe('ok')
  const refused = await get()
  expect(refused.status).toBe(502)
  const told = `${await refused.text()} ${JSON.stringify([...refused.headers])}`
  expect(told).not.toMatch(/169|a\.test|prohibited|link-local/)
  expect(asked).toBe(2)
})
