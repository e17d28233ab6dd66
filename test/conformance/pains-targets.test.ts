import { createServer } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createGzip } from 'node:zlib'
import type { Middleware } from '@sluice/core'
import { toReadable } from '@sluice/core'
import compression from 'compression'
import express from 'express'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { testCertificate } from '../kit/certificate.js'
import { httpClient } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { twoFronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, rawRequest, value } from '../kit/raw-request.js'
import { skipUnless } from '../kit/skip.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a.example\r\n\r\n`

/** An address that refuses connections. */
async function deadUrl(): Promise<string> {
  return own(await deadTarget()).url
}

describe.each(twoFronts)('targets and paths through $name', (kind) => {
  it.each(['//10.0.0.1/', '//10.0.0.1:9/x', 'http://10.0.0.1/x', '/\\10.0.0.1/', '/@10.0.0.1/'])(
    'pain 17 (fast-proxy #42, fastify-reply-from PR 128, http-proxy-middleware #266): %s changes not where the request goes',
    async (target) => {
      const origin = own(await originServer())
      // By default some of these are refused; what is tested is that none leads elsewhere where all pass.
      const front = own(await kind.start({ targets: origin.url, guard: { validate: false } }))
      await rawRequest(front.port, get(target), { responses: 1 })
      expect(origin.requests).toHaveLength(1)
      expect(value(origin.requests[0]?.rawHeaders ?? [], 'host')).toBe(`127.0.0.1:${origin.port}`)
    },
  )

  it.each(['/a..b/..c/file...txt', '/v1...2/', '/...', '/a/.well-known/x'])(
    'pain 18 (fastify-reply-from #460): %s is no traversal',
    async (path) => {
      const origin = own(await originServer())
      const front = own(await kind.start(origin.url))
      expect((await front.client.ask({ path })).status).toBe(200)
      expect(origin.requests[0]?.url).toBe(path)
    },
  )

  it.each(['/a%2Fb', '/a%252Fb', '/a%25', '/a//b', '//', '/a', '/a/', '/?', '/a?b=%20+&c', "/a'b|c"])(
    'pain 19 (yarp #1219 #1419 #2702, caddy #643, node-http-proxy #959, http-proxy-middleware #368): %s goes on as bytes, below a base path too',
    async (path) => {
      const origin = own(await originServer())
      const front = own(await kind.start(origin.url))
      const based = own(await kind.start(`${origin.url}/base/`))
      await rawRequest(front.port, get(path), { responses: 1 })
      await rawRequest(based.port, get(path), { responses: 1 })
      expect(origin.requests.map(({ url }) => url)).toEqual([path, `/base${path}`])
    },
  )

  it('pain 21 (node-http-proxy #767 #614 #1272 #859): connections are kept on both sides, and the target’s close is its own', async () => {
    const origin = own(
      await originServer((req, res) => {
        if (req.url === '/close') res.setHeader('Connection', 'close')
        res.end('ok')
      }),
    )
    const front = own(await kind.start(origin.url))
    const client = await rawClient(front.port)
    for (let i = 0; i < 5; i++) {
      client.write(get('/kept'))
      await client.responses(i + 1)
    }
    expect(origin.connections).toBe(1)
    client.write(get('/close') + get('/after'))
    const answers = await client.responses(7)
    expect(answers.map(({ status }) => status)).toEqual(Array(7).fill(200))
    expect(client.text).not.toMatch(/connection: close/i)
    expect(origin.connections).toBe(2)
    client.close()
  })

  it('pain 21 (node-http-proxy #767 #614 #1272 #859): a kept connection that has gone stale is replaced', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        await connection.until('/second').then(() => connection.reset())
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false }))
    expect((await front.client.ask({ path: '/first' })).status).toBe(200)
    expect((await front.client.ask({ path: '/second' })).status).toBe(200)
  })

  it('pain 24 (next.js #96173 #89091 #89749): a codec that a layer puts around the body dies with the client', async () => {
    const codecs: ReturnType<typeof createGzip>[] = []
    const coded: Middleware = (next) => async (ctx) => {
      const reply = await next(ctx)
      if (reply.socket !== undefined || reply.body === null) return reply
      const codec = createGzip()
      codecs.push(codec)
      const source = toReadable(reply.body)
      codec.on('close', () => source?.destroy())
      return { ...reply, body: source?.pipe(codec) ?? null }
    }
    const origin = own(await originServer((_req, res) => void res.write('x'.repeat(100_000))))
    const front = own(await kind.start({ targets: origin.url, use: [coded] }))
    for (let i = 0; i < 5; i++) {
      const client = await rawClient(front.port)
      client.write(get('/'))
      await client.until('\r\n\r\n')
      client.reset()
    }
    await until(() => codecs.length === 5 && codecs.every(({ destroyed }) => destroyed), 'the codecs to die')
    await until(() => front.inFlight === 0 && origin.sockets === 0, 'the target to learn')
  })

  it('pain 28 (undici #4839, node-http-proxy #414 #1213 #514): a dead server costs no request', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: [await deadUrl(), origin.url] }))
    const states: string[] = []
    front.upstream.on('state', ({ to }) => states.push(to))
    for (let i = 0; i < 10; i++) expect((await front.client.ask()).status).toBe(200)
    expect(origin.requests).toHaveLength(10)
    // And it gets no more of them: the facade takes it out with its first failure.
    if (front.proxy !== undefined) expect(states[0]).toBe('ejected')
  })

  it('pain 29 (yarp #56 #2721): a POST that no target has begun to take goes to the next with its body, whatever its size', async () => {
    const origin = own(
      await originServer(async (_req, res, seen) => void res.end(String((await seen.body()).length))),
    )
    const front = own(await kind.start({ targets: [await deadUrl(), origin.url] }))
    for (const size of [5, 5, 300_000, 300_000]) {
      const answer = await front.client.ask({ method: 'POST', body: 'x'.repeat(size), chunked: true })
      expect(answer).toMatchObject({ status: 200, text: String(size) })
    }
  })

  it('pain 31 (http-proxy-middleware #705): localhost is reached though only 127.0.0.1 listens; where none does the log names every address', async () => {
    const origin = own(await originServer())
    const front = own(await kind.start(`http://localhost:${origin.port}`))
    expect((await front.client.ask()).status).toBe(200)
    const messages: string[] = []
    const noting: Middleware = (next) => async (ctx) => {
      try {
        return await next(ctx)
      } catch (error) {
        messages.push(`${error} ${(error as Error).cause}`)
        throw error
      }
    }
    const dead = (await deadUrl()).replace('127.0.0.1', 'localhost')
    const nobody = own(await kind.start({ targets: dead, use: [noting], retry: false }))
    const answer = await nobody.client.ask()
    expect(answer.status).toBe(502)
    expect(answer.text).not.toMatch(/127\.0\.0\.1|::1|localhost/)
    expect(messages.join()).toContain('127.0.0.1')
  })

  it('pain 32 (http-proxy-middleware #265, express-http-proxy #546): an early 413 is relayed and no reset', async () => {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        await connection.write(
          'HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge',
        )
      }),
    )
    const front = own(await kind.start(origin.url))
    const client = await rawClient(front.port)
    client.write('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 50000000\r\n\r\n')
    client.write(Buffer.alloc(200_000))
    expect(await client.responses(1)).toMatchObject([{ status: 413, complete: true }])
    client.close()
  })

  it('pain 34 (oxy #188 #205 #63 #252): WebSockets carry the forwarding fields, and removed targets get nothing more', async () => {
    const [first, second] = [own(await rawOrigin()), own(await originServer())]
    const front = own(await kind.start(first.url))
    const client = await rawClient(front.port)
    client.write(
      `${get('/').slice(0, -2)}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n`,
    )
    const seen = await (await first.connection()).head()
    expect(seen).toMatch(/\r\nx-forwarded-for: 127\.0\.0\.1\r\n/i)
    expect(seen).toMatch(/\r\nx-forwarded-proto: (http|ws)\r\n/i)
    expect(seen).not.toContain('6.6.6.6')
    client.reset()
    front.upstream.replace([second.url])
    for (let i = 0; i < 4; i++) expect((await front.client.ask()).status).toBe(200)
    expect(second.requests).toHaveLength(4)
    await until(() => first.sockets === 0, 'the connections of the removed target to end')
  })
})

