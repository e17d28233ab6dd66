// Compiled with the tests, not run: the public names have the shapes that callers count on.
import { createServer, type IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { type Duplex, PassThrough, type Readable } from 'node:stream'
import {
  type Balancer,
  balance,
  boundedLoad,
  first,
  leastRequests,
  maglev,
  peakEwma,
  powerOfTwo,
  preferZone,
  random,
  rendezvous,
  ring,
  roundRobin,
  slowStart,
  sticky,
  subset,
  weightedRandom,
  weightedRoundRobin,
} from '@sluice/balance'
import { compressRequests } from '@sluice/compress'
import {
  attach,
  type Body,
  type BodyInit,
  type Client,
  type Context,
  chain,
  clientAddress,
  errorPages,
  type Handler,
  type Layer,
  type Middleware,
  type Outbound,
  type Outcome,
  onError,
  onRequest,
  onResponse,
  type ProxyError,
  type Reply,
  type Sink,
  transformRequest,
  transformResponse,
} from '@sluice/core'

import { forward, http2Transport, type Transport, undiciTransport, wireTransport } from '@sluice/forward'
import type { HeaderList } from '@sluice/headers'
import { declared, ejection, grpcProbe, httpProbe, monitor, type Probe } from '@sluice/health'
import { format, type ProxyHeader, parse } from '@sluice/proxy-protocol'
import { retry } from '@sluice/resilience'
import { createUpstream, type Lease, type Selected, type Target, type Upstream } from '@sluice/upstream'
import express from 'express'
import { createProxy, type Proxy } from 'sluice'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function holds<T extends true>(): T | undefined {
  return undefined
}

holds<Equal<HeaderList, string[]>>()
holds<Equal<BodyInit, Body | Readable | Uint8Array | string | null>>()
holds<Equal<Context['req'], IncomingMessage | Http2ServerRequest>>()
holds<Equal<Context['scheme'], 'http' | 'https'>>()
holds<Equal<Context['out'], Outbound>>()
holds<Equal<Context['signal'], AbortSignal>>()
holds<Equal<Outcome['kind'], 'done' | 'client-left' | 'error'>>()
holds<Equal<Sink['write'], (chunk: Uint8Array) => boolean>>()
holds<Equal<ReturnType<Handler>, Reply | Promise<Reply>>>()
holds<Equal<ProxyError['source'], 'client' | 'upstream' | 'proxy'>>()
holds<Equal<ProxyError['phase'], 'select' | 'connect' | 'request' | 'headers' | 'body' | 'upgrade'>>()
holds<Equal<Target['state'], 'unknown' | 'healthy' | 'unhealthy' | 'ejected' | 'draining'>>()
holds<Equal<Selected, { target: Target; lease: Lease }>>()
holds<Equal<Upstream['available'], readonly Target[]>>()

declare const upstream: Upstream
declare const layer: Layer<Context & Client>
const policies: Balancer[] = [
  roundRobin(),
  weightedRoundRobin(),
  random(),
  weightedRandom(),
  first(),
  leastRequests(),
  powerOfTwo(),
  peakEwma(),
  preferZone(slowStart(subset(random(), { size: 20, seed: 0 }), '30s'), 'a'),
]
const byAddress = (ctx: Client): string => ctx.client.address
const keyed: Middleware<Client, Selected>[] = [
  balance(
    upstream,
    ring((ctx: Client) => ctx.client.address),
  ),
  balance(upstream, maglev(byAddress, { size: 65537 })),
  balance(upstream, boundedLoad(rendezvous(byAddress), 1.25), { overflow: 1.4 }),
]
chain()
  .use(clientAddress())
  .use(balance(upstream, sticky(ring(byAddress), { secret: ['new', 'old'] })))
  .handle(forward())
chain()
  // @ts-expect-error its key reads the client's address, which nobody has added
  .use(balance(upstream, ring(byAddress)))
const balanced: Middleware<{}, Selected> = balance(upstream, policies[0])
const retried: Middleware = retry({ attempts: 3, methods: ['GET'], statuses: [503] })
const transports: Transport[] = [
  http2Transport({ mode: 'alpn' }),
  wireTransport({ connections: 64, idle: '30s', proxyProtocol: 2 }),
  undiciTransport(),
]
const [transport = wireTransport()] = transports
const end: Handler<Context & Selected> = forward({
  transport,
  timeouts: { head: '1s' },
  host: 'original',
  via: false,
})
const probe: Probe = httpProbe({ path: '/health', status: ['200-399', 404] })
const watch: Disposable = monitor(upstream, probe, { interval: '5s', rise: 2, fall: 2, jitter: 0.1 })
const probes: Probe[] = [grpcProbe({ service: 'a.B' }), async (_target, _signal, declare) => declare?.('ok')]
const made: Upstream = createUpstream({ name: 'x', targets: ['http://a', { url: 'http://b', weight: 2 }] })
const ejecting: Disposable = ejection(made, { maxPercent: 30, successRate: { factor: 2 }, latency: true })
const believing: Handler = chain()
  .use(balance(made))
  .use(declared(made, { for: '1m' }))
  .handle(end)
// @ts-expect-error there is no target outside of `balance`
chain().use(declared(made))
const coding: Middleware<Selected> = compressRequests({ to: 'learnt', coding: 'gzip', replay: '64kb' })
chain().use(balance(upstream)).use(coding).handle(forward())
// @ts-expect-error what a target takes is known inside of `balance`
chain().use(coding)
const proxy: Proxy = createProxy({
  upstreams: {
    a: 'http://a',
    b: ['http://b'],
    c: { targets: ['http://c'], balance: 'least-requests', health: { type: 'h2', path: '/health' } },
    f: { targets: ['http://f'], health: { type: 'grpc', service: 'a.B' }, ejection: false, panic: 0.5 },
    g: {
      targets: ['http://g'],
      ejection: { consecutive: 3, base: '5s', latency: true },
      declared: { for: '1m' },
    },
    d: { targets: ['https://d'], tls: { ca: 'pem', verify: true }, http2: 'alpn' },
    e: { targets: [{ url: 'https://e', tls: { servername: 'f' } }], proxyProtocol: 1, transport },
  },
  routes: [{ host: 'a', path: '/x', method: ['GET'], upstream: 'a', use: [layer] }],
  onError: (error, ctx) => void [error.code, ctx.out.path],
})
const all: Proxy = createProxy({
  upstreams: { a: { targets: ['http://a'], rewrite: { response: { remove: ['Server'] }, location: 'all' } } },
  routes: [
    {
      path: '/api',
      upstream: 'a',
      rewrite: {
        strip: '/api',
        prefix: '/v1',
        replace: [/^\/old/, '/new'],
        query: { set: { via: 'proxy' }, remove: ['token'] },
        request: (headers, ctx) =>
          void headers.push('X-Target', ctx.target.id, 'X-Client', ctx.client.address),
        cookies: { path: '/api', sameSite: 'lax' },
      },
    },
  ],
  paths: { encodedSlashes: 'reject', doubleSlashes: 'normalise', dotSegments: 'preserve' },
  trust: ['10.0.0.0/8'],
  trustFields: 'forwarded',
  forwarded: { x: false, rfc7239: 'hidden' },
  rewrite: {
    request: [{ set: { 'X-A': '1' } }, { only: ['accept'] }],
    response: (headers, ctx) => void headers.push('X-Served-By', ctx.lease.target.id),
    location: false,
    cookies: { domain: { 'a.internal': 'example.com', 'b.internal': false }, secure: 'auto' },
  },
  pages: {
    pages: {
      404: '<h1>{status}</h1>',
      '5xx': { json: '{"status":{status}}', html: '<p>{title}</p>' },
      default: ({ status, code, title }, ctx) => `${status} ${code ?? title} ${ctx.client.address}`,
    },
    intercept: [404, '5xx'],
  },
  onError: async (error, ctx) =>
    error.code === 'connection_refused' && ctx.client.believed.length === 0
      ? { status: 503, headers: [], body: null }
      : undefined,
  onRequest: (ctx) => void ctx.out.headers.push('X-Scheme', ctx.client.scheme),
  onResponse: (reply, ctx) => ({ ...reply, headers: [...reply.headers, 'X-Path', ctx.out.path] }),
})
createProxy({ upstreams: { a: 'http://a' }, paths: 'reject', pages: { default: 'gone' } })
// @ts-expect-error no page is a number
createProxy({ upstreams: { a: 'http://a' }, pages: { 404: 5 } })
// @ts-expect-error 'both' would let a client choose which of the two is believed
createProxy({ upstreams: { a: 'http://a' }, trustFields: 'both' })
// @ts-expect-error a policy is one of three words
createProxy({ upstreams: { a: 'http://a' }, paths: { dotSegments: 'resolve' } })
// @ts-expect-error Forwarded names addresses, hides them or says unknown
createProxy({ upstreams: { a: 'http://a' }, forwarded: { rfc7239: true } })
// @ts-expect-error a target is chosen inside of the hooks
createProxy({ upstreams: { a: 'http://a' }, onRequest: (ctx) => void ctx.target })
// @ts-expect-error a hook gives a reply or nothing
createProxy({ upstreams: { a: 'http://a' }, onResponse: () => 'ok' })
const hooks: Layer<Context & Client>[] = [
  onRequest((ctx) => void ctx.client.address),
  onResponse((reply, ctx) => void (reply.status + ctx.client.believed.length)),
  onError((error, ctx) => void [error.code, ctx.client.scheme]),
  errorPages({ pages: { default: (_error, ctx) => ctx.client.address } }),
  transformRequest((out) => (out.method === 'PUT' ? new PassThrough() : undefined)),
  transformResponse((reply, ctx) =>
    reply.status + ctx.client.believed.length > 0 ? new TextDecoderStream() : undefined,
  ),
]
const address: Promise<AddressInfo> = proxy.listen(0, '127.0.0.1')
const upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void = proxy.upgrade
const groups: ReadonlyMap<string, Upstream> = proxy.upstreams
const header: Buffer = format(2, { command: 'local', family: 'unspec' } satisfies ProxyHeader)
void [
  parse(header),
  forward({ transport: transports }),
  balanced,
  keyed,
  retried,
  end,
  watch,
  probes,
  ejecting,
  believing,
  made,
  all,
  hooks,
  address,
  upgrade,
  groups,
]

// @ts-expect-error an app is no server
attach(express(), () => ({ status: 200, headers: [], body: null }))
attach(createServer(express()), () => ({ status: 200, headers: [], body: null }))

// Lists that nobody may change are as good as others.
createProxy(['http://a', 'http://b'] as const)
createProxy({
  upstreams: {
    a: ['http://a'],
    b: {
      targets: ['http://b', { url: 'http://c', weight: 2 }],
      health: { status: [200, '300-399'] },
      retry: { methods: ['GET'], statuses: [502] },
    },
  },
  routes: [{ host: ['a.test'], method: ['GET'], path: '/a', upstream: 'a', use: [], headers: { a: 'b' } }],
  trust: ['10.0.0.0/8'],
  use: [],
  compress: { encodings: ['br', 'gzip'] },
  guard: {
    ip: { allow: ['10.0.0.0/8'], deny: [] },
    rateLimit: [{ limit: 1, window: '1m' }],
    validate: { methods: ['GET'] },
    anonymity: { fields: { allow: ['x-a'] } },
  },
  access: { cors: { origins: ['https://a.test'], methods: ['GET'], headers: ['x-a'] } },
  cache: { key: { headers: ['x-a'], query: { only: ['a'] } } },
  pages: { pages: { 404: 'none' }, intercept: [404] },
  rewrite: { request: { remove: ['x-a'] } },
  proxyProtocol: { trust: ['10.0.0.0/8'] },
} as const)
