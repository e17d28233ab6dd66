import { once } from 'node:events'
import { createServer } from 'node:http'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
} from 'node:http2'
import { attach, toUpgradeListener } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { attachedHttp2Fronts, attachedRawFronts } from '../kit/attached-fronts.js'
import { testCertificate } from '../kit/certificate.js'
import type { Front, FrontKind } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { listen } from '../kit/listen.js'
import { observer } from '../kit/observer.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, type RawConnection, rawOrigin } from '../kit/raw-origin.js'
import { rawRequest, value, values } from '../kit/raw-request.js'
import { streamWebSocket } from '../kit/stream-websocket.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

async function session(kind: FrontKind, front: { port: number }): Promise<ClientHttp2Session> {
  const ca = kind.tls ? testCertificate()?.cert : undefined
  const made = connectHttp2(`${kind.tls ? 'https' : 'http'}://127.0.0.1:${front.port}`, ca ? { ca } : {})
  made.on('error', () => {})
  own({ close: () => made.destroy() })
  await within(once(made, 'remoteSettings'), 'the settings')
  return made
}

function open(over: ClientHttp2Session, path = '/', more: Record<string, string> = {}): ClientHttp2Stream {
  const fields = { ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': path }
  const stream = over.request(
    { ...fields, ':authority': 'site.example', 'sec-websocket-version': '13', ...more },
    { endStream: false },
  )
  stream.on('error', () => {})
  return stream
}

const response = async (stream: ClientHttp2Stream): Promise<IncomingHttpHeaders & { ':status'?: number }> =>
  (await within(once(stream, 'response'), 'a response'))[0] as IncomingHttpHeaders

describe.each(attachedHttp2Fronts)('WebSocket over HTTP/2 (RFC 8441) through $name', (kind) => {
  it('is announced in the settings', async () => {
    const front = own(await kind.start(own(await originServer()).url))
    expect((await session(kind, front)).remoteSettings.enableConnectProtocol).toBe(true)
  })

  it('is refused where the target answers as to any other request: its page is no tunnel', async () => {
    const origin = own(await originServer((_req, res) => void res.end('<html>')))
    const front = own(await kind.start(origin.url))
    const stream = open(await session(kind, front))
    expect((await response(stream))[':status']).toBe(502)
    let text = ''
    for await (const chunk of stream.setEncoding('utf8')) text += chunk
    expect(text).not.toContain('html')
    await released(front)
  })

  it('reaches an HTTP/1.1 target: messages, ping, sub-protocol, extension, path, fields, close codes', async () => {
    const origin = own(await originServer())
    const server = new WebSocketServer({
      server: origin.server,
      perMessageDeflate: true,
      handleProtocols: (protocols) => (protocols.has('chat.v2') ? 'chat.v2' : false),
    })
    const handshake = deferred<{ url: string | undefined; method: string | undefined; raw: string[] }>()
    const closed = deferred<string>()
    server.on('connection', (peer, req) => {
      handshake.resolve({ url: req.url, method: req.method, raw: req.rawHeaders })
      // Agreed on, and never used: the client of this test can't inflate.
      peer.on('message', (data, binary) => peer.send(data, { binary, compress: false }))
      peer.on('close', (code, reason) => closed.resolve(`${code} ${reason}`))
    })
    const front = own(await kind.start(origin.url))
    const stream = open(await session(kind, front), '/a%2Fb?q=1', {
      origin: 'http://site.example',
      'sec-websocket-protocol': 'chat.v1, chat.v2',
      'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits',
      // RFC 8441 section 5: HTTP/2 has no key; one that is sent all the same means nothing.
      'sec-websocket-key': 'nonsense',
    })
    const headers = await response(stream)
    expect(headers).toMatchObject({ ':status': 200, 'sec-websocket-protocol': 'chat.v2' })
    expect(headers['sec-websocket-extensions']).toMatch(/permessage-deflate/)
    for (const name of ['sec-websocket-accept', 'connection', 'upgrade', 'content-length'])
      expect(headers[name]).toBeUndefined()

    const { url, method, raw } = await handshake.promise
    expect([method, url]).toEqual(['GET', '/a%2Fb?q=1'])
    expect(value(raw, 'origin')).toBe('http://site.example')
    expect(values(raw, 'sec-websocket-key')).toEqual([expect.stringMatching(/^[A-Za-z\d+/]{22}==$/)])
    expect(values(raw, 'connection')).toEqual(['Upgrade'])
    expect(values(raw, 'upgrade')).toEqual(['websocket'])
    expect(value(raw, 'x-forwarded-host')).toBe('site.example')

    const peer = streamWebSocket(stream)
    const heard: (string | Buffer)[] = []
    const pongs: string[] = []
    peer.on('message', (data, binary) => heard.push(binary ? (data as Buffer) : String(data)))
    peer.on('pong', (data) => pongs.push(String(data)))
    const large = Buffer.alloc(300_000, 7)
    for (const message of ['text', Buffer.from([0, 1, 255]), '', large]) peer.send(message)
    peer.ping('are you there')
    await until(() => heard.length === 4 && pongs.length === 1, 'all messages')
    expect(heard.map((message) => Buffer.from(message).length)).toEqual([4, 3, 0, 300_000])
    expect(pongs).toEqual(['are you there'])
    peer.close(4001, 'bye')
    expect(await within(closed.promise, 'the close at the target')).toBe('4001 bye')
    await until(() => stream.destroyed, 'the end of the stream')
    await released(front)
  })

  it('the target’s close code reaches the client', async () => {
    const origin = own(await originServer())
    new WebSocketServer({ server: origin.server }).on('connection', (peer) => peer.close(4002, 'go'))
    const front = own(await kind.start(origin.url))
    const stream = open(await session(kind, front))
    const peer = streamWebSocket(stream)
    const [code, reason] = await within(once(peer, 'close'), 'the close')
    expect([code, String(reason)]).toEqual([4002, 'go'])
    await released(front)
  })

  it('a refusal is the response that it is', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(403, { 'X-Why': 'no' })
        res.end('not you')
      }),
    )
    const front = own(await kind.start(origin.url))
    const stream = open(await session(kind, front))
    expect(await response(stream)).toMatchObject({ ':status': 403, 'x-why': 'no' })
    stream.setEncoding('utf8')
    expect((await stream.toArray()).join('')).toBe('not you')
    await until(() => stream.destroyed, 'the end of the stream')
    await released(front)
  })

  it.each(['Sec-WebSocket-Accept: c3VyZWx5IG5vdCB0aGlzIG9uZSE=\r\n', ''])(
    'a target that accepts another key (%j) is 502',
    async (accept) => {
      const seen = observer()
      const origin = own(
        await rawOrigin(async (connection) => {
          await connection.head()
          await connection.write(
            `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${accept}\r\n`,
          )
        }),
      )
      const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
      expect(await response(open(await session(kind, front)))).toMatchObject({ ':status': 502 })
      await within((await origin.connection()).closed, 'the end of the target’s connection')
      expect(await seen.outcome()).toMatchObject({ kind: 'error', error: { code: 'http_upgrade_failed' } })
      await released(front)
    },
  )

  it('a dead target is 502', async () => {
    const dead = await rawOrigin()
    await dead.close()
    const front = own(await kind.start(dead.url))
    expect(await response(open(await session(kind, front)))).toMatchObject({ ':status': 502 })
  })

  it('any other protocol is an upgrade too, and h2c is none', async () => {
    const origin = own(
      await rawOrigin(async (connection: RawConnection) => {
        await connection.head()
        await connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi',
        )
      }),
    )
    const front = own(await kind.start(origin.url))
    const over = await session(kind, front)
    const stream = open(over, '/', { ':protocol': 'echo' })
    const data = once(stream, 'data')
    expect(await response(stream)).toMatchObject({ ':status': 200 })
    expect(String((await within(data, 'the first bytes'))[0])).toBe('hi')
    expect(origin.connections[0]?.text).toMatch(/\r\nUpgrade: echo\r\n/)
    expect(origin.connections[0]?.text).not.toMatch(/sec-websocket-key/i)
    expect(await response(open(over, '/', { ':protocol': 'h2c' }))).toMatchObject({ ':status': 501 })
  })

  it('many on one session: none hears another, and nothing is left behind', async () => {
    const origin = own(await originServer())
    new WebSocketServer({ server: origin.server }).on('connection', (peer) =>
      peer.on('message', (data, binary) => peer.send(data, { binary })),
    )
    const front = own(await kind.start(origin.url))
    const over = await session(kind, front)
    const leaks = leakCheck()
    const all = Array.from({ length: 30 }, async (_, i) => {
      const stream = open(over)
      await response(stream)
      const peer = streamWebSocket(stream)
      const message = once(peer, 'message')
      peer.send(`for ${i}`)
      expect(String((await within(message, 'the echo'))[0])).toBe(`for ${i}`)
      peer.close()
      await until(() => stream.destroyed, 'the end of the stream')
    })
    await Promise.all(all)
    await released(front)
    await leaks.settled()
  })
})

