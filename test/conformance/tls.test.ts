import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { request } from 'node:https'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect as connectTls, Server, type TLSSocket } from 'node:tls'
import { createProxy, type Proxy, type ProxyOptions, type TlsOptions } from 'sluice'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { httpClient } from '../kit/client.js'
import { leakCheck } from '../kit/leak-check.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { hasPebble, pebble } from '../kit/pebble.js'
import { rawClient, value } from '../kit/raw-request.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, patience, until, within } from '../kit/until.js'
import { type X509Issuer, type X509Pair, x509Root } from '../kit/x509.js'

trapUnhandled()
const own = owner()

let root: X509Issuer
let pair: X509Pair
let other: X509Pair

beforeAll(async () => {
  root = await x509Root()
  pair = await root.issue({ names: ['localhost', '127.0.0.1', 'a.test'] })
  other = await root.issue({ names: ['b.test', '*.b.test'] })
})

const cert = (): Pick<TlsOptions, 'cert' | 'key'> => ({ cert: pair.cert, key: pair.key })

/** A proxy that listens with TLS in front of an origin. */
async function listening(
  tls: TlsOptions,
  more: Partial<ProxyOptions> = {},
  origin?: Origin,
): Promise<{ proxy: Proxy; port: number; origin: Origin }> {
  const target = origin ?? own(await originServer((_req, res) => void res.end('ok')))
  const proxy = createProxy({ upstreams: { default: target.url }, tls, ...more })
  own({ close: () => proxy.close({ drain: 0 }) })
  const { port } = await proxy.listen()
  return { proxy, port, origin: target }
}

async function handshake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', ca: root.cert, servername: 'localhost', ...options })
  own({ close: () => socket.destroy() })
  await once(socket, 'secureConnect')
  return socket
}

const namesOf = (socket: TLSSocket): string | undefined => socket.getPeerCertificate().subjectaltname
const client = (port: number, http2 = false) => own(httpClient({ port, ca: Buffer.from(root.cert), http2 }))

