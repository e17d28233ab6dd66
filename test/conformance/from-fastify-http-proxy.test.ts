import { createServer, type IncomingMessage } from 'node:http'
import { createProxy, type ProxyOptions, type RouteOptions, type UpstreamOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { listen, type Mounted } from '../kit/listen.js'
import { type Origin, type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { within } from '../kit/until.js'

// What docs/migrating/fastify-http-proxy.md says of our side.
trapUnhandled()
const own = owner()

type Options = Partial<ProxyOptions> & { upstream?: Partial<UpstreamOptions>; route?: Partial<RouteOptions> }

interface Site extends Mounted {
  readonly origin: Origin
}

/**
 * A proxy as a route of Fastify has it: hooks have waited and set fields, the body is unread, nobody has stripped the path.
 * @param parse what a parser of content does with the request
 */
async function site(
  { upstream, route, ...more }: Options = {},
  handler?: OriginHandler,
  parse?: (req: IncomingMessage) => Promise<void>,
): Promise<Site> {
  const origin = own(await originServer(handler))
  const proxy = own(
    createProxy({
      upstreams: { api: { targets: [origin.url], ...upstream } },
      routes: [{ path: '/api', upstream: 'api', rewrite: { strip: '/api' }, ...route }],
      ...more,
    }),
  )
  const server = createServer((req, res) => {
    void (async () => {
      await new Promise((resolve) => setImmediate(resolve))
      await parse?.(req)
      res.setHeader('x-hook', 'yes')
      proxy.listener(req, res)
    })()
  })
  server.on('upgrade', proxy.upgrade)
  return Object.assign(own(await listen(server)), { origin })
}

const json = { method: 'POST', headers: ['Content-Type', 'application/json'] }

describe('from @fastify/http-proxy', () => {
  it('as a route behind hooks: their fields stay, the prefix is stripped, 5 MB pass', async () => {
    const { client, origin } = await site()
    const body = Buffer.alloc(5 << 20, 1)
    for (const chunked of [false, true]) {
      const answer = await client.ask({ ...json, path: '/api/x?y=1', body, chunked })
      expect(answer.status).toBe(200)
      expect(value(answer.headers, 'x-hook')).toBe('yes')
      expect((await origin.requests.at(-1)?.body())?.equals(body)).toBe(true)
      expect(origin.requests.at(-1)?.url).toBe('/x?y=1')
    }
    expect((await client.ask({ path: '/api' })).status).toBe(200)
    expect((await client.ask({ path: '/none' })).status).toBe(404)
  })

  it('proxyPayloads: false: what a parser keeps in rawBody is sent as it came', async () => {
    const { client, origin } = await site({}, undefined, async (req) => {
      Object.assign(req, { rawBody: Buffer.concat(await req.toArray()) })
    })
    await client.ask({ ...json, path: '/api/x', body: '{"a":  1}' })
    expect(`${await origin.requests[0]?.body()}`).toBe('{"a":  1}')
  })

  it('prefix, rewritePrefix, queryString', async () => {
    const plain = await site({
      route: { rewrite: { strip: '/api', prefix: '/v1', query: { set: { a: '1' } } } },
    })
    await plain.client.ask({ path: '/api/x?q=2' })
    expect(plain.origin.requests[0]?.url).toBe('/v1/x?q=2&a=1')
    const named = await site({
      route: { path: '/rest/:id/end', rewrite: { replace: [/^\/rest\/([^/]+)\/end/, '/$1/end'] } },
    })
    await named.client.ask({ path: '/rest/7/end/x?q' })
    expect(named.origin.requests[0]?.url).toBe('/7/end/x?q')
  })

  it('preRewrite, body, contentType, method: onRequest, ahead of the routes', async () => {
    const { client, origin } = await site({
      onRequest: ({ out }) => {
        out.path = out.path.replace('/other', '/api')
        out.method = 'POST'
        out.body = '{"b":1}'
        out.headers.push('Content-Type', 'application/json')
      },
    })
    await client.ask({ path: '/other/x' })
    expect(origin.requests[0]).toMatchObject({ method: 'POST', url: '/x' })
    expect(`${await origin.requests[0]?.body()}`).toBe('{"b":1}')
  })

  it('paths that could lead out of the prefix are refused by paths: reject', async () => {
    const { client, origin } = await site({ paths: 'reject' })
    for (const path of ['/api/../admin', '/api/%2e%2e/admin', '/api/..%2fadmin', '/api/a%2fb'])
      expect((await client.ask({ path })).status, path).toBe(400)
    expect(origin.requests).toEqual([])
  })

  it('internalRewriteLocationHeader: the target’s own name by default, paths by all', async () => {
    const redirect: OriginHandler = (req, res) => {
      const base = req.url === '/whole' ? `http://${req.headers.host}` : ''
      res.writeHead(302, { Location: `${base}/there` }).end()
    }
    const usual = await site({}, redirect)
    const all = await site({ rewrite: { location: 'all' } }, redirect)
    const location = async ({ client }: Site, path: string) =>
      value((await client.ask({ path })).headers, 'location')
    expect(await location(usual, '/api/whole')).toBe(`http://127.0.0.1:${usual.port}/api/there`)
    expect(await location(usual, '/api/path')).toBe('/there')
    expect(await location(all, '/api/path')).toBe('/api/there')
  })

  it('maxRetriesOn503: 503 is passed on, unless retry says otherwise', async () => {
    const refusing: OriginHandler = (_req, res) => void res.writeHead(503).end()
    const usual = await site({}, refusing)
    const again = await site(
      { upstream: { retry: { attempts: 11, statuses: [503], budget: false } } },
      refusing,
    )
    expect((await usual.client.ask({ path: '/api/x' })).status).toBe(503)
    expect(usual.origin.requests).toHaveLength(1)
    expect((await again.client.ask({ path: '/api/x' })).status).toBe(503)
    expect(again.origin.requests).toHaveLength(11)
  })

  it('websocket: fields and all subprotocols pass', async () => {
    const { port, origin } = await site()
    const live = new WebSocketServer({
      server: origin.server,
      handleProtocols: (given) => [...given].at(-1) as string,
    })
    live.on('connection', (socket, req) => {
      const { cookie, 'x-a': other, 'sec-websocket-protocol': offered } = req.headers
      socket.send([req.url, cookie, other, offered].join(' '))
    })
    const headers = { cookie: 'in=1', 'x-a': 'b' }
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/live`, ['one', 'two'], { headers })
    const said = new Promise<string>((resolve, reject) => {
      socket.on('message', (data: Buffer) => resolve(`${data}`)).on('error', reject)
    })
    expect(await within(said, 'the target')).toBe('/live in=1 b one,two')
    expect(socket.protocol).toBe('two')
    socket.terminate()
    live.close()
  })
})
