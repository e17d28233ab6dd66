import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import ours, { type ServerOptions } from '@sluice/http-proxy'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

const theirs = createRequire(new URL('../../packages/http-proxy/package.json', import.meta.url))(
  'http-proxy',
) as typeof ours
type Proxy = ReturnType<typeof ours.createProxyServer>

const own = owner()
trapUnhandled()

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new Set<Duplex>()
  server.on('connection', (socket) => sockets.add(socket))
  own({
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  })
  return (server.address() as AddressInfo).port
}

/** A server of WebSocket that echoes, and what it was asked with. */
async function echoing(): Promise<{ port: number; asked: IncomingMessage[]; wss: WebSocketServer }> {
  const server = createServer()
  const asked: IncomingMessage[] = []
  const wss = new WebSocketServer({ server })
  wss.on('headers', (headers) => headers.push('Set-Cookie: a=1', 'Set-Cookie: b=2'))
  wss.on('connection', (socket, req) => {
    asked.push(req)
    socket.on('error', () => {})
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  })
  return { port: await listening(server), asked, wss }
}

async function fronting(
  lib: typeof ours,
  options: ServerOptions,
  setup?: (proxy: Proxy, events: string[]) => void,
): Promise<{ port: number; events: string[]; proxy: Proxy; server: Server }> {
  const proxy = lib.createProxyServer(options)
  const events: string[] = []
  setup?.(proxy, events)
  const server = createServer((req, res) => proxy.web(req, res))
  server.on('upgrade', (req, socket, head) => proxy.ws(req, socket, head))
  const port = await listening(server)
  own({ close: () => proxy.close() })
  return { port, events, proxy, server }
}

const libs = [
  ['http-proxy', theirs],
  ['ours', ours],
] as const

describe.each(libs)('%s, upgrades', (_name, lib) => {
  it('carries frames of every size, both ways', async () => {
    const target = await echoing()
    const { port } = await fronting(lib, { target: `ws://127.0.0.1:${target.port}`, ws: true })
    const client = new WebSocket(`ws://127.0.0.1:${port}/path?q=1`, { headers: { 'X-Mine': 'a:b' } })
    await within(once(client, 'open'), 'the opening')
    for (const size of [1, 200, 70_000, 1_000_000]) {
      client.send('m'.repeat(size))
      const [data] = (await within(once(client, 'message'), 'the echo')) as [Buffer]
      expect(data.length).toBe(size)
    }
    expect(target.asked[0]?.url).toBe('/path?q=1')
    expect(target.asked[0]?.headers['x-mine']).toBe('a:b')
    client.close()
    await within(once(client, 'close'), 'the close')
  })

  it('passes the fields of the answer on, and emits open and close', async () => {
    const target = await echoing()
    const { port, events } = await fronting(
      lib,
      { target: `http://127.0.0.1:${target.port}` },
      (proxy, all) => {
        proxy.on('proxyReqWs', (proxyReq, req, socket, options, head) => {
          all.push(`proxyReqWs ${req.url} ${typeof options} ${Buffer.isBuffer(head)} ${typeof socket.write}`)
          proxyReq.setHeader('X-Special', 'foobar')
        })
        proxy.on('open', (socket) => all.push(`open ${typeof socket.on}`))
        proxy.on('close', (proxyRes, socket, head) =>
          all.push(`close ${proxyRes.statusCode} ${typeof socket.on} ${Buffer.isBuffer(head)}`),
        )
      },
    )
    const client = new WebSocket(`ws://127.0.0.1:${port}/`)
    const opened = once(client, 'open')
    const [answer] = (await within(once(client, 'upgrade'), 'the answer')) as [IncomingMessage]
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2'])
    await within(opened, 'the opening')
    expect(target.asked[0]?.headers['x-special']).toBe('foobar')
    client.close()
    await until(() => events.length === 3, 'every event')
    expect(events).toEqual(['proxyReqWs / object true function', 'open function', 'close 101 function true'])
  })

  it('adds forwarding fields with xfwd, and changes Host with changeOrigin', async () => {
    const target = await echoing()
    const { port } = await fronting(lib, {
      target: `http://127.0.0.1:${target.port}`,
      xfwd: true,
      changeOrigin: true,
    })
    const client = new WebSocket(`ws://127.0.0.1:${port}/`)
    await within(once(client, 'open'), 'the opening')
    const { headers } = target.asked[0] as IncomingMessage
    expect(headers.host).toBe(`127.0.0.1:${target.port}`)
    expect(headers['x-forwarded-for']).toBe('127.0.0.1')
    expect(headers['x-forwarded-proto']).toBe('ws')
    expect(headers['x-forwarded-port']).toBe(String(port))
    client.close()
  })

  it('tells of a target that is not there, and ends the socket', async () => {
    const { port, events } = await fronting(lib, { target: 'ws://127.0.0.1:1' }, (proxy, all) => {
      proxy.on('error', (error, req, socket) => {
        all.push(`${error.code} ${req.url} ${typeof (socket as Duplex).write}`)
      })
    })
    const client = new WebSocket(`ws://127.0.0.1:${port}/x`)
    const [error] = (await within(once(client, 'error'), 'an error')) as [Error & { code?: string }]
    expect(error.code).toBe('ECONNRESET')
    expect(events).toEqual(['ECONNREFUSED /x function'])
  })

  it("relays a target's refusal", async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(
          'HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno',
        )
        connection.end()
      }),
    )
    const { port } = await fronting(lib, { target: origin.url })
    const client = new WebSocket(`ws://127.0.0.1:${port}/`)
    client.on('error', () => {})
    const [, answer] = (await within(once(client, 'unexpected-response'), 'the refusal')) as [
      unknown,
      IncomingMessage,
    ]
    expect(answer.statusCode).toBe(404)
    answer.resume()
  })

  it('tells of a target that is lost in the tunnel', async () => {
    const target = await echoing()
    const { port, events } = await fronting(
      lib,
      { target: `http://127.0.0.1:${target.port}` },
      (proxy, all) => {
        proxy.on('error', (error, req, socket) => {
          all.push(`${error.code} ${req.url} ${typeof (socket as Duplex).write}`)
        })
      },
    )
    const client = new WebSocket(`ws://127.0.0.1:${port}/x`)
    client.on('error', () => {})
    await within(once(client, 'open'), 'the opening')
    for (const { _socket } of target.wss.clients as unknown as Set<{ _socket: Socket }>)
      _socket.resetAndDestroy()
    await within(once(client, 'close'), 'the close')
    await until(() => events.length > 0, 'the event')
    expect(events).toEqual(['ECONNRESET /x function'])
  })

  it('drops what is no WebSocket', async () => {
    const target = await echoing()
    const { port } = await fronting(lib, { target: `http://127.0.0.1:${target.port}` })
    const client = own(await rawClient(port))
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n')
    await until(() => client.ended !== 'open', 'the end')
    expect(client.text).toBe('')
  })

  it('takes the target of the call, and listens by itself', async () => {
    const target = await echoing()
    const proxy = lib
      .createProxyServer({ target: `ws://127.0.0.1:${target.port}`, ws: true })
      .listen(0, '127.0.0.1')
    own({ close: () => proxy.close() })
    const server = (proxy as unknown as { _server: Server })._server
    await once(server, 'listening')
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await within(once(client, 'open'), 'the opening')
    client.close()
    await within(once(client, 'close'), 'the close')
  })
})

