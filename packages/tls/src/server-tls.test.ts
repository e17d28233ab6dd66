import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer as createHttp } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type ConnectionOptions, connect, createServer, type Server, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type TlsVisit, tlsVisit } from '../../../test/kit/tls-visit.js'
import { type X509Issuer, type X509Pair, x509Root } from '../../../test/kit/x509.js'
import { certificates } from './certificates.js'
import { serverTls } from './server-tls.js'
import type { ServedCertificates, ServerTlsOptions } from './server-tls-options.js'
import { ticketKeys } from './ticket-keys.js'

let root: X509Issuer
let own: X509Pair
let other: X509Pair
beforeAll(async () => {
  root = await x509Root()
  own = await root.issue({ names: ['own.test'] })
  other = await root.issue({ names: ['other.test'] })
})

const hour = 3_600_000
const pairOf = ({ chain, key }: X509Pair) => ({ cert: chain, key })

const open: (() => void)[] = []
afterEach(() => {
  for (const end of open.splice(0)) end()
})

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  open.push(() => server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** A server that says to each client what it thinks of him. */
async function serve(options: Partial<ServerTlsOptions> = {}) {
  const store = certificates(pairOf(own))
  const tls = serverTls({ certificates: store, ...options })
  const server = createServer(tls.options, (socket: TLSSocket) => {
    socket.on('error', () => {})
    socket.end(`${socket.authorized}`)
  })
  const attached = tls.attach(server)
  return { store, tls, server, attached, port: await listening(server) }
}

const ask = (port: number, options: ConnectionOptions = {}): Promise<TlsVisit> =>
  tlsVisit(port, { servername: 'own.test', ca: root.cert, ...options })

describe('serverTls()', () => {
  it('serves by name, and clients that name nobody', async () => {
    const { port } = await serve()
    expect(await ask(port)).toMatchObject({ protocol: 'TLSv1.3', name: 'CN=own.test', text: 'false' })
    const anonymous = { servername: '', checkServerIdentity: () => undefined }
    expect(await ask(port, anonymous)).toMatchObject({ name: 'CN=own.test' })
  })

  it('answers a name that nobody serves with unrecognized_name, and no name with handshake_failure', async () => {
    const { port } = await serve({ certificates: certificates(pairOf(own), { fallback: 'none' }) })
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      await expect(ask(port, { servername: 'nobody.test', maxVersion })).rejects.toThrow(/unrecognized name/)
      const anonymous = { servername: '', checkServerIdentity: () => undefined, maxVersion }
      await expect(ask(port, anonymous)).rejects.toThrow(/handshake failure/)
      expect(await ask(port, { maxVersion })).toMatchObject({ name: 'CN=own.test' })
    }
  })

  it('answers challenges, and nobody else with them', async () => {
    const challenges = {
      challengeCertificate: (name: string) => (name === 'asked.test' ? pairOf(other) : undefined),
      hasChallenges: () => true,
    }
    const { port } = await serve({ challenges })
    const authority = connect({
      port,
      servername: 'asked.test',
      rejectUnauthorized: false,
      ALPNProtocols: ['acme-tls/1'],
    })
    await once(authority, 'secureConnect')
    expect(authority.getPeerX509Certificate()?.subject).toBe('CN=other.test')
    authority.destroy()
    expect(await ask(port)).toMatchObject({ name: 'CN=own.test' })
  })

  it('takes other certificates while it serves, with and without a name', async () => {
    const { store, port } = await serve()
    store.replace(pairOf(other))
    const anyName = { checkServerIdentity: () => undefined }
    expect(await ask(port, anyName)).toMatchObject({ name: 'CN=other.test' })
    expect(await ask(port, { ...anyName, servername: '' })).toMatchObject({ name: 'CN=other.test' })
  })

  it('has the certificates of now, whatever was replaced before it was attached, or between', async () => {
    const store = certificates(pairOf(own))
    const tls = serverTls({ certificates: store })
    store.replace(pairOf(other))
    expect(tls.options.cert).toEqual(store.fallback?.cert)
    const server = createServer(tls.options, (socket: TLSSocket) => void socket.end('hello'))
    store.replace(pairOf(own))
    tls.attach(server)[Symbol.dispose]()
    store.replace(pairOf(other))
    tls.attach(server)
    const anonymous = { servername: '', checkServerIdentity: () => undefined }
    expect(await ask(await listening(server), anonymous)).toMatchObject({ name: 'CN=other.test' })
  })

  it('keeps to its preset', async () => {
    const { port } = await serve({ preset: 'modern' })
    await expect(ask(port, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/)
  })

  it('goes into an https server, and one of HTTP/2 that speaks both', async () => {
    const store = certificates(pairOf(own))
    const https = serverTls({ certificates: store })
    const first = createHttps(https.options, (_req, res) => res.end('https'))
    open.push(() => https.attach(first)[Symbol.dispose]())
    const ALPNProtocols = ['h2', 'http/1.1']
    const both = serverTls({ certificates: store, http2: true })
    const second = createSecureServer(both.options, (_req, res) => res.end('http2'))
    const negotiated = await Promise.all(
      [first, second].map(async (server) => {
        const socket = connect({
          port: await listening(server),
          servername: 'own.test',
          ca: root.cert,
          ALPNProtocols,
        })
        await once(socket, 'secureConnect')
        const { alpnProtocol } = socket
        socket.destroy()
        return alpnProtocol
      }),
    )
    expect(negotiated).toEqual(['http/1.1', 'h2'])
  })

  describe.each(['TLSv1.2', 'TLSv1.3'] as const)('over %s', (maxVersion) => {
    const again = async (port: number, { session }: TlsVisit): Promise<TlsVisit> =>
      ask(port, { maxVersion, session: session as Buffer, checkServerIdentity: () => undefined })

    it('resumes sessions, those of before a replacement too', async () => {
      const { store, port } = await serve()
      const before = await ask(port, { maxVersion })
      expect(await again(port, before)).toMatchObject({ resumed: true })
      store.replace(pairOf(other))
      expect(await again(port, before)).toMatchObject({ resumed: true })
    })

    it('resumes none with tickets: false', async () => {
      const { port } = await serve({ tickets: false })
      const before = await ask(port, { maxVersion })
      // TLS 1.3 gives something that looks like a ticket all the same.
      if (before.session !== undefined) expect(await again(port, before)).toMatchObject({ resumed: false })
    })

    it.each(['https', 'http2'])('refuses a client whose certificate has expired, on %s', async (kind) => {
      let now = Date.now()
      const options = { client: 'required', ca: root.cert, clock: () => now } as const
      const tls = serverTls({ certificates: certificates(pairOf(own)), http2: kind === 'http2', ...options })
      const server =
        kind === 'http2'
          ? createSecureServer(tls.options, (_req, res) => res.end())
          : createHttps(tls.options, (_req, res) => res.end())
      tls.attach(server)
      const port = await listening(server)
      const connection = {
        port,
        servername: 'own.test',
        ca: root.cert,
        cert: own.chain,
        key: own.key,
        maxVersion,
      }
      const ALPNProtocols = kind === 'http2' ? ['h2'] : ['http/1.1']
      const first = connect({ ...connection, ALPNProtocols })
      open.push(() => first.destroy())
      const [session] = (await once(first, 'session')) as [Buffer]
      first.destroy()
      now += 1_000 * hour
      const second = connect({ ...connection, ALPNProtocols, session })
      second.on('error', () => {})
      // Those that are let in stay: nobody asks for anything.
      await once(second, 'close')
      now -= 1_000 * hour
      const third = connect({ ...connection, ALPNProtocols, session })
      await once(third, 'secureConnect')
      expect(third.isSessionReused()).toBe(true)
      third.destroy()
    })
  })

  it('adds what is given by pieces of their own, and takes it all away again', async () => {
    const done: string[] = []
    const ocsp = {
      attach: () => {
        done.push('attached')
        return () => done.push('undone')
      },
    }
    const { server, tls, attached, store } = await serve({ ocsp, client: 'optional', ca: root.cert })
    attached[Symbol.dispose]()
    attached[Symbol.dispose]()
    expect(done).toEqual(['attached', 'undone'])
    const listeners = ['secureConnection', 'tlsClientError', 'connection'].map((name) =>
      server.listenerCount(name),
    )
    expect(listeners).toEqual([1, 0, 1])
    tls.trust({ ca: own.cert })
    store.replace(pairOf(other))
  })

  it('keeps the last certificate that OpenSSL takes, and takes other authorities all the same', async () => {
    const told: unknown[] = []
    const hear = (message: unknown): void => void told.push(message)
    subscribe('sluice:tls:certificate', hear)
    open.push(() => unsubscribe('sluice:tls:certificate', hear))
    const store = certificates(pairOf(own))
    let wrong = false
    let changed = (): void => {}
    const shape: ServedCertificates = {
      using: (settings) => store.using(settings),
      watch(fn) {
        changed = fn
        return { [Symbol.dispose]() {} }
      },
      get fallback() {
        return wrong ? { cert: 'none', key: own.key } : store.fallback
      },
    }
    const { tls, port } = await serve({ certificates: shape, client: 'optional', ca: root.cert })
    wrong = true
    changed()
    expect(told).toMatchObject([{ kind: 'kept', where: 'serverTls.certificates' }])
    const client = { cert: own.chain, key: own.key }
    const anonymous = { servername: '', checkServerIdentity: () => undefined, ...client }
    expect(await ask(port, anonymous)).toMatchObject({ name: 'CN=own.test', text: 'true' })
    tls.trust({ ca: (await x509Root()).cert })
    expect(await ask(port, anonymous)).toMatchObject({ name: 'CN=own.test', text: 'false' })
  })

  it.each<[object, string]>([
    [{}, 'certificates: got nothing, takes a store: certificates(…): it is required'],
    [{ preset: 'old' }, "preset: got 'old', takes 'intermediate', 'modern'"],
    [{ client: true }, "client: got true, takes 'none', 'optional', 'required'"],
    [
      { client: 'optional' },
      "ca: got nothing, takes the authorities of client certificates (PEM): client: 'optional' requires it",
    ],
    [{ ca: 'x' }, "ca: got PEM, takes nothing without client: 'optional' or 'required'"],
    [{ client: 'required', ca: 'x' }, 'ca: got something else, takes PEM of CERTIFICATE'],
    [{ tickets: true }, 'tickets: got true, takes ticketKeys(…), or false'],
    [{ tikets: false }, 'tikets: unknown option, did you mean tickets?'],
  ])('refuses %j', (options, message) => {
    const given = {
      ...(Object.keys(options).length === 0 ? {} : { certificates: certificates(pairOf(own)) }),
      ...options,
    }
    expect(() => serverTls(given as ServerTlsOptions)).toThrow(message)
    expect(() => serverTls(given as ServerTlsOptions, 'tls')).toThrow(`tls.${message}`)
  })

  it('refuses a server without TLS', () => {
    const tls = serverTls({ certificates: certificates(pairOf(own)) })
    for (const attach of [tls.attach.bind(tls), ticketKeys().attach])
      expect(() => attach(createHttp() as unknown as Server)).toThrow(
        /^server: got .*, takes one of node:tls, https or http2.createSecureServer$/,
      )
  })

  it('tells which list of a revocation can’t be read', () => {
    const crl = '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----'
    const store = certificates(pairOf(own))
    expect(() =>
      serverTls({ certificates: store, client: 'required', ca: [root.cert], crl: [crl] }, 'tls'),
    ).toThrow(/^tls\.crl\[0\]: got what can't be read \(.+\), takes PEM of X509 CRL$/)
  })
})
