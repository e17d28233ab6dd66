import { once } from 'node:events'
import { createServer } from 'node:http'
import express from 'express'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws'
import { testCertificate } from '../kit/certificate.js'
import { type Front, http1Fronts, rawFronts, twoFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { listen } from '../kit/listen.js'
import { observer } from '../kit/observer.js'
import { echo, type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import {
  parseResponses,
  type RawClient,
  type RawResponse,
  rawClient,
  rawRequest,
  value,
  values,
} from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'
import { warningsOf } from '../kit/warnings.js'

trapUnhandled()
const own = owner()
const warned = warningsOf('SluiceWarning')

interface WebSocketOrigin {
  readonly origin: Origin
  readonly url: string
  readonly port: number
  /** Handshake requests: what the target has seen of each. */
  readonly handshakes: { readonly url: string; readonly rawHeaders: readonly string[] }[]
  readonly peers: WebSocket[]
  close(): Promise<void>
}

/** A target that echoes messages; `each` sees every connection first. */
async function webSocketOrigin(each: (peer: WebSocket) => void = () => {}): Promise<WebSocketOrigin> {
  const origin = await originServer()
  const peers: WebSocket[] = []
  const handshakes: WebSocketOrigin['handshakes'] = []
  const server = new WebSocketServer({
    server: origin.server,
    handleProtocols: (protocols) => (protocols.has('chat.v2') ? 'chat.v2' : false),
  })
  server.on('connection', (peer, req) => {
    handshakes.push({ url: req.url ?? '', rawHeaders: req.rawHeaders })
    peers.push(peer)
    each(peer)
    peer.on('error', () => {})
    peer.on('message', (data, binary) => peer.send(data, { binary }))
  })
  return {
    origin,
    url: origin.url,
    port: origin.port,
    handshakes,
    peers,
    async close() {
      for (const peer of peers) peer.terminate()
      server.close()
      await origin.close()
    },
  }
}

/** A client with what it has heard. */
class Peer {
  readonly socket: WebSocket
  readonly messages: (string | Buffer)[] = []
  readonly opened = deferred()
  readonly closed = deferred<{ code: number; reason: string }>()
  refused: number | undefined

  constructor(url: string, protocols: string[] = [], options: ClientOptions = {}) {
    const ca = testCertificate()?.cert
    this.socket = new WebSocket(url, protocols, {
      ...options,
      ...(url.startsWith('wss') && ca !== undefined ? { ca } : {}),
    })
    this.socket.on('open', () => this.opened.resolve())
    this.socket.on('message', (data, binary) => this.messages.push(binary ? (data as Buffer) : String(data)))
    this.socket.on('close', (code, reason) => this.closed.resolve({ code, reason: String(reason) }))
    this.socket.on('error', (error) => this.opened.reject(error))
    this.socket.on('unexpected-response', (request, response) => {
      this.refused = response.statusCode
      request.destroy()
      this.opened.reject(new Error(`refused with ${response.statusCode}`))
    })
  }

  async heard(count: number): Promise<(string | Buffer)[]> {
    await until(
      () => this.messages.length >= count,
      () => `${count} messages; heard ${this.messages.length}`,
    )
    return this.messages
  }

  close(): void {
    this.socket.terminate()
  }
}

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

describe.each(http1Fronts)('WebSocket through $name', (kind) => {
  const url = (front: Front, path = '/'): string =>
    `${kind.tls ? 'wss' : 'ws'}://127.0.0.1:${front.port}${path}`

  it('carries text, binary, empty and large messages both ways', async () => {
    const origin = own(await webSocketOrigin())
    const front = own(await kind.start(origin.url))
    const peer = own(new Peer(url(front)))
    await peer.opened.promise
    const large = Buffer.alloc(300_000, 7)
    const sent = ['text', Buffer.from([0, 1, 255]), '', large, 'é€🦊']
    for (const message of sent) peer.socket.send(message, { binary: typeof message !== 'string' })
    const heard = await peer.heard(sent.length)
    expect(heard.map((message, i) => Buffer.from(message).equals(Buffer.from(sent[i] ?? '')))).toEqual(
      sent.map(() => true),
    )
    expect(heard.map((message) => typeof message)).toEqual(sent.map((message) => typeof message))
    expect(front.inFlight).toBe(1)
  })

  it('passes path, query, origin, sub-protocol and the forwarding fields on', async () => {
    const origin = own(await webSocketOrigin())
    const front = own(await kind.start({ targets: origin.url, via: 'edge' }))
    const headers = { Origin: 'http://site.example', 'X-Forwarded-For': '6.6.6.6', 'X-Custom': 'a' }
    const peer = own(new Peer(url(front, '/a%2Fb//?q=%zz'), ['chat.v1', 'chat.v2'], { headers }))
    await peer.opened.promise
    expect(peer.socket.protocol).toBe('chat.v2')
    const [handshake] = origin.handshakes
    expect(handshake?.url).toBe('/a%2Fb//?q=%zz')
    const raw = handshake?.rawHeaders ?? []
    expect(value(raw, 'origin')).toBe('http://site.example')
    expect(values(raw, 'sec-websocket-protocol')).toEqual(['chat.v1,chat.v2'])
    expect(values(raw, 'x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(values(raw, 'x-forwarded-proto')).toEqual([kind.tls ? 'https' : 'http'])
    expect(values(raw, 'via')).toEqual(['1.1 edge'])
    expect(values(raw, 'x-custom')).toEqual(['a'])
    expect(values(raw, 'host')).toEqual([`127.0.0.1:${origin.port}`])
  })

  it('passes close codes and reasons both ways', async () => {
    const origin = own(
      await webSocketOrigin((peer) => {
        peer.on('message', (data) => String(data) === 'bye' && peer.close(4001, 'from the target'))
      }),
    )
    const front = own(await kind.start(origin.url))
    const first = own(new Peer(url(front)))
    await first.opened.promise
    const target = await until(() => origin.peers[0], 'the target to see the connection')
    const heard = deferred<string>()
    target.on('close', (code, reason) => heard.resolve(`${code} ${reason}`))
    first.socket.close(4000, 'from the client')
    expect(await within(heard.promise, 'the close at the target')).toBe('4000 from the client')
    expect(await within(first.closed.promise, 'the close at the client')).toMatchObject({ code: 4000 })

    const second = own(new Peer(url(front)))
    await second.opened.promise
    second.socket.send('bye')
    const closed = await within(second.closed.promise, 'the close at the client')
    expect(closed).toEqual({ code: 4001, reason: 'from the target' })
    await released(front)
  })

  it('ends on the other side when one side is lost', async () => {
    const origin = own(await webSocketOrigin())
    const front = own(await kind.start(origin.url))
    const leaves = own(new Peer(url(front)))
    await leaves.opened.promise
    const target = await until(() => origin.peers[0], 'the target to see the connection')
    const heard = deferred()
    target.on('close', () => heard.resolve())
    leaves.socket.terminate()
    await within(heard.promise, 'the target to learn that the client has left')
    await released(front)

    const stays = own(new Peer(url(front)))
    await stays.opened.promise
    const lost = await until(() => origin.peers[1], 'the target to see the connection')
    lost.terminate()
    expect(await within(stays.closed.promise, 'the client to learn that the target has left')).toMatchObject({
      code: 1006,
    })
    await released(front)
  })

  it('many at once: none hears another, and nothing is left behind', async () => {
    const origin = own(await webSocketOrigin())
    const front = own(await kind.start(origin.url))
    expect(await front.client.ask()).toMatchObject({ status: 200 })
    const leaks = leakCheck()
    const peers = Array.from({ length: 20 }, () => new Peer(url(front)))
    await Promise.all(peers.map((peer) => peer.opened.promise))
    for (const [i, peer] of peers.entries()) for (let j = 0; j < 5; j++) peer.socket.send(`${i}/${j}`)
    for (const [i, peer] of peers.entries()) {
      expect(await peer.heard(5)).toEqual([0, 1, 2, 3, 4].map((j) => `${i}/${j}`))
    }
    expect(front.inFlight).toBe(20)
    for (const [i, peer] of peers.entries()) i % 2 === 0 ? peer.socket.close() : peer.socket.terminate()
    await Promise.all(peers.map((peer) => peer.closed.promise))
    await released(front)
    await leaks.settled()
  })

  it.each([
    ['401', 401],
    ['200', 200],
    ['404', 404],
    ['503', 503],
  ])('a target that refuses with %s: the answer is relayed as it is', async (_name, status) => {
    const origin = own(await originServer())
    // With no listener Node would take the request for an ordinary one.
    origin.server.on('upgrade', (_req, socket) => {
      socket.end(
        `HTTP/1.1 ${status} Whatever\r\nX-Reason: no\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 4\r\n\r\nnope`,
      )
    })
    const front = own(await kind.start(origin.url))
    const peer = own(new Peer(url(front)))
    await expect(peer.opened.promise).rejects.toThrow()
    expect(peer.refused).toBe(status)
    await released(front)
  })

  it('a dead target gives 502 as a response', async () => {
    const dead = await originServer()
    await dead.close()
    const front = own(await kind.start(dead.url))
    const peer = own(new Peer(url(front)))
    await expect(peer.opened.promise).rejects.toThrow()
    expect(peer.refused).toBe(502)
    await released(front)
  })
})

const handshake = [
  'GET /ws HTTP/1.1',
  'Host: a',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n')
const accepted =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

describe.each(rawFronts)('upgrades as bytes through $name', (kind) => {
  it('what either side sends right behind its head arrives', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(`${accepted}hello from the target`)
        await connection.until('hello from the client')
        await connection.write(' and again')
      }),
    )
    const front = own(await kind.start(origin.url))
    const client = own(await rawClient(front.port))
    client.write(`${handshake}hello from the client`)
    await client.until('hello from the target and again')
    expect(client.text.startsWith('HTTP/1.1 101')).toBe(true)
    const head = (await origin.connections[0]?.head()) ?? ''
    expect(origin.connections[0]?.text.slice(head.length)).toBe('hello from the client')
  })

  it('the handshake keeps its fields: Connection and Upgrade once, in both directions', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(
          accepted.replace('\r\n\r\n', '\r\nX-Twice: 1\r\nX-Twice: 2\r\nKeep-Alive: timeout=5\r\n\r\n'),
        )
      }),
    )
    const front = own(await kind.start({ targets: origin.url, via: 'edge' }))
    const client = own(await rawClient(front.port))
    client.write(handshake)
    const [response] = await client.responses(1)
    expect(response?.status).toBe(101)
    const headers = response?.headers ?? []
    expect(values(headers, 'connection').map((text) => text.toLowerCase())).toEqual(['upgrade'])
    expect(values(headers, 'upgrade')).toEqual(['websocket'])
    expect(values(headers, 'sec-websocket-accept')).toEqual(['s3pPLMBiTxaQ9kYGzzhZRbK+xOo='])
    expect(values(headers, 'x-twice')).toEqual(['1', '2'])
    expect(values(headers, 'keep-alive')).toEqual([])
    expect(values(headers, 'content-length')).toEqual([])
    expect(values(headers, 'transfer-encoding')).toEqual([])
    const lines = ((await origin.connections[0]?.head()) ?? '').split('\r\n')
    expect(lines[0]).toBe('GET /ws HTTP/1.1')
    expect(lines.filter((line) => /^upgrade:/i.test(line))).toHaveLength(1)
    expect(
      lines
        .filter((line) => /^connection:/i.test(line))
        .join()
        .toLowerCase(),
    ).toBe('connection: upgrade')
    expect(lines.filter((line) => /^sec-websocket-/i.test(line))).toEqual([
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ])
  })

  it('either half may end while the other goes on', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        connection.socket.removeAllListeners('end')
        const ended = deferred()
        connection.socket.on('end', () => ended.resolve())
        await connection.write(accepted)
        await ended.promise
        await connection.write('after your end')
        connection.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    const client = own(await rawClient(front.port, { allowHalfOpen: true }))
    client.write(handshake)
    await client.until('\r\n\r\n')
    client.socket.end('my last words')
    await client.until('after your end')
    await within(client.closed, 'the close')
    expect(origin.connections[0]?.text).toContain('my last words')
    await released(front)
  })

  it('a target that has ended its half still gets what the client sends', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(accepted)
        connection.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    const client = own(await rawClient(front.port, { allowHalfOpen: true }))
    const ended = once(client.socket, 'end')
    client.write(handshake)
    await within(ended, "the end of the target's half")
    client.socket.end('my last words')
    await within(client.closed, 'the close')
    await until(() => origin.connections[0]?.text.includes('my last words'), 'what the client sent')
    await released(front)
  })

  it('a refusal is a whole response that closes the connection', async () => {
    const body = 'x'.repeat(100_000)
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(403, { 'Set-Cookie': ['a=1', 'b=2'], 'X-Reason': 'no' })
        res.write(body)
        res.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    const { responses, ended } = await rawRequest(front.port, handshake)
    expect(responses).toHaveLength(1)
    expect(responses[0]).toMatchObject({ status: 403, complete: true })
    expect(responses[0]?.body.toString()).toBe(body)
    expect(values(responses[0]?.headers ?? [], 'set-cookie')).toEqual(['a=1', 'b=2'])
    expect(ended).toBe('end')
    await released(front)
  })

  it('a refused client that sent more, or that stays on, holds nothing open', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(403)
        res.end('no')
      }),
    )
    const front = own(await kind.start(origin.url))
    expect(await front.client.ask()).toMatchObject({ status: 403 })
    const leaks = leakCheck()
    for (const more of ['', 'bytes of the protocol that was refused', 'x'.repeat(1_000_000)]) {
      const client = own(await rawClient(front.port))
      client.write(handshake + more)
      await within(client.closed, 'the connection to close')
      // A reset may overtake the answer to a client that goes on sending.
      if (more.length < 1000) expect(client.text).toMatch(/^HTTP\/1\.1 403/)
    }
    const stays = own(await rawClient(front.port, { allowHalfOpen: true }))
    stays.write(handshake)
    await until(() => stays.ended !== 'open', 'the end of the answer')
    expect(stays.text).toMatch(/^HTTP\/1\.1 403/)
    await within(front.close(), 'close() although a refused client stays on')
    stays.close()
    await leaks.settled()
  })

  it('an error is a response that names nobody', async () => {
    const origin = own(await rawOrigin((connection) => connection.reset()))
    const front = own(await kind.start(origin.url))
    const { responses, ended, text } = await rawRequest(front.port, handshake)
    expect(responses.map(({ status }) => status)).toEqual([502])
    expect(ended).not.toBe('open')
    expect(text).not.toMatch(/127\.0\.0\.1|:\d{4,5}\b|\.js/)
    await released(front)
  })

  it.each([
    ['a 101 that does not say what to change to', '101 Switching Protocols\r\nUpgrade: x'],
    ['a 101 without a protocol', '101 Switching Protocols\r\nConnection: Upgrade'],
    ['a status that is none', '999 x\r\nContent-Length: 0'],
  ])("%s is the target's fault: 502, and no warning", async (_, head) => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(`HTTP/1.1 ${head}\r\n\r\n`)
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const client = own(await rawClient(front.port))
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    await client.closed
    expect(client.text).toMatch(/^HTTP\/1\.1 502 /)
    expect(warned).toEqual([])
    await until(() => origin.sockets === 0, 'the connection to the target is ended')
  })

  it('a client that resets before the answer, or right behind it, leaves nothing behind', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(`${accepted}data`)
      }),
    )
    const front = own(await kind.start(origin.url))
    const leaks = leakCheck()
    for (let i = 0; i < 20; i++) {
      const client = await rawClient(front.port)
      client.write(handshake.slice(0, i < 10 ? handshake.length : handshake.length - i))
      if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
      if (i === 0 || i === 5) await client.until('data')
      client.reset()
      await client.closed
    }
    await released(front)
    await leaks.settled()
  })
})

