import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { EventEmitter } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, createServer, request, type Server } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server, createSecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, Readable } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { attach, chain, clientAddress } from '@sluice/core'
import { acceptProxyProtocol, format, type ProxyHeader, proxyHeader } from '@sluice/proxy-protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { testCertificate } from '../kit/certificate.js'
import { headerRelays } from '../kit/header-relay.js'
import { leakCheck } from '../kit/leak-check.js'
import { listen } from '../kit/listen.js'
import { owner } from '../kit/owner.js'
import { rawClient, rawRequest } from '../kit/raw-request.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()
const certificate = testCertificate()
const noOpenssl = skipUnless(certificate, 'PROXY headers ahead of TLS: no openssl to make a certificate')

/** Who a server takes a client for. */
interface Seen {
  readonly peer: { readonly address: string; readonly port: number }
  readonly client: string
  readonly local: readonly [string, number]
  readonly header?: ProxyHeader
}

interface Kind {
  readonly name: string
  readonly protocol: 'http' | 'h2c' | 'https' | 'h2'
  readonly make: () => Server
}

const allowHttp1 = (): Server => createSecureServer({ ...certificate, allowHTTP1: true }) as never
const plain: Kind = { name: 'http', protocol: 'http', make: () => createServer() }
const kinds: readonly Kind[] = [
  plain,
  { name: 'http2 without TLS', protocol: 'h2c', make: () => createHttp2Server() as never },
  ...(noOpenssl
    ? []
    : ([
        { name: 'https', protocol: 'https', make: () => createHttpsServer({ ...certificate }) as never },
        { name: 'http2 with allowHTTP1, by HTTP/1.1', protocol: 'https', make: allowHttp1 },
        { name: 'http2 with allowHTTP1, by HTTP/2', protocol: 'h2', make: allowHttp1 },
      ] as const)),
]
const secured = kinds.filter(({ protocol }) => protocol === 'https' || protocol === 'h2')

const handler = chain()
  .use(clientAddress({ trust: ['127.0.0.0/8'] }))
  .handle((ctx) => {
    const { socket } = ctx.req
    const seen: Seen = {
      peer: ctx.peer,
      client: ctx.client.address,
      local: [socket.localAddress as string, socket.localPort as number],
      header: proxyHeader(socket) as ProxyHeader,
    }
    return { status: 200, headers: ['content-type', 'application/json'], body: JSON.stringify(seen) }
  })

interface FrontOptions {
  trust?: (address: string) => boolean
  timeout?: number
  set?: (server: Server) => void
}

/** A server with a chain, that takes headers from those it trusts: everybody, unless told otherwise. */
async function front(kind: Kind, { trust = () => true, timeout = 60_000, set }: FrontOptions = {}) {
  const server = kind.make()
  set?.(server)
  attach(server, handler)
  const mounted = own(await listen(server))
  const undo = acceptProxyProtocol(server, { trust, timeout })
  return { server, port: mounted.port, undo }
}

/** The same server where no header was ever taken, with a listener of a test's own. */
async function untouched(kind: Kind): Promise<Server> {
  const server = kind.make()
  server.on('connection', () => {})
  attach(server, handler)
  own(await listen(server))
  return server
}

/** A connection whose first bytes go out behind a header, in one piece or in parts of these sizes. */
class Headed extends Duplex {
  constructor(
    private readonly socket: Socket,
    private header: Uint8Array,
    private readonly sizes: number[] = [],
  ) {
    super()
    socket.on('data', (chunk) => this.push(chunk))
    socket.on('end', () => this.push(null))
    socket.on('error', (error) => this.destroy(error))
    socket.on('close', () => this.destroy())
    this.on('error', () => {})
  }

  /** What an agent asks of the sockets that it keeps. */
  setKeepAlive(): this {
    return this
  }

  setTimeout(): this {
    return this
  }

  ref(): void {}

  unref(): void {}

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const bytes = Buffer.concat([this.header, chunk])
    this.header = Buffer.alloc(0)
    this.send(bytes, done)
  }

  private send(bytes: Buffer, done: () => void): void {
    const size = this.sizes.shift()
    if (size === undefined || size >= bytes.length) {
      this.socket.write(bytes, done)
      return
    }
    this.socket.write(bytes.subarray(0, size), () =>
      setImmediate(() => this.send(bytes.subarray(size), done)),
    )
  }

  override _final(done: () => void): void {
    this.socket.end(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.socket.destroy()
    done(error)
  }
}

interface Client {
  ask(headers?: Record<string, string>): Promise<Seen>
  close(): void
}

