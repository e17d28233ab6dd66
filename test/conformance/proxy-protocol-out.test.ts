import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { balance } from '@sluice/balance'
import { chain, clientAddress, toListener, toUpgradeListener } from '@sluice/core'
import { forward, resolveTimeouts, wireTransport } from '@sluice/forward'
import { type Parsed, type ProxyHeader, parse } from '@sluice/proxy-protocol'
import { createUpstream, type Target } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { type TestCertificate, testCertificate } from '../kit/certificate.js'
import { leakCheck } from '../kit/leak-check.js'
import { listen, type Mounted } from '../kit/listen.js'
import { mountNamed } from '../kit/mounts.js'
import { echo } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, value } from '../kit/raw-request.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

type Found = Extract<Parsed, { status: 'header' }>

/** A request as the origin has got it, with the header of its connection. */
interface Seen {
  readonly found: Found
  readonly req: IncomingMessage
}

interface HeaderOrigin {
  readonly url: string
  readonly seen: readonly Seen[]
  /** Connections that began with anything else. */
  readonly invalid: readonly string[]
  /** Connections open now. */
  readonly sockets: number
  /** Connections accepted in all. */
  readonly connections: number
  close(): Promise<void>
}

/** A server that reads a header off each connection, and then speaks HTTP on it, with TLS if there is a certificate. */
async function headerOrigin(
  handler: (req: IncomingMessage, res: ServerResponse) => void = (_req, res) => void res.end('ok'),
  certificate?: TestCertificate,
  path?: string,
): Promise<HeaderOrigin> {
  const seen: Seen[] = []
  const invalid: string[] = []
  const sockets = new Set<Socket>()
  const headers = new Map<number | string, Found>()
  let connections = 0
  const answer = (req: IncomingMessage, res: ServerResponse): void => {
    note(req)
    handler(req, res)
  }
  const note = (req: IncomingMessage): void => {
    // The connection below TLS has the same ports.
    seen.push({ req, found: headers.get(path ?? (req.socket.remotePort as number)) as Found })
  }
  const http =
    certificate === undefined ? createServer(answer) : createHttpsServer({ ...certificate }, answer)
  http.on('upgrade', (req: IncomingMessage, socket: Socket) => {
    note(req)
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  const server = createNetServer((socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    let bytes = Buffer.alloc(0)
    const read = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      const parsed = parse(bytes)
      if (parsed.status === 'more') return
      socket.off('data', read)
      socket.pause()
      if (parsed.status === 'invalid') {
        invalid.push(parsed.reason)
        socket.destroy()
        return
      }
      headers.set(path ?? (socket.remotePort as number), parsed)
      if (bytes.length > parsed.length) socket.unshift(bytes.subarray(parsed.length))
      http.emit('connection', socket)
      // TLS reads from the connection below by itself.
      if (certificate === undefined) socket.resume()
    }
    socket.on('data', read)
  })
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve)
    else server.listen(path, resolve)
  })
  const scheme = certificate === undefined ? 'http' : 'https'
  return own({
    url:
      path === undefined ? `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${path}`,
    seen,
    invalid,
    get sockets() {
      return sockets.size
    },
    get connections() {
      return connections
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  })
}

interface Options {
  readonly version: 1 | 2
  readonly trust?: string[]
  readonly connections?: number
  readonly mount?: string
}

/** A chain made by hand in front of one origin. */
async function proxied(origin: HeaderOrigin, options: Options): Promise<Mounted> {
  const { version, trust = [], connections = 0, mount } = options
  const tls = origin.url.startsWith('https:') ? { tls: { verify: false } } : {}
  const upstream = createUpstream({ name: 'out', targets: [{ url: origin.url, ...tls }] })
  const transport = wireTransport({ proxyProtocol: version, connections })
  const handler = chain()
    .use(clientAddress({ trust }))
    .use(balance(upstream))
    .handle(forward({ transport: [transport] }))
  const served = { listener: toListener(handler), upgrade: toUpgradeListener(handler) }
  const mounted =
    mount === undefined
      ? await listen(createServer(served.listener).on('upgrade', served.upgrade))
      : await mountNamed(mount).serve(served)
  own({ close: () => transport.close(true) })
  return own(mounted)
}

const closed = (origin: HeaderOrigin): Promise<boolean> =>
  until(() => origin.sockets === 0, 'the connections at the origin to be closed')

const local = (port: number) => ({ address: '127.0.0.1', port })

