import dns from 'node:dns'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo, Server as NetServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { http2Transport, type Transport, undiciTransport, wireTransport } from '@sluice/forward'
import { httpProxyTransport } from '@sluice/http-proxy'
import type { TargetInit, TargetTls } from '@sluice/upstream'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Authority, pinOf, testAuthority } from '../kit/authority.js'
import type { TestCertificate } from '../kit/certificate.js'
import type { Answer } from '../kit/client.js'
import { owner } from '../kit/owner.js'
import { type Proxied, proxiedTo } from '../kit/proxied.js'
import { value } from '../kit/raw-request.js'
import { type SecureOrigin, secureOrigin as startSecureOrigin } from '../kit/secure-origin.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

async function secureOrigin(...args: Parameters<typeof startSecureOrigin>): Promise<SecureOrigin> {
  return own(await startSecureOrigin(...args))
}

async function plainOrigin(host: string, port = 0, handler?: RequestListener) {
  return serve(createServer(handler ?? ((_req, res) => void res.end('plain'))), host, port)
}

async function serve(server: NetServer, host: string, port = 0) {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return own({
    port: (server.address() as AddressInfo).port,
    cut: () => {
      for (const socket of sockets) socket.destroy()
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  })
}

/** A chain made by hand in front of one target. */
async function proxied(make: () => Transport, ...args: Tail<Parameters<typeof proxiedTo>>): Promise<Proxied> {
  return own(await proxiedTo(make(), ...args))
}

type Tail<T extends unknown[]> = T extends [unknown, ...infer Rest] ? Rest : never

/** 502 for the client, who learns nothing, and the reason for whoever runs the proxy. */
function expectRefused(proxy: Proxied, answer: Answer, reason: RegExp): void {
  expect(answer).toMatchObject({ status: 502, text: '502 Bad Gateway\n', complete: true })
  expect(proxy.errors.map(({ code }) => code)).toEqual(['tls_certificate_error'])
  const [error] = proxy.errors
  expect(error?.message).toMatch(reason)
  expect(error?.message).toContain(proxy.upstream.all[0]?.id)
}

const transports: readonly (readonly [string, () => Transport])[] = [
  ['wireTransport', () => wireTransport()],
  ['undiciTransport', () => undiciTransport()],
  ['httpProxyTransport', () => httpProxyTransport()],
]
/** Those that are told of TLS by their target's settings. */
const secured = [...transports, ['http2Transport', () => http2Transport()] as const].flatMap(([name, make]) =>
  (['target', 'upstream'] as const).map((place) => [name, place, make] as const),
)

const authority = testAuthority()
const ca = authority?.cert ?? Buffer.alloc(0)

/** A certificate of the authority; only asked for where there is one. */
function issueAnother(...names: string[]): TestCertificate {
  return (authority as Authority).issue(...names)
}

const issued = new Map<string, TestCertificate>()

/** The one certificate for these names: each takes two runs of openssl. */
function issue(...names: string[]): TestCertificate {
  const made = issued.get(names.join()) ?? issueAnother(...names)
  issued.set(names.join(), made)
  return made
}

/** `two.test` leads to these addresses. */
function resolving(...addresses: string[]): void {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  const lookup = dns.lookup as (...args: unknown[]) => void
  vi.spyOn(dns, 'lookup').mockImplementation(((name: string, ...rest: unknown[]) => {
    if (name !== 'two.test') return lookup(name, ...rest)
    const done = rest.at(-1) as (error: null, addresses: typeof found) => void
    expect(rest[0]).toMatchObject({ all: true })
    done(null, found)
  }) as never)
}

describe.skipIf(skipUnless(authority, 'TLS towards targets: there is no openssl')).each(secured)(
  'TLS towards targets, by %s, set for the %s',
  (_name, place, make) => {
    /** With the target's settings where they are to stand. */
    const placed = (target: TargetInit, more: { host?: 'original'; tls?: TargetTls } = {}) => {
      if (place === 'target' || typeof target === 'string' || target.tls === undefined)
        return proxied(make, target, more)
      const { tls, ...rest } = target
      return proxied(make, rest, { ...more, tls })
    }

    it("an authority of one's own vouches for the target, and only where it is named", async () => {
      const origin = await secureOrigin(issue('DNS:localhost'))
      const url = `https://localhost:${origin.port}`
      const proxy = await placed({ url, tls: { ca } })
      expect(await proxy.client.ask()).toMatchObject({ status: 200, text: 'secure' })
      expect(origin.names).toEqual(['localhost'])
      const stranger = await placed(url)
      expectRefused(stranger, await stranger.client.ask(), /unable to verify|certificate/i)
    })

    it("a target's own settings replace the upstream's as a whole", async () => {
      const origin = await secureOrigin(issue('DNS:localhost'))
      const url = `https://localhost:${origin.port}`
      const proxy = await proxied(make, { url, tls: { ca: [`${ca}`] } }, { tls: { pin: [pinOf(ca)] } })
      expect(await proxy.client.ask()).toMatchObject({ status: 200 })
    })

    it('a certificate for another name is refused', async () => {
      const origin = await secureOrigin(issue('DNS:other.test'))
      const proxy = await placed({ url: `https://localhost:${origin.port}`, tls: { ca } })
      expectRefused(proxy, await proxy.client.ask(), /localhost.*other\.test/)
      proxy.errors.length = 0
      // And again: no session of the first try spares it the check.
      expectRefused(proxy, await proxy.client.ask(), /localhost.*other\.test/)
    })

    it("the server name is the target's, whatever Host says", async () => {
      const origin = await secureOrigin(issue('DNS:localhost'))
      const target = { url: `https://localhost:${origin.port}`, tls: { ca } }
      const proxy = await placed(target, { host: 'original' })
      for (const Host of ['a.test', 'b.test'])
        expect(await proxy.client.ask({ headers: ['Host', Host] })).toMatchObject({ status: 200 })
      expect(origin.hosts).toEqual(['a.test', 'b.test'])
      expect(origin.names).toEqual(['localhost'])
    })

    it('a server name of its own is asked for and looked for', async () => {
      const origin = await secureOrigin(issue('DNS:inner.test'))
      const url = `https://127.0.0.1:${origin.port}`
      const proxy = await placed({ url, tls: { ca, servername: 'inner.test' } })
      expect(await proxy.client.ask()).toMatchObject({ status: 200 })
      expect(origin.names).toEqual(['inner.test'])
    })

    it('an empty server name sends none, and the host of the URL is looked for', async () => {
      const origin = await secureOrigin(issue('DNS:localhost'))
      const proxy = await placed({
        url: `https://localhost:${origin.port}`,
        tls: { ca, servername: '' },
      })
      expect(await proxy.client.ask()).toMatchObject({ status: 200 })
      expect(origin.names).toEqual([''])
      const other = await secureOrigin(issue('DNS:other.test'))
      const wrong = await placed({
        url: `https://localhost:${other.port}`,
        tls: { ca, servername: '' },
      })
      expectRefused(wrong, await wrong.client.ask(), /localhost/)
    })

    it('an IP address sends no server name and is looked for, whatever Host says', async () => {
      const origin = await secureOrigin(issue('IP:127.0.0.1'))
      const target = { url: `https://127.0.0.1:${origin.port}`, tls: { ca } }
      const proxy = await placed(target, { host: 'original' })
      for (const Host of ['a.test', 'b.test'])
        expect(await proxy.client.ask({ headers: ['Host', Host] })).toMatchObject({ status: 200 })
      expect(origin.names).toEqual([''])
      const other = await secureOrigin(issue('DNS:a.test', 'IP:127.0.0.2'))
      const wrong = await placed(
        { url: `https://127.0.0.1:${other.port}`, tls: { ca } },
        { host: 'original' },
      )
      expectRefused(wrong, await wrong.client.ask({ headers: ['Host', 'a.test'] }), /127\.0\.0\.1/)
    })

    it('a certificate of the proxy is shown to a target that asks for one', async () => {
      const options = { ...issue('DNS:localhost'), ca, requestCert: true, rejectUnauthorized: true }
      const origin = await secureOrigin(options)
      const url = `https://localhost:${origin.port}`
      const proxy = await placed({ url, tls: { ca, ...issue('DNS:proxy.test') } })
      expect(await proxy.client.ask()).toMatchObject({ status: 200 })
      expect(origin.issuers).toEqual(['CN=Test Authority'])
      const without = await placed({ url, tls: { ca } })
      expect(await without.client.ask()).toMatchObject({ status: 502, text: '502 Bad Gateway\n' })
      // In TLS 1.3 the target says so after the handshake, and its end can be seen before its words.
      const codes = without.errors.map(({ code }) => code)
      expect([['tls_protocol_error'], ['connection_terminated']]).toContainEqual(codes)
      expect(origin.hosts).toHaveLength(1)
    })

    it('verify: false accepts any certificate, and says so to nobody', async () => {
      const origin = await secureOrigin(issue('DNS:other.test'))
      const proxy = await placed({ url: `https://localhost:${origin.port}`, tls: { verify: false } })
      expect(await proxy.client.ask()).toMatchObject({ status: 200 })
    })

    it('a pin that fits lets it pass, any other refuses it though the certificate is good', async () => {
      const certificate = issue('DNS:localhost')
      const origin = await secureOrigin(certificate)
      const url = `https://localhost:${origin.port}`
      const [right, wrong] = [pinOf(certificate.cert), pinOf(issueAnother('DNS:localhost').cert)]
      const pinned = await placed({ url, tls: { ca, pin: [wrong, right] } })
      expect(await pinned.client.ask()).toMatchObject({ status: 200 })
      const other = await placed({ url, tls: { ca, pin: [wrong] } })
      expectRefused(other, await other.client.ask(), /none of the pins/)
      expect(other.errors[0]?.message).toContain(right)
      // A pin stands on top of the rest and replaces nothing of it.
      const stranger = await placed({ url, tls: { pin: [right] } })
      expectRefused(stranger, await stranger.client.ask(), /unable to verify|certificate/i)
    })

    it('with verify: false the pins alone decide, with every connection', async () => {
      const certificate = issue('DNS:other.test')
      // Sessions of version 1.2 are known before the handshake is over, those of 1.3 after it.
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const origin = await secureOrigin({ ...certificate, maxVersion })
        const url = `https://localhost:${origin.port}`
        const pinned = await placed({ url, tls: { verify: false, pin: [pinOf(certificate.cert)] } })
        expect(await pinned.client.ask()).toMatchObject({ status: 200 })
        const other = await placed({ url, tls: { verify: false, pin: [pinOf(ca)] } })
        expectRefused(other, await other.client.ask(), /none of the pins/)
        other.errors.length = 0
        expectRefused(other, await other.client.ask(), /none of the pins/)
        expect(origin.hosts).toHaveLength(1)
      }
    })

    it('settings that change let no connection of the old ones serve', async () => {
      const certificate = issue('DNS:localhost')
      const origin = await secureOrigin(certificate)
      const url = `https://localhost:${origin.port}`
      const proxy = await placed({ url, tls: { verify: false } })
      expect(await proxy.client.ask()).toMatchObject({ status: 200 })
      proxy.upstream.replace([{ url, tls: { ca, pin: [pinOf(ca)] } }])
      expectRefused(proxy, await proxy.client.ask(), /none of the pins/)
    })

    it('a target that speaks no TLS gives 502', async () => {
      const origin = await plainOrigin('127.0.0.1')
      const proxy = await placed({ url: `https://127.0.0.1:${origin.port}`, tls: { ca } })
      const answer = await proxy.client.ask()
      expect(answer).toMatchObject({ status: 502, text: '502 Bad Gateway\n' })
      expect(proxy.errors.map(({ code }) => code)).toEqual(['tls_protocol_error'])
    })
  },
)

