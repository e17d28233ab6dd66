import { once } from 'node:events'
import {
  createServer,
  Agent as HttpAgent,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { createServer as createTlsServer, Agent as HttpsAgent } from 'node:https'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import ours, { type ServerOptions } from '@sluice/http-proxy'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { testAuthority } from '../kit/authority.js'
import { httpClient } from '../kit/client.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { within } from '../kit/until.js'

/** TLS to targets and to clients: the same cases for http-proxy 1.18.1 and ours. */
const theirs = createRequire(new URL('../../packages/http-proxy/package.json', import.meta.url))(
  'http-proxy',
) as typeof ours
type Proxy = ReturnType<typeof ours.createProxyServer>

const own = owner()
trapUnhandled()
const authority = testAuthority()

async function listens(server: Server): Promise<number> {
  if (!server.listening) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  own({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  return (server.address() as AddressInfo).port
}

async function standing(lib: typeof ours, options: ServerOptions): Promise<{ port: number; proxy: Proxy }> {
  const proxy = lib.createProxyServer(options).listen(0, '127.0.0.1')
  const server = proxy._server as Server
  await once(server, 'listening')
  own({ close: () => proxy.close() })
  return { port: await listens(server), proxy }
}

/** Agents of another class, which open connections by themselves. */
class OwnHttpAgent extends HttpAgent {}
class OwnHttpsAgent extends HttpsAgent {}

describe.skipIf(skipUnless(authority, 'TLS: there is no openssl'))('TLS', () => {
  const pair = authority?.issue('DNS:localhost', 'IP:127.0.0.1') ?? {
    cert: Buffer.alloc(0),
    key: Buffer.alloc(0),
  }
  const other = authority?.issue('DNS:client.test') ?? pair

  const secure = (options: object = {}): Promise<number> =>
    listens(
      createTlsServer({ ...pair, ...options }, (req, res) => {
        const socket = req.socket as TLSSocket
        const shown = socket.getPeerCertificate() as { subjectaltname?: string } | undefined
        res.end(
          `${req.url} ${socket.getProtocol()} ${socket.getCipher().name} ${shown?.subjectaltname ?? '-'}`,
        )
      }) as Server,
    )

  describe.each([
    ['http-proxy', theirs],
    ['ours', ours],
  ] as const)('%s', (_name, lib) => {
    const text = async (port: number, ca?: Buffer): Promise<string> =>
      (await own(httpClient({ port, ca })).ask({ path: '/a' })).text

    it.each([
      ['texts', () => ({ key: pair.key.toString(), cert: pair.cert.toString() })],
      ['Buffers', () => ({ key: pair.key, cert: pair.cert })],
      ['lists', () => ({ key: [pair.key], cert: [pair.cert] })],
    ])('speaks TLS to clients and to the target, with %s for ssl', async (_kind, ssl) => {
      const target = `https://127.0.0.1:${await secure()}`
      const { port } = await standing(lib, { target, ssl: ssl(), secure: false })
      expect(await text(port, authority?.cert)).toMatch(/^\/a TLSv1\.3 /)
    })

    it.each([
      ['Buffers', () => ({ key: other.key, cert: other.cert, ca: authority?.cert })],
      ['texts', () => ({ key: `${other.key}`, cert: `${other.cert}`, ca: `${authority?.cert}` })],
      ['lists', () => ({ key: [other.key], cert: [other.cert], ca: [authority?.cert as Buffer] })],
    ])('shows its own certificate to a target, given as %s', async (_kind, parts) => {
      const port = await secure({ requestCert: true, rejectUnauthorized: true, ca: authority?.cert })
      const { port: at } = await standing(lib, {
        target: { protocol: 'https:', host: 'localhost', port, ...parts() },
      })
      expect(await text(at)).toContain('DNS:client.test')
    })

    it('offers the ciphers and the version that the target is given with', async () => {
      const target = {
        protocol: 'https:',
        host: '127.0.0.1',
        port: await secure(),
        ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256',
        secureProtocol: 'TLSv1_2_method',
      }
      const { port } = await standing(lib, { target, secure: false })
      expect(await text(port)).toBe('/a TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256 -')
    })

    it.each([undefined, true])(
      'tells of a certificate that nobody vouches for (secure: %s)',
      async (verify) => {
        const target = `https://127.0.0.1:${await secure()}`
        const { port, proxy } = await standing(lib, { target, secure: verify })
        proxy.on('error', (error, _req, res) => (res as ServerResponse).writeHead(502).end(error.code))
        expect(await text(port)).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
      },
    )

    it('follows a redirect to another host with TLS, by the same authority', async () => {
      const port = await secure()
      const origin = own(
        await originServer(
          (_req, res) => void res.writeHead(302, { location: `https://localhost:${port}/b` }).end(),
        ),
      )
      const options = { target: origin.url, changeOrigin: true, followRedirects: true, ca: authority?.cert }
      const { port: at } = await standing(lib, options as ServerOptions)
      expect(await text(at)).toMatch(/^\/b TLS/)
    })

    it('shows its own certificate after a redirect within the host, too', async () => {
      const port = await listens(
        createTlsServer(
          { ...pair, requestCert: true, rejectUnauthorized: true, ca: authority?.cert },
          (req, res) => {
            if (req.url === '/a') res.writeHead(302, { location: '/b' }).end()
            else res.end(`at ${req.url}`)
          },
        ) as Server,
      )
      const parts = { key: other.key, cert: other.cert, ca: authority?.cert }
      const target = { protocol: 'https:', host: 'localhost', hostname: 'localhost', port, ...parts }
      const { port: at } = await standing(lib, { target, changeOrigin: true, followRedirects: true })
      expect(await text(at)).toBe('at /b')
    })

    it("goes through an app's own agent, with TLS", async () => {
      const agent = new OwnHttpsAgent({ keepAlive: true })
      own({ close: () => agent.destroy() })
      const target = { protocol: 'https:', host: '127.0.0.1', port: await secure(), ca: authority?.cert }
      const { port } = await standing(lib, { target, agent })
      expect(await text(port)).toMatch(/^\/a TLS/)
      const strict = await standing(lib, {
        target: `https://127.0.0.1:${target.port}`,
        agent: new OwnHttpsAgent(),
      })
      strict.proxy.on('error', (error, _req, res) => (res as ServerResponse).writeHead(502).end(error.code))
      expect(await text(strict.port)).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    })

    it.each(['ws', 'wss'])("opens tunnels through an app's own agent, to %s", async (scheme) => {
      const server = scheme === 'ws' ? createServer() : (createTlsServer(pair) as Server)
      const asked: IncomingMessage[] = []
      new WebSocketServer({ server }).on('connection', (socket, req) => {
        asked.push(req)
        socket.on('message', (data) => socket.send(data))
      })
      const agent = scheme === 'ws' ? new OwnHttpAgent() : new OwnHttpsAgent()
      own({ close: () => agent.destroy() })
      const target = `${scheme}://127.0.0.1:${await listens(server)}`
      const { port } = await standing(lib, { target, agent, secure: false, ws: true })
      const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`)
      own({ close: () => socket.terminate() })
      await within(once(socket, 'open'), 'the opening')
      socket.send('there and back')
      const [data] = (await within(once(socket, 'message'), 'the message')) as [Buffer]
      expect([data.toString(), asked[0]?.url]).toEqual(['there and back', '/chat'])
    })
  })

  describe('listen with ssl', () => {
    const listen = async (options: ServerOptions): Promise<{ port: number; proxy: Proxy }> => {
      const origin = own(
        await originServer((req, res) => void res.end(`${req.headers['x-forwarded-host']} of ${req.url}`)),
      )
      return standing(ours, { target: origin.url, ssl: { ...pair }, xfwd: true, ...options })
    }
    const session = (port: number): ClientHttp2Session => {
      const made = connectHttp2(`https://localhost:${port}`, { ca: authority?.cert })
      made.on('error', () => {})
      own({ close: () => made.destroy() })
      return made
    }

    it('speaks HTTP/2 with those who ask for it, and HTTP/1.1 with the others', async () => {
      const { port } = await listen({})
      const stream = session(port).request({ ':path': '/b' }).setEncoding('utf8')
      expect((await stream.toArray()).join('')).toBe(`localhost:${port} of /b`)
      const http1 = own(httpClient({ port, ca: authority?.cert }))
      expect((await http1.ask({ path: '/a' })).text).toMatch(/ of \/a$/)
    })

    it('ends sessions when it closes, where Node would wait for their clients', async () => {
      const { port, proxy } = await listen({})
      const open = session(port)
      await within(once(open, 'connect'), 'the session')
      await within(new Promise<void>((done) => proxy.close(() => done())), 'the close')
    })

    it('closes every connection for those who ask its server to', async () => {
      const { port, proxy } = await listen({})
      const open = session(port)
      await within(once(open, 'connect'), 'the session')
      ;(proxy._server as Server).closeAllConnections()
      await within(once(open, 'close'), 'the end of the session')
    })

    it('speaks HTTP/1.1 alone with http2: false', async () => {
      const { port } = await listen({ http2: false })
      const refused = session(port)
      await within(new Promise((done) => refused.on('close', done)), 'the refusal')
      const http1 = own(httpClient({ port, ca: authority?.cert }))
      expect((await http1.ask({ path: '/a' })).text).toMatch(/ of \/a$/)
    })

    it('refuses http2 without ssl', () => {
      expect(() => ours.createProxyServer({ http2: true }).listen(0)).toThrow(/http2.*ssl/)
    })
  })
})