describe('targets', () => {
  it('pain 23 (compression #17 #58, http-proxy-middleware #371, nest #5762): an event stream is held back by nothing of ours', async () => {
    const origin = own(
      await originServer((_req, res) => {
        res.setHeader('Content-Type', 'text/event-stream')
        res.write('data: 1\n\n')
      }),
    )
    const proxy = own(createProxy(origin.url))
    const app = express()
    app.use(
      compression({
        threshold: 0,
        filter: (_req, res) => !/event-stream/.test(String(res.getHeader('content-type'))),
      }),
    )
    app.use(proxy.listener)
    const front = own(await listen(createServer(app)))
    const client = await rawClient(front.port)
    client.write('GET / HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: gzip\r\n\r\n')
    await client.until('data: 1')
    client.close()
  })

  it('pain 25 (fastify-reply-from #8 #385 #409): an HTTP/2 target that restarts is found again', async () => {
    const start = async (port: number) => {
      const sessions = new Set<ServerHttp2Session>()
      const server = createHttp2Server((_req, res) => void res.end('ok'))
      server.on('session', (session) => sessions.add(session))
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
      const close = (): Promise<void> =>
        new Promise((resolve) => {
          server.close(() => resolve())
          for (const session of sessions) session.destroy()
        })
      return { port: (server.address() as AddressInfo).port, close }
    }
    let target = await start(0)
    const url = `http://127.0.0.1:${target.port}`
    const proxy = own(createProxy({ upstreams: { a: { targets: [url], http2: 'prior-knowledge' } } }))
    const client = own(httpClient({ port: (await proxy.listen()).port }))
    for (let i = 0; i < 3; i++) {
      expect((await client.ask()).status).toBe(200)
      await target.close()
      expect((await client.ask()).status).toBe(502)
      target = await start(target.port)
      expect((await client.ask()).status).toBe(200)
    }
    await target.close()
  })

  it('pain 30 (yarp #2079 #992): a new target that no probe has passed gets nothing while a healthy one is there', async () => {
    const [alive, fresh] = [
      own(await originServer()),
      own(await originServer((_req, res) => void res.writeHead(503).end())),
    ]
    const health = { path: '/health', interval: 20, unhealthyInterval: 20 }
    const proxy = own(createProxy({ upstreams: { a: { targets: [alive.url], health } } }))
    const client = own(httpClient({ port: (await proxy.listen()).port }))
    const upstream = proxy.upstreams.get('a')
    await until(() => upstream?.all[0]?.state === 'healthy', 'the first target to be healthy')
    upstream?.replace([alive.url, fresh.url])
    expect(upstream?.all[1]?.state).toBe('unknown')
    for (let i = 0; i < 10; i++) expect((await client.ask()).status).toBe(200)
    expect(fresh.requests.filter(({ url }) => url !== '/health')).toHaveLength(0)
  })

  it('pain 30 (yarp #2079 #992): where too few are healthy all are used, unhealthy ones too, and nobody gets 503', async () => {
    const targets = [own(await originServer()), own(await originServer()), own(await originServer())]
    const proxy = own(
      createProxy({ upstreams: { a: { targets: targets.map(({ url }) => url), panic: 0.5 } } }),
    )
    const client = own(httpClient({ port: (await proxy.listen()).port }))
    const upstream = proxy.upstreams.get('a')
    const [a, b, c] = upstream?.all ?? []
    if (a === undefined || b === undefined || c === undefined) throw new Error('there are no targets')
    upstream?.mark(a, 'unhealthy', 'probe')
    expect(upstream?.available).toHaveLength(2)
    upstream?.mark(b, 'unhealthy', 'probe')
    expect([upstream?.panicking, upstream?.available.length]).toEqual([true, 3])
    upstream?.mark(c, 'unhealthy', 'probe')
    for (let i = 0; i < 12; i++) expect((await client.ask()).status).toBe(200)
  })

  const certificate = testCertificate()
  const skip = skipUnless(certificate, 'TLS to targets: there is no openssl')

  it.skipIf(skip)(
    'pain 33 (http-proxy-middleware #238, node-http-proxy #782): the server name is the target’s, whatever Host the client sends',
    async () => {
      const names: unknown[] = []
      const target = createSecureServer({ ...certificate }, (req, res) => {
        names.push((req.socket as unknown as { servername: unknown }).servername)
        res.end(req.headers.host)
      })
      const origin = own(await listen(target))
      const url = `https://localhost:${origin.port}`
      const tls = { ca: certificate?.cert as Buffer }
      const proxy = own(createProxy({ upstreams: { a: { targets: [{ url, tls }], host: 'original' } } }))
      const { responses } = await rawRequest((await proxy.listen()).port, get('/'), { responses: 1 })
      expect(responses[0]).toMatchObject({ status: 200, body: Buffer.from('a.example') })
      expect(names).toEqual(['localhost'])
    },
  )

  it.skipIf(skip)(
    'pain 35 (fastify-reply-from 12.6): a certificate that nobody vouches for is refused unless one says otherwise',
    async () => {
      const origin = own(
        await listen(createSecureServer({ ...certificate }, (_req, res) => void res.end('secure'))),
      )
      const proxy = own(createProxy(`https://localhost:${origin.port}`))
      const client = own(httpClient({ port: (await proxy.listen()).port }))
      expect((await within(client.ask(), 'an answer')).status).toBe(502)
    },
  )
})
