import { createServer } from 'node:http'
import { balance, targetFrom } from '@sluice/balance'
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
import { createUpstream } from '@sluice/upstream'
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

/** Names without DNS: each lookup of a name takes its next answer, and the last one from then on. */
function names(answers: Record<string, string[][]>): LookupAll & { asked: string[] } {
  const asked: string[] = []
  const lookup: LookupAll = (name, _options, callback) => {
    const list = answers[name.replace(/\.$/, '')]
    const nth = asked.filter((each) => each === name).length
    asked.push(name)
    const found = list?.[Math.min(nth, list.length - 1)]
    setImmediate(() => {
      if (found === undefined) callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), [])
      else
        callback(
          null,
          found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        )
    })
  }
  return Object.assign(lookup, { asked })
}

/** 127.0.0.1 stands for the one public address; all else of loopback stays refused. */
const allow = ['127.0.0.1/32']
const prohibited = { code: 'destination_ip_prohibited', status: 502, retryable: false }

interface Kind {
  name: string
  make(hook: ConnectHook): Transport
  origin(): Promise<{ port: number; connections: number; close(): Promise<void> }>
}
const kinds: Kind[] = [
  { name: 'wireTransport', make: (connect) => wireTransport({ connect }), origin: () => originServer() },
  { name: 'http2Transport', make: (connect) => http2Transport({ connect }), origin: () => http2Origin() },
]

describe.each(kinds)('safeTargets over $name', ({ make, origin }) => {
  it('resolves once, and connects to the address that it checked', async () => {
    const server = own(await origin())
    const lookup = names({ 'rebind.test': [['127.0.0.1'], ['127.0.0.2']] })
    const transport = own(make(safeTargets({ allow, lookup })))
    const target = targetOf(`http://rebind.test:${server.port}`)
    expect(await ask(transport, target)).toBe('ok')
    expect(await ask(transport, target)).toBe('ok')
    expect(lookup.asked).toEqual(['rebind.test'])
    expect(server.connections).toBe(1)
    // A new connection is a new question, and its answer is checked like the first.
    const other = targetOf(`http://rebind.test:${server.port}/`)
    await expect(send(transport, other)).rejects.toMatchObject(prohibited)
    expect(lookup.asked).toHaveLength(2)
  })

  it('uses only the allowed ones of mixed answers', async () => {
    const server = own(await origin())
    const lookup = names({ 'mixed.test': [['127.0.0.2', '::1', '169.254.169.254', '127.0.0.1', '10.0.0.1']] })
    const transport = own(make(safeTargets({ allow, lookup })))
    expect(await ask(transport, targetOf(`http://mixed.test:${server.port}`))).toBe('ok')
    expect(server.connections).toBe(1)
  })

  it('refuses a name that has refused addresses alone, with or without a dot behind it', async () => {
    const server = own(await origin())
    const lookup = names({ localhost: [['127.0.0.1', '::1']], 'six.test': [['::ffff:7f00:1']] })
    const transport = own(make(safeTargets({ lookup })))
    for (const name of ['localhost', 'localhost.', 'six.test', 'LOCALHOST'])
      await expect(send(transport, targetOf(`http://${name}:${server.port}`))).rejects.toMatchObject(
        prohibited,
      )
    expect(server.connections).toBe(0)
  })

  it.each(['127.0.0.1', '127.1', '2130706433', '0x7f.1', '017700000001', '[::1]', '[::ffff:127.0.0.1]', '0'])(
    'checks the address %s, without a lookup',
    async (host) => {
      const server = own(await origin())
      const lookup = names({})
      const transport = own(make(safeTargets({ lookup })))
      const error = await send(transport, targetOf(`http://${host}:${server.port}`)).catch((e: unknown) => e)
      expect(error).toMatchObject(prohibited)
      expect(lookup.asked).toEqual([])
      expect(server.connections).toBe(0)
    },
  )

  it('lets through what is allowed: an address, mapped too, and a socket by its path', async () => {
    const server = own(await origin())
    const transport = own(make(safeTargets({ allow: [...allow, 'unix:/nowhere/app.sock'] })))
    expect(await ask(transport, targetOf(`http://127.0.0.1:${server.port}`))).toBe('ok')
    await expect(send(transport, targetOf('unix:/nowhere/app.sock'))).rejects.toMatchObject({
      code: 'connection_refused',
    })
    await expect(send(transport, targetOf('unix:/nowhere/../nowhere/app.sock'))).rejects.toMatchObject(
      prohibited,
    )
    await expect(send(transport, targetOf('unix:/run/docker.sock'))).rejects.toMatchObject(prohibited)
  })

  it('a name that does not resolve stays a dns_error', async () => {
    const transport = own(make(safeTargets({ lookup: names({ 'empty.test': [[]] }) })))
    for (const name of ['nobody.test', 'empty.test'])
      await expect(send(transport, targetOf(`http://${name}`))).rejects.toMatchObject({ code: 'dns_error' })
  })

  it('takes a hook of one’s own', async () => {
    const transport = own(
      make({
        check(to) {
          if ('port' in to && to.port === 25) throw new ProxyError('http_request_error')
          throw new Error('a bug')
        },
      }),
    )
    await expect(send(transport, targetOf('http://a.test:25'))).rejects.toMatchObject({ status: 400 })
    await expect(send(transport, targetOf('http://a.test'))).rejects.toMatchObject({
      code: 'proxy_internal_error',
    })
  })
})

