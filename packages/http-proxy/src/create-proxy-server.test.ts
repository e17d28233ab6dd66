import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import {
  Agent,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import compression from 'compression'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { testAuthority } from '../../../test/kit/authority.js'
import { httpClient } from '../../../test/kit/client.js'
import { type OriginHandler, originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { rawOrigin } from '../../../test/kit/raw-origin.js'
import { rawClient } from '../../../test/kit/raw-request.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until, within } from '../../../test/kit/until.js'
import httpProxy, {
  createServer as createAlias,
  createProxy,
  createProxyServer,
  type ServerOptions,
} from './index.js'

const own = owner()
trapUnhandled()

type Proxy = ReturnType<typeof createProxyServer>

async function front(
  options: ServerOptions,
  setup?: (proxy: Proxy) => void,
): Promise<{ port: number; proxy: Proxy }> {
  const proxy = createProxyServer(options)
  setup?.(proxy)
  const { port } = own(await originServer((req, res) => void proxy.web(req, res)))
  own({ close: () => proxy.close() })
  return { port, proxy }
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({
    close: () => {
      server.closeAllConnections?.()
      server.close()
    },
  })
  return (server.address() as AddressInfo).port
}

const client = (port: number, ca?: Buffer): ReturnType<typeof httpClient> => own(httpClient({ port, ca }))

describe('createProxyServer', () => {
  it('has the names of http-proxy', () => {
    expect(createAlias).toBe(createProxyServer)
    expect(createProxy).toBe(createProxyServer)
    expect(httpProxy.createProxyServer).toBe(createProxyServer)
    const proxy = createProxyServer()
    for (const name of ['web', 'ws', 'listen', 'close', 'before', 'after', 'on'] as const)
      expect(proxy[name]).toBeTypeOf('function')
  })

  it('keeps connections to the target', async () => {
    const origin = own(await originServer())
    const { port } = await front({ target: origin.url })
    const http = client(port)
    for (let i = 0; i < 3; i++) expect((await http.ask()).text).toBe('ok')
    expect(origin.connections).toBe(1)
  })

  it("cancels the target's request when the client leaves, and says econnreset", async () => {
    const origin = own(await originServer(() => {}))
    const heard: string[] = []
    const { port } = await front({ target: origin.url }, (proxy) => {
      proxy.on('econnreset', (error, req) => heard.push(`${error.code} ${req.url}`))
      proxy.on('error', () => heard.push('error'))
    })
    const raw = own(await rawClient(port))
    raw.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
    const seen = await origin.request()
    raw.reset()
    await within(seen.closed, 'the end at the target')
    expect(seen.aborted).toBe(true)
    await until(() => heard.length > 0, 'the event')
    expect(heard).toEqual(['ECONNRESET /slow'])
  })

  it.each([false, true])(
    'cancels an answer under way when the client leaves (listeners: %s)',
    async (listens) => {
      const endless: OriginHandler = (_req, res) => {
        const more = (): void => {
          while (!res.destroyed && res.write(Buffer.alloc(65_536))) {}
          if (!res.destroyed) res.once('drain', more)
        }
        more()
      }
      const origin = own(await originServer(endless))
      const { port } = await front({ target: origin.url }, (proxy) => {
        if (listens) proxy.on('proxyRes', () => {})
      })
      const raw = own(await rawClient(port))
      raw.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      await raw.until('\r\n\r\n')
      raw.reset()
      await within((await origin.request()).closed, 'the end at the target')
    },
  )

  it('lets listeners of the answer see what was asked, though nobody listens for proxyReq', async () => {
    const origin = own(await originServer())
    new WebSocketServer({ server: origin.server })
    const seen: string[] = []
    const see = ({ req }: IncomingMessage & { req: ClientRequest }): void => {
      seen.push([req.method, req.protocol, req.host, req.path, req.getHeader('x-a')].join(' '))
      req.setHeader('x-a', 'too late')
    }
    const { port, proxy } = await front({ target: `${origin.url}/base` }, (each) => {
      each.on('proxyRes', (proxyRes) => see(proxyRes as never))
      each.on('close', (proxyRes) => see(proxyRes as never))
    })
    expect((await client(port).ask({ path: '/x?y', headers: ['X-A', 'b'] })).status).toBe(200)
    const server = createServer()
    server.on('upgrade', (req, socket, head) => void proxy.ws(req, socket, head))
    const live = await listening(server)
    const socket = new WebSocket(`ws://127.0.0.1:${live}/live`, { headers: { 'x-a': 'c' } })
    await once(socket, 'open')
    socket.close()
    await until(() => seen.length === 2, 'both')
    expect(seen).toEqual(['GET http: 127.0.0.1 /base/x?y b', 'GET http: 127.0.0.1 /base/live c'])
  })

  it('ends a self-handled answer that nobody reads, with the client', async () => {
    const origin = own(await originServer((_req, res) => void res.write('x'.repeat(1_000_000))))
    const { port } = await front({ target: origin.url, selfHandleResponse: true }, (proxy) =>
      proxy.on('proxyRes', () => {}),
    )
    const raw = own(await rawClient(port))
    raw.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const seen = await origin.request()
    raw.reset()
    await within(seen.closed, 'the end at the target')
  })

  it('is asked again by an error listener, with another target', async () => {
    const origin = own(await originServer(async (_req, res, seen) => void res.end(await seen.body())))
    const { port } = await front({ target: 'http://127.0.0.1:1', xfwd: true }, (proxy) => {
      proxy.on('error', (_error, req, res) => proxy.web(req, res as ServerResponse, { target: origin.url }))
    })
    const answer = await client(port).ask({ method: 'POST', body: 'kept' })
    expect(answer.text).toBe('kept')
    expect((await origin.request()).req.headers['x-forwarded-for']).toBe('127.0.0.1')
  })

  it('gives body and fields to target and forward', async () => {
    const origin = own(await originServer())
    const copy = own(await originServer())
    const { port } = await front({ target: origin.url, forward: `${copy.url}/copy` })
    expect((await client(port).ask({ method: 'POST', path: '/a', body: 'both' })).text).toBe('ok')
    for (const [server, url] of [
      [origin, '/a'],
      [copy, '/copy/a'],
    ] as const) {
      const seen = await server.request()
      expect(seen.url).toBe(url)
      expect((await seen.body()).toString()).toBe('both')
      expect(seen.req.headers['content-length']).toBe('4')
    }
  })

  it.each(['one', 'many'])(
    'gives a body in parts (%s) to forward, where there is no target',
    async (parts) => {
      const copy = own(await originServer())
      const { port } = await front({ forward: copy.url })
      const body = parts === 'one' ? 'alone' : 'alone'.repeat(100_000)
      expect((await client(port).ask({ method: 'POST', path: '/a', body })).status).toBe(200)
      const seen = await copy.request()
      expect(seen.url).toBe('/a')
      expect((await seen.body()).toString()).toBe(body)
    },
  )

  it('ends what goes to forward alone when the client leaves, though it has its answer', async () => {
    const copy = own(await originServer())
    const { port, proxy } = await front({ forward: copy.url })
    const errors: unknown[] = []
    proxy.on('error', (error) => errors.push(error))
    const raw = own(await rawClient(port))
    raw.write('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart')
    await raw.until('HTTP/1.1 200')
    const { req } = await copy.request()
    const ended = new Promise((resolve) => req.on('error', () => {}).on('close', resolve))
    await raw.close()
    await ended
    expect(req.complete).toBe(false)
    expect(errors).toEqual([])
  })

  it.each([4, 3_000_000])('answers where forward fails, to a body of %d bytes', async (length) => {
    const origin = own(await originServer())
    const { port } = await front({ target: origin.url, forward: 'http://127.0.0.1:1' })
    const sent = client(port).ask({ method: 'POST', body: 'x'.repeat(length) })
    expect(await (await origin.request()).body()).toHaveLength(length)
    expect((await sent).text).toBe('ok')
  })

  it('reads on where forward alone fails: another request may follow the body', async () => {
    const { port, proxy } = await front({ forward: 'http://127.0.0.1:1' })
    proxy.on('error', () => {})
    const raw = own(await rawClient(port))
    raw.write(`POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n${'x'.repeat(3_000_000)}`)
    await raw.until('HTTP/1.1 200')
    raw.write('GET /b HTTP/1.1\r\nHost: a\r\n\r\n')
    expect((await raw.responses(2)).map(({ status }) => status)).toEqual([200, 200])
  })

  it('does not smuggle (CVE-2026-29057)', async () => {
    const origin = own(await originServer())
    const { port } = await front({ target: origin.url })
    const smuggled = 'GET /admin HTTP/1.1\r\nHost: a\r\n\r\n'
    for (const method of ['DELETE', 'OPTIONS']) {
      await client(port).ask({ method, body: smuggled, chunked: true })
    }
    expect(origin.requests.map(({ url }) => url)).toEqual(['/', '/'])
    for (const seen of origin.requests) expect((await seen.body()).toString()).toBe(smuggled)
  })

  it.each([
    ['two Host fields', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    ['a Host that is none', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'],
  ])('answers 400 to %s', async (_what, bytes) => {
    const origin = own(await originServer())
    const { port } = await front({ target: origin.url })
    const raw = own(await rawClient(port))
    raw.write(bytes)
    await raw.until('HTTP/1.1 400')
    expect(origin.requests).toEqual([])
  })

  it('relays an early answer to a body that never ends', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig')
      }),
    )
    const { port } = await front({ target: origin.url })
    const raw = own(await rawClient(port))
    raw.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin')
    await raw.until('413 ')
    await raw.until('big')
  })

  it('breaks an answer off at the client where the target does', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')
        connection.reset()
      }),
    )
    for (const listens of [false, true]) {
      const { port } = await front({ target: origin.url }, (proxy) => {
        if (listens) proxy.on('proxyRes', () => {})
      })
      const answer = await client(port)
        .ask()
        .catch((error: Error) => error)
      expect(answer instanceof Error || !answer.complete).toBe(true)
    }
  })

  it('passes trailers on', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.setHeader('Trailer', 'X-End')
        res.write('a')
        res.addTrailers({ 'X-End': 'yes' })
        res.end()
      }),
    )
    const { port } = await front({ target: origin.url })
    expect((await client(port).ask()).trailers).toEqual(['X-End', 'yes'])
  })

  it.each([false, true])('passes the reason on (listeners: %s)', async (listens) => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 200 All Is Well\r\nContent-Length: 0\r\n\r\n')
      }),
    )
    const { port } = await front({ target: origin.url }, (proxy) => {
      if (listens) proxy.on('proxyRes', (proxyRes) => expect(proxyRes.statusMessage).toBe('All Is Well'))
    })
    const raw = own(await rawClient(port))
    raw.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await raw.until('HTTP/1.1 200 All Is Well\r\n')
  })

  it('works with a write of the app that returns nothing', async () => {
    const body = 'x'.repeat(3_000_000)
    const origin = own(await originServer((_req, res) => void res.end(body)))
    const proxy = createProxyServer({ target: origin.url })
    own({ close: () => proxy.close() })
    const { port } = own(
      await originServer((req, res) => {
        const write = res.write.bind(res) as (chunk: unknown) => boolean
        res.write = ((chunk: unknown) => void write(chunk)) as never
        proxy.web(req, res)
      }),
    )
    expect((await client(port).ask()).body.length).toBe(body.length)
  })

  it('lets a listener that has answered read on', async () => {
    const origin = own(await originServer((_req, res) => void res.end('x'.repeat(1_000_000))))
    let bytes = 0
    const { port } = await front({ target: origin.url, selfHandleResponse: true }, (proxy) => {
      proxy.on('proxyRes', (proxyRes, _req, res) => {
        proxyRes.on('data', (chunk: Buffer) => (bytes += chunk.length))
        ;(res as ServerResponse).end('at once')
      })
    })
    expect((await client(port).ask()).text).toBe('at once')
    await until(() => bytes === 1_000_000, 'every byte')
  })

  it('takes a body that is compressed on its way', async () => {
    const text = 'words and words '.repeat(10_000)
    const origin = own(
      await originServer((_req, res) => {
        res.setHeader('content-type', 'text/plain')
        res.end(text)
      }),
    )
    const proxy = createProxyServer({ target: origin.url })
    own({ close: () => proxy.close() })
    const compress = compression()
    const { port } = own(
      await originServer((req, res) => compress(req as never, res as never, () => proxy.web(req, res))),
    )
    const answer = await client(port).ask({ headers: ['Accept-Encoding', 'gzip'] })
    expect(gunzipSync(answer.body).toString()).toBe(text)
  })

  it.each(['start', 'proxyReq', 'proxyRes'] as const)(
    'answers 500 where a listener of %s throws',
    async (event) => {
      const origin = own(await originServer())
      const { port } = await front({ target: origin.url }, (proxy) => {
        proxy.on(event, () => {
          throw new Error('mine')
        })
      })
      expect((await client(port).ask()).status).toBe(500)
    },
  )

  it('answers 500 where an async listener that should answer rejects', async () => {
    const origin = own(await originServer())
    const { port } = await front({ target: origin.url, selfHandleResponse: true }, (proxy) => {
      proxy.on('proxyRes', async () => {
        await Promise.resolve()
        throw new Error('mine')
      })
    })
    expect((await client(port).ask()).status).toBe(500)
    const failing = await front({ target: 'http://127.0.0.1:1' }, (proxy) => {
      proxy.on('error', async () => Promise.reject(new Error('mine')))
    })
    expect((await client(failing.port).ask()).status).toBe(500)
  })

  it('survives listeners of end and econnreset that throw', async () => {
    const origin = own(await originServer((req, res) => void (req.url === '/' && res.end('ok'))))
    let thrown = 0
    const throwing = (): never => {
      thrown++
      throw new Error('mine')
    }
    const { port } = await front({ target: origin.url }, (proxy) => {
      proxy.on('end', throwing)
      proxy.on('econnreset', throwing)
    })
    expect((await client(port).ask()).text).toBe('ok')
    const raw = own(await rawClient(port))
    raw.write('GET /never HTTP/1.1\r\nHost: a\r\n\r\n')
    await origin.request(1)
    raw.reset()
    await until(() => thrown === 2, 'both')
  })

  it.each(['path', 'method'] as const)('refuses a %s that would split the request', async (what) => {
    const origin = own(await originServer())
    const { port } = await front({ target: origin.url }, (proxy) => {
      proxy.on('proxyReq', (proxyReq) => {
        proxyReq[what] = 'a HTTP/1.1\r\nx: y'
      })
    })
    expect((await client(port).ask()).status).toBe(500)
    expect(origin.requests).toEqual([])
  })

  it.each(['before the call', 'in proxyReq'])('lets an app read the body along: %s', async (when) => {
    const origin = own(await originServer(async (_req, res, seen) => void res.end(await seen.body())))
    let read = ''
    const along = (req: IncomingMessage): void =>
      void req.on('data', (chunk: Buffer) => (read += chunk.toString()))
    const proxy = createProxyServer({ target: origin.url })
    own({ close: () => proxy.close() })
    if (when === 'in proxyReq') proxy.on('proxyReq', (_proxyReq, req) => along(req))
    const { port } = own(
      await originServer((req, res) => {
        if (when === 'before the call') along(req)
        proxy.web(req, res)
      }),
    )
    const body = 'b'.repeat(500_000)
    for (const chunked of [false, true]) {
      read = ''
      expect((await client(port).ask({ method: 'POST', body, chunked })).body.length).toBe(body.length)
      expect(read.length).toBe(body.length)
    }
  })

  it('sends event streams on as they come', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' })
        res.write('data: 1\n\n')
      }),
    )
    const { port } = await front({ target: origin.url })
    const raw = own(await rawClient(port))
    raw.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await raw.until('data: 1')
  })

  it('times the client out with `timeout`', async () => {
    const origin = own(await originServer(() => {}))
    const heard: unknown[] = []
    const { port } = await front({ target: origin.url, timeout: 30 }, (proxy) =>
      proxy.on('econnreset', (error) => heard.push(error.code)),
    )
    await expect(client(port).ask()).rejects.toMatchObject({ code: 'ECONNRESET' })
    await until(() => heard.length > 0, 'the event')
    expect(heard).toEqual(['ECONNRESET'])
  })

  it('gives up what a proxyReq listener aborts', async () => {
    const origin = own(await originServer())
    const { port } = await front({ target: origin.url }, (proxy) => {
      proxy.on('proxyReq', (proxyReq) => proxyReq.abort())
      proxy.on('error', (error, _req, res) => (res as ServerResponse).writeHead(503).end(error.code))
    })
    expect(await client(port).ask()).toMatchObject({ status: 503, text: 'ECONNRESET' })
    expect(origin.requests).toEqual([])
  })

  it('sends nothing when a proxyReq listener has answered', async () => {
    const origin = own(await originServer())
    const { port } = await front({ target: origin.url }, (proxy) => {
      proxy.on('proxyReq', (_proxyReq, _req, res) => (res as ServerResponse).end('mine'))
    })
    expect((await client(port).ask()).text).toBe('mine')
    expect(origin.requests).toEqual([])
  })

  it('ignores edits that come too late', async () => {
    const origin = own(await originServer())
    let late: (() => void) | undefined
    const { port } = await front({ target: origin.url }, (proxy) => {
      proxy.on('proxyReq', (proxyReq) => {
        late = () => {
          proxyReq.setHeader('x-late', '1')
          proxyReq.path = '/late'
        }
      })
    })
    await client(port).ask()
    expect(late).not.toThrow()
  })

  it.each([
    ['parts', (socketPath: string) => ({ socketPath })],
    ['a text', (path: string) => `unix:${path}`],
  ])('reaches a Unix socket, given as %s', async (_kind, target) => {
    const path = join(tmpdir(), `sluice-${process.pid}-${Math.trunc(performance.now())}.sock`)
    const server = createServer((req, res) => res.end(`unix ${req.url}`))
    server.listen(path)
    await once(server, 'listening')
    own({ close: () => server.close() })
    const { port } = await front({ target: target(path) })
    expect((await client(port).ask({ path: '/a' })).text).toBe('unix /a')
  })

  it('uses the local address', async () => {
    const origin = own(await originServer((req, res) => void res.end(req.socket.remoteAddress)))
    const { port } = await front({ target: origin.url, localAddress: '127.0.0.2' })
    expect((await client(port).ask()).text).toBe('127.0.0.2')
  })

  it.each([
    ['POST', 'keep-alive'],
    ['OPTIONS', 'close'],
    ['DELETE', 'close'],
  ])('says of a chunked %s over an agent of the app: %s', async (method, connection) => {
    const origin = own(
      await originServer(async (req, res, seen) => {
        await seen.body()
        res.end(req.headers.connection)
      }),
    )
    const agent = new (class extends Agent {})({ keepAlive: true })
    own({ close: () => agent.destroy() })
    const { port } = await front({ target: origin.url, agent })
    expect((await client(port).ask({ method, body: 'hello', chunked: true })).text).toBe(connection)
  })

  it("lets an agent of the app's open connections", async () => {
    const origin = own(await originServer(async (_req, res, seen) => void res.end(await seen.body())))
    let opened = 0
    class Counting extends Agent {
      override createConnection(options: { port: number; host: string }): ReturnType<typeof connect> {
        opened++
        return connect(options)
      }
    }
    const agent = new Counting({ keepAlive: true })
    own({ close: () => agent.destroy() })
    const { port } = await front({ target: origin.url, agent })
    const http = client(port)
    expect((await http.ask({ method: 'POST', body: 'one' })).text).toBe('one')
    expect((await http.ask({ method: 'POST', body: 'two', chunked: true })).text).toBe('two')
    expect((await http.ask({ method: 'GET' })).text).toBe('')
    expect(opened).toBe(1)
  })

  it('takes the limit of an agent', async () => {
    const origin = own(await originServer((_req, res) => void setImmediate(() => res.end('ok'))))
    const { port } = await front({ target: origin.url, agent: new Agent({ maxSockets: 1 }) })
    const http = client(port)
    await Promise.all([http.ask(), http.ask(), http.ask()])
    expect(origin.connections).toBe(1)
  })

  it('serves HTTP/2 clients', async () => {
    const origin = own(
      await originServer((req, res) => {
        res.setHeader('set-cookie', ['a=1', 'b=2'])
        res.end(`${req.headers.host} ${req.headers.cookie ?? ''}`)
      }),
    )
    for (const listens of [false, true]) {
      const proxy = createProxyServer({ target: origin.url })
      if (listens) proxy.on('proxyRes', () => {})
      const server = createHttp2Server((req, res) => proxy.web(req as never, res as never))
      const port = await listening(server as never)
      own({ close: () => proxy.close() })
      const http = own(httpClient({ port, http2: true }))
      const answer = await http.ask({ headers: ['cookie', 'a=1', 'cookie', 'b=2'] })
      expect(answer).toMatchObject({ status: 200, text: `127.0.0.1:${port} a=1; b=2` })
      expect((await http.ask({ method: 'POST', body: 'x' })).status).toBe(200)
    }
  })

  it('closes its server and its idle connections', async () => {
    const origin = own(await originServer())
    const proxy = createProxyServer({ target: origin.url }).listen(0, '127.0.0.1')
    const server = proxy._server as Server
    await once(server, 'listening')
    await client((server.address() as AddressInfo).port).ask()
    expect(origin.sockets).toBe(1)
    server.closeIdleConnections()
    await new Promise<void>((resolve) => proxy.close(() => resolve()))
    await until(() => origin.sockets === 0, 'no connection to the target')
    await new Promise<void>((resolve) => createProxyServer().close(() => resolve()))
  })

  it('holds the targets of calls within bounds', async () => {
    const origin = own(await originServer())
    const { proxy } = await front({ target: origin.url })
    for (let i = 0; i < 3_000; i++)
      proxy.targets.target({ protocol: 'http:', host: `h${i}.test` } as never, {})
    expect(proxy.targets.size).toBeLessThanOrEqual(1_000)
  })
})