describe('listen with tls', () => {
  it('speaks HTTP/2 and HTTP/1.1 on one port, as the client chooses', async () => {
    const { port } = await listening(cert())
    expect((await handshake(port, { ALPNProtocols: ['h2', 'http/1.1'] })).alpnProtocol).toBe('h2')
    expect((await handshake(port, { ALPNProtocols: ['http/1.1'] })).alpnProtocol).toBe('http/1.1')
    expect((await handshake(port)).alpnProtocol).toBe(false)
    for (const http2 of [true, false])
      expect(await client(port, http2).ask()).toMatchObject({ status: 200, text: 'ok' })
  })

  it('joins TLS to no server that could not listen', async () => {
    const taken = own(await originServer())
    const proxy = createProxy({ upstreams: { default: taken.url }, tls: { ...cert(), redirect: taken.port } })
    own({ close: () => proxy.close({ drain: 0 }) })
    await expect(proxy.listen(taken.port)).rejects.toThrow('the port is in use')
    await expect(proxy.listen()).rejects.toThrow('the port is in use')
    const renewed = vi.spyOn(Server.prototype, 'setSecureContext')
    own({ close: () => renewed.mockRestore() })
    proxy.tls?.replace({ cert: other.cert, key: other.key })
    expect(renewed).not.toHaveBeenCalled()
  })

  it('says what a port is', async () => {
    const proxy = createProxy({ upstreams: { default: 'http://127.0.0.1:9' }, tls: cert() })
    own({ close: () => proxy.close({ drain: 0 }) })
    await expect(proxy.listen(65_536)).rejects.toThrow(
      'cannot listen on 127.0.0.1:65536: a port is a whole number from 0 to 65535',
    )
  })

  it('leaves HTTP/2 out where it is off', async () => {
    const { port } = await listening({ ...cert(), http2: false })
    expect((await handshake(port, { ALPNProtocols: ['h2', 'http/1.1'] })).alpnProtocol).toBe('http/1.1')
  })

  it('tells targets and layers that it was https', async () => {
    const { port, origin } = await listening(cert())
    await client(port).ask()
    await client(port, true).ask()
    expect(origin.requests.map(({ rawHeaders }) => value(rawHeaders, 'x-forwarded-proto'))).toEqual([
      'https',
      'https',
    ])
  })

  it('tunnels WebSockets', async () => {
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    own({ close: () => sockets.close() })
    await once(sockets, 'listening')
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${String(data)}`)))
    const { port: at } = sockets.address() as { port: number }
    const proxy = createProxy({ upstreams: { default: `http://127.0.0.1:${at}` }, tls: cert() })
    own({ close: () => proxy.close({ drain: 0 }) })
    const { port } = await proxy.listen()
    const socket = new WebSocket(`wss://127.0.0.1:${port}/`, { ca: root.cert })
    await once(socket, 'open')
    socket.send('hi')
    const [data] = await once(socket, 'message')
    expect(String(data)).toBe('echo hi')
    const gone = once(socket, 'close')
    await within(proxy.close({ drain: 0 }), 'close()')
    await gone
  })

  it('has a certificate for each name, the first for all others, or none', async () => {
    const certificates = [
      { cert: pair.cert, key: pair.key },
      { cert: other.cert, key: other.key },
    ]
    const { port } = await listening({ certificates })
    expect(namesOf(await handshake(port, { servername: 'x.b.test' }))).toContain('DNS:*.b.test')
    const checked = { checkServerIdentity: () => undefined }
    expect(namesOf(await handshake(port, { servername: 'c.test', ...checked }))).toContain('DNS:a.test')
    const strict = await listening({ certificates, certificateOptions: { fallback: 'none' } })
    await expect(handshake(strict.port, { servername: 'c.test' })).rejects.toThrow(/unrecognized name/)
    await handshake(strict.port, { servername: 'a.test' })
  })

  it('takes files that change over, and drops no connection', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-tls-'))
    own({ close: () => rmSync(folder, { recursive: true, force: true }) })
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    const write = ({ cert, key }: X509Pair): void => {
      for (const [file, text] of [
        [keyFile, key],
        [certFile, cert],
      ] as const) {
        writeFileSync(`${file}.new`, text)
        renameSync(`${file}.new`, file)
      }
    }
    write(pair)
    const { proxy, port } = await listening({ certificates: { certFile, keyFile } })
    const kept = client(port)
    await kept.ask()
    const next = await root.issue({ names: ['localhost', '127.0.0.1', 'next.test'] })
    write(next)
    await until(
      () => proxy.tls?.certificates()[0]?.names.includes('next.test') === true,
      'the new certificate',
    )
    expect(namesOf(await handshake(port))).toContain('DNS:next.test')
    expect(await kept.ask()).toMatchObject({ status: 200 })
  })

  it('tells once of a certificate that is about to expire', async () => {
    const day = 86_400_000
    const [notBefore, notAfter] = [Date.now() - 30 * day, Date.now() + day / 2]
    const soon = await root.issue({ names: ['soon.test'], notBefore, notAfter })
    const told: unknown[] = []
    const hear = (message: unknown): unknown => told.push(message)
    subscribe('sluice:tls:certificate', hear)
    own({ close: () => void unsubscribe('sluice:tls:certificate', hear) })
    const { proxy } = await listening({ cert: soon.cert, key: soon.key })
    await proxy.listen()
    expect(told).toMatchObject([{ kind: 'expiring', info: { names: ['soon.test'] } }])
  })

  it('takes others from code, and refuses those that can not serve', async () => {
    const { proxy, port } = await listening(cert())
    const { tls } = proxy
    expect(() => tls?.replace({ cert: pair.cert, key: other.key })).toThrow(/key/)
    expect(namesOf(await handshake(port))).toContain('DNS:a.test')
    tls?.replace({ cert: other.cert, key: other.key })
    expect(namesOf(await handshake(port, { servername: 'b.test' }))).toContain('DNS:b.test')
    expect(tls?.certificates()).toMatchObject([{ names: ['b.test', '*.b.test'] }])
  })

  it('resumes sessions, or none', async () => {
    const { port } = await listening(cert())
    // One that is resumed gets no ticket: the one that it has come with is still good.
    const sessionOf = async (at: number, session?: Buffer): Promise<[boolean, Buffer | undefined]> => {
      let ticket: Buffer | undefined
      const socket = connectTls({
        port: at,
        host: '127.0.0.1',
        ca: root.cert,
        servername: 'localhost',
        session,
      })
      socket.on('session', (given: Buffer) => (ticket = given))
      await once(socket, 'secureConnect')
      const reused = socket.isSessionReused()
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      await once(socket.resume(), 'close')
      return [reused, ticket]
    }
    const [first, ticket] = await sessionOf(port)
    expect([first, (await sessionOf(port, ticket))[0]]).toEqual([false, true])
    const { port: without } = await listening({ ...cert(), tickets: false })
    const [, none] = await sessionOf(without)
    expect(none === undefined || !(await sessionOf(without, none))[0]).toBe(true)
  })

  it('says HSTS over https, on errors too', async () => {
    const dead = createProxy({ upstreams: { default: 'http://127.0.0.1:9' }, tls: { ...cert(), hsts: true } })
    own({ close: () => dead.close({ drain: 0 }) })
    const { port } = await dead.listen()
    const answer = await client(port).ask()
    expect(answer.status).toBe(502)
    expect(value(answer.headers, 'strict-transport-security')).toBe('max-age=31536000')
  })
})

