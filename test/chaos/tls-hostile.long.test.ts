import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { connect as connectTls, type SecureVersion } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { seeded } from '../kit/seeded.js'
import { until } from '../kit/until.js'
import { x509SelfSigned } from '../kit/x509.js'
import { type TlsProxyProcess, tlsProxyProcess } from './tls-proxy-process.js'

const random = seeded(8)
const below = (end: number): number => Math.floor(random() * end)
const host = '127.0.0.1'
const insecure = { host, rejectUnauthorized: false }

let proxy: TlsProxyProcess
let hello: Buffer
/** Descriptors of the process before anybody came. */
let idle: number
/** What Node itself opens when it is first needed. */
const slack = 3

beforeAll(async () => {
  const { cert, key } = await x509SelfSigned({ names: ['a.test'] })
  proxy = await tlsProxyProcess({ cert, key, tickets: { secret: 'a secret of more than thirty-two bytes' } })
  hello = await clientHello()
  idle = (await proxy.stats()).descriptors
})

afterAll(() => proxy.close())

/** What a client of Node's says first. */
async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connectTls({ ...insecure, port, servername: 'a.test', ALPNProtocols: ['h2', 'http/1.1'] })
  client.on('error', () => {})
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  server.close()
  return bytes
}

/** So many, some at a time. */
async function many(count: number, each: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < count) await each(next++)
  }
  await Promise.all(Array.from({ length: 20 }, work))
}

/** Says these bytes to the proxy, and leaves. */
function say(bytes: Buffer, leave: 'end' | 'resetAndDestroy'): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(proxy.port, host, () => socket.write(bytes, () => socket[leave]()))
    socket.on('error', () => {}).on('close', () => resolve())
    socket.resume()
  })
}

/** In records, as a client sends a message of a handshake. */
function records(message: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < message.length; at += 16_384) {
    const part = message.subarray(at, at + 16_384)
    parts.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part)
  }
  return Buffer.concat(parts)
}

/** A handshake, and then bytes that are none of TLS, or of no protocol inside it, or a reset in the middle of a request. */
function breakLater(i: number, protocol: string, version: SecureVersion): Promise<void> {
  return new Promise((resolve) => {
    const raw = connect(proxy.port, host)
    const versions = { minVersion: version, maxVersion: version }
    const secure = connectTls({ ...insecure, ...versions, socket: raw, ALPNProtocols: [protocol] }, () => {
      const garbage = Buffer.from(Array.from({ length: 300 }, () => below(256)))
      if (i % 3 === 0) raw.end(garbage)
      else if (i % 3 === 1) secure.end(garbage)
      else
        secure.write(protocol === 'h2' ? 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' : 'GET / HTTP/1.1\r\n', () =>
          raw.resetAndDestroy(),
        )
    })
    raw.on('error', () => {})
    secure.on('error', () => raw.destroy()).on('close', () => resolve())
    secure.resume()
  })
}

interface Visit {
  readonly reused: boolean
  readonly session: Buffer
  /** What the proxy sees of the session. */
  readonly ticket: Buffer
}

/** Asks for a page, with a session or without; without it is given one. */
function visit(version: SecureVersion, given?: Buffer): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const empty = Buffer.alloc(0)
    let seen: Visit = { reused: false, session: empty, ticket: empty }
    const versions = { minVersion: version, maxVersion: version }
    const socket = connectTls({ ...insecure, ...versions, port: proxy.port, session: given }, () => {
      seen = { ...seen, reused: socket.isSessionReused() }
      socket.write('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
    })
    socket.on('session', (session) => {
      seen = { ...seen, session, ticket: socket.getTLSTicket() ?? empty }
    })
    socket.on('error', reject).on('close', () => resolve(seen))
    socket.resume()
  })
}