const made = testAuthority()

describe.skipIf(skipUnless(made, 'TLS: there is no openssl'))('createProxyServer with TLS', () => {
  const pair = made?.issue('DNS:localhost', 'IP:127.0.0.1')

  async function secureOrigin(options: object = {}): Promise<number> {
    return listening(
      createTlsServer({ ...pair, ...options }, (req: IncomingMessage, res: ServerResponse) =>
        res.end(`secure ${req.url}`),
      ),
    )
  }

  it('goes from HTTP to HTTPS, and verifies unless told not to', async () => {
    const port = await secureOrigin()
    const target = `https://127.0.0.1:${port}`
    const codes: (string | undefined)[] = []
    const strict = await front({ target }, (proxy) =>
      proxy.on('error', (error, _req, res) => {
        codes.push(error.code)
        ;(res as ServerResponse).writeHead(502).end()
      }),
    )
    expect((await client(strict.port).ask()).status).toBe(502)
    expect(codes).toEqual(['UNABLE_TO_VERIFY_LEAF_SIGNATURE'])
    const loose = await front({ target, secure: false })
    expect((await client(loose.port).ask({ path: '/a' })).text).toBe('secure /a')
    const trusting = await front({ target: { protocol: 'https:', host: '127.0.0.1', port, ca: made?.cert } })
    expect((await client(trusting.port).ask({ path: '/a' })).text).toBe('secure /a')
  })

  it('opens tunnels to wss', async () => {
    const server = createTlsServer({ ...pair })
    new WebSocketServer({ server }).on('connection', (socket) => socket.send('hello'))
    const target = `wss://127.0.0.1:${await listening(server as never)}`
    const { port, proxy } = await front({ target, secure: false })
    const web = createServer()
    web.on('upgrade', (req, socket, head) => proxy.ws(req, socket, head))
    expect(port).toBeGreaterThan(0)
    const socket = new WebSocket(`ws://127.0.0.1:${await listening(web)}/`)
    const [data] = (await within(once(socket, 'message'), 'the message')) as [Buffer]
    expect(data.toString()).toBe('hello')
    socket.terminate()
  })

  it('shows its own certificate in a PFX', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-pfx-'))
    writeFileSync(
      join(folder, 'pair.pem'),
      Buffer.concat([pair?.key ?? Buffer.alloc(0), pair?.cert ?? Buffer.alloc(0)]),
    )
    const pfx = execFileSync('openssl', [
      'pkcs12',
      '-export',
      '-in',
      join(folder, 'pair.pem'),
      '-passout',
      'pass:secret',
    ])
    rmSync(folder, { recursive: true })
    const port = await secureOrigin({ requestCert: true, rejectUnauthorized: true, ca: made?.cert })
    const target = { protocol: 'https:', host: '127.0.0.1', port, ca: made?.cert, pfx, passphrase: 'secret' }
    const proxy = await front({ target })
    expect((await client(proxy.port).ask({ path: '/a' })).text).toBe('secure /a')
  })

  it('goes from HTTPS to HTTP', async () => {
    const origin = own(await originServer((req, res) => void res.end(req.headers['x-forwarded-proto'])))
    const proxy = createProxyServer({ target: origin.url, ssl: pair, xfwd: true }).listen(0, '127.0.0.1')
    own({ close: () => proxy.close() })
    const server = proxy._server as Server
    await once(server, 'listening')
    const http = client((server.address() as AddressInfo).port, made?.cert)
    expect((await http.ask()).text).toBe('https')
  })
})
