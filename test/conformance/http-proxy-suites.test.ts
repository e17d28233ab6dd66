import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer as createNetServer } from 'node:net'
import ours, { type ServerOptions } from '@sluice/http-proxy'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { httpClient } from '../kit/client.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

/** The same cases for http-proxy 1.18.1 and ours: what suites of http-proxy and its forks look at. */
const theirs = createRequire(new URL('../../packages/http-proxy/package.json', import.meta.url))(
  'http-proxy',
) as typeof ours
type Proxy = ReturnType<typeof ours.createProxyServer>

const own = owner()
trapUnhandled()

async function listens(server: Server, host = '127.0.0.1'): Promise<number> {
  if (!server.listening) {
    server.listen(0, host)
    await once(server, 'listening')
  }
  own({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  return (server.address() as AddressInfo).port
}

/** A proxy that listens by itself. */
async function standing(lib: typeof ours, options: ServerOptions): Promise<{ port: number; proxy: Proxy }> {
  const proxy = lib.createProxyServer(options).listen(0, '127.0.0.1')
  const server = proxy._server as Server
  await once(server, 'listening')
  return { port: await listens(server), proxy }
}

const client = (port: number): ReturnType<typeof httpClient> => own(httpClient({ port }))

describe.each([
  ['http-proxy', theirs],
  ['ours', ours],
] as const)('%s', (_name, lib) => {
  it('is a class with the functions on it', () => {
    const Named = lib as unknown as new (options: object) => Proxy
    const target = { host: '127.0.0.1', port: 1 }
    expect(new Named({ target })).toBeInstanceOf(lib)
    for (const name of ['createProxyServer', 'createServer', 'createProxy'] as const)
      expect(lib[name]({ target })).toBeInstanceOf(lib)
  })

  it('gives listen and close back, and can be closed without a callback', async () => {
    const proxy = lib.createProxyServer({ target: 'http://127.0.0.1:1' })
    expect(proxy.listen(0, '127.0.0.1')).toBe(proxy)
    const server = proxy._server as Server
    await once(server, 'listening')
    proxy.close()
    await within(once(server, 'close'), 'the close')
    expect(proxy._server).toBeNull()
  })

  it('takes a port alone for one of this machine', async () => {
    const port = await listens(
      createServer((req, res) => res.end(`saw ${req.url}`)),
      'localhost',
    )
    const { port: at } = await standing(lib, { target: { port } })
    expect((await client(at).ask({ path: '/a' })).text).toBe('saw /a')
  })

  it.each(['::1', 'localhost'])('reaches %s', async (host) => {
    const port = await listens(
      createServer((req, res) => res.end(req.headers.host)),
      host,
    )
    const name = host === '::1' ? '[::1]' : host
    const { port: at } = await standing(lib, { target: `http://${name}:${port}`, changeOrigin: true })
    expect((await client(at).ask()).text).toBe(`${name}:${port}`)
  })

  it.each(['localhost', '[::1]', '127.0.0.1'])('tells ECONNREFUSED of %s', async (host) => {
    const free = createNetServer().listen(0, '127.0.0.1')
    await once(free, 'listening')
    const { port } = free.address() as AddressInfo
    free.close()
    const { port: at, proxy } = await standing(lib, { target: `http://${host}:${port}` })
    const seen: unknown[] = []
    proxy.on('error', (error, req, res, target) => {
      seen.push(error.code, error instanceof Error, req.url, target?.host)
      ;(res as ServerResponse).writeHead(500, { 'Content-Type': 'text/plain' })
      ;(res as ServerResponse).end('went wrong')
    })
    expect(await client(at).ask({ path: '/x' })).toMatchObject({ status: 500, text: 'went wrong' })
    expect(seen).toEqual(['ECONNREFUSED', true, '/x', `${host}:${port}`])
  })

  it('answers HTTP/1.0 without Host, with xfwd', async () => {
    const origin = own(
      await originServer((req, res) => {
        res.write(`${req.headers.host} ${req.headers['x-forwarded-port']} `)
        res.end(String(req.headers['x-forwarded-for']))
      }),
    )
    const { port } = await standing(lib, { target: origin.url, xfwd: true })
    const raw = own(await rawClient(port))
    raw.write('GET / HTTP/1.0\r\n\r\n')
    await within(raw.closed, 'the end of the connection')
    expect(raw.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(raw.text).not.toMatch(/transfer-encoding/i)
    expect(raw.text.split('\r\n\r\n')[1]).toBe(`127.0.0.1:${origin.port} 80 127.0.0.1`)
  })

  it('tells econnreset of a client that `timeout` has ended', async () => {
    const silent = own(await rawOrigin())
    const { port, proxy } = await standing(lib, { target: silent.url, timeout: 60 })
    const told = once(proxy, 'econnreset') as Promise<[Error & { code?: string }, IncomingMessage, unknown]>
    const raw = own(await rawClient(port))
    raw.write('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf')
    const [error, req] = await within(told, 'econnreset')
    expect([error.code, req.url]).toEqual(['ECONNRESET', '/a'])
    await within(raw.closed, 'the end of the connection')
    expect(raw.text).toBe('')
  })

  it('hands the response to the listeners of an error of forward', async () => {
    const { port, proxy } = await standing(lib, { forward: 'http://127.0.0.1:1' })
    const told = once(proxy, 'error') as Promise<[Error & { code?: string }, IncomingMessage, unknown]>
    expect((await client(port).ask()).status).toBe(200)
    const [error, , res] = await within(told, 'the error')
    expect([error.code, typeof (res as ServerResponse).end]).toEqual(['ECONNREFUSED', 'function'])
  })

  it('answers from target where forward fails', async () => {
    const origin = own(await originServer((_req, res) => setTimeout(() => res.end('of target'), 20)))
    const { port, proxy } = await standing(lib, { target: origin.url, forward: 'http://127.0.0.1:1' })
    const told = once(proxy, 'error')
    expect((await client(port).ask()).text).toBe('of target')
    expect(((await within(told, 'the error'))[0] as { code?: string }).code).toBe('ECONNREFUSED')
  })

  it('goes through targets in turn, given in parts', async () => {
    const parts: { host: string; port: number }[] = []
    for (const name of ['a', 'b']) {
      const { port } = own(await originServer((_req, res) => void res.end(name)))
      parts.push({ host: '127.0.0.1', port })
    }
    const proxy = lib.createProxyServer({})
    own({ close: () => proxy.close() })
    const front = own(
      await originServer((req, res) => {
        const target = parts.shift() as { host: string; port: number }
        parts.push(target)
        proxy.web(req, res, { target })
      }),
    )
    const texts: string[] = []
    for (let i = 0; i < 4; i++) texts.push((await client(front.port).ask()).text)
    expect(texts.join('')).toBe('abab')
  })

  it('drops a fragment', async () => {
    const origin = own(await originServer((req, res) => void res.end(req.url)))
    const { port } = await standing(lib, { target: origin.url })
    const raw = own(await rawClient(port))
    raw.write('GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n')
    expect((await raw.responses())[0]?.body.toString()).toBe('/a?b')
  })

  it('takes a method in lower case', async () => {
    const origin = own(await originServer((req, res) => void res.end(req.method)))
    const { port } = await standing(lib, { target: origin.url, method: 'put' })
    expect((await client(port).ask()).text).toBe('PUT')
  })

  it.each([
    ['a=1; Domain=; Path=/', { cookieDomainRewrite: 'x.test' }, 'a=1; Domain=; Path=/'],
    ['a=1; domain=b.test', { cookieDomainRewrite: { 'b.test': '', '*': 'y' } }, 'a=1'],
    ['a=1; DOMAIN=b.test; Secure', { cookieDomainRewrite: { '*': 'y' } }, 'a=1; DOMAIN=y; Secure'],
    ['a=1; path=/p', { cookiePathRewrite: { '/other': '/n' } }, 'a=1; path=/p'],
    ['a=domain=b', { cookieDomainRewrite: 'y' }, 'a=domain=b'],
    ['a=1; Path=/p; Domain=d', { cookiePathRewrite: '', cookieDomainRewrite: 'e' }, 'a=1; Domain=e'],
  ])('rewrites %s by %j', async (cookie, options, becomes) => {
    const origin = own(await originServer((_req, res) => void res.setHeader('set-cookie', cookie).end()))
    const { port } = await standing(lib, { target: origin.url, ...(options as ServerOptions) })
    const { headers } = await client(port).ask()
    expect(headers[headers.findIndex((name) => name.toLowerCase() === 'set-cookie') + 1]).toBe(becomes)
  })

  it.each([201, 301, 302, 307, 308, 200, 303])(
    'rewrites host and scheme of a redirect at %i',
    async (status) => {
      const origin = own(
        await originServer(
          (req, res) => void res.writeHead(status, { location: `http://${req.headers.host}` }).end(),
        ),
      )
      const options = {
        target: origin.url,
        changeOrigin: true,
        hostRewrite: 'ext.test',
        protocolRewrite: 'https',
      }
      const { port } = await standing(lib, options)
      const { headers } = await client(port).ask()
      const found = headers[headers.findIndex((name) => name.toLowerCase() === 'location') + 1]
      const rewritten = status !== 200 && status !== 303
      expect(found).toBe(rewritten ? 'https://ext.test/' : `http://127.0.0.1:${origin.port}`)
    },
  )

  it('follows redirects to another host, without credentials', async () => {
    const second = own(
      await originServer((req, res) => {
        const { authorization, cookie, host } = req.headers
        res.end([req.url, host, authorization ?? '-', cookie ?? '-', req.headers['x-mine']].join(' '))
      }),
    )
    const first = own(
      await originServer(
        (_req, res) => void res.writeHead(302, { location: `http://localhost:${second.port}/b?c` }).end(),
      ),
    )
    const { port } = await standing(lib, { target: first.url, changeOrigin: true, followRedirects: true })
    const headers = ['Authorization', 'Basic x', 'Cookie', 'a=1', 'X-Mine', 'm']
    expect((await client(port).ask({ path: '/a', headers })).text).toBe(`/b?c localhost:${second.port} - - m`)
  })

  it('keeps within the sockets of an agent', async () => {
    const origin = own(await originServer((_req, res) => void res.end('x')))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    own({ close: () => agent.destroy() })
    const { port } = await standing(lib, { target: origin.url, agent })
    await Promise.all(Array.from({ length: 4 }, () => client(port).ask()))
    expect(origin.connections).toBe(1)
  })

  it('passes an upgrade on without a head, with options or a callback', async () => {
    const target = createServer()
    new WebSocketServer({ server: target }).on('connection', (socket) => socket.send('hi'))
    const port = await listens(target)
    const proxy = lib.createProxyServer({})
    own({ close: () => proxy.close() })
    const front = createServer()
    front.on('upgrade', (req, socket) => proxy.ws(req, socket, { target: `ws://127.0.0.1:${port}` } as never))
    const socket = new WebSocket(`ws://127.0.0.1:${await listens(front)}/`)
    own({ close: () => socket.terminate() })
    const [data] = (await within(once(socket, 'message'), 'the message')) as [Buffer]
    expect(data.toString()).toBe('hi')
  })

  it('leaves it to the target whether a handshake without a key will do', async () => {
    const target = createServer()
    target.on('upgrade', (_req, socket) =>
      socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\nraw'),
    )
    const { port } = await standing(lib, {
      target: `ws://127.0.0.1:${await listens(target)}`,
      ws: true,
    })
    const raw = own(await rawClient(port))
    raw.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    await within(raw.closed, 'the end of the tunnel')
    expect(raw.text).toMatch(/^HTTP\/1\.1 101 /)
    expect(raw.text.split('\r\n\r\n')[1]).toBe('raw')
  })

  it.each([
    ['', '/base', '/base'],
    ['?a=b', '/base', '/base?a=b'],
    ['?a=/b', '', '/?a=/b'],
    ['', '', '/'],
  ])('sends %j, of which an app has left no path, to %j as %s', async (url, base, becomes) => {
    const origin = own(await originServer((req, res) => void res.end(req.url)))
    const proxy = lib.createProxyServer({ target: origin.url + base })
    own({ close: () => proxy.close() })
    const front = own(
      await originServer((req, res) => {
        req.url = url
        proxy.web(req, res)
      }),
    )
    expect((await client(front.port).ask({ path: '/mount' })).text).toBe(becomes)
  })

  it('lets a listener of open read along', async () => {
    const target = createServer()
    new WebSocketServer({ server: target }).on('connection', (socket) => {
      socket.on('message', () => socket.send('marked'))
    })
    const { port, proxy } = await standing(lib, {
      target: `ws://127.0.0.1:${await listens(target)}`,
      ws: true,
    })
    let read = ''
    proxy.on('open', (socket) => socket.on('data', (chunk: Buffer) => (read += chunk.toString('latin1'))))
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
    own({ close: () => socket.terminate() })
    await within(once(socket, 'open'), 'the opening')
    socket.send('x')
    const [data] = (await within(once(socket, 'message'), 'the message')) as [Buffer]
    expect(data.toString()).toBe('marked')
    await until(() => read.includes('marked'), 'what was read along')
  })

  it('lets an upgrade fail with a reset at the client', async () => {
    const { port, proxy } = await standing(lib, { target: 'ws://127.0.0.1:1', ws: true })
    const told = once(proxy, 'error') as Promise<
      [Error & { code?: string }, IncomingMessage, { end: unknown }]
    >
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
    const [failed] = (await within(once(socket, 'error'), 'the failure')) as [Error & { code?: string }]
    const [error, req, theSocket] = await told
    expect([failed.code, error.code, req.url, typeof theSocket.end]).toEqual([
      'ECONNRESET',
      'ECONNREFUSED',
      '/',
      'function',
    ])
  })
})

describe('ours', () => {
  it('has web and ws that are listeners by themselves, where http-proxy needs its object', async () => {
    const origin = own(await originServer())
    const { web, ws } = ours.createProxyServer({ target: origin.url })
    const front = createServer(express().use(web))
    front.on('upgrade', ws)
    const port = await listens(front)
    expect((await client(port).ask()).text).toBe('ok')
    const raw = own(await rawClient(port))
    raw.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    await raw.until('ok')
  })

  it.each([false, true])(
    'sends no Trailer ahead of what has none, over which http-proxy waits for ever (agent: %s)',
    async (opens) => {
      const origin = own(await originServer((req, res) => void res.end(req.headers.trailer ?? 'none')))
      const agent = new (class extends Agent {})()
      own({ close: () => agent.destroy() })
      const { port } = await standing(ours, { target: origin.url, ...(opens && { agent }) })
      const raw = own(await rawClient(port))
      raw.write('GET / HTTP/1.1\r\nHost: a\r\nTrailer: x-sum\r\n\r\n')
      expect((await raw.responses())[0]?.body.toString()).toBe('none')
    },
  )

  it('sends its auth whatever the client says, where http-proxy sends what the client says', async () => {
    const origin = own(await originServer((req, res) => void res.end(req.headers.authorization)))
    const { port } = await standing(ours, { target: origin.url, auth: 'ann:secret' })
    const { text } = await client(port).ask({ headers: ['Authorization', 'Bearer x'] })
    expect(text).toBe('Basic YW5uOnNlY3JldA==')
  })

  it('tells the error of a request whose socket an app has taken away', async () => {
    const { port, proxy } = await standing(ours, { target: 'http://127.0.0.1:1' })
    proxy.on('proxyReq', (_proxyReq, req) => Object.defineProperty(req, 'socket', { value: undefined }))
    const told = once(proxy, 'error')
    own(await rawClient(port)).write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(((await within(told, 'the error'))[0] as { code?: string }).code).toBe('ECONNREFUSED')
  })

  it('ends what is under way when the client leaves after its request, where http-proxy goes on', async () => {
    const silent = own(await rawOrigin())
    const { port, proxy } = await standing(ours, { target: silent.url, timeout: 60 })
    const told = once(proxy, 'econnreset')
    const raw = own(await rawClient(port))
    raw.write('GET /a HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(((await within(told, 'econnreset'))[0] as { code?: string }).code).toBe('ECONNRESET')
    await until(() => silent.sockets === 0, 'the end at the target')
  })

  it.each([
    ['by itself', {}],
    ['over connections of an agent', { agent: new (class extends Agent {})() }],
    ['where it follows redirects', { followRedirects: true }],
  ])(
    'relays informational answers %s, which http-proxy drops (RFC 9110 section 15.2)',
    async (_how, options) => {
      const origin = own(
        await originServer((_req, res) => {
          res.writeEarlyHints({ link: '</a.css>; rel=preload' })
          res.end('x')
        }),
      )
      const { port } = await standing(ours, { target: origin.url, ...options })
      const call = client(port).call()
      expect((await call.answer()).text).toBe('x')
      expect(call.informed.map(({ status }) => status)).toEqual([103])
    },
  )
})
