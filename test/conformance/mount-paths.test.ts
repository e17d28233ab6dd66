import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createSecureServer } from 'node:http2'
import { gunzipSync } from 'node:zlib'
import { attach, chain, toListener, unhandled } from '@sluice/core'
import compression from 'compression'
import connect from 'connect'
import helmet from 'helmet'
import { createProxy, type Proxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { testCertificate } from '../kit/certificate.js'
import { httpClient } from '../kit/client.js'
import { type App, frameworks } from '../kit/frameworks.js'
import { listen, type Mounted } from '../kit/listen.js'
import { type Origin, type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawRequest, value, values } from '../kit/raw-request.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const target = async (handler?: OriginHandler): Promise<Origin> => own(await originServer(handler))
/** A target that says its name and what it was asked for. */
const named = (name: string): Promise<Origin> => target((req, res) => void res.end(`${name} ${req.url}`))
const proxyTo = (origin: Origin, more: object = {}): Proxy =>
  own(createProxy({ upstreams: { default: { targets: [origin.url] } }, ...more }))
const serve = async (app: App): Promise<Mounted> => own(await listen(createServer(app)))

describe.each(frameworks)('mounted in $name', ({ name, app: make }) => {
  it('at the root: paths pass as they are, and no prefix is told', async () => {
    const origin = await named('root')
    const app = make()
    app.use(proxyTo(origin).listener)
    const { client } = await serve(app)
    for (const path of ['/', '/a/b?x=1&x=2', '/a%2fb//c/', '/?', '/api'])
      expect((await client.ask({ path })).text).toBe(`root ${path}`)
    expect(values(origin.requests[1]?.rawHeaders ?? [], 'x-forwarded-prefix')).toEqual([])
  })

  it('at a path: it is stripped, told in X-Forwarded-Prefix, and holds whole segments only', async () => {
    const origin = await named('api')
    const app = make()
    app.use('/api', proxyTo(origin).listener)
    const { client } = await serve(app)
    for (const [path, seen] of [
      ['/api', '/'],
      ['/api/', '/'],
      ['/api?x=1', '/?x=1'],
      ['/api/a/b?x=1', '/a/b?x=1'],
      ['/api/a%2fb//c/', '/a%2fb//c/'],
    ] as const) {
      expect((await client.ask({ path })).text).toBe(`api ${seen}`)
      const { rawHeaders } = origin.requests.at(-1) ?? { rawHeaders: [] }
      expect(values(rawHeaders, 'x-forwarded-prefix'), path).toEqual(['/api'])
    }
    const { length } = origin.requests
    for (const path of ['/', '/apix', '/other/api'])
      expect(await client.ask({ path })).toMatchObject({ status: 404 })
    expect(origin.requests).toHaveLength(length)
  })

  it('below an app below a path: the whole prefix is told', async () => {
    const origin = await named('deep')
    const [outer, inner] = [make(), make()]
    inner.use('/two', proxyTo(origin).listener)
    outer.use('/one', inner)
    const { client } = await serve(outer)
    expect((await client.ask({ path: '/one/two/x?y' })).text).toBe('deep /x?y')
    expect(values(origin.requests[0]?.rawHeaders ?? [], 'x-forwarded-prefix')).toEqual(['/one/two'])
  })

  it('puts its path before a Location and the path of a cookie', async () => {
    const origin: Origin = await target((req, res) => {
      const location = req.url === '/full' ? `${origin.url}/in?x=1` : '/in'
      res.writeHead(302, { Location: location, 'Set-Cookie': 'a=1; Path=/' }).end()
    })
    const app = make()
    const rewrite = { location: 'all', cookies: { path: { '/': '/' } } }
    app.use('/api', proxyTo(origin, { rewrite }).listener)
    const { client, port } = await serve(app)
    const full = await client.ask({ path: '/api/full' })
    expect(value(full.headers, 'location')).toBe(`http://127.0.0.1:${port}/api/in?x=1`)
    expect(value(full.headers, 'set-cookie')).toBe('a=1; Path=/api')
    expect(value((await client.ask({ path: '/api/path' })).headers, 'location')).toBe('/api/in')
  })

  it('several on one server: each has its own, and the app the rest', async () => {
    const [one, two, rest] = [await named('one'), await named('two'), await named('rest')]
    const app = make()
    app.use('/own', (_req: IncomingMessage, res: ServerResponse) => void res.end('the app'))
    app.use('/a/b', proxyTo(two).listener)
    app.use('/a', proxyTo(one).listener)
    app.use(proxyTo(rest).listener)
    const { client } = await serve(app)
    const asked = ['/a/x', '/a/b/x', '/own', '/else'].map(async (path) => (await client.ask({ path })).text)
    expect(await Promise.all(asked)).toEqual(['one /x', 'two /x', 'the app', 'rest /else'])
  })

  it('passes on what it does not handle, with its path and its body, and what nobody handles is 404', async () => {
    const origin = await named('routed')
    const proxy = proxyTo(origin, { routes: [{ path: '/known', upstream: 'default' }] })
    const app = make()
    app.use('/api', proxy.listener)
    app.use('/api/later', (req: IncomingMessage & { originalUrl?: string }, res: ServerResponse) => {
      res.setHeader('X-Seen', `${req.originalUrl} ${req.url}`)
      req.pipe(res)
    })
    app.use('/api/second', proxyTo(origin).listener)
    const { client } = await serve(app)
    expect((await client.ask({ path: '/api/known/x' })).text).toBe('routed /known/x')
    const later = await client.ask({ method: 'POST', path: '/api/later/x', body: 'whole' })
    expect(later).toMatchObject({ status: 200, text: 'whole' })
    expect(value(later.headers, 'x-seen')).toBe('/api/later/x /x')
    // A second proxy has a path of its own, also where the first was asked before.
    expect((await client.ask({ path: '/api/second/x' })).text).toBe('routed /x')
    expect(value(origin.requests[1]?.rawHeaders ?? [], 'x-forwarded-prefix')).toBe('/api/second')
    expect(await client.ask({ path: '/api/none' })).toMatchObject({ status: 404 })
    expect(origin.requests).toHaveLength(2)
  })

  it('answers its own errors; those of the app are for the app’s error middleware', async () => {
    const origin = await target((_req, res) => void res.destroy())
    const heard: unknown[] = []
    const app = make()
    app.use('/fails', () => {
      throw new Error('of the app')
    })
    app.use('/answered', (_req: unknown, res: ServerResponse, next: () => void) => {
      res.end('the app')
      next()
    })
    app.use(proxyTo(origin).listener)
    app.use((error: Error, _req: unknown, res: ServerResponse, _next: unknown) => {
      heard.push(error.message)
      if (res.headersSent) return
      res.statusCode = 503
      res.end('the app’s page')
    })
    const { client } = await serve(app)
    expect(await client.ask({ path: '/gone' })).toMatchObject({ status: 502 })
    expect(heard).toEqual([])
    expect(await client.ask({ path: '/fails' })).toMatchObject({ status: 503 })
    expect(heard).toEqual(['of the app'])
    // An app that has answered and passes on all the same: it hears so, and the client has the one answer.
    expect(await client.ask({ path: '/answered' })).toMatchObject({ status: 200, text: 'the app' })
    expect(heard[1]).toMatch(/after the response had begun/)
    expect(origin.requests.map(({ url }) => url)).not.toContain('/answered')
  })

  it('leaves no field of the app’s that the target has, and keeps the others', async () => {
    const origin = await target((_req, res) => void res.writeHead(200, { 'X-Both': 'target' }).end())
    const app = make()
    app.use((_req: unknown, res: ServerResponse, next: () => void) => {
      res.setHeader('X-Both', 'app')
      res.setHeader('X-App', '1')
      next()
    })
    app.use(proxyTo(origin).listener)
    const { headers } = await (await serve(app)).client.ask()
    expect(values(headers, 'x-both')).toEqual(['target'])
    expect(values(headers, 'x-app')).toEqual(['1'])
    expect(values(headers, 'x-powered-by')).toEqual(name === 'Connect' ? [] : ['Express'])
  })

  it('upgrades: attached at its path it takes its own, and a second ws server goes on', async () => {
    const origin = await echoing()
    const proxy = proxyTo(origin.origin)
    const app = make()
    app.use('/api', proxy.listener)
    const server = createServer(app)
    // It answers 400 to every path but its own, as soon as it hears of one.
    const before = own(new WebSocketServer({ server, path: '/chat' }))
    before.on('connection', (peer) => peer.send('the app'))
    const detach = proxy.attach(server, { path: '/api' })
    const front = own(await listen(server))
    expect(await said(front.port, '/api/room?x=1', 'hello')).toBe('hello')
    expect(await said(front.port, '/chat')).toBe('the app')
    expect(origin.urls).toEqual(['/room?x=1'])
    expect(origin.prefixes).toEqual(['/api'])
    // Neither's: the other server says so.
    expect(await refused(front.port, '/none')).toBe(400)
    detach()
    expect(await said(front.port, '/chat')).toBe('the app')
    expect(await refused(front.port, '/api/room')).toBe(400)
  })
})

/** A target that echoes messages. */
async function echoing(): Promise<{ origin: Origin; urls: unknown[]; prefixes: unknown[] }> {
  const origin = await target()
  const [urls, prefixes]: unknown[][] = [[], []]
  const server = own(new WebSocketServer({ server: origin.server }))
  server.on('connection', (peer, req) => {
    urls?.push(req.url)
    prefixes?.push(req.headers['x-forwarded-prefix'])
    peer.on('message', (data, binary) => peer.send(data, { binary }))
    peer.on('error', () => {})
  })
  return { origin, urls: urls ?? [], prefixes: prefixes ?? [] }
}

/** The first message that a WebSocket there hears, after it has said `text`. */
function said(port: number, path: string, text?: string, ca?: Buffer): Promise<string> {
  const options = ca === undefined ? {} : { ca }
  const socket = new WebSocket(`${ca === undefined ? 'ws' : 'wss'}://127.0.0.1:${port}${path}`, options)
  own({ close: () => socket.terminate() })
  const first = new Promise<string>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('message', (data) => resolve(String(data)))
    if (text !== undefined) socket.on('open', () => socket.send(text))
  })
  return within(first, `a message from ${path}`)
}