/** Speaks HTTP over one connection, which it keeps. */
function clientOver(protocol: Kind['protocol'], socket: Duplex): Client {
  const tls = { socket, ca: certificate?.cert, servername: 'localhost' }
  if (protocol === 'h2' || protocol === 'h2c') {
    const session = connectHttp2(protocol === 'h2' ? 'https://localhost' : 'http://localhost', {
      createConnection: () => (protocol === 'h2' ? connectTls({ ...tls, ALPNProtocols: ['h2'] }) : socket),
    })
    const failed = new Promise<never>((_, reject) => session.on('error', reject))
    failed.catch(() => {})
    return own({
      ask: async (headers = {}) => {
        const stream = session.request({ ':path': '/', ...headers })
        return JSON.parse(await Promise.race([textOf(stream), failed])) as Seen
      },
      close: () => session.destroy(),
    })
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let made = false
  agent.createConnection = (() => {
    if (made) throw new Error('a second connection')
    made = true
    return protocol === 'http' ? socket : connectTls({ ...tls, ALPNProtocols: ['http/1.1'] })
  }) as never
  return own({
    ask: (headers = {}) =>
      new Promise<Seen>((resolve, reject) => {
        const req = request({ agent, headers: { host: 'localhost', ...headers } })
        req.on('response', (res) => resolve(textOf(res).then((text) => JSON.parse(text) as Seen)))
        req.on('error', reject)
        req.end()
      }),
    close: () => {
      agent.destroy()
      socket.destroy()
    },
  })
}

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}

const open = (port: number): Socket => own(connectTo(port))

function connectTo(port: number): Socket & { close(): void } {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  return Object.assign(socket, { close: () => void socket.destroy() })
}

function headerOf(family: 'inet' | 'inet6', from: string, to: string): ProxyHeader {
  return {
    command: 'proxy',
    family,
    transport: 'stream',
    source: { address: from, port: 51_234 },
    destination: { address: to, port: 443 },
  }
}

const four = headerOf('inet', '192.0.2.7', '198.51.100.1')
const six = headerOf('inet6', '2001:db8::7', '2001:db8::1')
const unix: ProxyHeader = {
  command: 'proxy',
  family: 'unix',
  source: { address: '/run/client', port: 0 },
  destination: { address: '/run/server', port: 0 },
}

describe.each(kinds)('in front of $name', (kind) => {
  it.each([
    ['version 1, IPv4', format(1, four), four],
    ['version 1, IPv6', format(1, six), six],
    ['version 2, IPv4', format(2, four), four],
    ['version 2, IPv6', format(2, six), six],
  ])(
    '%s: in one packet with what follows, and all requests have that client',
    async (_name, bytes, header) => {
      const { port } = await front(kind)
      const client = clientOver(kind.protocol, new Headed(open(port), bytes))
      for (let i = 0; i < 3; i++) {
        expect(await client.ask({ 'x-forwarded-for': '203.0.113.9' })).toEqual({
          peer: header.source,
          client: header.source?.address,
          local: ['address', 'port'].map((name) => header.destination?.[name as 'port']),
          header,
        })
      }
    },
  )

  it('in every split of the bytes', async () => {
    const { port } = await front(kind)
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(1, 2), sizes, async (version, split) => {
        const client = clientOver(kind.protocol, new Headed(open(port), format(version as 1, four), split))
        expect((await client.ask()).peer).toEqual(four.source)
        client.close()
      }),
      { numRuns: 25 },
    )
  })

  it('LOCAL and UNKNOWN leave the peer in its place, a Unix socket leaves nobody', async () => {
    const { port } = await front(kind)
    const local = format(2, { command: 'local', family: 'unspec' })
    for (const bytes of [local, Buffer.from('PROXY UNKNOWN\r\n')]) {
      const socket = open(port)
      const client = clientOver(kind.protocol, new Headed(socket, bytes))
      const { peer, header } = await client.ask({ 'x-forwarded-for': '203.0.113.9' })
      expect(peer).toEqual({ address: '127.0.0.1', port: socket.localPort })
      expect(header?.family).toBe('unspec')
    }
    const nobody = await clientOver(kind.protocol, new Headed(open(port), format(2, unix))).ask({
      'x-forwarded-for': '203.0.113.9',
    })
    expect(nobody).toMatchObject({ peer: { address: '', port: 0 }, client: '', header: unix })
  })

  it('a peer that isn’t trusted has none: without one it is served as itself', async () => {
    const { port } = await front(kind, { trust: () => false })
    const socket = open(port)
    const { peer, header } = await clientOver(kind.protocol, socket).ask()
    expect(peer).toEqual({ address: '127.0.0.1', port: socket.localPort })
    expect(header).toBeUndefined()
    const headed = clientOver(kind.protocol, new Headed(open(port), format(1, four)))
    await expect(headed.ask()).rejects.toThrow()
  })

  it('a trusted peer without one, or with garbage ahead of it, is ended unheard', async () => {
    const { port } = await front(kind)
    await expect(clientOver(kind.protocol, open(port)).ask()).rejects.toThrow()
    const late = new Headed(open(port), Buffer.concat([Buffer.from(' '), format(1, four)]))
    await expect(clientOver(kind.protocol, late).ask()).rejects.toThrow()
    const raw = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(raw.text).toBe('')
  })

  it('a server’s close waits for none that is before its header, and for none behind it that says nothing', async () => {
    const leaks = leakCheck()
    const { server, port } = await front(kind)
    const clients = await Promise.all([1, 2, 3].map(() => rawClient(port)))
    clients[0]?.write('PROXY TCP4')
    await until(() => connectionsOf(server).then((count) => count === 3), 'the connections')
    await within(new Promise((resolve) => server.close(resolve)), 'the close')
    await Promise.all(clients.map(({ closed }) => closed))
    await leaks.settled()
  })

  it('leaves no listener behind, undone, on what it has served and on the server', async () => {
    const sockets: Socket[] = []
    const { server, port, undo } = await front(kind, {
      set: (one) => one.on('connection', (s) => sockets.push(s)),
    })
    await clientOver(kind.protocol, new Headed(open(port), format(2, four))).ask()
    const [headed] = sockets as [Socket]
    undo()
    await clientOver(kind.protocol, open(port)).ask()
    expect(events(headed)).toBe(events(sockets[1] as Socket))
    expect(events(server)).toBe(events(await untouched(kind)))
  })
})