describe.each(twoFronts)('targets that fail at an upgrade, through $name', (kind) => {
  it.each([
    ['reset before the head', ''],
    ['reset in the head', accepted.slice(0, 40)],
    ['answer with garbage', 'garbage\r\n\r\n'],
  ])('%s: 502', async (_name, bytes) => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(bytes)
        connection.reset()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const { responses } = await rawRequest(front.port, handshake)
    expect(responses.map(({ status }) => status)).toEqual([502])
    await released(front)
  })

  it('a target that resets an open tunnel ends it for the client, and says so in the outcome', async () => {
    const seen = observer()
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(`${accepted}one`)
        await connection.until('two')
        connection.reset()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, use: [seen.layer] }))
    const client = own(await rawClient(front.port))
    client.write(handshake)
    await client.until('one')
    client.write('two')
    await within(client.closed, 'the end of the tunnel')
    expect(await seen.outcome()).toMatchObject({ kind: 'error', error: { code: 'http_upgrade_failed' } })
    await released(front)
  })

  it('a 101 that nobody asked for is a 502', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(accepted)
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 502, complete: true })
    await released(front)
  })

  it.each(['other', 'h2c', 'websocket, h2c'])(
    'a 101 to %s, which was not asked for, is a 502',
    async (protocol) => {
      const origin = own(
        await rawOrigin(async (connection) => {
          await connection.head()
          await connection.write(accepted.replace('Upgrade: websocket', `Upgrade: ${protocol}`))
        }),
      )
      const front = own(await kind.start({ targets: origin.url, retry: false }))
      const { responses } = await rawRequest(front.port, handshake)
      expect(responses.map(({ status }) => status)).toEqual([502])
      await released(front)
      await until(() => origin.sockets === 0, 'the connection to the target to close')
    },
  )
})