it('leaves the server name and the check of the certificate to the name', async () => {
  const authority = testAuthority()
  skipUnless(authority !== undefined, 'needs openssl')
  if (authority === undefined) return
  const { createServer: createTls } = await import('node:https')
  let servername: unknown
  const server = createTls(authority.issue('DNS:named.test'), (req, res) => {
    servername = (req.socket as unknown as { servername: unknown }).servername
    res.end('ok')
  })
  const { port } = own(await listen(server))
  const lookup = names({ 'named.test': [['127.0.0.1']], 'other.test': [['127.0.0.1']] })
  const transport = own(wireTransport({ connect: safeTargets({ allow, lookup }) }))
  const tls = { ca: authority.cert }
  expect(await ask(transport, targetOf({ url: `https://named.test:${port}`, tls }))).toBe('ok')
  expect(servername).toBe('named.test')
  await expect(send(transport, targetOf({ url: `https://other.test:${port}`, tls }))).rejects.toMatchObject({
    code: 'tls_certificate_error',
  })
})

describe('an app that fetches what its clients name', () => {
  /** `/?url=http://…`, the classic of SSRF. */
  async function app(
    transport: Transport,
  ): Promise<{ ask(path: string): Promise<Response>; codes: string[] }> {
    const codes: string[] = []
    const handler = chain()
      .use(
        targetFrom((ctx) => {
          const url = URL.parse?.(ctx.out.path, 'http://x')?.searchParams.get('url')
          return url ?? new URL(ctx.out.path, 'http://x').searchParams.get('url') ?? undefined
        }),
      )
      .handle(forward({ transport }))
    const server = createServer(
      toListener(async (ctx) => {
        try {
          return await handler(ctx)
        } catch (error) {
          codes.push((error as ProxyError).code)
          throw error
        }
      }),
    )
    const { port } = own(await listen(server))
    return { codes, ask: (path) => fetch(`http://127.0.0.1:${port}${path}`, { redirect: 'manual' }) }
  }

  it('reaches its insides without the hook, and does not with it', async () => {
    const inside = own(await originServer((_req, res) => void res.end('secret')))
    const open = await app(own(wireTransport()))
    expect(await (await open.ask(`/?url=http://127.1:${inside.port}`)).text()).toBe('secret')
    const safe = await app(own(wireTransport({ connect: safeTargets({ lookup: names({}) }) })))
    const answer = await safe.ask(`/?url=http://127.1:${inside.port}`)
    expect(answer.status).toBe(502)
    expect(await answer.text()).not.toMatch(/127|address|prohibited|private/)
    expect(safe.codes).toEqual(['destination_ip_prohibited'])
    expect(inside.connections).toBe(1)
  })

  it('is not led to the metadata by a redirect that it follows', async () => {
    const bad = own(
      await originServer((_req, res) => {
        res.writeHead(302, { Location: 'http://169.254.169.254/latest/meta-data/' })
        res.end()
      }),
    )
    const safe = await app(own(wireTransport({ connect: safeTargets({ allow, lookup: names({}) }) })))
    const first = await safe.ask(`/?url=http://127.0.0.1:${bad.port}`)
    expect(first.status).toBe(302)
    const next = await safe.ask(`/?url=${encodeURIComponent(first.headers.get('location') as string)}`)
    expect(next.status).toBe(502)
    expect(safe.codes).toEqual(['destination_ip_prohibited'])
  })

  it('says 404 where there is no target, and 500 for what is none', async () => {
    const safe = await app(own(wireTransport({ connect: safeTargets() })))
    expect((await safe.ask('/')).status).toBe(404)
    expect((await safe.ask('/?url=ftp://a.test')).status).toBe(500)
    expect(safe.codes).toEqual(['proxy_internal_error'])
  })

  it('keeps so many targets, and closes the connections of those that fall out', async () => {
    const [one, two] = [own(await originServer()), own(await originServer())]
    const handler = chain()
      .use(targetFrom((ctx) => (ctx.out.path === '/1' ? one.url : two.url), { max: 1 }))
      .handle(forward({ transport: own(wireTransport()) }))
    const { port } = own(await listen(createServer(toListener(handler))))
    const get = async (path: string): Promise<string> =>
      (await fetch(`http://127.0.0.1:${port}${path}`)).text()
    await get('/1')
    await get('/1')
    expect(one.connections).toBe(1)
    await get('/2')
    await until(() => one.sockets === 0, 'the connections of the first to be closed')
    expect(two.sockets).toBe(1)
  })
})