/** A session of HTTP/2 with requests and WebSockets, and a WebSocket of HTTP/1.1, that end in one of several ways. */
async function mixed(): Promise<void> {
  const session: ClientHttp2Session = connectHttp2(`https://${host}:${proxy.port}`, insecure)
  session.on('error', () => {})
  const over = once(session, 'close')
  await once(session, 'remoteSettings')
  const answered = Array.from({ length: 4 }, async (_, i) => {
    const stream: ClientHttp2Stream = session.request(
      i % 2 === 0 ? { ':path': '/' } : { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/' },
    )
    stream.on('error', () => {}).resume()
    const [head] = (await once(stream, 'response')) as [{ ':status'?: number }]
    expect(head[':status']).toBe(200)
    const how = below(3)
    if (how === 0) stream.close(8)
    else if (how === 1) stream.end('bye')
  })
  await Promise.all(answered)
  if (below(2) === 0) session.close()
  session.destroy()
  const socket = connectTls({ ...insecure, port: proxy.port, ALPNProtocols: ['http/1.1'] })
  socket.on('error', () => {})
  socket.write(
    'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  expect(String(bytes)).toMatch(/^HTTP\/1\.1 101 /)
  if (below(2) === 0) socket.end()
  else socket.destroy()
  socket.resume()
  await Promise.all([over, socket.closed ? undefined : once(socket, 'close')])
}

/** Nothing is left of what was done, and it serves. */
async function expectWell(): Promise<void> {
  expect((await visit('TLSv1.3')).reused).toBe(false)
  await until(
    async () => (await proxy.stats()).descriptors <= idle + slack,
    `${idle + slack} descriptors at most`,
    30_000,
  )
  expect(proxy.faults).toEqual([])
}

describe('a proxy with TLS, in a process of its own', () => {
  it.each(['end', 'resetAndDestroy'] as const)(
    'outlives clients that leave by %s at each byte',
    async (how) => {
      await many(hello.length + 1, (i) => say(hello.subarray(0, i), how))
      await expectWell()
    },
  )

  it('outlives first messages that are altered, huge, in crumbs', async () => {
    await many(2_000, () => {
      const altered = Buffer.from(hello)
      for (let n = below(4); n >= 0; n--) altered[below(altered.length)] = below(256)
      return say(altered, 'end')
    })
    for (const size of [60_000, 130_000, 2 ** 24 - 1]) {
      const head = Buffer.from([1, size >> 16, (size >> 8) & 255, size & 255])
      await say(records(Buffer.concat([head, Buffer.alloc(size, 1)])), 'end')
    }
    const crumbs = [...hello.subarray(5)].map((byte) => records(Buffer.from([byte])))
    await say(Buffer.concat(crumbs), 'end')
    await say(Buffer.from('16030100'.repeat(100), 'hex'), 'end')
    await expectWell()
  })

  it('outlives what breaks off after the handshake', async () => {
    for (const protocol of ['http/1.1', 'h2'])
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
        await many(150, (i) => breakLater(i, protocol, version))
    await expectWell()
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'takes no ticket of %s that is altered, and each that is not',
    async (version) => {
      const { session, ticket } = await visit(version)
      const at = session.indexOf(ticket)
      expect(ticket.length).toBeGreaterThan(64)
      expect(at).toBeGreaterThan(0)
      await many(2 * ticket.length, async (i) => {
        const copy = Buffer.from(session)
        if (i % 2 === 1) copy.writeUInt8(copy.readUInt8(at + (i >> 1)) ^ (1 << below(8)), at + (i >> 1))
        expect((await visit(version, copy)).reused, `byte ${i >> 1}`).toBe(i % 2 === 0)
      })
      await expectWell()
    },
  )

  it('keeps nothing of thousands of streams, WebSockets and connections, of both versions of HTTP', async () => {
    await many(200, mixed)
    await expectWell()
    const before = (await proxy.stats()).heapUsed
    await many(800, mixed)
    await expectWell()
    const after = (await proxy.stats()).heapUsed
    // Had the sessions stayed it would be 4 MB more, and with the WebSockets 10 MB.
    expect(after).toBeLessThan(before + 2e6)
  })

  it('ends by itself when it is closed', async () => {
    await proxy.end()
    expect(proxy.faults).toEqual([])
  })
})