/** The whole answers that have come, without those of 1xx. */
function finals({ received }: RawClient): RawResponse[] {
  return parseResponses(received).filter(({ status, complete }) => status >= 200 && complete)
}

/** Clients of Java and curl ask for it without TLS, whatever the method, until somebody takes it up. */
const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'

/** From 22.21 and 24.9 on Node asks whether such a request is an upgrade; before, it leaves the body alone. */
const isAsked = 'shouldUpgradeCallback' in createServer()

/** Of each a name, the method, what frames the body, its first part, the rest, and all of it. */
const requests = [
  ['without a body', 'GET', '', '', '', ''],
  ['with a body of said length', 'POST', 'Content-Length: 5\r\n', 'hel', 'lo', 'hello'],
  [
    'with a body in chunks',
    'POST',
    'Transfer-Encoding: chunked\r\n',
    '3\r\nhel\r\n',
    '2\r\nlo\r\n0\r\n\r\n',
    'hello',
  ],
  ['that waits for 100', 'PUT', 'Expect: 100-continue\r\nContent-Length: 5\r\n', '', 'hello', 'hello'],
] as const

describe.each(twoFronts)('h2c is not switched to, through $name', (kind) => {
  it.each(requests)(
    'a request %s goes on as an ordinary one, where Node leaves its body to be read',
    async (_name, method, framing, first, rest, body) => {
      const leaks = leakCheck()
      const origin = own(await originServer(echo))
      const front = own(await kind.start(origin.url))
      const client = await rawClient(front.port)
      client.write(`${method} /a HTTP/1.1\r\nHost: a\r\n${h2c}${framing}\r\n${first}`)
      if (body === '' || isAsked) {
        if (framing.startsWith('Expect')) await client.until('100 Continue')
        else await origin.request()
        client.write(rest)
        const answer = await until(() => finals(client)[0], 'the answer')
        expect([answer.status, answer.body.toString()]).toEqual([200, body])
        const seen = await origin.request()
        expect(seen).toMatchObject({ method, url: '/a' })
        const fields = [...values(seen.rawHeaders, 'upgrade'), ...values(seen.rawHeaders, 'http2-settings')]
        expect(fields).toEqual([])
      } else {
        expect((await until(() => finals(client)[0], 'the answer')).status).toBe(400)
        expect(origin.requests).toHaveLength(0)
      }
      // RFC 9112 section 9.6: whoever says `close` closes, and the client needn't ask for it.
      await within(client.closed, 'the end of the connection')
      await released(front)
      await front.close()
      await origin.close()
      await leaks.settled()
    },
  )

  it('nothing is served behind one, and nothing of it is taken for content', async () => {
    const origin = own(await originServer(echo))
    const front = own(await kind.start(origin.url))
    const { responses, ended } = await rawRequest(
      front.port,
      `POST /a HTTP/1.1\r\nHost: a\r\n${h2c}Content-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a\r\n\r\n`,
    )
    expect(responses.map(({ status }) => status)).toEqual([isAsked ? 200 : 400])
    if (isAsked) expect(responses[0]?.body.toString()).toBe('hello')
    expect(value(responses[0]?.headers ?? [], 'connection')).toBe('close')
    expect(ended).not.toBe('open')
    expect(origin.requests.map(({ url }) => url)).toEqual(isAsked ? ['/a'] : [])
  })

  it('one that waits for an answer ahead of it keeps its turn', async () => {
    const origin = own(await originServer(echo))
    const front = own(await kind.start(origin.url))
    const ask = (path: string): string =>
      `GET ${path} HTTP/1.1\r\nHost: a\r\n${path === '/b' ? h2c : ''}X-Path: ${path}\r\n\r\n`
    const { responses } = await rawRequest(front.port, ask('/a') + ask('/b'), { responses: 2 })
    expect(responses.map(({ status }) => status)).toEqual([200, 200])
    expect(origin.requests.map(({ url }) => url)).toEqual(['/a', '/b'])
  })
})