describe.runIf(secured.length > 0).each(secured)('under TLS, of $name', (kind) => {
  it('a handshake that fails is told of with the client’s address', async () => {
    const addresses: (string | undefined)[] = []
    const { port } = await front(kind, {
      set: (server) =>
        server.on('tlsClientError', (_error, socket: Socket) => addresses.push(socket.remoteAddress)),
    })
    const client = await rawClient(port)
    client.write(Buffer.concat([format(1, four), Buffer.from('GET / HTTP/1.1\r\n\r\n')]))
    await client.closed
    expect(addresses).toEqual(['192.0.2.7'])
  })

  it('a client that ends its half behind its header, in the middle of its handshake, is ended', async () => {
    const { port } = await front(kind)
    const hello = Buffer.from('16030100ff010000fb0303', 'hex')
    for (const bytes of [Buffer.alloc(0), hello.subarray(0, 3), hello]) {
      const client = await rawClient(port, { allowHalfOpen: true })
      client.socket.end(Buffer.concat([format(2, four), bytes]))
      await client.closed
    }
  })

  it('a header and then nothing ends by the handshake’s own time limit', async () => {
    const server = createHttpsServer({ ...certificate, handshakeTimeout: 30 }) as never as Server
    const { port } = await front({ ...kind, make: () => server })
    const client = await rawClient(port)
    client.write(format(1, four))
    await client.closed
    expect(client.text).toBe('')
  })
})

