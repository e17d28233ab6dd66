import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import { connect as connectTls, type TLSSocket, type TlsOptions } from 'node:tls'
import { undiciTransport } from '@sluice/forward'
import { httpProxyTransport } from '@sluice/http-proxy'
import { type ClientCertificateOptions, clientCertificate } from '@sluice/tls'
import express from 'express'
import { createProxy, type Proxy, type ProxyOptions } from 'sluice'
import { beforeAll, describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { type HttpClient, httpClient } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { type X509Issuer, type X509Pair, x509Root, x509SelfSigned } from '../kit/x509.js'

trapUnhandled()
const own = owner()

interface Identity {
  readonly cert: string
  readonly key: string
}

let root: X509Issuer
let intermediate: X509Issuer
let server: X509Pair
let client: X509Pair
let stranger: X509Pair

beforeAll(async () => {
  root = await x509Root({ commonName: 'Root' })
  intermediate = await root.intermediate({ commonName: 'Intermediate' })
  server = await root.issue({ names: ['localhost', '127.0.0.1'] })
  client = await intermediate.issue({ names: ['client.example'], commonName: 'client' })
  stranger = await x509SelfSigned({ commonName: 'stranger' })
})

/** A server with TLS that asks for certificates and takes whoever has none, or one that it can't verify. */
interface Kind {
  readonly name: string
  readonly http2: boolean
  make(proxy: Proxy, tls: TlsOptions): Parameters<typeof listen>[0]
}

const kinds: readonly Kind[] = [
  {
    name: 'node:https',
    http2: false,
    make: (proxy, tls) => createHttpsServer(tls, proxy.listener).on('upgrade', proxy.upgrade),
  },
  {
    name: 'node:http2',
    http2: true,
    make: (proxy, tls) => createSecureServer(tls, proxy.listener) as never,
  },
  {
    name: 'node:http2 over HTTP/1.1',
    http2: false,
    make: (proxy, tls) => createSecureServer({ ...tls, allowHTTP1: true }, proxy.listener) as never,
  },
  {
    name: 'Express 5',
    http2: false,
    make: (proxy, tls) => {
      const app = express()
      app.use('/', proxy.listener)
      return createHttpsServer(tls, app)
    },
  },
  {
    name: 'an attached server',
    http2: false,
    make: (proxy, tls) => {
      const made = createHttpsServer(tls)
      proxy.attach(made)
      return made
    },
  },
]

interface Site {
  readonly port: number
  readonly origin: Awaited<ReturnType<typeof originServer>>
  /** What `onError` has heard. */
  readonly errors: string[]
  readonly sockets: TLSSocket[]
  as(identity?: Identity): HttpClient
}

async function site(
  kind: Kind,
  options: ClientCertificateOptions = {},
  more: Partial<ProxyOptions> = {},
): Promise<Site> {
  const origin = own(
    await originServer((_req, res) => void res.setHeader('Vary', 'Accept, client-cert').end('ok')),
  )
  const errors: string[] = []
  const proxy = createProxy({
    upstreams: { a: origin.url },
    use: [clientCertificate(options)],
    onError: (error) => void errors.push(`${error.code}: ${error.message}`),
    ...more,
  })
  own({ close: () => proxy.close({ drain: 0 }) })
  const { cert, key } = server
  const tls = {
    cert,
    key,
    ca: root.cert,
    requestCert: true,
    rejectUnauthorized: false,
    sessionIdContext: 'test',
  }
  const made = kind.make(proxy, tls)
  const sockets: TLSSocket[] = []
  made.on('secureConnection', (socket: TLSSocket) => void sockets.push(socket))
  const { port } = own(await listen(made, { http2: kind.http2, ca: Buffer.from(root.cert) }))
  const as = (identity?: Identity): HttpClient =>
    own(httpClient({ port, ca: Buffer.from(root.cert), http2: kind.http2, identity }))
  return { port, origin, errors, sockets, as }
}

const chained = (): Identity => ({ cert: client.chain, key: client.key })
const base64 = (pem: string): string => new X509Certificate(pem).raw.toString('base64')
const hash = (pem: string): string =>
  new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase()

const forged = [
  ['Client-Cert', ':AAAA:'],
  ['client-cert', ':AAAA:'],
  ['Client-Cert-Chain', ':AAAA:'],
  ['X-Forwarded-Client-Cert', 'Hash=00;Subject="CN=admin"'],
].flat()

/** What a target has seen of certificates. */
function seen({ origin }: Site, index = 0): string[] {
  const raw = origin.requests[index]?.rawHeaders ?? []
  return raw.filter((_, i) => /client[-_]cert/i.test(raw[i - (i % 2)] as string))
}

const passAll = (): ClientCertificateOptions => ({
  pass: { clientCert: true, chain: [intermediate.cert, root.cert], xfcc: ['Subject', 'DNS'] },
})

describe.each(kinds)('clientCertificate on $name', (kind) => {
  it('tells targets what was verified, in place of what clients say', async () => {
    const made = await site(kind, passAll())
    const answer = await made.as(chained()).ask({ headers: forged })
    expect(answer.status).toBe(200)
    const xfcc = `Hash=${hash(client.cert)};Subject="CN=client";DNS=client.example`
    const got = seen(made)
    expect(value(got, 'client-cert')).toBe(`:${base64(client.cert)}:`)
    expect(value(got, 'client-cert-chain')).toBe(`:${base64(intermediate.cert)}:, :${base64(root.cert)}:`)
    expect(value(got, 'x-forwarded-client-cert')).toBe(xfcc)
    expect(got).toHaveLength(6)
    // RFC 9440 section 2.4: the client never sends such a field, so to its cache all answers would be for it.
    expect(values(answer.headers, 'vary')).toEqual(['*'])
  })

  it('tells targets nothing unless asked to', async () => {
    const made = await site(kind)
    await made.as(chained()).ask({ headers: forged })
    expect(seen(made)).toEqual([])
  })

  it.each(['nobody', 'a stranger'])('lets %s pass, and says nothing of whom', async (who) => {
    const made = await site(kind, passAll())
    const answer = await made.as(who === 'nobody' ? undefined : stranger).ask({ headers: forged })
    expect(answer.status).toBe(200)
    expect(seen(made)).toEqual([])
    expect(values(answer.headers, 'vary')).toEqual(['*'])
  })

  it.each([
    ['nobody', 'the client has sent no certificate'],
    [
      'a stranger',
      'the certificate of the client could not be verified: DEPTH_ZERO_SELF_SIGNED_CERT ("CN=stranger")',
    ],
  ])('refuses %s where it is required, and tells clients nothing', async (who, says) => {
    const made = await site(kind, { required: true })
    const answer = await made.as(who === 'nobody' ? undefined : stranger).ask()
    expect(answer.status).toBe(403)
    expect(answer.text).toBe('403 Forbidden\n')
    expect(made.origin.connections).toBe(0)
    expect(made.errors).toEqual([`http_request_denied: ${says}`])
    expect((await made.as(chained()).ask()).status).toBe(200)
  })

  it('refuses one that expires while its connection is open, from then on', async () => {
    let now = Date.now()
    const made = await site(kind, { ...passAll(), now: () => now })
    const required = await site(kind, { required: true, now: () => now })
    const [optional, strict] = [made.as(chained()), required.as(chained())]
    await optional.ask()
    expect((await strict.ask()).status).toBe(200)
    now = Date.parse(new X509Certificate(client.cert).validTo) + 1
    await optional.ask()
    expect(seen(made, 1)).toEqual([])
    expect((await strict.ask()).status).toBe(403)
    expect(required.errors).toEqual([expect.stringContaining('has expired, at 20')])
    expect([made.sockets.length, required.sockets.length]).toEqual([1, 1])
  })

  it('reads a connection once', async () => {
    const made = await site(kind, passAll())
    const asking = made.as(chained())
    await asking.ask()
    const [socket] = made.sockets
    if (socket === undefined) throw new Error('no connection')
    socket.getPeerX509Certificate = () => {
      throw new Error('read again')
    }
    await asking.ask()
    expect(seen(made, 1)).toEqual(seen(made, 0))
    expect(made.sockets).toHaveLength(1)
  })

  it('counts in further tries', async () => {
    const dead = own(await deadTarget())
    const made = await site(kind, passAll(), {})
    const first = await site(kind, passAll(), {
      upstreams: { a: { targets: [dead.url, made.origin.url], balance: 'first' } },
    })
    expect((await first.as(chained()).ask()).status).toBe(200)
    expect(value(seen(made), 'client-cert')).toBe(`:${base64(client.cert)}:`)
  })
})

describe('clientCertificate', () => {
  const [https] = kinds as [Kind]

  /** One request over a connection of its own; with `session`, over a resumed one. */
  async function resumable(
    made: Site,
    identity: Identity | undefined,
    version: 'TLSv1.2' | 'TLSv1.3',
    session?: Buffer,
  ) {
    const socket = connectTls({
      port: made.port,
      host: '127.0.0.1',
      ca: root.cert,
      maxVersion: version,
      ...identity,
      ...(session === undefined ? {} : { session }),
    })
    own({ close: async () => void socket.destroy() })
    let ticket: Buffer | undefined
    socket.on('session', (given) => {
      ticket = given
    })
    let reused = false
    socket.on('secureConnect', () => {
      reused = socket.isSessionReused()
    })
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await once(socket, 'close')
    return {
      status: Number(text.slice(9, 12)),
      session: ticket as Buffer | undefined,
      reused,
    }
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'says the same in sessions that are resumed, with %s',
    async (version) => {
      const made = await site(https, passAll())
      const { session } = await resumable(made, chained(), version)
      const again = await resumable(made, chained(), version, session)
      expect(again.reused).toBe(true)
      expect(seen(made, 1)).toHaveLength(6)
      expect(seen(made, 1)).toEqual(seen(made, 0))
    },
  )

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'takes nobody for somebody in sessions that are resumed, with %s',
    async (version) => {
      for (const identity of [undefined, { cert: stranger.cert, key: stranger.key }]) {
        const made = await site(https, { required: true })
        // The first is refused, and its session is good all the same.
        const { status, session } = await resumable(made, identity, version)
        const again = await resumable(made, identity, version, session)
        expect(again.reused).toBe(true)
        expect([status, again.status]).toEqual([403, 403])
      }
    },
  )

  it('never passes what a client has sent beside what proves it', async () => {
    const made = await site(https, { pass: { clientCert: true, chain: root.cert, xfcc: ['Chain'] } })
    await made.as({ cert: client.chain + stranger.cert, key: client.key }).ask()
    const got = seen(made)
    // The intermediate one is none of `chain`, so that nothing leads on to the root.
    expect(values(got, 'client-cert-chain')).toEqual([])
    expect(value(got, 'x-forwarded-client-cert')).toBe(
      `Hash=${hash(client.cert)};Chain="${encodeURIComponent(new X509Certificate(client.cert).toString())}"`,
    )
  })

  it('takes one that makes fields too large for none', async () => {
    const names = Array.from({ length: 700 }, (_, i) => `host-${i}.client.example`)
    const large = await intermediate.issue({ names })
    const made = await site(https, { pass: { clientCert: true }, required: true })
    const answer = await made.as({ cert: large.chain, key: large.key }).ask()
    expect(answer.status).toBe(403)
    expect(made.errors).toEqual([expect.stringMatching(/makes fields of \d+ characters: over 16384$/)])
  })

  it('lets a route require what the site asks for, and keeps what the site passes', async () => {
    const made = await site(https, passAll(), {
      routes: [
        { path: '/inner', upstream: 'a', use: [clientCertificate({ required: true })] },
        { path: '/', upstream: 'a' },
      ],
    })
    const status = async (path: string, identity?: Identity) => (await made.as(identity).ask({ path })).status
    expect(await status('/')).toBe(200)
    expect(await status('/inner')).toBe(403)
    expect(made.errors).toEqual(['http_request_denied: the client has sent no certificate'])
    expect(await status('/inner', chained())).toBe(200)
    expect(seen(made, 1)).toHaveLength(6)
  })

  it('serves WebSockets, or refuses them', async () => {
    const made = await site(https, { ...passAll(), required: true })
    const sockets = new WebSocketServer({ server: made.origin.server })
    const heard = once(sockets, 'connection')
    const url = `wss://127.0.0.1:${made.port}`
    const refused = new WebSocket(url, { ca: root.cert })
    refused.on('error', () => {})
    const [, res] = await once(refused, 'unexpected-response')
    expect(res.statusCode).toBe(403)
    res.destroy()
    const socket = new WebSocket(url, { ca: root.cert, ...chained() })
    const [peer, req] = await heard
    own({
      close: async () => {
        socket.terminate()
        peer.terminate()
      },
    })
    expect(req.headers['client-cert']).toBe(`:${base64(client.cert)}:`)
    await once(socket, 'open')
  })

  it.each([
    ['undici', undiciTransport],
    ['http-proxy', httpProxyTransport],
  ])('tells targets through %s, too', async (_, transport) => {
    const target = own(await originServer())
    const used = transport()
    own({ close: () => used.close(true) })
    const made = await site(https, passAll(), {
      upstreams: { a: { targets: [target.url], transport: used } },
    })
    await made.as(chained()).ask({ headers: forged })
    expect(seen({ ...made, origin: target })).toHaveLength(6)
  })

  describe('without TLS', () => {
    async function plain(options: ClientCertificateOptions) {
      const origin = own(await originServer())
      const errors: string[] = []
      const proxy = createProxy({
        upstreams: { a: origin.url },
        use: [clientCertificate(options)],
        onError: (error) => void errors.push(error.message),
      })
      own({ close: () => proxy.close({ drain: 0 }) })
      const { client: asking } = own(await listen(createServer(proxy.listener)))
      return { origin, errors, asking, seen: () => seen({ origin } as Site) }
    }

    const told = (): string[] => [
      ...['Client-Cert', `:${base64(client.cert)}:`],
      ...['Client-Cert-Chain', `:${base64(intermediate.cert)}:`],
      ...['client-cert-chain', `:${base64(root.cert)}:`],
      ...['X-Forwarded-Client-Cert', 'By=spiffe://outer;Hash=00'],
    ]

    it('nobody has one', async () => {
      const made = await plain({ ...passAll(), required: true })
      expect((await made.asking.ask({ headers: told() })).status).toBe(403)
      expect(made.errors).toEqual(['the connection has no TLS'])
    })

    it("a trusted proxy's word counts, and goes on as it came", async () => {
      const made = await plain({ ...passAll(), required: true, trust: ['127.0.0.0/8'] })
      expect((await made.asking.ask({ headers: told() })).status).toBe(200)
      const got = made.seen()
      expect(value(got, 'client-cert')).toBe(`:${base64(client.cert)}:`)
      expect(values(got, 'client-cert-chain')).toEqual([
        `:${base64(intermediate.cert)}:`,
        `:${base64(root.cert)}:`,
      ])
      expect(value(got, 'x-forwarded-client-cert')).toBe('By=spiffe://outer;Hash=00')
    })

    it("a trusted proxy's word is kept from targets unless they are to hear it", async () => {
      const made = await plain({ trust: ['127.0.0.1'], required: true })
      expect((await made.asking.ask({ headers: told() })).status).toBe(200)
      expect(made.seen()).toEqual([])
    })

    it('a chain without a certificate is none', async () => {
      const made = await plain({ ...passAll(), trust: ['127.0.0.1'] })
      await made.asking.ask({ headers: told().slice(2) })
      expect(made.seen()).toEqual(['X-Forwarded-Client-Cert', 'By=spiffe://outer;Hash=00'])
      const strict = await plain({ trust: ['127.0.0.1'], required: true })
      expect((await strict.asking.ask({ headers: told().slice(2) })).status).toBe(403)
      expect(strict.errors).toEqual(['a trusted proxy has sent no Client-Cert'])
    })

    it('what a trusted proxy says has to be in its time', async () => {
      const now = Date.parse(new X509Certificate(client.cert).validTo) + 1
      const made = await plain({ ...passAll(), trust: ['127.0.0.1'], now: () => now })
      await made.asking.ask({ headers: told() })
      expect(made.seen()).toEqual([])
    })

    it('a client can not make a trusted proxy say something else', async () => {
      const made = await plain({ ...passAll(), trust: ['127.0.0.1'] })
      const mine = ['client-cert', `:${base64(stranger.cert)}:`]
      expect((await made.asking.ask({ headers: [...mine, ...told()] })).status).toBe(400)
      expect((await made.asking.ask({ headers: ['Client-Cert', ':AAAA:'] })).status).toBe(400)
      expect(
        (await made.asking.ask({ headers: ['Client-Cert', `:${base64(client.cert)}:, :AA==:`] })).status,
      ).toBe(400)
      expect(made.origin.requests).toEqual([])
      // CVE-2024-45410 was such a removal of what a proxy had said.
      await made.asking.ask({ headers: ['Connection', 'Client-Cert', ...told()] })
      expect(value(made.seen(), 'client-cert')).toBe(`:${base64(client.cert)}:`)
    })
  })

  it("adds a trusted proxy's own certificate to X-Forwarded-Client-Cert, and takes it for nobody's", async () => {
    const made = await site(https, {
      pass: { clientCert: true, xfcc: [] },
      required: true,
      trust: ['127.0.0.1'],
    })
    const headers = ['X-Forwarded-Client-Cert', 'Hash=00']
    expect((await made.as(chained()).ask({ headers })).status).toBe(403)
    const open = await site(https, { pass: { clientCert: true, xfcc: [] }, trust: ['127.0.0.1'] })
    await open.as(chained()).ask({ headers })
    expect(seen(open)).toEqual(['X-Forwarded-Client-Cert', `Hash=00,Hash=${hash(client.cert)}`])
  })

  it.each([
    [{ requried: true }, 'client.requried: unknown option, did you mean required?'],
    [{ pass: true }, 'client.pass: got true'],
    [
      { pass: { xfcc: ['subject'] } },
      "client.pass.xfcc[0]: got 'subject', takes 'Cert', 'Chain', 'Subject', 'URI', 'DNS'",
    ],
    [{ pass: { xfcc: ['Chain'] } }, "client.pass.xfcc: got 'Chain' without pass.chain"],
    [{ pass: { chain: 'x' } }, 'client.pass.chain: got certificates, takes nothing without clientCert'],
    [
      { pass: { clientCert: true, chain: 'secret' } },
      'client.pass.chain: got no certificate, takes certificates of authorities (PEM)',
    ],
    [{ pass: { clientCert: true, chain: 7 } }, 'client.pass.chain: got a number'],
    [
      { pass: { clientCert: true, chain: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' } },
      "client.pass.chain: got a certificate that can't be read",
    ],
    [{ trust: ['10.0.0.0/40'] }, 'client.trust[0]: got'],
    [{ now: 7 }, 'client.now: got 7, takes a function'],
  ])('says what is wrong with %j', (options, says) => {
    expect(() => clientCertificate(options as never, 'client')).toThrow(says)
  })
})
