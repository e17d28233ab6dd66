import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import compression from 'compression'
import express from 'express'
import session from 'express-session'
import { expect, it } from 'vitest'
import { originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { rawClient, rawRequest } from '../../../test/kit/raw-request.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until, within } from '../../../test/kit/until.js'
import {
  chain,
  discard,
  errorPages,
  fromConnect,
  fromListener,
  type Handler,
  ProxyError,
  type Reply,
  toListener,
} from './index.js'

trapUnhandled()
const own = owner()

async function serve(handler: Handler): Promise<{ url: string; port: number }> {
  const server = createServer(toListener(handler))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  own({
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port }
}

const ok = (): Reply => ({
  status: 200,
  headers: ['content-type', 'text/plain', 'x-inner', '1'],
  body: 'inner',
})

it('merges the fields that it set; the reply has the last word', async () => {
  const handler = chain()
    .use(
      fromConnect((_req, res, next) => {
        res.setHeader('x-outer', 'a')
        res.setHeader('x-inner', 'lost')
        res.setHeader('Vary', 'Origin')
        res.setHeader('Set-Cookie', ['a=1', 'b=2'])
        next()
      }),
    )
    .handle(() => ({ ...ok(), headers: [...ok().headers, 'Set-Cookie', 'c=3', 'Vary', 'Accept, origin'] }))
  const { url } = await serve(handler)
  const response = await fetch(url)
  expect(response.headers.get('x-outer')).toBe('a')
  expect(response.headers.get('x-inner')).toBe('1')
  expect(response.headers.getSetCookie().sort()).toEqual(['a=1', 'b=2', 'c=3'])
  expect(response.headers.get('vary')?.toLowerCase()).toBe('accept, origin')
  expect(await response.text()).toBe('inner')
})

it('does not touch the body of a reply that nobody asked to see', async () => {
  const body = Readable.from(['inner'])
  let seen: unknown
  const handler = chain()
    .use((next) => async (ctx) => {
      const reply = await next(ctx)
      seen = reply.body
      return reply
    })
    .use(fromConnect((_req, _res, next) => next()))
    .handle(() => ({ status: 200, headers: [], body }))
  const { url } = await serve(handler)
  expect(await (await fetch(url)).text()).toBe('inner')
  expect(seen).toBe(body)
})

it('is the reply when it ends the response, and the rest is not called', async () => {
  let called = false
  const handler = chain()
    .use(
      fromConnect((_req, res) => {
        res.statusCode = 401
        res.setHeader('www-authenticate', 'Basic')
        res.end('who?')
      }),
    )
    .handle(() => {
      called = true
      return ok()
    })
  const { url } = await serve(handler)
  const response = await fetch(url)
  expect([response.status, response.headers.get('www-authenticate'), await response.text()]).toEqual([
    401,
    'Basic',
    'who?',
  ])
  expect(response.headers.get('content-length')).toBe('4')
  expect(called).toBe(false)
})

it.each([
  [
    'next(error)',
    (_req: unknown, _res: unknown, next: (error: unknown) => void) => next(new Error('secret place')),
  ],
  [
    'a throw',
    () => {
      throw new Error('secret place')
    },
  ],
  ['a rejection', async () => Promise.reject(new Error('secret place'))],
])('%s gives 500 and tells nothing', async (_name, middleware) => {
  const { url } = await serve(chain().use(fromConnect(middleware)).handle(ok))
  const response = await fetch(url)
  expect(response.status).toBe(500)
  expect(await response.text()).not.toContain('secret')
})

it('ignores next() after the end and a second next()', async () => {
  let calls = 0
  const handler = chain()
    .use(
      fromConnect((_req, res, next) => {
        next()
        next()
        res.on('finish', () => next())
      }),
    )
    .handle(() => {
      calls++
      return ok()
    })
  const { url } = await serve(handler)
  expect(await (await fetch(url)).text()).toBe('inner')
  expect(calls).toBe(1)
})

it('lets the compression package compress, whole and streamed', async () => {
  const text = 'a line that compresses well\n'.repeat(1000)
  const pieces = Array.from({ length: 50 }, () => Buffer.from(text))
  const handler = chain()
    .use(fromConnect(compression({ threshold: 0 })))
    .handle((ctx) => ({
      status: 200,
      headers: [
        'content-type',
        'text/plain',
        ...(ctx.out.path === '/whole' ? ['content-length', String(text.length)] : []),
      ],
      body: ctx.out.path === '/whole' ? text : Readable.from(pieces),
    }))
  const { port } = await serve(handler)
  for (const [path, expected] of [
    ['/whole', text],
    ['/stream', text.repeat(50)],
  ] as const) {
    const head = `GET ${path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n`
    const { responses } = await rawRequest(port, head)
    const [response] = responses
    expect(response?.headers.map((each) => each.toLowerCase())).toContain('content-encoding')
    expect(gunzipSync(response?.body ?? Buffer.alloc(0)).toString()).toBe(expected)
  }
})

it('lets express-session save its session and set its cookie', async () => {
  const handler = chain()
    .use(fromConnect(session({ secret: 's', resave: false, saveUninitialized: true })))
    .handle((ctx) => {
      const kept = (ctx.req as unknown as { session: { views?: number } }).session
      kept.views = (kept.views ?? 0) + 1
      return { status: 200, headers: [], body: String(kept.views) }
    })
  const { url } = await serve(handler)
  const first = await fetch(url)
  const cookie = first.headers.getSetCookie()[0]?.split(';')[0] ?? ''
  expect(await first.text()).toBe('1')
  const second = await fetch(url, { headers: { cookie } })
  expect(await second.text()).toBe('2')
})

it('refuses a body that it has read, unless its bytes were kept', async () => {
  const bodies: unknown[] = []
  const handler = (keep: boolean): Handler =>
    chain()
      .use(
        fromConnect(
          express.json({
            verify: (req, _res, bytes) => {
              if (keep) Object.assign(req, { rawBody: bytes })
            },
          }),
        ),
      )
      .handle((ctx) => {
        bodies.push(ctx.out.body)
        return ok()
      })
  const post = async (url: string): Promise<Response> =>
    fetch(url, { method: 'POST', body: '{"a": 1}', headers: { 'content-type': 'application/json' } })
  const refused = await post((await serve(handler(false))).url)
  expect(refused.status).toBe(500)
  expect(await refused.text()).toContain('req.rawBody')
  expect((await post((await serve(handler(true))).url)).status).toBe(200)
  expect(bodies.map(String)).toEqual(['{"a": 1}'])
})

it('fromListener puts layers in front of an Express app', async () => {
  const app = express()
  app.get('/json', (_req, res) => void res.cookie('a', '1').cookie('b', '2').json({ ok: true }))
  app.get(
    '/stream',
    (_req, res) => void Readable.from(Array.from({ length: 200 }, () => Buffer.alloc(10_000, 'x'))).pipe(res),
  )
  app.get('/throw', () => {
    throw new Error('secret')
  })
  const handler = chain()
    .use((next) => async (ctx) => {
      const reply = await next(ctx)
      reply.headers.push('x-layer', '1')
      return reply
    })
    .handle(fromListener(app))
  const { url } = await serve(handler)
  const json = await fetch(`${url}/json`)
  expect(await json.json()).toEqual({ ok: true })
  expect(json.headers.getSetCookie()).toHaveLength(2)
  expect(json.headers.get('x-layer')).toBe('1')
  expect((await (await fetch(`${url}/stream`)).arrayBuffer()).byteLength).toBe(2_000_000)
  expect((await fetch(`${url}/throw`)).status).toBe(500)
  expect((await fetch(`${url}/none`)).status).toBe(404)
})

it('a listener learns that the client has left, and one that fails gives 500', async () => {
  let closed = false
  const { url } = await serve(
    fromListener((req: { url: string }, res: ServerResponse) => {
      if (req.url === '/throw') throw new Error('secret')
      res.on('close', () => {
        closed = true
      })
      res.write('begun')
    }),
  )
  expect((await fetch(`${url}/throw`)).status).toBe(500)
  const controller = new AbortController()
  await fetch(url, { signal: controller.signal })
  controller.abort()
  await until(() => closed, 'close on the response')
})

it('discard() cancels a captured reply', async () => {
  own(await originServer())
  let closed = false
  const handler = chain()
    .use((next) => async (ctx) => {
      discard(await next(ctx))
      return ok()
    })
    .handle(
      fromListener((_req: unknown, res: ServerResponse) => {
        res.on('close', () => {
          closed = true
        })
        res.write('dropped')
      }),
    )
  const { url } = await serve(handler)
  expect(await (await fetch(url)).text()).toBe('inner')
  expect(closed).toBe(true)
})

it.each([true, false])(
  'a client that left meanwhile leaves no reply open: passed through %s',
  async (patched) => {
    const asked = deferred()
    const given = deferred<Reply>()
    const body = new PassThrough()
    const handler = chain()
      .use(
        fromConnect((_req, res, next) => {
          if (patched) res.write = res.write.bind(res)
          next()
        }),
      )
      .handle((ctx) => {
        ctx.onClose(() => given.resolve({ status: 200, headers: [], body }))
        asked.resolve()
        return given.promise
      })
    const { port } = await serve(handler)
    const client = own(await rawClient(port))
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await asked.promise
    client.close()
    await until(() => body.destroyed, 'the body to be destroyed')
  },
)

it('next() after the client has left asks nobody', async () => {
  const asked = deferred()
  const left = deferred()
  let calls = 0
  const handler = chain()
    .use(
      fromConnect((_req, res, next) => {
        res.on('close', () => {
          next()
          left.resolve()
        })
        asked.resolve()
      }),
    )
    .handle(() => {
      calls++
      return ok()
    })
  const { port } = await serve(handler)
  const client = own(await rawClient(port))
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await asked.promise
  client.close()
  await left.promise
  expect(calls).toBe(0)
})

it('finish and the status of a reply that passed beside it are told', async () => {
  const finished = deferred<number>()
  const handler = chain()
    .use(
      fromConnect((_req, res, next) => {
        res.on('finish', () => finished.resolve(res.statusCode))
        next()
      }),
    )
    .handle(() => ({ ...ok(), status: 201 }))
  const { url } = await serve(handler)
  await (await fetch(url)).text()
  expect(await finished.promise).toBe(201)
})

it('trailers pass through a middleware that watches the body', async () => {
  const handler = chain()
    .use(
      fromConnect((_req, res, next) => {
        res.write = res.write.bind(res)
        next()
      }),
    )
    .handle(() => ({
      status: 200,
      headers: [],
      body: Readable.from([Buffer.from('x')]),
      trailers: () => ['X-Sum', '1'],
    }))
  const { port } = await serve(handler)
  const { responses } = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', { responses: 1 })
  expect(responses[0]?.trailers).toEqual(['X-Sum', '1'])
})

it('a reply that can’t pass through a middleware is ended', async () => {
  const body = new PassThrough()
  const handler = chain()
    .use(
      fromConnect((_req, res, next) => {
        res.write = res.write.bind(res)
        next()
      }),
    )
    .handle(() => ({ status: 200, headers: ['bad name', 'x'], body }))
  const { url } = await serve(handler)
  expect((await fetch(url)).status).toBe(500)
  expect(body.destroyed).toBe(true)
})

it('a middleware whose end() throws cuts what has begun', async () => {
  const handler = chain()
    .use(
      fromConnect((_req, res, next) => {
        res.end = () => {
          throw new Error('an end() of a middleware that throws')
        }
        next()
      }),
    )
    .handle(() => ({ status: 200, headers: [], body: Readable.from([Buffer.from('a'), Buffer.from('b')]) }))
  const { port } = await serve(handler)
  const client = own(await rawClient(port))
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await within(client.closed, 'the end of the connection')
  expect(client.text).not.toContain('\r\n0\r\n')
})

it('a listener may give trailers as an object or as pairs', async () => {
  const { port } = await serve(
    fromListener((req: { url: string }, res: ServerResponse) => {
      res.setHeader('Trailer', 'X-Sum')
      res.write('x')
      res.addTrailers(req.url === '/pairs' ? [['X-Sum', '1']] : { 'X-Sum': '1' })
      res.end()
    }),
  )
  for (const path of ['/object', '/pairs']) {
    const { responses } = await rawRequest(port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`, { responses: 1 })
    expect(responses[0]?.trailers).toEqual(['X-Sum', '1'])
  }
})

it('its fields are on an error where pages stand inside of it', async () => {
  const handler = chain()
    .use(
      fromConnect((_req, res, next) => {
        res.setHeader('X-Frame-Options', 'SAMEORIGIN')
        next()
      }),
    )
    .use(errorPages({ pages: {} }))
    .handle(() => {
      throw new ProxyError('connection_refused')
    })
  const { url } = await serve(handler)
  const { status, headers } = await fetch(url)
  expect(status).toBe(502)
  expect(headers.get('x-frame-options')).toBe('SAMEORIGIN')
})
