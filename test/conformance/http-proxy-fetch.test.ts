import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { createProxyServer, type ProxyServer, type ServerOptions } from '@sluice/http-proxy'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, rawOrigin } from '../kit/raw-origin.js'
import { value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

/** Requests by `fetch`, as http-proxy-3 sends them where it is asked to. */
const own = owner()
trapUnhandled()
const client = (port: number): ReturnType<typeof httpClient> => own(httpClient({ port }))

async function standing(
  options: ServerOptions,
  handler?: OriginHandler,
): Promise<{ port: number; proxy: ProxyServer; origin: string }> {
  const origin = own(await originServer(handler))
  const proxy = createProxyServer({ target: origin.url, ...options }).listen(0, '127.0.0.1')
  const server = proxy._server as Server
  await once(server, 'listening')
  own({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  return { port: (server.address() as AddressInfo).port, proxy, origin: origin.url }
}

describe('fetch', () => {
  it.each([
    ['fetch', { fetch }],
    ['fetchOptions alone', { fetchOptions: {} }],
  ])('sends method, path, fields and body, by %s', async (_how, options) => {
    const { port } = await standing(options, async (req, res, seen) => {
      const { cookie } = req.headers
      res.writeHead(201, 'Made', { 'x-a': ['1', '2'], 'set-cookie': ['a=1', 'b=2'] })
      res.end(`${req.method} ${req.url} ${await seen.body()} ${cookie} ${req.headers['accept-encoding']}`)
    })
    const headers = [
      'Cookie',
      'a=1',
      'Cookie',
      'b=2',
      'Accept-Encoding',
      'gzip',
      'Connection',
      'x-hop',
      'X-Hop',
      '1',
    ]
    const answer = await client(port).ask({ method: 'PUT', path: '/p?q', headers, body: 'hello' })
    expect(answer.text).toBe('PUT /p?q hello a=1; b=2 identity')
    expect([answer.status, value(answer.headers, 'x-a'), values(answer.headers, 'set-cookie')]).toEqual([
      201,
      '1, 2',
      ['a=1', 'b=2'],
    ])
  })

  it('gives what it sends to a fetch of the app, and relays what that answers', async () => {
    const seen: unknown[] = []
    const own1 = (async (url: unknown, init: RequestInit) => {
      seen.push(String(url), init.method, new Headers(init.headers).get('x-mine'), init.redirect)
      return new Response('of the app', { status: 418, headers: { 'content-encoding': 'identity' } })
    }) as typeof fetch
    const { port } = await standing({ target: 'http://elsewhere.test/base', fetch: own1, changeOrigin: true })
    expect(await client(port).ask({ path: '/a?b', headers: ['X-Mine', '1'] })).toMatchObject({
      status: 418,
      text: 'of the app',
    })
    expect(seen).toEqual(['http://elsewhere.test/base/a?b', 'GET', '1', 'manual'])
  })

  it('finds the cookies of a fetch that has no getSetCookie, and takes bytes for a body', async () => {
    const lines = { 'Set-Cookie': ['a=1', 'b=2'] }
    const headers = { get: () => null, raw: () => lines, *[Symbol.iterator]() {} }
    const answer = { status: 200, statusText: '', headers, url: '', body: Buffer.from('bytes') }
    const { port } = await standing({ fetch: (async () => answer) as never })
    const { headers: got, text } = await client(port).ask()
    expect([values(got, 'set-cookie'), text]).toEqual([['a=1', 'b=2'], 'bytes'])
  })

  it('says nothing of a coding that fetch has undone', async () => {
    const { port } = await standing({ fetch }, (_req, res) => {
      res.setHeader('Content-Encoding', 'gzip').end(gzipSync('plain'))
    })
    const { headers, text } = await client(port).ask()
    expect([value(headers, 'content-encoding'), text]).toEqual([undefined, 'plain'])
  })

  it('hands on no content in a transfer coding that it drops', async () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'
    const origin = own(await rawOrigin(answering(`${head}5\r\ncoded\r\n`)))
    const { port } = await standing({ target: origin.url, fetch })
    const answer = await client(port).ask()
    expect(answer).toMatchObject({ status: 502, complete: true })
    expect(answer.text).not.toContain('coded')
    await within((await origin.connection()).closed, "the end of the target's connection")
  })

  it('leaves the events as they are', async () => {
    const told: string[] = []
    const { port, proxy } = await standing(
      { fetch },
      (req, res) => void res.end(String(req.headers['x-added'])),
    )
    proxy.on('start', () => told.push('start'))
    proxy.on('proxyReq', (proxyReq) => {
      told.push('proxyReq')
      proxyReq.setHeader('X-Added', 'yes')
    })
    proxy.on('proxyRes', (proxyRes) => {
      told.push('proxyRes')
      proxyRes.headers['x-by'] = 'proxy'
    })
    const over = once(proxy, 'end')
    const { headers, text } = await client(port).ask()
    await within(over, 'the end')
    expect([told, value(headers, 'x-by'), text]).toEqual([['start', 'proxyReq', 'proxyRes'], 'proxy', 'yes'])
  })

  it.each([
    ['set', (headers: Headers) => headers.set('x-added', 'yes')],
    ['a property', (headers: Headers) => void Object.assign(headers, { 'X-Added': 'yes' })],
  ])('lets onBeforeRequest edit by %s, and onAfterResponse see', async (_how, edit) => {
    const after = deferred<number>()
    const { port } = await standing(
      {
        fetchOptions: {
          requestOptions: { headers: { 'x-mine': 'of the options' } },
          onBeforeRequest: (init) => edit(init.headers as Headers),
          onAfterResponse: async ({ status }) => after.resolve(status),
        },
      },
      (req, res) =>
        void res.end(`${req.headers['x-added']} ${req.headers['x-mine']} ${req.headers['x-kept']}`),
    )
    const headers = ['X-Mine', 'of the client', 'X-Kept', 'kept']
    expect((await client(port).ask({ headers })).text).toBe('yes of the options kept')
    expect(await after.promise).toBe(200)
  })

  it.each(['onBeforeRequest', 'onAfterResponse'] as const)('tells an error of %s', async (name) => {
    const fetchOptions = { [name]: () => Promise.reject(new Error('mine')) }
    const { port, proxy } = await standing({ fetchOptions })
    expect((await client(port).ask()).status).toBe(500)
    proxy.on('error', (error, _req, res) => void (res as ServerResponse).end(error.message))
    expect((await client(port).ask()).text).toBe('mine')
  })

  it('tells ECONNREFUSED, and a timeout as a hang-up', async () => {
    const dead = own(await deadTarget())
    const refused = await standing({ target: dead.url, fetch })
    refused.proxy.on('error', (error, _req, res) => void (res as ServerResponse).end(error.code))
    expect((await client(refused.port).ask()).text).toBe('ECONNREFUSED')
    const late = await standing({ fetch, proxyTimeout: 50 }, () => {})
    late.proxy.on('error', (error, _req, res) => void (res as ServerResponse).end(error.code))
    expect((await client(late.port).ask()).text).toBe('ECONNRESET')
  })

  it('hands redirects on, and follows them where it is told to', async () => {
    const handler: OriginHandler = (req, res) => {
      if (req.url === '/a') res.writeHead(302, { location: '/b' })
      res.end(req.url)
    }
    const handed = await standing({ fetch }, handler)
    expect(await client(handed.port).ask({ path: '/a' })).toMatchObject({ status: 302, text: '/a' })
    const followed = await standing({ fetch, followRedirects: true }, handler)
    expect(await client(followed.port).ask({ path: '/a' })).toMatchObject({ status: 200, text: '/b' })
  })

  it('ends what is under way when the client leaves', async () => {
    const closed = deferred()
    const { port } = await standing({ fetch }, (_req, res) => {
      res.on('close', () => closed.resolve())
      res.write('first')
    })
    const call = client(port).call()
    const { body } = await call.head
    await within(once(body, 'data'), 'the first bytes')
    call.abort()
    await within(closed.promise, 'the end at the target')
  })

  it('sends the copy for forward', async () => {
    const copies: string[] = []
    const copy = own(
      await originServer((req, res) => {
        copies.push(req.url ?? '')
        res.end()
      }),
    )
    const { port } = await standing({ fetch, forward: copy.url })
    expect((await client(port).ask({ path: '/a' })).status).toBe(200)
    await until(() => copies.length === 1, 'the copy')
  })

  it('goes nowhere else than to the target: what is no path is refused, as is content that fetch has no place for', async () => {
    const { port, origin } = await standing({ fetch })
    const get = { method: 'GET', body: 'content', chunked: true }
    expect((await client(port).ask(get)).status).toBe(501)
    expect((await client(port).ask({ method: 'OPTIONS', path: '*' })).status).toBe(501)
    const { port: at } = await standing({ fetch, toProxy: true })
    expect((await client(at).ask({ path: `${origin}/x` })).status).toBe(501)
  })
})