describe.skipIf(skipUnless(authority, 'TLS sessions: there is no openssl'))('wireTransport', () => {
  it('takes up the last session with a new connection', async () => {
    const origin = await secureOrigin(issue('DNS:localhost'))
    const proxy = await proxied(() => wireTransport(), {
      url: `https://localhost:${origin.port}`,
      tls: { ca },
    })
    const close = { headers: ['Connection', 'close'] }
    for (let i = 0; i < 3; i++) {
      expect(await proxy.client.ask(close)).toMatchObject({ status: 200 })
      // The target ends what is idle: the next request needs a connection.
      origin.cut()
    }
    expect(origin.resumed).toEqual([false, true, true])
  })
})

const unreachable = () => expect.unreachable('it was sent')

describe('a transport whose connections are not its own', () => {
  it.each([
    ['undiciTransport', () => undiciTransport({ dispatcher: { dispatch: unreachable } as never })],
    ['httpProxyTransport', () => httpProxyTransport({ agent: { addRequest: unreachable } as never })],
  ] as const)('accepts no target with TLS settings: %s', async (_name, transport) => {
    const proxy = await proxied(transport, { url: 'https://a.test', tls: { verify: false } })
    expect(await proxy.client.ask()).toMatchObject({ status: 501 })
  })
})