describe('tls.redirect', () => {
  it('opens a port of plain HTTP that leads to the other one', async () => {
    const { proxy, port, origin } = await listening({ ...cert(), redirect: 0 })
    const [, plain] = proxy.addresses
    const answer = await own(httpClient({ port: plain?.port as number })).ask({
      path: '/a?b',
      headers: ['Host', 'a.test'],
    })
    expect(answer.status).toBe(308)
    expect(value(answer.headers, 'location')).toBe(`https://a.test:${port}/a?b`)
    expect(origin.requests).toEqual([])
  })

  it('leads to the port that clients find https on', async () => {
    const { proxy } = await listening({ ...cert(), redirect: { port: 0, to: 443 } })
    const answer = await own(httpClient({ port: proxy.addresses[1]?.port as number })).ask({
      headers: ['Host', 'a.test:8080'],
    })
    expect(value(answer.headers, 'location')).toBe('https://a.test/')
  })

  it('leaves nothing open where its port is in use', async () => {
    const leaks = leakCheck()
    const taken = await originServer()
    const proxy = createProxy({ upstreams: { default: taken.url }, tls: { ...cert(), redirect: taken.port } })
    await expect(proxy.listen()).rejects.toThrow(
      `cannot listen on 127.0.0.1:${taken.port}: the port is in use`,
    )
    expect(proxy.addresses).toEqual([])
    await proxy.close()
    await taken.close()
    await leaks.settled()
  })
})

describe('proxyProtocol', () => {
  const header = 'PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n'
  const trust = ['127.0.0.1']

  it('says who the client is, ahead of TLS', async () => {
    const { port, origin } = await listening({ ...cert(), proxyProtocol: { trust } })
    for (const ALPNProtocols of [['http/1.1'], ['h2']]) {
      const raw = connect(port, '127.0.0.1')
      own({ close: () => raw.destroy() })
      raw.write(header)
      await once(raw, 'connect')
      await askOver(raw, ALPNProtocols)
    }
    expect(origin.requests.map(({ rawHeaders }) => value(rawHeaders, 'x-forwarded-for'))).toEqual([
      '192.0.2.7',
      '192.0.2.7',
    ])
  })

  it('says so without TLS, too', async () => {
    const origin = own(await originServer())
    const proxy = createProxy({ upstreams: { default: origin.url }, proxyProtocol: { trust } })
    own({ close: () => proxy.close({ drain: 0 }) })
    const { port } = await proxy.listen()
    const plain = own(await rawClient(port))
    plain.write(`${header}GET / HTTP/1.1\r\nHost: a\r\n\r\n`)
    await plain.responses(1)
    expect(value((await origin.request()).rawHeaders, 'x-forwarded-for')).toBe('192.0.2.7')
  })

  it('is not taken from strangers', async () => {
    const { port, origin } = await listening({ ...cert(), proxyProtocol: { trust: ['192.0.2.0/24'] } })
    const raw = connect(port, '127.0.0.1')
    raw.on('error', () => {})
    raw.resume()
    raw.write(header)
    await once(raw, 'close')
    expect(await client(port).ask()).toMatchObject({ status: 200 })
    expect(value((await origin.request()).rawHeaders, 'x-forwarded-for')).toBe('127.0.0.1')
  })

  async function askOver(raw: Socket, ALPNProtocols: string[]): Promise<void> {
    const secure = connectTls({ socket: raw, ca: root.cert, servername: 'localhost', ALPNProtocols })
    await once(secure, 'secureConnect')
    if (secure.alpnProtocol === 'h2') {
      const session = connectHttp2('https://localhost', { createConnection: () => secure })
      const stream = session.request({ ':path': '/' })
      await once(stream, 'response')
      session.destroy()
    } else {
      secure.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      await once(secure.resume(), 'close')
    }
  }
})

