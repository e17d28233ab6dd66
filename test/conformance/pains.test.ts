import { once } from 'node:events'
import { createServer } from 'node:http'
import express from 'express'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { attached, listening, twoFronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { observer } from '../kit/observer.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

// What hurt people in earlier proxies, a case a row; `pains-*.test.ts` beside this one have the other rows, and
// `test/repo/pains.test.ts` holds them against the list.

trapUnhandled()
const own = owner()

const handshake =
  'GET /live HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const accepted =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

describe.each(twoFronts)('crashes, hangs and leaks through $name', (kind) => {
  it('pain 1 (node-http-proxy #527 #607 #797 #898): a hang-up with no listener for errors is one typed error with its side', async () => {
    const seen = observer()
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        if (connection.text.startsWith('GET')) connection.reset()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer], retry: false }))
    expect(await front.client.ask()).toMatchObject({ status: 502, complete: true })
    const theirs = await seen.outcome(0)
    expect(theirs.kind).not.toBe('client-left')
    expect(seen.codes).toHaveLength(1)
    const client = await rawClient(front.port)
    client.write('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\nhalf')
    await (await origin.connection(1)).until('half')
    client.reset()
    expect(await seen.outcome(1)).toMatchObject({ kind: 'client-left' })
  })

  it('pain 3 (http-proxy-middleware #44 #476 #777, node-http-proxy #1468): a refused upgrade is a response, whether the target answers 502 or is dead', async () => {
    const seen = observer()
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(
          'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\nX-From: target\r\n\r\nbroken',
        )
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    const refused = await rawRequest(front.port, handshake, { responses: 1 })
    expect(refused.responses[0]).toMatchObject({ status: 502, complete: true })
    expect(refused.responses[0]?.body.toString()).toBe('broken')
    expect(value(refused.responses[0]?.headers ?? [], 'x-from')).toBe('target')
    await origin.close()
    const dead = await rawRequest(front.port, handshake, { responses: 1 })
    expect(dead.responses[0]).toMatchObject({ status: 502, complete: true })
    await until(() => front.inFlight === 0, 'the leases to be released')
  })

  it('pain 4 (node-http-proxy #1510 #559 #293, http-proxy-middleware #634): tunnels end on both sides, whichever ends first and however', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(accepted)
      }),
    )
    const front = own(await kind.start(origin.url))
    for (const [i, end] of (['client', 'target', 'client resets', 'target resets'] as const).entries()) {
      const client = await rawClient(front.port)
      client.write(handshake)
      await client.until('\r\n\r\n')
      const target = await origin.connection(i)
      if (end === 'client') client.socket.end()
      else if (end === 'target') target.end()
      else if (end === 'client resets') client.reset()
      else target.reset()
      await within(Promise.all([client.closed, target.closed]), `both ends where the ${end} ends it`)
    }
    expect(origin.sockets).toBe(0)
    await until(() => front.inFlight === 0, 'the leases to be released')
  })

  it('pain 5 (node-http-proxy PR 1559 PR 1580, nodejs/node #46666): a client that leaves cancels the request to the target', async () => {
    const origin = own(await originServer(() => {}))
    const front = own(await kind.start(origin.url))
    const client = await rawClient(front.port)
    client.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
    const request = await origin.request()
    client.reset()
    await within(request.closed, 'the request to be cancelled')
    expect(request.aborted).toBe(true)
    await until(() => origin.sockets === 0 && front.inFlight === 0, 'the connection to end')
  })

  it('pain 6 (yarp #461): the target learns that the client of its event stream has left', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' })
        res.write('data: 1\n\n')
      }),
    )
    const front = own(await kind.start(origin.url))
    const client = await rawClient(front.port)
    client.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
    await client.until('data: 1')
    client.reset()
    const request = await origin.request()
    await within(request.closed, 'the stream to be cancelled')
    expect(request.aborted).toBe(true)
  })

  it('pain 7 (yarp #2019 #2070 #1598 #2662): a cancel is no 502 and no timeout; timers give 504, targets 502, and the target stays available', async () => {
    const seen = observer()
    const origin = own(
      await originServer((req) => {
        if (req.url === '/reset') req.socket.resetAndDestroy()
      }),
    )
    const front = own(
      await kind.start({ targets: origin.url, use: [seen.layer], timeouts: { head: '100ms' }, retry: false }),
    )
    const client = await rawClient(front.port)
    client.write('GET /cancelled HTTP/1.1\r\nHost: a.example\r\n\r\n')
    await origin.request()
    client.reset()
    expect(await seen.outcome(0)).toMatchObject({ kind: 'client-left' })
    expect(await front.client.ask({ path: '/reset' })).toMatchObject({ status: 502 })
    expect(await front.client.ask({ path: '/silent' })).toMatchObject({ status: 504 })
    expect(front.upstream.available).toHaveLength(1)
  })
})

