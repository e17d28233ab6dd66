import { subscribe } from 'node:diagnostics_channel'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, PassThrough } from 'node:stream'
import { format as formatText } from 'node:util'
import debug from 'debug'
import { afterEach, describe, expect, it } from 'vitest'
import { heapInUse } from '../../../test/kit/heap.js'
import { listen } from '../../../test/kit/listen.js'
import { owner } from '../../../test/kit/owner.js'
import { rawClient } from '../../../test/kit/raw-request.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import {
  type AcceptProxyProtocolOptions,
  acceptProxyProtocol,
  format,
  type ProxyHeader,
  type ProxyProtocolRefusal,
  proxyHeader,
} from './index.js'

trapUnhandled()
const own = owner()

const refusals: ProxyProtocolRefusal[] = []
const note = (refusal: unknown): void => void refusals.push(refusal as ProxyProtocolRefusal)
subscribe('sluice:proxy-protocol', note)
afterEach(() => void refusals.splice(0))

const line = 'PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n'

/** A server that says to each connection who it takes it for. */
async function greeting(options: Partial<AcceptProxyProtocolOptions> = {}) {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.end(`${socket.remoteAddress} ${socket.remotePort} ${socket.remoteFamily}`)
  })
  const { port } = own(await listen(server as never))
  const undo = acceptProxyProtocol(server, { trust: () => true, ...options })
  return { server, port, sockets, undo }
}

async function greeted(port: number, bytes: string | Uint8Array): Promise<string> {
  const client = await rawClient(port)
  client.write(bytes)
  await client.closed
  return client.text
}

describe('options', () => {
  it.each<[unknown, string]>([
    [undefined, 'trust: got undefined, takes a function'],
    [{ trust: ['10.0.0.0/8'] }, "trust: got [ '10.0.0.0/8' ], takes a function"],
    [{ trust: () => true, timeout: '10s' }, "timeout: got '10s', takes a number of ms"],
    [{ trust: () => true, timeout: 0 }, 'timeout: got 0, takes a number of ms'],
    [{ trust: () => true, timeout: 2 ** 31 }, 'timeout: got 2147483648, takes a number of ms'],
    [{ trust: () => true, required: false }, 'required: unknown option'],
  ])('%j are refused', (options, message) => {
    expect(() => acceptProxyProtocol(createServer(), options as never)).toThrow(
      new RegExp(`^${escape(message)}`),
    )
  })

  it('are all told of at once', () => {
    expect(() => acceptProxyProtocol(createServer(), { trust: 1, timeout: -1 } as never)).toThrow(
      /^trust: .*\ntimeout: /,
    )
  })
})