describe('the end of a certificate', () => {
  it('is published once while the proxy listens, and nobody waits for it afterwards', async () => {
    const day = 86_400_000
    const ending = await root.issue({
      names: ['ending.test'],
      notBefore: Date.now() - 88 * day,
      notAfter: Date.now() + 2 * day,
    })
    const told: { kind: string }[] = []
    const hear = (message: unknown): void => void told.push(message as { kind: string })
    subscribe('sluice:tls:certificate', hear)
    own({ close: () => unsubscribe('sluice:tls:certificate', hear) })
    const [set, cleared] = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'clearTimeout')]
    own({ close: () => vi.restoreAllMocks() })
    const tls = { cert: ending.cert, key: ending.key }
    const proxy = createProxy({ upstreams: { default: 'http://127.0.0.1:1' }, tls })
    own({ close: () => proxy.close() })
    expect(told).toEqual([])
    await proxy.listen()
    await proxy.listen()
    proxy.tls?.replace(tls)
    expect(told).toMatchObject([{ kind: 'expiring', where: 'tls', info: { names: ['ending.test'] } }])
    // The clock is looked at each hour.
    const hourly = set.mock.calls.flatMap(([, ms], i) => (ms === 3_600_000 ? set.mock.results[i]?.value : []))
    expect(hourly).not.toEqual([])
    await proxy.close()
    for (const timer of hourly) expect(cleared).toHaveBeenCalledWith(timer)
  })
})

describe('client certificates', () => {
  it('are required by route', async () => {
    const identity = await root.issue({ names: ['client.test'] })
    const { port, origin } = await listening(
      { ...cert(), client: 'optional', ca: root.cert },
      {
        routes: [
          { path: '/admin', upstream: 'default', clientCertificate: 'required' },
          { upstream: 'default' },
        ],
        clientCertificate: { pass: { clientCert: true } },
      },
    )
    const ask = (path: string, identified: boolean) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { port, path, ca: root.cert, agent: false, headers: { 'Client-Cert': ':AAAA:' } }
        request({ ...options, ...(identified ? { cert: identity.cert, key: identity.key } : {}) }, (res) => {
          res.resume().on('end', () => resolve(res.statusCode))
        })
          .on('error', reject)
          .end()
      })
    expect(await ask('/', false)).toBe(200)
    expect(await ask('/admin', false)).toBe(403)
    expect(await ask('/admin', true)).toBe(200)
    const told = origin.requests.map(({ rawHeaders }) => value(rawHeaders, 'client-cert'))
    expect(told).toEqual([undefined, `:${identity.der.toString('base64')}:`])
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'are a matter of the connection, whatever name its handshake was for (%s)',
    async (maxVersion) => {
      const identity = await root.issue({ names: ['client.test'] })
      const { port } = await listening(
        { certificates: [pair, other], client: 'optional', ca: root.cert },
        {
          routes: [
            { host: 'b.test', upstream: 'default', clientCertificate: 'required' },
            { upstream: 'default' },
          ],
        },
      )
      const ask = async (servername: string, host: string, more: ConnectionOptions = {}) => {
        const socket = connectTls({ port, host: '127.0.0.1', ca: root.cert, servername, maxVersion, ...more })
        own({ close: () => socket.destroy() })
        let session: Buffer | undefined
        socket.on('session', (given: Buffer) => {
          session = given
        })
        await once(socket, 'secureConnect')
        const reused = socket.isSessionReused()
        socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
        let text = ''
        socket.on('data', (chunk) => (text += String(chunk)))
        await once(socket, 'close')
        return { status: Number(text.slice(9, 12)), session, reused }
      }
      const good = { cert: identity.cert, key: identity.key }
      const anonymous = await ask('a.test', 'b.test')
      const identified = await ask('a.test', 'b.test', good)
      expect([anonymous.status, identified.status]).toEqual([403, 200])
      // Nor does a session know more of its client for being resumed under the other name.
      const { session } = anonymous
      expect(await ask('a.test', 'b.test', { ...good, session })).toMatchObject({ status: 403, reused: true })
      expect(await ask('b.test', 'b.test', { session })).toMatchObject({ status: 403 })
    },
  )

  it('of other authorities count once they are told of', async () => {
    const strange = await x509Root({ commonName: 'Other Root' })
    const identity = await strange.issue({ names: ['client.test'] })
    const { proxy, port } = await listening({ ...cert(), client: 'required', ca: root.cert })
    const ask = async (): Promise<string> => {
      const socket = await handshake(port, { cert: identity.cert, key: identity.key })
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      let text = ''
      socket.on('data', (chunk) => (text += String(chunk)))
      await once(socket, 'close')
      return text
    }
    // In TLS 1.3 a client is done with its handshake before the server has looked at its certificate.
    expect(await ask().catch(() => '')).toBe('')
    proxy.tls?.trust({ ca: [root.cert, strange.cert] })
    expect(await ask()).toMatch(/^HTTP\/1.1 200/)
  })
})