/** The status that a handshake is refused with. */
async function refused(port: number, path: string): Promise<number | undefined> {
  const head = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
  const key = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n'
  return (await rawRequest(port, head + key)).responses[0]?.status
}

describe('upgrade listeners on one server', () => {
  it('two proxies at their paths, and one that was added later decides alone', async () => {
    const [one, two] = [await echoing(), await echoing()]
    const server = createServer()
    proxyTo(one.origin).attach(server, { path: '/one' })
    proxyTo(two.origin).attach(server, { path: '/one/two' })
    const later = own(new WebSocketServer({ noServer: true }))
    server.on('upgrade', (req, socket, head) => {
      if (req.url?.startsWith('/later') !== true) return
      later.handleUpgrade(req, socket, head, (peer) => peer.send('later'))
    })
    const { port } = own(await listen(server))
    const heard = [said(port, '/one/x', '1'), said(port, '/one/two/x', '2'), said(port, '/later')]
    expect(await Promise.all(heard)).toEqual(['1', '2', 'later'])
    expect([one.urls, two.urls]).toEqual([['/x'], ['/x']])
    expect([one.prefixes, two.prefixes]).toEqual([['/one'], ['/one/two']])
  })

  it('without others what does not match is 404', async () => {
    const server = createServer()
    proxyTo((await echoing()).origin).attach(server, { path: '/api' })
    const { port } = own(await listen(server))
    expect(await refused(port, '/none')).toBe(404)
  })
})