it('holds for what another transport carries in its place', async () => {
  const inside = own(await originServer())
  const upstream = createUpstream({ name: 'inside', targets: [inside.url] })
  const transport = own(http2Transport({ connect: safeTargets() }))
  const server = createServer()
  attach(server, chain().use(balance(upstream)).handle(forward({ transport })))
  const { port } = own(await listen(server))
  const { connect } = await import('node:net')
  const socket = connect(port, '127.0.0.1', () =>
    socket.write('CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n'),
  )
  own({ close: () => socket.destroy() })
  const head = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))))
  expect(head).toMatch(/^HTTP\/1.1 502/)
  expect(inside.connections).toBe(0)
})

it('is an option of an upstream, checked with the others', async () => {
  const origin = own(await originServer())
  const proxy = own(
    createProxy({ upstreams: { app: { targets: [origin.url], http2: 'alpn', connect: safeTargets() } } }),
  )
  const { port } = await proxy.listen()
  expect((await fetch(`http://127.0.0.1:${port}`)).status).toBe(502)
  expect(origin.connections).toBe(0)
  const wrong = { targets: ['http://a'], connect: safeTargets(), transport: wireTransport() }
  expect(() => createProxy({ upstreams: { app: wrong } })).toThrow(
    'upstreams.app.connect: got it with a transport',
  )
  expect(() => createProxy({ upstreams: { app: { targets: ['http://a'], connect: {} as never } } })).toThrow(
    'takes a connect hook',
  )
})

it('says what is wrong with its options', () => {
  expect(() => safeTargets({ allow: ['10.0.0.1/8', 'unix:app.sock'] })).toThrow('safeTargets.allow')
  expect(() => safeTargets({ allow: ['unix:app.sock'] })).toThrow('takes an absolute path')
  expect(() => safeTargets({ lookup: 1 as never })).toThrow('safeTargets.lookup')
  expect(() => wireTransport({ connect: {} as never })).toThrow('wireTransport.connect')
  expect(() => http2Transport({ connect: {} as never })).toThrow('http2Transport.connect')
  expect(() => undiciTransport({ connect: safeTargets() } as never)).toThrow('undiciTransport.connect')
})
