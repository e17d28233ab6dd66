import { execFile } from 'node:child_process'
import { connect as connectHttp2, constants, createSecureServer as createHttp2Server } from 'node:http2'
import { Agent, createServer as createHttpsServer, request as httpsRequest } from 'node:https'
import {
  type AddressInfo,
  connect as connectPlain,
  createServer as createPlainServer,
  type Socket,
} from 'node:net'
import {
  type ConnectionOptions,
  connect,
  createServer as createTlsServer,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls'
import {
  type CertificateSource,
  type CertificateStore,
  type CertificatesOptions,
  certificates,
  type KeyPair,
} from '@sluice/tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { nodeMajor } from '../kit/node-major.js'
import { owner } from '../kit/owner.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'
import { type X509Issuer, type X509Pair, x509Root } from '../kit/x509.js'

trapUnhandled()
const own = owner()

let root: X509Issuer
let a: X509Pair
let b: X509Pair
let rsa: X509Pair
let address: X509Pair
let other: X509Pair
beforeAll(async () => {
  root = await x509Root()
  const [one, two] = await Promise.all([
    root.intermediate(),
    root.intermediate({ keyType: 'rsa', commonName: 'RSA Intermediate' }),
  ])
  a = await one.issue({ names: ['a.test', '*.a.test'] })
  b = await one.issue({ names: ['b.test'] })
  rsa = await two.issue({ names: ['a.test'], keyType: 'rsa' })
  other = await two.issue({ names: ['other.test'], keyType: 'rsa' })
  address = await one.issue({ names: ['127.0.0.1', 'ip.test'] })
})

const pairOf = ({ chain, key }: X509Pair): KeyPair => ({ cert: chain, key })

const answer = (_req: unknown, res: { end(text: string): unknown }): void => void res.end('ok')
type Make = (options: TlsOptions) => Server
const https: Make = (options) => createHttpsServer(options, answer)
const http2: Make = (options) =>
  createHttp2Server({ ...options, allowHTTP1: true }, answer) as unknown as Server
const plainTls: Make = (options) =>
  createTlsServer(options, (socket) =>
    socket
      .resume()
      .on('error', () => {})
      .end('ok'),
  )
const servers: [string, Make][] = [
  ['https.createServer', https],
  ['http2.createSecureServer', http2],
  ['tls.createServer', plainTls],
]

interface Site {
  readonly store: CertificateStore
  readonly server: Server
  readonly port: number
  readonly errors: unknown[]
}

/** A server with a store, as the package's README has it. */
async function site(make: Make, source: CertificateSource, options?: CertificatesOptions): Promise<Site> {
  const store = certificates(source, options)
  own({ close: () => store[Symbol.dispose]() })
  const server = make({ ...store.fallback, SNICallback: store.sniCallback })
  store.watch(() => server.setSecureContext({ ...store.fallback }))
  const errors: unknown[] = []
  server.on('tlsClientError', (error) => void errors.push(error))
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => void sockets.add(socket))
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  own({
    close: () =>
      new Promise((resolve) => {
        server.close(resolve)
        for (const socket of sockets) socket.destroy()
      }),
  })
  return { store, server, port: (server.address() as AddressInfo).port, errors }
}

/** Resolves when the handshake is over; the certificate has to hold for the name. */
async function shake(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    ca: root.cert,
    ALPNProtocols: ['h2', 'http/1.1'],
    ...options,
  })
  own({ close: () => socket.destroy() })
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve).once('error', reject)
  })
  socket.on('error', () => {})
  return socket
}

async function served(
  port: number,
  servername: string,
  options: ConnectionOptions = {},
): Promise<X509Pair | undefined> {
  const socket = await shake(port, { servername, ...options })
  const { raw } = socket.getPeerCertificate()
  socket.destroy()
  return [a, b, rsa, address, other].find(({ der }) => der.equals(raw))
}