const certificate = testCertificate()
const secure = !skipUnless(certificate, 'PROXY protocol with TLS: there is no openssl')

const kinds = ([1, 2] as const).flatMap((version) =>
  (secure ? [false, true] : [false]).map((tls) => ({
    version,
    tls,
    name: `version ${version} to ${tls ? 'https' : 'http'}`,
  })),
)

describe.each(kinds)('the PROXY protocol, $name', ({ version, tls }) => {
  const cert = tls ? certificate : undefined

  it('names the client with each request of a kept connection, and keeps none to the target', async () => {
    const leaks = leakCheck()
    const origin = await headerOrigin(undefined, cert)
    const proxy = await proxied(origin, { version })
    const client = await rawClient(proxy.port)
    for (let count = 1; count <= 3; count++) {
      client.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
      expect((await client.responses(count)).at(-1)).toMatchObject({ status: 200 })
    }
    const header: ProxyHeader = {
      command: 'proxy',
      family: 'inet',
      transport: 'stream',
      source: local(client.socket.localPort as number),
      destination: local(proxy.port),
    }
    expect(origin.seen.map(({ found }) => [found.version, found.header])).toEqual(
      Array.from({ length: 3 }, () => [version, header]),
    )
    expect(origin.seen.map(({ req }) => value(req.rawHeaders, 'connection'))).toEqual([
      'close',
      'close',
      'close',
    ])
    expect(origin.connections).toBe(3)
    await closed(origin)
    expect(origin.invalid).toEqual([])
    client.close()
    await proxy.close()
    await origin.close()
    await leaks.settled()
  })

  it('never gives one client the connection of another, though they wait in one line', async () => {
    const origin = await headerOrigin((req, res) => void res.end(req.url), cert)
    const proxy = await proxied(origin, { version, connections: 2 })
    const clients = await Promise.all(Array.from({ length: 5 }, () => rawClient(proxy.port)))
    for (let round = 1; round <= 3; round++) {
      for (const { socket, write } of clients)
        write(`GET /${socket.localPort} HTTP/1.1\r\nHost: a.test\r\n\r\n`)
      await Promise.all(clients.map((client) => client.responses(round)))
    }
    expect(origin.seen).toHaveLength(15)
    for (const { found, req } of origin.seen) expect(`/${found.header.source?.port}`).toBe(req.url)
    await closed(origin)
    for (const client of clients) client.close()
  })

  it('carries bodies both ways', async () => {
    const origin = await headerOrigin(echo, cert)
    const proxy = await proxied(origin, { version })
    const body = Buffer.alloc(3_000_000, 'sluice')
    for (const chunked of [false, true]) {
      const answer = await proxy.client.ask({ method: 'POST', body, chunked })
      expect(answer).toMatchObject({ status: 200, complete: true })
      expect(answer.body.equals(body)).toBe(true)
    }
    await closed(origin)
  })

  it('is said ahead of an upgrade too', async () => {
    const origin = await headerOrigin(undefined, cert)
    const proxy = await proxied(origin, { version })
    const client = await rawClient(proxy.port)
    client.write('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    await client.until('\r\n\r\n')
    expect(client.text).toMatch(/^HTTP\/1\.1 101 /)
    client.write('ping')
    await client.until('ping')
    expect(origin.seen[0]?.found.header.source).toEqual(local(client.socket.localPort as number))
    client.close()
    await closed(origin)
  })

  it('names whom a trusted proxy vouches for; mapped where only one end is IPv4', async () => {
    const origin = await headerOrigin(undefined, cert)
    const proxy = await proxied(origin, { version, trust: ['127.0.0.1'] })
    for (const address of ['203.0.113.9', '2001:db8::9'])
      expect(await proxy.client.ask({ headers: ['X-Forwarded-For', address] })).toMatchObject({ status: 200 })
    expect(
      origin.seen.map(({ found: { header } }) => [header.family, header.source, header.destination]),
    ).toEqual([
      ['inet', { address: '203.0.113.9', port: 0 }, local(proxy.port)],
      ['inet6', { address: '2001:db8::9', port: 0 }, { address: '::ffff:127.0.0.1', port: proxy.port }],
    ])
  })

  it('says that it speaks for itself where there is no client', async () => {
    const origin = await headerOrigin(undefined, cert)
    const transport = own(wireTransport({ proxyProtocol: version }))
    const tlsOption = tls ? { tls: { verify: false } } : {}
    const upstream = createUpstream({ name: 'out', targets: [{ url: origin.url, ...tlsOption }] })
    const out = { method: 'HEAD', path: '/', headers: [], body: null }
    const target = upstream.all[0] as Target
    const reply = await transport.send({ target, out, timeouts: resolveTimeouts(), inform() {} })
    expect(reply.status).toBe(200)
    expect(origin.seen[0]?.found.header).toEqual({
      command: version === 1 ? 'proxy' : 'local',
      family: 'unspec',
    })
    await closed(origin)
  })

  it('a client that no header can name is an error of that request', async () => {
    const origin = await headerOrigin(undefined, cert)
    const transport = own(wireTransport({ proxyProtocol: version }))
    const upstream = createUpstream({ name: 'out', targets: [origin.url] })
    const end = { address: '192.0.2.1', port: 70_000 }
    const sent = transport.send({
      target: upstream.all[0] as Target,
      out: { method: 'GET', path: '/', headers: [], body: null },
      timeouts: resolveTimeouts(),
      client: { source: end, destination: end },
      inform() {},
    })
    await expect(sent).rejects.toMatchObject({ code: 'proxy_internal_error' })
  })

  it('a target that ends the connection instead gives 502, and the next request another try', async () => {
    let refused = 0
    const origin = await headerOrigin((req, res) => {
      if (refused++ === 0) req.socket.destroy()
      else res.end('ok')
    }, cert)
    const proxy = await proxied(origin, { version })
    expect(await proxy.client.ask()).toMatchObject({ status: 502 })
    expect(await proxy.client.ask()).toMatchObject({ status: 200 })
    await closed(origin)
  })

  it('a client that leaves while it connects leaves nothing behind', async () => {
    const origin = await headerOrigin(() => {}, cert)
    const proxy = await proxied(origin, { version, connections: 1 })
    const first = await rawClient(proxy.port)
    first.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    await until(() => origin.seen.length === 1, 'the first request')
    // This one waits in line.
    const second = await rawClient(proxy.port)
    second.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    second.reset()
    first.reset()
    await closed(origin)
  })
})

describe('the PROXY protocol', () => {
  it('names clients of HTTP/2', async () => {
    const origin = await headerOrigin()
    const proxy = await proxied(origin, { version: 2, mount: 'node:http2 without TLS' })
    expect(await proxy.client.ask()).toMatchObject({ status: 200 })
    expect(origin.seen[0]?.found.header).toMatchObject({
      family: 'inet',
      source: { address: '127.0.0.1' },
      destination: local(proxy.port),
    })
    expect(origin.seen[0]?.found.header.source?.port).toBeGreaterThan(0)
  })

  it.skipIf(skipUnless(process.platform !== 'win32', 'there are no Unix sockets'))(
    'goes to a Unix socket as well',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
      own({ close: () => rmSync(folder, { recursive: true, force: true }) })
      const origin = await headerOrigin(undefined, undefined, join(folder, 'app.sock'))
      const proxy = await proxied(origin, { version: 1 })
      expect(await proxy.client.ask()).toMatchObject({ status: 200, text: 'ok' })
      expect(origin.seen[0]?.found.header.destination).toEqual(local(proxy.port))
      expect(value(origin.seen[0]?.req.rawHeaders ?? [], 'host')).toBe('localhost')
    },
  )

  it('goes to a target that then says nothing to TLS: 504, and nothing stays open', async () => {
    const origin = own(await rawOrigin())
    const targets = [{ url: `https://127.0.0.1:${origin.port}`, tls: { verify: false } }]
    const upstream = createUpstream({ name: 'silent', targets })
    const transport = own(wireTransport({ proxyProtocol: 2 }))
    const end = forward({ transport: [transport], timeouts: { connect: '50ms' } })
    const proxy = own(await listen(createServer(toListener(chain().use(balance(upstream)).handle(end)))))
    expect(await proxy.client.ask()).toMatchObject({ status: 504, text: '504 Gateway Timeout\n' })
    const connection = await origin.connection()
    // The header and what TLS begins with.
    expect(parse(connection.received)).toMatchObject({ status: 'header', length: 28 })
    expect(connection.received.length).toBeGreaterThan(28)
    await until(() => origin.sockets === 0, 'the connection to be closed')
    expect(upstream.all[0]?.inFlight).toBe(0)
  })

  it.each([0, 3, '1', true])('has no version %j', (version) => {
    expect(() => wireTransport({ proxyProtocol: version as never })).toThrow(
      'wireTransport.proxyProtocol: got',
    )
  })
})