describe('a connection of a trusted peer', () => {
  it.each<[string, ProxyHeader, string]>([
    ['IPv4', endpoints('inet', '192.0.2.7', '198.51.100.1'), '192.0.2.7 51234 IPv4'],
    ['IPv6', endpoints('inet6', '2001:db8::7', '2001:db8::1'), '2001:db8::7 51234 IPv6'],
    ['a Unix socket', endpoints('unix', '/run/client', '/run/server', 0), 'undefined undefined undefined'],
  ])('is its client’s: %s', async (_name, header, expected) => {
    const { port, sockets } = await greeting()
    expect(await greeted(port, format(2, header))).toBe(expected)
    const [socket] = sockets as [Socket]
    const { destination } = header
    const unix = header.family === 'unix'
    expect(socket.localAddress).toBe(unix ? undefined : destination?.address)
    expect(socket.localPort).toBe(unix ? undefined : 443)
    expect(proxyHeader(socket)).toMatchObject(header)
    expect(socket.listenerCount('readable') + socket.listenerCount('end')).toBe(1)
  })

  it.each([
    ['LOCAL', format(2, { command: 'local', family: 'unspec' })],
    ['UNKNOWN', 'PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'],
  ])('is the peer’s own where the header says %s', async (_name, bytes) => {
    const { port, sockets } = await greeting()
    expect(await greeted(port, bytes)).toMatch(/^127\.0\.0\.1 \d+ IPv4$/)
    expect(proxyHeader(sockets[0] as Socket)?.family).toBe('unspec')
  })

  it.each([
    ['anything else', 'GET / HTTP/1.1\r\n\r\n', 'neither signature', 18],
    ['bytes before its header', ` ${line}`, 'neither signature', line.length + 1],
    ['a broken header', 'PROXY TCP4 192.0.2.7 198.51.100.1 0 x\r\n', 'a port that is none', 39],
    ['an endless line', `PROXY UNKNOWN ${'x'.repeat(200)}`, 'no end of line within 107 bytes', 214],
    ['an endless block', Buffer.from('0d0a0d0a000d0a515549540a2111ffff', 'hex'), 'more than 16384 bytes', 16],
  ])('ends with %s, and is told of', async (_name, bytes, reason, count) => {
    const { port, sockets } = await greeting()
    expect(await greeted(port, bytes)).toBe('')
    expect(sockets).toEqual([])
    expect(refusals).toEqual([
      { peer: { address: '127.0.0.1', port: expect.any(Number) }, reason, bytes: count },
    ])
  })

  it('ends when its time is up, however it has spent it', async () => {
    const { port, sockets } = await greeting({ timeout: 30 })
    const [silent, slow] = await Promise.all([rawClient(port), rawClient(port)])
    const drip = setInterval(() => slow.socket.write('PROXY TCP4 '[slow.socket.bytesWritten % 11] ?? ' '), 3)
    await Promise.all([silent.closed, slow.closed])
    clearInterval(drip)
    expect(sockets).toEqual([])
    expect(refusals.map(({ reason }) => reason)).toContain('the time for a header was up')
  })

  it('that ends within its header is told of; one that is reset, or only probes, is not', async () => {
    const { server, port, sockets } = await greeting()
    const gone = (): Promise<true> =>
      until(
        () =>
          new Promise<boolean>((resolve) => {
            server.getConnections((_error, connections) => resolve(connections === 0))
          }),
        'its end',
      ) as Promise<true>
    for (const bytes of ['', format(2, { command: 'local', family: 'unspec' })]) {
      const probe = await rawClient(port, { allowHalfOpen: true })
      probe.socket.end(bytes)
      await probe.closed
    }
    const reset = await rawClient(port)
    reset.reset()
    await gone()
    expect(refusals).toEqual([])
    const half = await rawClient(port, { allowHalfOpen: true })
    half.socket.end('PROXY TCP4')
    await half.closed
    expect(refusals).toMatchObject([{ reason: 'it ended before its header', bytes: 10 }])
    // Of a header whose end comes a moment later the server hears, to be ended at once.
    expect(sockets.length).toBeLessThanOrEqual(1)
  })

  it('is told of by debug, where that is on', async () => {
    const said: string[] = []
    const { log } = debug
    debug.log = (...args: unknown[]) => void said.push(formatText(...args))
    debug.enable('sluice:proxy-protocol')
    try {
      const { port } = await greeting()
      await greeted(port, 'hello')
      expect(said.join()).toMatch(/127\.0\.0\.1:\d+ ended after 5 bytes: neither signature/)
    } finally {
      debug.disable()
      debug.log = log
    }
  })
})