describe('WebSocket over HTTP/2 beside an app', () => {
  it('below a path it is the chain’s, elsewhere the app’s', async () => {
    const server = createHttp2Server({ settings: { maxConcurrentStreams: 17 } })
    server.on('connect', (_req, res) => {
      res.writeHead(418)
      res.end()
    })
    const seen = deferred<string>()
    attach(
      server,
      (ctx) => {
        seen.resolve(`${ctx.out.method} ${ctx.out.path} ${ctx.upgrade}`)
        return { status: 403, headers: [], body: null }
      },
      { path: '/api' },
    )
    const mounted = own(await listen(server, { http2: true }))
    const over = await session(attachedHttp2Fronts.find(({ tls }) => !tls) as FrontKind, mounted)
    // Other settings stay.
    expect(over.remoteSettings).toMatchObject({ maxConcurrentStreams: 17, enableConnectProtocol: true })
    expect(await response(open(over, '/api/ws'))).toMatchObject({ ':status': 403 })
    expect(await seen.promise).toBe('GET /ws websocket')
    expect(await response(open(over, '/other'))).toMatchObject({ ':status': 418 })
  })
})

describe.each(attachedRawFronts)('a WebSocket version through $name', (kind) => {
  const handshake = (version: string): string =>
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${version}\r\n`

  it.each(['99', '14', '', '013', '13, 8', '-1', 'x'])('%j is none that there is: 426', async (version) => {
    const origin = own(await rawOrigin())
    const front = own(await kind.start(origin.url))
    const { responses, ended } = await rawRequest(
      front.port,
      handshake(`Sec-WebSocket-Version: ${version}\r\n`),
    )
    expect(responses.map(({ status }) => status)).toEqual([426])
    const headers = responses[0]?.headers ?? []
    expect(value(headers, 'sec-websocket-version')).toBe('13')
    expect(value(headers, 'upgrade')).toBe('websocket')
    expect(value(headers, 'connection')).toBe('close, Upgrade')
    expect(ended).toBe('end')
    expect(origin.connections).toHaveLength(0)
  })

  it.each(['Sec-WebSocket-Version: 13\r\n', 'Sec-WebSocket-Version: 8\r\n', ''])(
    '%j is for the target to judge',
    async (version) => {
      const origin = own(await rawOrigin(answering('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n')))
      const front = own(await kind.start(origin.url))
      const { responses } = await rawRequest(front.port, handshake(version))
      expect(responses.map(({ status }) => status)).toEqual([403])
    },
  )
})

describe.each(attachedHttp2Fronts)('a WebSocket version over HTTP/2 through $name', (kind) => {
  it('that there is none of gets 426, without the fields of a connection', async () => {
    const origin = own(await rawOrigin())
    const over = await session(kind, own(await kind.start(origin.url)))
    const headers = await response(open(over, '/', { 'sec-websocket-version': '99' }))
    expect(headers).toMatchObject({ ':status': 426, 'sec-websocket-version': '13' })
    expect(headers).not.toHaveProperty('upgrade')
    expect(headers).not.toHaveProperty('connection')
    expect(origin.connections).toHaveLength(0)
  })
})

describe.each(attachedRawFronts)('a WebSocket handshake that is malformed, through $name', (kind) => {
  const handshake = (key: string): string =>
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n${key}\r\n`

  it.each([
    ['no key', ''],
    ['an empty key', 'Sec-WebSocket-Key: \r\n'],
    ['a short key', 'Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n'],
    ['a long key', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=\r\n'],
    ['a key that is no base64', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!!==\r\n'],
    ['two keys', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'.repeat(2)],
  ])('%s gets 400, and the target hears nothing', async (_name, key) => {
    const origin = own(await rawOrigin())
    const front = own(await kind.start(origin.url))
    const { responses, ended } = await rawRequest(front.port, handshake(key))
    expect(responses.map(({ status }) => status)).toEqual([400])
    expect(ended).toBe('end')
    expect(origin.connections).toHaveLength(0)
  })
})

describe('an upgrade listener alone', () => {
  it('refuses such a handshake too', async () => {
    const server = createServer()
    server.on(
      'upgrade',
      toUpgradeListener(() => ({ status: 200, headers: [], body: null })),
    )
    const { port } = own(await listen(server))
    const { responses } = await rawRequest(
      port,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    expect(responses.map(({ status }) => status)).toEqual([400])
  })
})