describe('upgrades in an app', () => {
  it('attach() with a path takes its own and leaves the rest to the app', async () => {
    const origin = own(await webSocketOrigin())
    const proxy = own(createProxy(origin.url))
    const app = express()
    app.use('/api', proxy.listener)
    app.get('/own', (_req, res) => void res.send('the app itself'))
    const server = createServer(app)
    const ownSockets = new WebSocketServer({ noServer: true })
    const detach = proxy.attach(server, { path: '/api' })
    server.on('upgrade', (req, socket, head) => {
      if (req.url !== '/chat') return
      ownSockets.handleUpgrade(req, socket, head, (peer) => peer.send('the app itself'))
    })
    const front = own(await listen(server))
    const own1 = own(new Peer(`ws://127.0.0.1:${front.port}/chat`))
    const forwarded = own(new Peer(`ws://127.0.0.1:${front.port}/api/room?x=1`))
    await Promise.all([own1.opened.promise, forwarded.opened.promise])
    forwarded.socket.send('through')
    expect(await forwarded.heard(1)).toEqual(['through'])
    expect(await own1.heard(1)).toEqual(['the app itself'])
    expect(origin.handshakes.map(({ url }) => url)).toEqual(['/room?x=1'])
    expect(values(origin.handshakes[0]?.rawHeaders ?? [], 'x-forwarded-prefix')).toEqual(['/api'])
    expect((await front.client.ask({ path: '/own' })).text).toBe('the app itself')
    expect((await front.client.ask({ path: '/api/x' })).text).toBe('ok')
    expect(origin.origin.requests.map((request) => request.url)).toEqual(['/x'])
    detach()
    ownSockets.close()
  })

  it('an app that speaks h2c itself hears of it, but below the path of a proxy', async () => {
    const origin = own(await originServer(echo))
    const proxy = own(createProxy(origin.url))
    const heard: (string | undefined)[] = []
    const server = createServer().on('upgrade', (req, socket) => {
      heard.push(req.url)
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
    })
    const detach = proxy.attach(server, { path: '/api' })
    const front = own(await listen(server))
    const ask = async (path: string): Promise<number[]> => {
      const bytes = `GET ${path} HTTP/1.1\r\nHost: a\r\n${h2c}\r\n`
      return (await rawRequest(front.port, bytes, { responses: 1 })).responses.map(({ status }) => status)
    }
    expect(await ask('/api/x')).toEqual([200])
    expect(origin.requests.map(({ url }) => url)).toEqual(['/x'])
    expect(await ask('/own')).toEqual([101])
    detach()
    expect(await ask('/api/y')).toEqual([101])
    expect(heard).toEqual(['/own', '/api/y'])
  })

  it('an app that speaks no h2c serves it as before, beside a proxy, where Node asks', async () => {
    const origin = own(await originServer(echo))
    const proxy = own(createProxy(origin.url))
    const server = createServer((req, res) => void req.pipe(res))
    proxy.attach(server, { path: '/api' })
    const front = own(await listen(server))
    const bytes = `POST /own HTTP/1.1\r\nHost: a\r\n${h2c}Content-Length: 5\r\n\r\nhello`
    const { responses } = await rawRequest(front.port, bytes, { responses: 1 })
    expect(responses.map(({ status }) => status)).toEqual([isAsked ? 200 : 404])
    expect(responses[0]?.body.toString()).toBe(isAsked ? 'hello' : '')
  })

  it('is none where HTTP/1.0 asks for it (RFC 9110 section 7.8)', async () => {
    const origin = own(
      await originServer((req, res) => void res.end(`${req.headers.upgrade} ${req.headers.connection}`)),
    )
    const proxy = own(createProxy(origin.url))
    const { port } = await proxy.listen()
    const request = 'GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n'
    const [answer] = (await rawRequest(port, request)).responses
    expect(answer).toMatchObject({ status: 200, complete: true })
    expect(answer?.body.toString()).not.toContain('chat')
  })

  it('nobody matching an upgrade gets 404', async () => {
    const origin = own(await originServer())
    const proxy = own(createProxy(origin.url))
    const server = createServer()
    proxy.attach(server, { path: '/api' })
    const front = own(await listen(server))
    const { responses, ended } = await rawRequest(front.port, handshake)
    expect(responses.map(({ status }) => status)).toEqual([404])
    expect(ended).toBe('end')
  })
})