describe('crashes, hangs and leaks', () => {
  it('pain 2 (http-proxy-3 #5, httpxy #79): the raw socket of an upgrade has its handlers before anything is awaited', async () => {
    const origin = own(await rawOrigin())
    const proxy = own(createProxy(origin.url))
    const server = createServer()
    const counts: number[] = []
    server.on('upgrade', (req, socket, head) => {
      proxy.upgrade(req, socket, head)
      counts.push(socket.listenerCount('error'))
      socket.destroy(new Error('read ECONNRESET'))
    })
    const front = own(await listen(server))
    const client = await rawClient(front.port)
    client.write(handshake)
    await within(client.closed, 'the end of the connection')
    expect(counts[0]).toBeGreaterThan(0)
  })

  it.each([
    ['with the bytes kept', true, 200],
    ['without', false, 500],
  ])(
    'pain 8 (node-http-proxy #180 #530 #843 #1279, http-proxy-middleware #40): a POST behind a parser never hangs, %s',
    async (_name, kept, status) => {
      const origin = own(await originServer(async (_req, res, seen) => void res.end(await seen.body())))
      const proxy = own(createProxy(origin.url))
      const app = express()
      app.use(
        express.json(kept ? { verify: (req, _res, bytes) => Object.assign(req, { rawBody: bytes }) } : {}),
      )
      app.use(proxy.listener)
      const front = own(await listen(createServer(app)))
      const answer = await front.client.ask({
        method: 'POST',
        headers: ['Content-Type', 'application/json'],
        body: '{"a":1}',
      })
      expect(answer).toMatchObject({ status, complete: true })
      if (kept) expect(answer.text).toBe('{"a":1}')
      else expect(answer.text).toMatch(/rawBody/)
    },
  )

  it.each([
    ['application/json', '{"a":1,"a":2, "__proto__":{"b":1}}'],
    ['application/x-www-form-urlencoded', 'a=1&a=2&b=%zz&c=%26d%3D1&__proto__=x'],
  ])(
    'pain 9 (CVE-2025-32996, CVE-2025-32997): a parsed body of %s is replayed as bytes, never made up again',
    async (type, body) => {
      const origin = own(await originServer(async (_req, res, seen) => void res.end(await seen.body())))
      const proxy = own(createProxy(origin.url))
      const app = express()
      const verify = (req: object, _res: unknown, bytes: Buffer): void =>
        void Object.assign(req, { rawBody: bytes })
      app.use(express.json({ verify }), express.urlencoded({ extended: true, verify }))
      app.use(proxy.listener)
      const front = own(await listen(createServer(app)))
      expect(await front.client.ask({ method: 'POST', headers: ['Content-Type', type], body })).toMatchObject(
        {
          status: 200,
          text: body,
        },
      )
    },
  )

  it('pain 10 (CVE-2024-21536): no crafted path makes a matcher throw or a rejection escape', async () => {
    const origin = own(await originServer())
    const proxy = own(
      createProxy({
        upstreams: { a: origin.url },
        routes: [
          { path: '/u/:id', upstream: 'a' },
          { path: '/', upstream: 'a' },
        ],
      }),
    )
    const { port } = await proxy.listen()
    const paths = [
      '//',
      '//x',
      '/u/%',
      '/u/%c0%af',
      '/u/%00',
      '/u/__proto__',
      '/?%',
      '/u/..%2f',
      '///u//',
      '/[',
      '/u/{}',
    ]
    for (const path of paths) {
      const { responses } = await rawRequest(port, `GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`, {
        responses: 1,
      })
      expect([path, [200, 400, 404].includes(responses[0]?.status ?? 0)]).toEqual([path, true])
    }
  })

  it('pain 27 (fastify-http-proxy #314 PR 258 PR 475, http-proxy-middleware #207 #432): upgrade listeners live side by side, and WebSockets work before any request', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(accepted)
      }),
    )
    const proxy = own(createProxy(origin.url))
    const server = createServer()
    proxy.attach(server, { path: '/proxied' })
    const beside = new WebSocketServer({ noServer: true })
    server.on('upgrade', (req, socket, head) => {
      if (req.url !== '/mine') return
      beside.handleUpgrade(req, socket, head, (peer) => peer.send('mine'))
    })
    const front = own(await listen(server))
    const mine = await rawClient(front.port)
    mine.write(handshake.replace('/live', '/mine'))
    await mine.until('mine')
    const theirs = await rawClient(front.port)
    theirs.write(handshake.replace('/live', '/proxied/live'))
    await theirs.until('101')
    const seen = await origin.connection(0)
    expect(seen.text).toMatch(/^GET \/live HTTP/)
    expect(origin.connections).toHaveLength(1)
    mine.close()
    theirs.close()
    await once(theirs.socket, 'close')
  })
})