describe('trust', () => {
  it('is asked for an address, one that is IPv4 as IPv4', async () => {
    const asked: string[] = []
    const { server, port } = await greeting({
      trust: (address) => {
        asked.push(address)
        return false
      },
    })
    expect(await greeted(port, '')).toMatch(/^127\.0\.0\.1 /)
    for (const remoteAddress of ['::ffff:10.1.2.3', 'fe80::1', undefined])
      server.emit('connection', Object.assign(new PassThrough(), { remoteAddress }) as unknown as Socket)
    expect(asked).toEqual(['127.0.0.1', '10.1.2.3', 'fe80::1', ''])
  })

  it('that says anything but true trusts nobody: a header of theirs is no header', async () => {
    const { port, sockets } = await greeting({ trust: (async () => true) as never })
    expect(await greeted(port, line)).toMatch(/^127\.0\.0\.1 /)
    expect(proxyHeader(sockets[0] as Socket)).toBeUndefined()
  })

  it('that throws ends the connection, and nothing else', async () => {
    const { port } = await greeting({
      trust: () => {
        throw new Error('no list')
      },
    })
    expect(await greeted(port, line)).toBe('')
    expect(refusals[0]?.reason).toBe('trust threw Error: no list')
  })
})

describe('a stream that is no socket', () => {
  it('says who its client is, too', async () => {
    const { server, sockets } = await greeting()
    const stream = new PassThrough()
    server.emit('connection', stream as unknown as Socket)
    stream.write(line)
    await until(() => sockets.length === 1, 'the header')
    const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = sockets[0] as Socket
    expect([remoteAddress, remotePort, remoteFamily]).toEqual(['192.0.2.7', 51_234, 'IPv4'])
    expect([localAddress, localPort]).toEqual(['198.51.100.1', 443])
  })

  it('of TLS that doesn’t show what it runs on is not served', async () => {
    const { server } = await greeting()
    const stream = new PassThrough()
    server.emit('secureConnection', stream)
    expect(stream.destroyed).toBe(true)
  })
})

describe('undone', () => {
  it('leaves nothing behind; a connection that has begun goes on', async () => {
    const { server, port, undo } = await greeting()
    const before = await rawClient(port)
    before.write(line.slice(0, 20))
    await until(
      () =>
        new Promise<boolean>((resolve) => {
          server.getConnections((_error, count) => resolve(count === 1))
        }),
      'the connection',
    )
    undo()
    expect(server.eventNames().sort()).toEqual(['connection', 'session'].sort())
    before.write(line.slice(20))
    await before.closed
    expect(before.text).toBe('192.0.2.7 51234 IPv4')
    expect(await greeted(port, line)).toMatch(/^127\.0\.0\.1 /)
  })
})

it('a server in the file system takes headers too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  const path = join(folder, 'socket')
  const asked: string[] = []
  const server = createServer((socket) => socket.end(`${socket.remoteAddress}`))
  acceptProxyProtocol(server, { trust: (address) => asked.push(address) > 0 })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const socket = connect(path)
  socket.write(line)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true })
  expect([text, asked]).toEqual(['192.0.2.7', ['']])
})

it('10,000 connections that wait hold little, and leave nothing', async () => {
  const server = createHttpServer()
  const undo = acceptProxyProtocol(server, { trust: () => true })
  const sockets: Duplex[] = []
  const make = (): Duplex => new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  for (let i = 0; i < 10_000; i++) sockets.push(make())
  const listeners = (): number => sockets.reduce((sum, socket) => sum + count(socket), 0)
  const listenersBefore = listeners()
  const before = await heapInUse()
  for (const socket of sockets) {
    server.emit('connection', socket as unknown as Socket)
    socket.push('PROXY TCP4 192.0.2.7 ')
  }
  await new Promise((resolve) => setImmediate(resolve))
  const each = ((await heapInUse()) - before) / sockets.length
  expect(each).toBeLessThan(4096)
  server.close()
  await until(() => sockets.every(({ closed }) => closed), 'their end')
  await new Promise((resolve) => setImmediate(resolve))
  expect(listeners()).toBe(listenersBefore)
  undo()
  expect(server.listenerCount('secureConnection')).toBe(0)
}, 60_000)

const count = (socket: Duplex): number =>
  socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0)

function endpoints(family: 'inet' | 'inet6' | 'unix', from: string, to: string, port = 51_234): ProxyHeader {
  const destination = { address: to, port: family === 'unix' ? 0 : 443 }
  return { command: 'proxy', family, transport: 'stream', source: { address: from, port }, destination }
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