describe('what a handler leaves unhandled', () => {
  it('is 404 where there is no next', async () => {
    const handler = chain().handle(() => unhandled)
    const plain = own(await listen(createServer(toListener(handler))))
    const server = createServer()
    attach(server, handler)
    const attached = own(await listen(server))
    for (const { client } of [plain, attached])
      expect(await client.ask({ path: '/x' })).toMatchObject({ status: 404, complete: true })
    expect(await refused(attached.port, '/x')).toBe(404)
  })
})

const certificate = testCertificate()

describe.skipIf(skipUnless(certificate, 'HTTP/2 with TLS: there is no openssl'))(
  'the compatibility API of HTTP/2, for clients of both versions',
  () => {
    const both = async (
      listener: (req: never, res: never) => void,
      proxy?: Proxy,
    ): Promise<{ clients: ReturnType<typeof httpClient>[]; port: number }> => {
      const server = createSecureServer({ ...certificate, allowHTTP1: true }, listener as never)
      if (proxy !== undefined) server.on('upgrade', proxy.upgrade)
      const { port, client } = own(await listen(server, { http2: true, ca: certificate?.cert }))
      return { port, clients: [client, own(httpClient({ port, ca: certificate?.cert }))] }
    }

    it('serves both, with bodies, and WebSocket over HTTP/1.1', async () => {
      const { origin } = await echoing()
      const proxy = proxyTo(origin)
      const { clients, port } = await both(proxy.listener, proxy)
      for (const client of clients) {
        expect(await client.ask({ path: '/x?y' })).toMatchObject({ status: 200, text: 'ok' })
        expect(await client.ask({ method: 'POST', body: 'x', chunked: true })).toMatchObject({ text: 'ok' })
      }
      expect(origin.requests.map(({ url }) => url)).toEqual(['/x?y', '/', '/x?y', '/'])
      for (const { rawHeaders } of origin.requests)
        expect(values(rawHeaders, 'x-forwarded-proto')).toEqual(['https'])
      expect(await said(port, '/ws', 'hello', certificate?.cert)).toBe('hello')
    })

    it('in Connect, at a path, behind helmet and compression', async () => {
      const text = 'a line that compresses well\n'.repeat(1000)
      const origin: Origin = await target((req, res) => {
        if (req.url === '/moved') return void res.writeHead(302, { Location: `${origin.url}/in` }).end()
        res.writeHead(200, { 'Content-Type': 'text/plain', 'X-Frame-Options': 'DENY' })
        res.end(text)
      })
      const app = connect()
      app.use(helmet())
      app.use(compression() as never)
      app.use('/api', proxyTo(origin).listener as never)
      const { clients, port } = await both(app as never)
      for (const client of clients) {
        const packed = await client.ask({ path: '/api/x', headers: ['Accept-Encoding', 'gzip'] })
        expect(gunzipSync(packed.body).toString()).toBe(text)
        expect(values(packed.headers, 'x-frame-options')).toEqual(['DENY'])
        expect(values(packed.headers, 'x-content-type-options')).toEqual(['nosniff'])
        const moved = await client.ask({ path: '/api/moved' })
        expect(moved.status).toBe(302)
        expect(value(moved.headers, 'location')).toBe(`https://127.0.0.1:${port}/api/in`)
        expect(await client.ask({ path: '/none' })).toMatchObject({ status: 404 })
      }
    })
  },
)