describe.each([listening, attached])('timers through $name', (kind) => {
  it('pain 22 (node-http-proxy #1331 #1618 #921): timeout and reset have codes of their own, and an event stream outlives the timer of bodies', async () => {
    const seen = observer()
    const origin = own(
      await originServer((req, res) => {
        if (req.url === '/reset') req.socket.resetAndDestroy()
        else if (req.url === '/events') res.setHeader('Content-Type', 'text/event-stream')
        if (req.url === '/events' || req.url === '/part') res.write('data: 1\n\n')
      }),
    )
    const front = own(
      await kind.start({
        targets: origin.url,
        use: [seen.layer],
        timeouts: { body: '100ms', head: '100ms' },
        retry: false,
      }),
    )
    const events = front.client.call({ path: '/events' })
    await events.head
    expect(await front.client.ask({ path: '/part' })).toMatchObject({ status: 200, complete: false })
    expect(await front.client.ask({ path: '/silent' })).toMatchObject({ status: 504 })
    expect(await front.client.ask({ path: '/reset' })).toMatchObject({ status: 502 })
    expect(new Set(seen.codes).size).toBe(2)
    // Older than the two timers that have run out one after the other.
    const stream = await origin.request(0)
    expect(stream.aborted).toBe(false)
    stream.res.end('data: 2\n\n')
    expect(await events.answer()).toMatchObject({ complete: true, text: 'data: 1\n\ndata: 2\n\n' })
  })

  it('pain 38 (bare node:http): a client that sends its body without end in sight is let go', async () => {
    const origin = own(await originServer(() => {}))
    const front = own(await kind.start({ targets: origin.url, timeouts: { requestBody: '100ms' } }))
    const clients = await Promise.all(Array.from({ length: 10 }, () => rawClient(front.port)))
    for (const client of clients) {
      client.write('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\nx')
    }
    await within(Promise.all(clients.map(({ closed }) => closed)), 'the end of the slow connections')
    for (const client of clients) expect(client.text).toMatch(/^HTTP\/1\.1 408 /)
  })
})
