import { createServer } from 'node:http'
import { Transform } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { type Context, discard, transformRequest, transformResponse, unhandled } from '@sluice/core'
import { createProxy, type ProxyOptions, type UpstreamOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { type AnyErrorMiddleware, type AnyMiddleware, type App, frameworks } from '../kit/frameworks.js'
import { listen, type Mounted } from '../kit/listen.js'
import { type Origin, type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

// What docs/migrating/express-http-proxy.md says of our side, row by row.
trapUnhandled()
const own = owner()

interface Site {
  readonly app: App
  readonly origin: Origin
  serve(): Promise<Mounted>
}

type Options = Partial<ProxyOptions> & { upstream?: Partial<UpstreamOptions>; base?: string }

/** A proxy below `/api` of an app. */
async function site(make: () => App, options: Options = {}, handler?: OriginHandler): Promise<Site> {
  const { upstream, base = '', ...more } = options
  const origin = own(await originServer(handler))
  const proxy = own(
    createProxy({ upstreams: { api: { targets: [`${origin.url}${base}`], ...upstream } }, ...more }),
  )
  const app = make()
  app.use('/api', proxy.listener)
  return { app, origin, serve: async () => own(await listen(createServer(app))) }
}

const theApp: AnyMiddleware = (_req, res) => res.end('the app')

function whole(edit: (body: string) => string): Transform {
  const parts: Buffer[] = []
  return new Transform({
    transform: (part: Buffer, _encoding, done) => done(null, void parts.push(part)),
    flush: (done) => done(null, edit(Buffer.concat(parts).toString())),
  })
}

describe.each(frameworks)('from express-http-proxy, in $name', ({ app }) => {
  it('a path in the URL goes ahead of each path; the host is the target’s, or the client’s own', async () => {
    const at = await site(app, { base: '/v1' })
    const kept = await site(app, { upstream: { host: 'original' } })
    const front = await at.serve()
    const keeping = await kept.serve()
    await front.client.ask({ path: '/api/users?x=1' })
    await keeping.client.ask({ path: '/api/users' })
    expect(at.origin.requests[0]).toMatchObject({ url: '/v1/users?x=1' })
    expect(value(at.origin.requests[0]?.rawHeaders ?? [], 'host')).toBe(`127.0.0.1:${at.origin.port}`)
    expect(value(kept.origin.requests[0]?.rawHeaders ?? [], 'host')).toBe(`127.0.0.1:${keeping.port}`)
    expect(value(at.origin.requests[0]?.rawHeaders ?? [], 'x-forwarded-prefix')).toBe('/api')
  })

  it('proxyReqPathResolver, proxyReqOptDecorator: onRequest, which may wait', async () => {
    const onRequest = async ({ out }: Context): Promise<void> => {
      await Promise.resolve()
      out.path = out.path.replace('/old', '/new')
      out.method = 'PUT'
      out.headers.push('X-By', 'proxy')
    }
    const { origin, serve } = await site(app, { onRequest })
    const { client } = await serve()
    expect((await client.ask({ method: 'PATCH', path: '/api/old?x=1', body: 'x' })).status).toBe(200)
    expect(origin.requests[0]).toMatchObject({ method: 'PUT', url: '/new?x=1' })
    expect(value(origin.requests[0]?.rawHeaders ?? [], 'x-by')).toBe('proxy')
  })

  it('filter: an if before the listener, which may wait', async () => {
    const { origin, app: host } = await site(app)
    const proxy = own(createProxy(origin.url))
    const some: AnyMiddleware = async (req, res, next) => {
      await Promise.resolve()
      if (req.method === 'GET') proxy.listener(req, res, next)
      else next()
    }
    host.use('/some', some)
    host.use('/some', theApp)
    const { client } = own(await listen(createServer(host)))
    expect((await client.ask({ path: '/some/x' })).text).toBe('ok')
    expect((await client.ask({ method: 'POST', path: '/some/x', body: 'x' })).text).toBe('the app')
  })

  it('proxyReqBodyDecorator, userResDecorator: transforms, of answers that come compressed too', async () => {
    const { origin, serve } = await site(
      app,
      {
        upstream: { decompress: true },
        use: [
          transformRequest(() => whole((body) => body.toUpperCase())),
          transformResponse(() => whole((body) => JSON.stringify({ ...JSON.parse(body), added: true }))),
        ],
      },
      async (_req, res, seen) => {
        await seen.body()
        res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' })
        res.end(gzipSync('{"a":1}'))
      },
    )
    const { client } = await serve()
    const headers = ['Accept-Encoding', 'gzip']
    const answer = await client.ask({ method: 'POST', path: '/api/x', body: 'body', headers })
    expect(answer.text).toBe('{"a":1,"added":true}')
    expect(`${await origin.requests[0]?.body()}`).toBe('BODY')
  })

  it('skipToNextHandlerFilter: a layer that gives unhandled; userResHeaderDecorator: onResponse', async () => {
    const { app: host, serve } = await site(
      app,
      {
        onResponse: (reply) => void reply.headers.push('X-Proxied', 'yes'),
        use: [
          (next) => async (ctx) => {
            const reply = await next(ctx)
            if (reply.status !== 404) return reply
            discard(reply)
            return unhandled
          },
        ],
      },
      (req, res) => void res.writeHead(req.url === '/gone' ? 404 : 200).end('the target'),
    )
    host.use('/api', theApp)
    const { client } = await serve()
    expect((await client.ask({ path: '/api/gone' })).text).toBe('the app')
    const answer = await client.ask({ path: '/api/there' })
    expect(answer).toMatchObject({ text: 'the target' })
    expect(value(answer.headers, 'x-proxied')).toBe('yes')
  })

  it('limit: guard.bodyLimit, 413; without it a body of 5 MB passes', async () => {
    const limited = await site(app, { guard: { bodyLimit: '1mb' } })
    const open = await site(app)
    const body = Buffer.alloc(5 << 20, 1)
    const ask = async ({ serve }: Site) =>
      (await serve()).client.ask({ method: 'POST', path: '/api/x', body })
    expect(await ask(open)).toMatchObject({ status: 200 })
    expect(await open.origin.requests[0]?.body()).toHaveLength(body.length)
    expect(await ask(limited)).toMatchObject({ status: 413 })
  })

  it('proxyErrorHandler: onError answers, or hands the error on to the app', async () => {
    const gone = own(await originServer())
    await gone.close()
    const told = new WeakMap<object, unknown>()
    const handing = own(
      createProxy({
        upstreams: { api: gone.url },
        onError: (error, { req }) => {
          told.set(req, error)
          return unhandled
        },
      }),
    )
    const answering = own(
      createProxy({
        upstreams: { api: gone.url },
        onError: (error) => ({ status: 418, headers: [], body: error.code }),
      }),
    )
    const host = app()
    host.use('/handing', handing.listener)
    const handOn: AnyMiddleware = (req, _res, next) => next(told.get(req))
    host.use('/handing', handOn)
    host.use('/answering', answering.listener)
    const answerError: AnyErrorMiddleware = (error, _req, res, _next) => {
      res.statusCode = error.status
      res.end(`the app: ${error.code}`)
    }
    host.use(answerError)
    const { client } = own(await listen(createServer(host)))
    expect(await client.ask({ path: '/handing' })).toMatchObject({
      status: 502,
      text: 'the app: connection_refused',
    })
    expect(await client.ask({ path: '/answering' })).toMatchObject({
      status: 418,
      text: 'connection_refused',
    })
  })
})

it('a host without a scheme is no target, and the error says what to write', () => {
  expect(() => createProxy('www.example.com')).toThrow("'http://www.example.com'")
})