describe('ours, upgrades that go wrong', () => {
  it('survives resets of the client at every stage, and leaves no socket', async () => {
    const target = await echoing()
    const { port, events, server } = await fronting(
      ours,
      { target: `http://127.0.0.1:${target.port}` },
      (proxy, all) => {
        proxy.on('close', () => all.push('close'))
      },
    )
    const early = own(await rawClient(port))
    early.write(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    )
    early.socket.resetAndDestroy()
    const late = new WebSocket(`ws://127.0.0.1:${port}/`)
    late.on('error', () => {})
    await within(once(late, 'open'), 'the opening')
    ;(late as unknown as { _socket: { resetAndDestroy(): void } })._socket.resetAndDestroy()
    await until(() => target.wss.clients.size === 0, 'no client at the target')
    await until(() => events.includes('close'), 'the event')
    const count = (): Promise<number> =>
      new Promise((resolve) => server.getConnections((_e, n) => resolve(n)))
    await until(async () => (await count()) === 0, 'no connection at the proxy')
  })

  it('gives up what a proxyReqWs listener destroys while the target is silent', async () => {
    const silent = own(await rawOrigin())
    const { port, events } = await fronting(ours, { target: silent.url }, (proxy, all) => {
      proxy.on('error', (error) => all.push(error.message))
      proxy.on('proxyReqWs', (proxyReq) => {
        void silent
          .connection()
          .then((connection) => connection.head())
          .then(() => proxyReq.destroy(new Error('mine')))
      })
    })
    const client = own(await rawClient(port))
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    await within(client.closed, 'the end of the connection')
    expect([client.text, events.includes('mine')]).toEqual(['', true])
    await until(() => silent.sockets === 0, 'the end at the target')
  })

  it('answers 502 where nobody listens for the error', async () => {
    const { port } = await fronting(ours, { target: 'ws://127.0.0.1:1' })
    const client = new WebSocket(`ws://127.0.0.1:${port}/x`)
    client.on('error', () => {})
    const [, answer] = (await within(once(client, 'unexpected-response'), 'an answer')) as [
      unknown,
      IncomingMessage,
    ]
    expect(answer.statusCode).toBe(502)
    answer.resume()
  })
})