async function refusal(port: number, options: ConnectionOptions): Promise<string | undefined> {
  try {
    await shake(port, options)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
  return 'none'
}

const unverified = { rejectUnauthorized: false }
const failure = /^ERR_SSL_.*HANDSHAKE_FAILURE$/
/** Whether Node serves a name of SNI by one kind of key alone, chosen before the client's ciphers are known. */
const oneForSni = nodeMajor >= 24
const versions = ['TLSv1.2', 'TLSv1.3'] as const
const only = (version: (typeof versions)[number]): ConnectionOptions => ({
  minVersion: version,
  maxVersion: version,
})

describe.each(servers)('%s', (_, make) => {
  it.each(versions)(
    'serves each name by its certificate, other names and none by the first, over %s',
    async (version) => {
      const { port } = await site(make, [pairOf(b), pairOf(a)])
      expect(await served(port, 'a.test', only(version))).toBe(a)
      expect(await served(port, 'A.TEST', only(version))).toBe(a)
      expect(await served(port, 'www.a.test', only(version))).toBe(a)
      expect(await served(port, 'b.test', only(version))).toBe(b)
      for (const servername of ['none.test', 'x.www.a.test', 'a b', '*.a.test', '..', ''])
        expect(await served(port, servername, { ...only(version), ...unverified })).toBe(b)
    },
  )

  it('gives each client the kind of key that it can use, with its chain', async () => {
    // For the name of the first certificate and for another one, which Node treats differently, and without a name.
    for (const [source, servername] of [
      [[a, rsa], 'a.test'],
      [[a, rsa], ''],
      [[b, a, rsa], 'a.test'],
      [[other, rsa, a], 'a.test'],
    ] as const) {
      const { port } = await site(make, source.map(pairOf))
      const by = (options: ConnectionOptions) =>
        served(port, servername, { ...(servername === '' ? unverified : {}), ...options })
      expect(await by({ ...only('TLSv1.3'), sigalgs: 'rsa_pss_rsae_sha256' })).toBe(rsa)
      expect(await by({ ...only('TLSv1.3'), sigalgs: 'ecdsa_secp256r1_sha256' })).toBe(a)
      expect([a, rsa]).toContain(await by(only('TLSv1.3')))
      expect([a, rsa]).toContain(await by(only('TLSv1.2')))
      expect(await by({ ...only('TLSv1.2'), ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' })).toBe(rsa)
      const ecdsa = { ...only('TLSv1.2'), ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }
      if (oneForSni && source[0] !== a) {
        expect(await refusal(port, { ...ecdsa, servername })).toMatch(failure)
        expect(await by({ ...ecdsa, sigalgs: 'ecdsa_secp256r1_sha256' })).toBe(a)
      } else expect(await by(ecdsa)).toBe(a)
    }
  })

  it("never serves a name by another one's certificate, be it of the kind of key that a client would rather have", async () => {
    for (const [source, mine] of [
      [[other, a], a],
      [[a, other], other],
      [[a, rsa, other], other],
    ] as const) {
      const { port } = await site(make, source.map(pairOf))
      const [servername] = mine === a ? ['a.test'] : ['other.test']
      const [suits, suitsNot] = mine === a ? ['ECDSA', 'RSA'] : ['RSA', 'ECDSA']
      for (const version of versions) expect(await served(port, servername, only(version))).toBe(mine)
      const by = (kind: string | undefined) => ({
        ...only('TLSv1.2'),
        ciphers: `ECDHE-${kind}-AES128-GCM-SHA256`,
        servername,
      })
      expect(await served(port, servername, by(suits))).toBe(mine)
      expect(await refusal(port, by(suitsNot))).toMatch(failure)
    }
  })

  it.each(versions)('tells a client of %s that a name is not served, and serves on', async (version) => {
    const { port, errors } = await site(make, pairOf(a), { fallback: 'none' })
    for (const servername of ['b.test', 'a b', '127.1'])
      expect(await refusal(port, { ...only(version), servername, ...unverified })).toBe(
        'ERR_SSL_TLSV1_UNRECOGNIZED_NAME',
      )
    await until(() => errors.length === 3, 'tlsClientError')
    expect(errors).toMatchObject([{ code: 'ERR_UNRECOGNIZED_NAME' }, {}, {}])
    expect(await refusal(port, { ...only(version), servername: '', ...unverified })).toMatch(
      /^ERR_SSL_.*HANDSHAKE_FAILURE$/,
    )
    expect(await served(port, 'a.test', only(version))).toBe(a)
  })

  it('serves a certificate of an address to clients that connect to it, which send no name', async () => {
    const { port } = await site(make, [pairOf(address), pairOf(a)])
    const socket = await shake(port, {})
    expect(socket.getPeerCertificate().raw.equals(address.der)).toBe(true)
    expect(await served(port, 'ip.test')).toBe(address)
  })

  it('takes what is replaced for new connections, and open ones go on', async () => {
    const { store, port } = await site(make, pairOf(a))
    expect(await served(port, 'a.test')).toBe(a)
    const open = await shake(port, { servername: 'a.test', ALPNProtocols: ['http/1.1'] })
    store.replace(pairOf(b))
    expect(await served(port, 'a.test', unverified)).toBe(b)
    expect(await served(port, '', unverified)).toBe(b)
    const text: string[] = []
    open.on('data', (chunk: Buffer) => void text.push(chunk.toString()))
    open.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    await until(() => text.join('').includes('ok'), 'the answer')
    expect(() => store.replace({ cert: a.chain, key: b.key })).toThrow("doesn't fit")
    expect(await served(port, 'b.test')).toBe(b)
  })
})

describe('a handshake', () => {
  it.each(versions)('under way keeps its certificate while it is replaced, over %s', async (version) => {
    const { store, port } = await site(https, pairOf(a))
    const relay = await heldBack(port)
    const shaken = shake(relay.port, { servername: 'a.test', ...only(version) })
    await relay.answered
    store.replace(pairOf(b))
    expect(await served(port, 'b.test')).toBe(b)
    relay.release()
    const socket = await shaken
    expect(socket.getPeerCertificate().raw.equals(a.der)).toBe(true)
  })

  it('waits for a provider, one question for all', async () => {
    const pair = deferred<KeyPair>()
    const asked: string[] = []
    const get = (name: string): Promise<KeyPair> => {
      asked.push(name)
      return pair.promise
    }
    const { port, server } = await site(https, { get })
    let hellos = 0
    server.on('connection', () => void hellos++)
    const all = Array.from({ length: 20 }, () => served(port, 'a.test'))
    await until(() => hellos === 20 && asked.length > 0, 'all connections')
    pair.resolve(pairOf(a))
    expect(await Promise.all(all)).toEqual(Array.from({ length: 20 }, () => a))
    expect(await served(port, 'a.test')).toBe(a)
    expect(asked).toEqual(['a.test'])
  })

  it('gets the fallback where a provider fails or stalls, and the last good one', async () => {
    let get: () => Promise<KeyPair> | KeyPair = () => Promise.reject(new Error('down'))
    let tell = (): void => {}
    const provider = {
      get: () => get(),
      watch(changed: () => void) {
        tell = changed
        return { [Symbol.dispose]() {} }
      },
    }
    const { port } = await site(https, [pairOf(b), provider], { timeout: 20 })
    expect(await served(port, 'a.test', unverified)).toBe(b)
    get = () => new Promise(() => {})
    tell()
    expect(await served(port, 'a.test', unverified)).toBe(b)
    get = () => pairOf(a)
    tell()
    expect(await served(port, 'a.test')).toBe(a)
    get = () => new Promise(() => {})
    tell()
    expect(await served(port, 'a.test')).toBe(a)
  })

  it('of a client that leaves while a provider is asked hurts nobody', async () => {
    const pair = deferred<KeyPair | undefined>()
    const asked = deferred()
    const get = (): Promise<KeyPair | undefined> => {
      asked.resolve()
      return pair.promise
    }
    const { port, server, errors } = await site(https, { get })
    const closed = deferred()
    server.once('connection', (socket) => socket.once('close', () => closed.resolve()))
    const client = connect({ port, host: '127.0.0.1', servername: 'gone.test', ...unverified })
    client.on('error', () => {})
    await asked.promise
    client.destroy()
    await closed.promise
    pair.resolve(undefined)
    expect(await refusal(port, { servername: 'other.test', ...unverified })).toBe(
      'ERR_SSL_TLSV1_UNRECOGNIZED_NAME',
    )
    expect(errors.length).toBeGreaterThan(0)
  })
})

it('answers requests over what it has', async () => {
  const { port } = await site(http2, [pairOf(b), pairOf(a)])
  const session = connectHttp2(`https://a.test:${port}`, {
    ca: root.cert,
    createConnection: () =>
      connect({ port, host: '127.0.0.1', servername: 'a.test', ca: root.cert, ALPNProtocols: ['h2'] }),
  })
  own({ close: () => session.destroy() })
  const stream = session.request({ ':path': '/' })
  const status = new Promise((resolve) =>
    stream.once('response', (head) => resolve(head[constants.HTTP2_HEADER_STATUS])),
  )
  stream.resume()
  expect(await status).toBe(200)
  const agent = new Agent({ ca: root.cert })
  own({ close: () => agent.destroy() })
  const got = await new Promise((resolve, reject) => {
    httpsRequest(
      { port, host: '127.0.0.1', servername: 'a.test', headers: { host: 'a.test' }, agent },
      (res) => {
        res.resume()
        resolve(res.statusCode)
      },
    )
      .once('error', reject)
      .end()
  })
  expect(got).toBe(200)
})

describe.skipIf(skipUnless(await hasOpenssl(), 's_client: there is no openssl'))('openssl s_client', () => {
  it('sees the certificate of its name, the whole chain, and the alert', async () => {
    const { port } = await site(https, [pairOf(a)], { fallback: 'none' })
    const shown = await sClient(port, 'www.a.test')
    expect(shown).toMatch(/CN ?= ?a\.test/)
    expect(shown.match(/-----BEGIN CERTIFICATE-----/g)).toHaveLength(2)
    for (const version of ['-tls1_2', '-tls1_3'])
      expect(await sClient(port, 'b.test', version)).toContain('alert number 112')
  })
})

/** A relay that passes the client's first bytes, and holds the rest back until it is told. */
async function heldBack(port: number) {
  const answered = deferred()
  let release = (): void => {}
  const server = createPlainServer((client) => {
    const upstream = connectPlain(port, '127.0.0.1')
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    client.on('error', end).on('close', end)
    upstream.on('error', end).on('close', end)
    client.once('data', (hello) => {
      client.pause()
      upstream.write(hello)
      release = () => void client.pipe(upstream)
    })
    upstream.once('data', () => answered.resolve())
    upstream.pipe(client)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  own({ close: () => new Promise((resolve) => void server.close(resolve)) })
  return {
    port: (server.address() as AddressInfo).port,
    answered: answered.promise,
    release: () => release(),
  }
}

function sClient(port: number, servername: string, ...options: string[]): Promise<string> {
  const args = [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    '-servername',
    servername,
    '-showcerts',
    ...options,
  ]
  return new Promise((resolve) => {
    execFile('openssl', args, (_, out, err) => resolve(out + err)).stdin?.end()
  })
}

function hasOpenssl(): Promise<boolean> {
  return new Promise((resolve) => void execFile('openssl', ['version'], (error) => resolve(error === null)))
}