describe('on HTTP/1 without TLS', () => {
  it('a header and then nothing ends by the server’s own time limit', async () => {
    const make = (): Server =>
      createServer({ headersTimeout: 30, requestTimeout: 30, connectionsCheckingInterval: 10 })
    const { port } = await front({ ...plain, make })
    const client = await rawClient(port)
    client.write(`${format(1, four)}GET / HT`)
    await client.closed
    expect(client.text).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('a client that ends its half behind its request gets its answer', async () => {
    const { port } = await front(plain)
    const client = await rawClient(port, { allowHalfOpen: true })
    client.socket.end(`${format(1, four)}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    const [response] = await client.responses()
    expect((JSON.parse(String(response?.body)) as Seen).peer).toEqual(four.source)
    client.close()
  })

  it('a client that is reset in the middle of its header, or behind it, is nobody’s error', async () => {
    const { server, port } = await front(plain)
    for (const bytes of ['PROXY TCP4 192', String(format(1, four)), `${format(1, four)}GET / HT`]) {
      const client = await rawClient(port)
      client.write(bytes)
      await until(() => connectionsOf(server).then((count) => count === 1), 'the connection')
      client.reset()
      await until(() => connectionsOf(server).then((count) => count === 0), 'its end')
    }
  })

  it('a header of somebody who isn’t trusted is a bad request', async () => {
    const { port } = await front(plain, { trust: () => false })
    const { text } = await rawRequest(port, `${format(1, four)}GET / HTTP/1.1\r\nHost: a\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('upgrades have that client too', async () => {
    const server = createServer()
    server.on('upgrade', (_req, socket: Socket) => {
      socket.end(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n${socket.remoteAddress}`,
      )
    })
    const { port } = own(await listen(server))
    acceptProxyProtocol(server, { trust: () => true })
    const bytes = `${format(1, four)}GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n`
    expect((await rawRequest(port, bytes)).text).toMatch(/192\.0\.2\.7$/)
  })

  it('a server in the file system takes headers, and a body that breaks off ends there, too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
    const path = join(folder, 'socket')
    const arrived = deferred()
    const server = createServer()
    attach(server, (ctx) => ({
      status: 200,
      headers: [],
      body: Readable.from(
        (async function* () {
          yield `for ${ctx.peer.address}`
          await arrived.promise
          throw new Error('broken')
        })(),
      ),
    }))
    acceptProxyProtocol(server, { trust: (address) => address === '' })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const socket = connect(path)
    socket.on('error', () => {})
    // Only the connection's end says where a body ends on HTTP/1.0; a socket of this kind knows no reset.
    socket.write(`${format(1, four)}GET / HTTP/1.0\r\n\r\n`)
    let text = ''
    socket.on('data', (chunk) => {
      text += String(chunk)
      if (text.endsWith('for 192.0.2.7')) arrived.resolve()
    })
    await within(new Promise((resolve) => socket.on('close', resolve)), 'the end')
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true })
    expect(text).toMatch(/for 192\.0\.2\.7$/)
  })

  it('counts right: maxConnections holds for those before their header too', async () => {
    const { server, port } = await front(plain)
    server.maxConnections = 2
    const waits = await rawClient(port)
    const client = clientOver('http', new Headed(open(port), format(1, four)))
    await client.ask()
    const third = await rawClient(port)
    await third.closed
    waits.close()
    await until(() => connectionsOf(server).then((count) => count === 1), 'room')
    await clientOver('http', new Headed(open(port), format(2, six))).ask()
  })
})

const programs = Object.entries(headerRelays).flatMap(([name, { here, versions, relay }]) => {
  if (skipUnless(here, `PROXY headers of ${name}: it (with its module for streams) is not installed`))
    return []
  return versions.flatMap((version) => kinds.map((kind) => ({ name, version, relay, kind })))
})

describe.runIf(programs.length > 0).each(programs)(
  'behind $name, version $version, $kind.name',
  ({ relay, version, kind }) => {
    it('each client is itself, on every request', async () => {
      const { port } = await front(kind)
      const { port: outside } = own(await relay({ to: port, version }))
      for (let i = 0; i < 2; i++) {
        const socket = open(outside)
        const client = clientOver(kind.protocol, socket)
        for (let again = 0; again < 2; again++) {
          const { peer, local } = await client.ask()
          expect(peer).toEqual({ address: '127.0.0.1', port: socket.localPort })
          expect(local).toEqual(['127.0.0.1', outside])
        }
      }
    })
  },
)

/** How many listeners there are for each event. */
function events(emitter: EventEmitter): string {
  const counts = emitter.eventNames().map((name) => `${String(name)} ${emitter.listenerCount(name)}`)
  return counts.sort().join()
}

const probing = programs.filter(({ name, kind }) => name === 'haproxy' && kind === plain)

describe.runIf(probing.length > 0).each(probing)(
  'probed by HAProxy, version $version',
  ({ relay, version }) => {
    it('nothing is told, and clients are served beside', async () => {
      const told: unknown[] = []
      const note = (message: unknown): void => void told.push(message)
      subscribe('sluice:proxy-protocol', note)
      let connections = 0
      const { server, port } = await front(plain)
      server.on('connection', () => connections++)
      const { port: outside } = own(await relay({ to: port, version, probe: true }))
      await until(() => connections > 5, 'probes')
      const socket = open(outside)
      const { peer } = await clientOver('http', socket).ask()
      expect(peer).toEqual({ address: '127.0.0.1', port: socket.localPort })
      unsubscribe('sluice:proxy-protocol', note)
      expect(told).toEqual([])
    })
  },
)

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((_error, count) => resolve(count))
  })
}
