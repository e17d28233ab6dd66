import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createHttp2Server, createSecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Server, Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import {
  type Hardened,
  type HardenOptions,
  harden,
  isHardened,
  type Refusal,
  serverOptions,
} from '@sluice/guard'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { owner } from '../kit/owner.js'
import { parseResponses, rawClient, rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'
import { type X509Pair, x509SelfSigned } from '../kit/x509.js'

trapUnhandled()
const own = owner()
let pair: X509Pair
beforeAll(async () => {
  pair = await x509SelfSigned({ names: ['localhost'] })
})

type Listener = Parameters<typeof createServer>[1]

interface Hardly extends Hardened {
  readonly port: number
  readonly server: Server
  /** What was told on the channel. */
  readonly told: Refusal[]
}

const channels: (() => void)[] = []
afterEach(() => {
  for (const each of channels.splice(0)) each()
})

async function listening(server: Server, options: HardenOptions = {}): Promise<Hardly> {
  const hardened = harden(server, options)
  const told: Refusal[] = []
  const hear = (message: unknown): void => void told.push(message as Refusal)
  diagnostics.subscribe('sluice:guard', hear)
  channels.push(() => diagnostics.unsubscribe('sluice:guard', hear))
  const sockets = new Set<{ destroy(): void }>()
  server.on('connection', (socket) => sockets.add(socket))
  own({
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(Object.create(hardened), {
    refused: hardened.refused,
    [Symbol.dispose]: () => hardened[Symbol.dispose](),
    port: (server.address() as AddressInfo).port,
    server,
    told,
  })
}

const ok: Listener = (req, res) => {
  req.resume()
  res.end('ok')
}

const plain = (listener: Listener = ok, options: HardenOptions = {}): Promise<Hardly> => {
  const { slow: _, ...server } = options
  return listening(createServer(serverOptions(server), listener), options)
}

const parserErrors: [string, string, number, string][] = [
  [
    'two lengths',
    'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    400,
    'unexpected-content-length',
  ],
  [
    'a length that is none',
    'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n',
    400,
    'invalid-content-length',
  ],
  ['a space before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n', 400, 'invalid-header-token'],
  ['a control byte in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n', 400, 'invalid-header-token'],
  ['a version that is none', 'GET / HTTP/9.9\r\nHost: a\r\n\r\n', 400, 'invalid-version'],
  ['a method that is none', 'NONE / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'invalid-method'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, 'http2-preface'],
  [
    'a field that is too long',
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'head-too-large',
  ],
  ['many fields', `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(10_000)}\r\n`, 431, 'head-too-large'],
  [
    'a request-target that is too long',
    `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    414,
    'url-too-long',
  ],
]

describe('what the parser of a server refuses', () => {
  it.each(parserErrors)('is answered: %s', async (_what, bytes, status, reason) => {
    const { port, refused, told } = await plain()
    const { responses, ended, text } = await rawRequest(port, bytes)
    expect(responses).toHaveLength(1)
    const [response] = responses
    expect(response?.status).toBe(status)
    expect(response?.complete).toBe(true)
    expect(response?.untilClose).toBe(false)
    expect(value(response?.headers ?? [], 'connection')).toBe('close')
    expect(Date.parse(value(response?.headers ?? [], 'date') ?? '')).toBeGreaterThan(0)
    expect(value(response?.headers ?? [], 'content-type')).toBe('text/plain; charset=utf-8')
    expect(value(response?.headers ?? [], 'cache-control')).toBe('no-store')
    expect(String(response?.body)).toMatch(new RegExp(`^${status} [A-Z][\\w -]+\n$`, 'i'))
    expect(text).not.toContain('xxx')
    expect(ended).toBe('end')
    expect(refused).toEqual({ [reason]: 1 })
    expect(told).toMatchObject([{ reason, status, address: '127.0.0.1' }])
  })

  it('is answered once, whatever else comes', async () => {
    const { port, refused } = await plain()
    const client = own(await rawClient(port, { allowHalfOpen: true }))
    client.write('NONE / HTTP/1.1\r\n\r\n')
    await client.until('400 Bad Request\n')
    for (let i = 0; i < 20; i++) client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    client.socket.end()
    await within(client.closed, 'the end')
    expect(parseResponses(client.received)).toHaveLength(1)
    expect(refused).toEqual({ 'invalid-method': 1 })
  })

  it('hears its answer although it is still sending', async () => {
    const { port } = await plain()
    const client = own(await rawClient(port, { allowHalfOpen: true }))
    // More than what the system keeps for both ends, so that it goes only if the server reads on.
    client.write(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`)
    await within(new Promise((sent) => client.socket.end('', () => sent(undefined))), 'all that it sends')
    await within(client.closed, 'the end')
    expect(client.ended).toBe('end')
    expect(parseResponses(client.received)[0]?.status).toBe(431)
  })

  it('waits for the answers to what was asked before', async () => {
    const go = deferred()
    const asked = deferred()
    const { port, refused } = await plain(async (_req, res) => {
      asked.resolve()
      await go.promise
      res.end('first')
    })
    const client = own(await rawClient(port))
    client.write(
      'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nNONE / HTTP/1.1\r\n\r\n',
    )
    await asked.promise
    await until(() => refused['invalid-method'] === 1, 'the refusal')
    expect(client.text).toBe('')
    go.resolve()
    await within(client.closed, 'the end')
    expect(parseResponses(client.received).map(({ status }) => status)).toEqual([200, 200, 400])
  })

  it('is answered in the middle of a body, and who works on it hears that it has ended', async () => {
    const closed = deferred()
    const { port, refused } = await plain((req, res) => {
      req.on('error', () => {}).resume()
      res.on('close', () => {
        closed.resolve()
        // Too late.
        res.end('never')
      })
    })
    const client = own(await rawClient(port))
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n')
    await within(closed.promise, 'the end of its exchange')
    await within(client.closed, 'the end')
    expect(parseResponses(client.received).map(({ status }) => status)).toEqual([400])
    expect(client.text).not.toContain('never')
    expect(refused).toEqual({ 'invalid-chunk-size': 1 })
  })

  it('cuts an answer that has begun, and never writes into it', async () => {
    const { port } = await plain((req, res) => {
      req.on('error', () => {}).resume()
      res.writeHead(200).write('half')
    })
    const client = own(await rawClient(port))
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    await client.until('half')
    client.write('xyz\r\n')
    await within(client.closed, 'the end')
    expect(client.text).not.toContain('400')
    expect(parseResponses(client.received)[0]?.complete).toBe(false)
  })

  it('is no reason for an answer where the client has gone', async () => {
    const { port, refused, server } = await plain()
    const connected = once(server, 'connection') as Promise<Socket[]>
    const client = await rawClient(port)
    client.write('GET / HTTP/1.1\r\nHo')
    const [socket] = await connected
    await until(() => (socket?.bytesRead ?? 0) > 0, 'its bytes')
    client.reset()
    await until(() => refused.econnreset === 1, 'its end')
    expect(socket?.bytesWritten).toBe(0)
  })

  it('is left to a listener of the app that answers first', async () => {
    const server = createServer(ok)
    server.on('clientError', (_error, socket) =>
      socket.end('HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n'),
    )
    const { port } = await listening(server)
    const { responses } = await rawRequest(port, 'NONE / HTTP/1.1\r\n\r\n')
    expect(responses.map(({ status }) => status)).toEqual([418])
  })
})

describe.each([
  ['https', (tls: object, listener: Listener) => createHttpsServer({ ...tls, ...serverOptions() }, listener)],
  [
    'http2 with allowHTTP1',
    (tls: object, listener: Listener) =>
      createSecureServer({ ...tls, ...serverOptions(), allowHTTP1: true }, listener as never),
  ],
])('%s', (_name, make) => {
  it('answers as well, and serves', async () => {
    const { port, refused } = await listening(make({ cert: pair.cert, key: pair.key }, ok) as Server)
    expect(await secureRequest(port, 'NONE / HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
    expect(refused).toEqual({ 'invalid-method': 1 })
    expect(await secureRequest(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 200 OK\r\n/,
    )
  })

  it('ends handshakes that stall', async () => {
    const { port, refused } = await listening(make({ cert: pair.cert, key: pair.key }, ok) as Server, {
      handshake: 40,
    })
    const client = own(await rawClient(port))
    client.write('\x16\x03\x01')
    await within(client.closed, 'the end')
    expect(refused['handshake-timeout']).toBe(1)
  })
})

/** All that comes over a connection of TLS until its end. */
async function secureRequest(port: number, bytes: string, options: ConnectionOptions = {}): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  own({ close: () => socket.destroy() })
  socket.write(bytes)
  let text = ''
  socket.on('data', (chunk) => {
    text += String(chunk)
  })
  socket.on('error', () => {})
  await within(once(socket, 'close'), 'the end')
  return text
}

describe('connections', () => {
  it('are as many as `connections` says', async () => {
    const { port, refused } = await plain(ok, { connections: 2 })
    const first = own(await rawClient(port))
    const second = own(await rawClient(port))
    for (const client of [first, second]) {
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      await client.responses()
    }
    const third = own(await rawClient(port))
    await within(third.closed, 'its end')
    expect(refused).toEqual({ connections: 1 })
    first.close()
    await until(async () => {
      const { responses } = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', { responses: 1 })
      return responses.length === 1
    }, 'room for another one')
  })

  it('of one address are as many as `connectionsPerAddress` says', async () => {
    const { port, refused } = await plain(ok, { connectionsPerAddress: 1 })
    const first = own(await rawClient(port))
    first.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await first.responses()
    const second = own(await rawClient(port))
    await within(second.closed, 'its end')
    expect(second.text).toBe('')
    expect(refused).toEqual({ 'connections-per-address': 1 })
    first.close()
    await until(async () => {
      const { responses } = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', { responses: 1 })
      return responses.length === 1
    }, 'room for another one')
  })

  it('of TLS as well, without a handshake', async () => {
    const server = createHttpsServer({ cert: pair.cert, key: pair.key }, ok)
    const { port, refused } = await listening(server, { connectionsPerAddress: 1 })
    const first = own(await rawClient(port))
    await until(async () => {
      const second = await rawClient(port)
      second.write('GET / HTTP/1.1\r\n\r\n')
      await second.closed
      return true
    }, 'the end of another one')
    expect(refused['connections-per-address']).toBe(1)
    first.close()
  })
})

describe('harden', () => {
  it('is undone', async () => {
    const server = createServer(ok)
    const names = ['connection', 'clientError', 'drop', 'session', 'secureConnection']
    const counts = () => names.map((name) => server.listenerCount(name))
    const limits = () => {
      const { headersTimeout, keepAliveTimeout, maxConnections, maxHeadersCount, requestTimeout } = server
      return { headersTimeout, keepAliveTimeout, maxConnections, maxHeadersCount, requestTimeout }
    }
    const before = [counts(), limits()]
    const hardened = harden(server, { connections: 7, head: '3s', request: '2s' })
    expect(isHardened(server)).toBe(true)
    expect(limits()).toEqual({
      headersTimeout: 2_000,
      keepAliveTimeout: 5_000,
      maxConnections: 7,
      maxHeadersCount: 0,
      requestTimeout: 2_000,
    })
    hardened[Symbol.dispose]()
    hardened[Symbol.dispose]()
    expect([counts(), limits()]).toEqual(before)
    expect(isHardened(server)).toBe(false)
  })

  it('leaves a session alone that another listener has ended', async () => {
    const server = createHttp2Server(serverOptions())
    server.on('session', (session) => session.destroy())
    const { port } = await listening(server)
    // What it throws there is nobody's to catch, and would end the process.
    await (await rawClient(port)).closed
  })

  it('is done once', () => {
    const server = createHttp2Server()
    const first = harden(server)
    expect(harden(server)).toBe(first)
    expect(server.listenerCount('session')).toBe(1)
    first[Symbol.dispose]()
    expect(harden(server)).not.toBe(first)
  })

  it('lets whoever judges see every field', async () => {
    let seen = 0
    const { port } = await plain(
      (req, res) => {
        seen = req.rawHeaders.length / 2
        res.end()
      },
      { maxHeaderSize: '64kb' },
    )
    await rawRequest(port, `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(3_000)}\r\n`, { responses: 1 })
    expect(seen).toBe(3_001)
  })
})