describe('close() of a proxy that listens with tls', () => {
  it.each([false, true])(
    'lets what is in flight finish (HTTP/2: %s), and leaves nothing behind',
    async (http2) => {
      const leaks = leakCheck()
      const go = deferred()
      const body = 'x'.repeat(1_000_000)
      const origin = await originServer(async (_req, res) => {
        res.write('first ')
        await go.promise
        res.end(body)
      })
      const proxy = createProxy({ upstreams: { default: origin.url }, tls: cert() })
      const { port } = await proxy.listen()
      const idle = await handshake(port, { ALPNProtocols: [http2 ? 'h2' : 'http/1.1'] })
      const idleGone = once(idle.resume(), 'close')
      const asking = httpClient({ port, ca: Buffer.from(root.cert), http2 })
      const call = asking.call()
      await call.head
      const closing = proxy.close({ drain: patience })
      go.resolve()
      expect(await call.answer()).toMatchObject({ status: 200, text: `first ${body}`, complete: true })
      await within(closing, 'close()')
      await within(idleGone, 'the idle connection')
      await asking.close()
      await origin.close()
      await leaks.settled()
    },
  )

  it('says GOAWAY to who ends its handshake only then', async () => {
    const go = deferred()
    const origin = own(await originServer((_req, res) => void go.promise.then(() => res.end('ok'))))
    const { proxy, port } = await listening(cert(), {}, origin)
    const call = client(port).call()
    await origin.request()
    const raw = connect(port, '127.0.0.1')
    own({ close: () => raw.destroy() })
    await once(raw, 'connect')
    const closing = proxy.close({ drain: patience })
    const secure = connectTls({ socket: raw, ca: root.cert, servername: 'localhost', ALPNProtocols: ['h2'] })
    await once(secure, 'secureConnect')
    const session = connectHttp2('https://localhost', { createConnection: () => secure })
    await within(once(session, 'goaway'), 'GOAWAY')
    go.resolve()
    expect(await call.answer()).toMatchObject({ status: 200 })
    await within(closing, 'close()')
  })

  it('is not held up by a client that says nothing, in its handshake or before', async () => {
    const leaks = leakCheck()
    const origin = await originServer()
    const proxy = createProxy({
      upstreams: { default: origin.url },
      tls: { ...cert(), proxyProtocol: { trust: ['127.0.0.1'] } },
    })
    const { port } = await proxy.listen()
    const [silent, begun] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
    const gone = [silent, begun].map(
      (socket) =>
        new Promise((resolve) =>
          socket
            .on('error', () => {})
            .on('close', resolve)
            .resume(),
        ),
    )
    await Promise.all([silent, begun].map((socket) => once(socket, 'connect')))
    begun.write('PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n\x16\x03\x01')
    await within(proxy.close(), 'close()')
    await within(Promise.all(gone), 'the silent connections')
    await origin.close()
    await leaks.settled()
  })
})

describe.skipIf(skipUnless(hasPebble, 'pebble is not installed'))('tls.acme', () => {
  it.each(['http-01', 'tls-alpn-01'] as const)(
    'gets its certificate by %s and serves it',
    async (challenge) => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-acme-'))
      own({ close: () => rmSync(folder, { recursive: true, force: true }) })
      const server = own(await pebble())
      const origin = own(await originServer((_req, res) => void res.end('ok')))
      const proxy = createProxy({
        upstreams: { default: origin.url },
        tls: {
          acme: {
            domains: ['site.test'],
            agreeToTerms: true,
            directory: server.directory,
            ca: server.ca,
            storage: folder,
            challenges: [challenge],
          },
          redirect: server.httpPort,
        },
      })
      own({ close: () => proxy.close({ drain: 0 }) })
      await proxy.listen(server.tlsPort)
      await until(() => proxy.tls?.acme?.certificates()[0]?.notAfter !== undefined, 'the certificate')
      const secure = await handshake(server.tlsPort, { servername: 'site.test', ca: await server.root() })
      expect(namesOf(secure)).toBe('DNS:site.test')
    },
  )
})