/** Whether this machine has IPv6. */
const six = await plainOrigin('::1').then(
  ({ close }) => close().then(() => true),
  () => false,
)

describe.each(transports)('addresses of a target, by %s', (_name, make) => {
  it.skipIf(skipUnless(process.platform !== 'win32', 'there are no Unix sockets'))(
    'a Unix socket',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
      own({ close: () => rmSync(folder, { recursive: true, force: true }) })
      const path = join(folder, 'app.sock')
      const seen: (string | undefined)[] = []
      const server = createServer((req, res) => {
        seen.push(`${req.headers.host}${req.url}`)
        req.pipe(res)
      })
      own({ close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()) })
      await new Promise<void>((resolve) => server.listen(path, resolve))
      const proxy = await proxied(make, `unix:${path}`)
      const body = Buffer.alloc(300_000, 'unix')
      const answer = await proxy.client.ask({ method: 'POST', path: '/a?b', body })
      expect(answer.body.equals(body)).toBe(true)
      expect(seen).toEqual(['localhost/a?b'])
      const nobody = await proxied(make, `unix:${path}.gone`)
      expect(await nobody.client.ask()).toMatchObject({ status: 502, text: '502 Bad Gateway\n' })
      expect(nobody.errors.map(({ code }) => code)).toEqual(['connection_refused'])
      expect(nobody.errors[0]?.message).toContain(`${path}.gone`)
    },
  )

  it.skipIf(skipUnless(six, 'there is no IPv6'))('an IPv6 address', async () => {
    const hosts: (string | undefined)[] = []
    const origin = await plainOrigin('::1', 0, (req, res) => {
      hosts.push(req.headers.host)
      res.end('six')
    })
    const proxy = await proxied(make, `http://[::1]:${origin.port}`)
    expect(await proxy.client.ask()).toMatchObject({ status: 200, text: 'six' })
    expect(hosts).toEqual([`[::1]:${origin.port}`])
  })

  it.skipIf(skipUnless(six, 'there is no IPv6'))(
    'a name with two, of which only the IPv6 one answers',
    async () => {
      const origin = await plainOrigin('::1')
      resolving('127.0.0.1', '::1')
      const proxy = await proxied(make, `http://two.test:${origin.port}`)
      expect(await proxy.client.ask()).toMatchObject({ status: 200 })
    },
  )

  it('a name with two, of which only the IPv4 one answers', async () => {
    const origin = await plainOrigin('127.0.0.1')
    resolving('::1', '127.0.0.1')
    const proxy = await proxied(make, `http://two.test:${origin.port}`)
    expect(await proxy.client.ask()).toMatchObject({ status: 200 })
  })

  it.skipIf(skipUnless(authority, 'two addresses with TLS: there is no openssl'))(
    'a name with two, and TLS',
    async () => {
      const origin = await secureOrigin(issue('DNS:two.test'))
      resolving('::1', '127.0.0.1')
      const proxy = await proxied(make, { url: `https://two.test:${origin.port}`, tls: { ca } })
      expect(await proxy.client.ask()).toMatchObject({ status: 200, text: 'secure' })
      expect(origin.names).toEqual(['two.test'])
    },
  )

  it('where none answers the error names each, and the client hears of none', async () => {
    const origin = await plainOrigin('127.0.0.1')
    await origin.close()
    resolving('127.0.0.2', '127.0.0.1')
    const proxy = await proxied(make, `http://two.test:${origin.port}`)
    const answer = await proxy.client.ask()
    expect(answer).toMatchObject({ status: 502, text: '502 Bad Gateway\n' })
    expect(value(answer.headers, 'content-type')).toMatch(/^text\/plain/)
    const [error] = proxy.errors
    expect(error?.code).toBe('connection_refused')
    expect(error?.message).toContain(`127.0.0.2:${origin.port}`)
    expect(error?.message).toContain(`127.0.0.1:${origin.port}`)
  })
})
