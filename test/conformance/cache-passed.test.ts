import { once } from 'node:events'
import { connect, type IncomingHttpHeaders } from 'node:http2'
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { attachedHttp2Fronts, attachedRawFronts } from '../kit/attached-fronts.js'
import { cachedSite, minute, numbered, statusOf } from '../kit/cached-site.js'
import { testCertificate } from '../kit/certificate.js'
import { fronts, rawFronts } from '../kit/fronts.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, value } from '../kit/raw-request.js'
import { streamWebSocket } from '../kit/stream-websocket.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Says what it was sent, and lets everybody keep that. */
const echoed: OriginHandler = async (req, res, seen) => {
  const body = String(await seen.body())
  res.writeHead(200, [...minute]).end(`${req.method} ${body}`)
}

describe.each(fronts)('past the cache behind $name', (kind) => {
  it('goes a GET with content: the key does not tell it apart', async () => {
    const site = await cachedSite(own, kind, echoed)
    for (const chunked of [false, true])
      for (const body of ['one', 'two']) {
        const answer = await site.ask({ body, chunked })
        expect([answer.text, statusOf(answer)]).toEqual([
          `GET ${body}`,
          'sluice; fwd=bypass; fwd-status=200; detail=request-content',
        ])
      }
    expect((await site.ask()).text).toBe('GET ')
    expect((await site.ask({ body: 'three' })).text).toBe('GET three')
    expect(statusOf(await site.ask())).toBe('sluice; hit; ttl=60')
  })

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND'])(
    'goes %s, with its content',
    async (method) => {
      const site = await cachedSite(own, kind, echoed)
      for (const body of ['one', 'two', 'two']) {
        const answer = await site.ask({ method, body })
        expect([answer.text, statusOf(answer)]).toEqual([
          `${method} ${body}`,
          'sluice; fwd=method; fwd-status=200',
        ])
      }
    },
  )

  it('goes what has too long a key', async () => {
    const site = await cachedSite(own, kind, numbered(), { key: { maxKey: 200 } })
    for (const i of [1, 2]) {
      const answer = await site.ask(`/${'x'.repeat(200)}`)
      expect([answer.text, statusOf(answer)]).toEqual([
        `answer ${i}`,
        'sluice; fwd=bypass; fwd-status=200; detail=key-too-long',
      ])
    }
  })

  it('goes a call of gRPC, which is a POST, and its trailers', async () => {
    const site = await cachedSite(own, kind, async (_req, res, seen) => {
      const body = await seen.body()
      res.writeHead(200, ['Content-Type', 'application/grpc', 'Trailer', 'grpc-status'])
      res.write(body)
      res.addTrailers({ 'grpc-status': '0' })
      res.end()
    })
    for (const body of ['a', 'b']) {
      const headers = ['Content-Type', 'application/grpc', 'TE', 'trailers']
      const answer = await site.ask({ method: 'POST', path: '/x.Y/Z', headers, body })
      expect([answer.text, value(answer.trailers, 'grpc-status')]).toEqual([body, '0'])
    }
  })

  it('goes an upgrade that is asked for and not granted, without harm to what is kept', async () => {
    if (kind.http2) return
    const site = await cachedSite(own, kind, numbered())
    for (const _ of [1, 2]) {
      const { status } = await site.ask({ headers: ['Connection', 'Upgrade', 'Upgrade', 'x'] })
      expect(status).toBeGreaterThanOrEqual(200)
    }
    await site.ask('/a')
    expect(statusOf(await site.ask('/a'))).toBe('sluice; hit; ttl=60')
  })
})

describe.each(rawFronts.filter(({ transport }) => transport === 'wire'))(
  'a tunnel past the cache behind $name',
  (kind) => {
    it('is opened by an upgrade, each time', async () => {
      const origin = own(await originServer())
      origin.server.on('upgrade', (_req, socket) => {
        socket.on('error', () => {})
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\nCache-Control: max-age=60\r\n\r\n',
        )
        socket.pipe(socket)
      })
      const front = own(await kind.start({ targets: origin.url, cache: true }))
      for (const text of ['one', 'two']) {
        const client = own(await rawClient(front.port))
        client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
        await client.until('\r\n\r\n')
        expect(client.text).toMatch(/^HTTP\/1\.1 101 /)
        client.write(text)
        await client.until(`\r\n\r\n${text}`)
        expect(client.text).not.toMatch(/cache-status/i)
      }
    })
  },
)

describe.each(attachedRawFronts)('CONNECT past the cache behind $name', (kind) => {
  it('opens its tunnel', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 200 OK\r\n\r\nhello')
      }),
    )
    const front = own(
      await kind.start({ targets: origin.url, cache: true, guard: { validate: { connect: 'pass' } } }),
    )
    for (const _ of [1, 2]) {
      const client = own(await rawClient(front.port))
      client.write('CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n\r\n')
      await client.until('\r\n\r\nhello')
    }
    expect(origin.connections).toHaveLength(2)
  })
})

describe.each(attachedHttp2Fronts)('a WebSocket past the cache behind $name', (kind) => {
  it('is opened by an extended CONNECT', async () => {
    const origin = own(await originServer())
    const sockets = own(new WebSocketServer({ server: origin.server }))
    sockets.on('connection', (peer) => peer.on('message', (data) => peer.send(`echo ${String(data)}`)))
    const front = own(await kind.start({ targets: origin.url, cache: true }))
    const ca = kind.tls ? testCertificate()?.cert : undefined
    const at = `${kind.tls ? 'https' : 'http'}://127.0.0.1:${front.port}`
    const session = connect(at, ca === undefined ? {} : { ca })
    own({ close: () => session.destroy() })
    await within(once(session, 'remoteSettings'), 'the settings')
    for (const text of ['one', 'two']) {
      const stream = session.request(
        {
          ':method': 'CONNECT',
          ':protocol': 'websocket',
          ':scheme': 'http',
          ':path': '/',
          ':authority': 'site.example',
          'sec-websocket-version': '13',
        },
        { endStream: false },
      )
      const [fields] = (await within(once(stream, 'response'), 'a response')) as [IncomingHttpHeaders]
      expect([fields[':status'], fields['cache-status']]).toEqual([200, undefined])
      const socket = streamWebSocket(stream)
      socket.send(text)
      const [data] = (await within(once(socket, 'message'), 'a message')) as [Buffer]
      expect(String(data)).toBe(`echo ${text}`)
      socket.terminate()
    }
  })
})
