import { createServer } from 'node:http'
import { balance } from '@sluice/balance'
import { type CacheOptions, cache, createCache } from '@sluice/cache'
import { type CompressOptions, compress } from '@sluice/compress'
import {
  attach,
  type Client,
  type Context,
  chain,
  clientAddress,
  type Handler,
  type Layer,
  toListener,
  toUpgradeListener,
} from '@sluice/core'
import {
  type ForwardingOptions,
  forward,
  type HostPolicy,
  type RewriteOptions,
  type TimeoutOptions,
  type Transport,
  undiciTransport,
  wireTransport,
} from '@sluice/forward'
import { declared } from '@sluice/health'
import { httpProxyTransport } from '@sluice/http-proxy'

import {
  type BreakerOptions,
  breakers,
  type ConcurrencyOptions,
  concurrencyOf,
  type HedgeOptions,
  hedge,
  type RetryOptions,
  retry,
} from '@sluice/resilience'

import { createUpstream, type Upstream } from '@sluice/upstream'
import { createProxy, type GuardOptions, type Proxy, type TlsOptions } from 'sluice'
import { type TestCertificate, testCertificate } from './certificate.js'
import { type HttpClient, httpClient } from './client.js'
import { listen, type Mounted } from './listen.js'
import { mountNamed, mounts } from './mounts.js'

/** What the proxies of the tests are made of. */
export interface FrontOptions {
  targets: string | readonly string[]
  timeouts?: TimeoutOptions
  host?: HostPolicy
  rewrite?: RewriteOptions
  via?: string | false
  trust?: string[]
  trustFields?: 'x-forwarded' | 'forwarded'
  forwarded?: ForwardingOptions
  /** Layers inside the client's address and outside everything else. */
  use?: readonly Layer<Context & Client>[]
  /** Default `true`: on, with the defaults. */
  retry?: boolean | RetryOptions
  /** Connections to a target at most. */
  connections?: number
  /** Targets are believed that say how they are. Default `false`. */
  declared?: boolean
  breaker?: BreakerOptions
  concurrency?: ConcurrencyOptions
  hedge?: HedgeOptions
  /** Default: no cache. */
  cache?: boolean | CacheOptions
  /** Default: answers aren't compressed. */
  compress?: boolean | CompressOptions
  /** Of `createProxy`. Default: on, with the defaults. */
  guard?: false | GuardOptions
  /** For the server that `createProxy` listens with. Default: plain HTTP. */
  tls?: TlsOptions
}

/** A proxy that stands somewhere, with a client that speaks to it. */
export interface Front {
  readonly port: number
  readonly client: HttpClient
  readonly upstream: Upstream
  /** Exchanges that targets have in flight, by the leases. */
  readonly inFlight: number
  /** Where it is made by `createProxy`. */
  readonly proxy?: Proxy
  /** Where it has a cache: what empties it. */
  readonly cache?: NonNullable<Proxy['cache']>
  close(): Promise<void>
}

/** The transports for HTTP/1.1. */
export type TransportName = 'wire' | 'undici' | 'http-proxy'

/** What a transport may be unable to do. Without it a test expects what happens instead. */
export interface Capabilities {
  /** `OPTIONS *`, CONNECT and `Expect`; else `accepts` says no. */
  readonly allRequests: boolean
  /** A 100 of the target that nobody has asked for is nothing; else it is the end of the connection, and 502. */
  readonly unasked100: boolean
  /** It adds no `Connection` to a request. */
  readonly noConnection: boolean
  /** Repeated fields of a request stay where each stood; else they go out together, where the first stood, in its case. */
  readonly apart: boolean
}

const capabilities: Record<TransportName, Capabilities> = {
  wire: { allRequests: true, unasked100: true, noConnection: true, apart: true },
  undici: { allRequests: false, unasked100: false, noConnection: false, apart: true },
  'http-proxy': { allRequests: false, unasked100: true, noConnection: false, apart: false },
}

const makers: Record<TransportName, (options: { connections?: number }) => Transport> = {
  wire: wireTransport,
  undici: undiciTransport,
  'http-proxy': httpProxyTransport,
}

/** One way to put the proxy in front of targets. */
export interface FrontKind {
  readonly name: string
  readonly http2: boolean
  readonly tls: boolean
  /** It stands in Express or Connect. */
  readonly framework: boolean
  /** How it speaks to targets; what that can't carry is in `carries`. */
  readonly transport: TransportName
  readonly carries: Capabilities
  start(options: FrontOptions | string): Promise<Front>
}

/** A handler with what it stands on. */
export interface Built {
  readonly handler: Handler
  readonly upstream: Upstream
  readonly proxy?: Proxy
  readonly cache?: Proxy['cache'] | undefined
  close(): Promise<void>
}

/** The facade's chain. */
export function proxyOf(given: FrontOptions | string): Built & { readonly proxy: Proxy } {
  const {
    targets,
    timeouts,
    host,
    rewrite,
    via,
    trust,
    trustFields,
    forwarded,
    use,
    retry: retries,
    connections,
    declared: believed,
    breaker,
    concurrency,
    hedge: hedged,
    cache: cached,
    compress: coded,
    guard,
    tls,
  } = options(given)
  const proxy = createProxy({
    upstreams: {
      default: {
        targets: [...list(targets)],
        ...(host === undefined ? {} : { host }),
        ...(connections === undefined ? {} : { connections }),
        ...(retries === undefined || retries === true ? {} : { retry: retries }),
        ...(believed === undefined ? {} : { declared: believed }),
        ...(breaker === undefined ? {} : { breaker }),
        ...(concurrency === undefined ? {} : { concurrency }),
        ...(hedged === undefined ? {} : { hedge: hedged }),
      },
    },
    ...(timeouts === undefined ? {} : { timeouts }),
    ...(rewrite === undefined ? {} : { rewrite }),
    ...(via === undefined ? {} : { via }),
    ...(trust === undefined ? {} : { trust }),
    ...(trustFields === undefined ? {} : { trustFields }),
    ...(forwarded === undefined ? {} : { forwarded }),
    ...(use === undefined ? {} : { use: [...use] }),
    ...(cached === undefined ? {} : { cache: cached }),
    ...(coded === undefined ? {} : { compress: coded }),
    ...(guard === undefined ? {} : { guard }),
    ...(tls === undefined ? {} : { tls }),
  })
  return {
    handler: proxy.handler,
    proxy,
    cache: proxy.cache,
    upstream: proxy.upstreams.get('default') as Upstream,
    close: () => proxy.close({ drain: 0 }),
  }
}

/** A chain made by hand, of the same layers. */
export function chainOf(given: FrontOptions | string, kind: TransportName = 'wire'): Built {
  const {
    targets,
    timeouts,
    host,
    rewrite,
    via,
    trust,
    trustFields,
    forwarded,
    use = [],
    retry: retries,
    connections,
    breaker,
    concurrency,
    hedge: hedged,
    cache: cached,
    compress: coded,
  } = options(given)
  const upstream = createUpstream({ name: 'by hand', targets: list(targets) })
  const transport = makers[kind](connections === undefined ? {} : { connections })
  const end = forward({
    transport: [transport],
    ...(timeouts === undefined ? {} : { timeouts }),
    ...(host === undefined ? {} : { host }),
    ...(rewrite === undefined ? {} : { rewrite }),
    ...(via === undefined ? {} : { via }),
    ...(forwarded === undefined ? {} : { forwarded }),
  })
  let links = chain().use(
    clientAddress({
      ...(trust === undefined ? {} : { trust }),
      ...(trustFields === undefined ? {} : { fields: trustFields }),
    }),
  )
  for (const layer of use) links = links.use(layer)
  if (coded) links = links.use(compress(coded === true ? {} : coded))
  const store = cached ? createCache(cached === true ? {} : cached) : undefined
  if (store !== undefined) links = links.use(cache(store))
  if (retries !== false) links = links.use(retry(retries === true ? {} : retries))
  if (hedged !== undefined) links = links.use(hedge(hedged))
  const guard = breaker === undefined ? undefined : breakers(upstream, breaker)
  const limit = concurrency === undefined ? undefined : concurrencyOf(upstream, concurrency)
  if (limit !== undefined) links = links.use(limit.middleware)
  const picked = links.use(balance(upstream))
  const handler = (options(given).declared ? picked.use(declared(upstream)) : picked).handle(end)
  return {
    handler,
    upstream,
    cache: store,
    async close() {
      guard?.[Symbol.dispose]()
      limit?.[Symbol.dispose]()
      await transport.close(true)
      await store?.close()
      await upstream.close()
    },
  }
}

function options(given: FrontOptions | string): FrontOptions {
  return typeof given === 'string' ? { targets: given } : given
}

function list(targets: string | readonly string[]): readonly string[] {
  return typeof targets === 'string' ? [targets] : targets
}

/** A proxy and the server that it stands in, as one thing. */
export function frontOf(built: Built, mounted: Pick<Mounted, 'port' | 'client' | 'close'>): Front {
  return {
    port: mounted.port,
    client: mounted.client,
    upstream: built.upstream,
    get inFlight() {
      return built.upstream.all.reduce((sum, target) => sum + target.inFlight, 0)
    },
    ...(built.proxy === undefined ? {} : { proxy: built.proxy }),
    ...(built.cache === undefined ? {} : { cache: built.cache }),
    async close() {
      await mounted.client.close()
      await built.close()
      await mounted.close()
    },
  }
}

/** `createProxy().listen()`: the proxy's own server. */
export const listening: FrontKind = {
  name: 'createProxy().listen()',
  http2: false,
  tls: false,
  framework: false,
  transport: 'wire',
  carries: capabilities.wire,
  async start(given) {
    const built = proxyOf(given)
    const { port } = await built.proxy.listen()
    return frontOf(built, { port, client: httpClient({ port }), close: async () => {} })
  },
}

const certificate = testCertificate()

/** `createProxy({ tls }).listen()`, by each protocol that its one port speaks. They need `openssl`. */
export const listeningTls: readonly FrontKind[] =
  certificate === undefined ? [] : [overTls(false), overTls(true)]

function overTls(http2: boolean): FrontKind {
  const tls = certificate as TestCertificate
  return {
    ...listening,
    name: `createProxy({ tls }).listen(), HTTP/${http2 ? '2' : '1.1'}`,
    http2,
    tls: true,
    async start(given) {
      const built = proxyOf({ ...options(given), tls })
      const { port } = await built.proxy.listen()
      return frontOf(built, {
        port,
        client: httpClient({ port, http2, ca: tls.cert }),
        close: async () => {},
      })
    },
  }
}

/** `attach(server, handler)` with a chain made by hand. */
export const attached: FrontKind = {
  name: 'a chain attached to node:http',
  http2: false,
  tls: false,
  framework: false,
  transport: 'wire',
  carries: capabilities.wire,
  async start(given) {
    const built = chainOf(given)
    const server = createServer()
    attach(server, built.handler)
    return frontOf(built, await listen(server))
  },
}

function proxyOn(mountName: string): FrontKind {
  const { http2, tls, framework, serve } = mountNamed(mountName)
  return {
    name: `createProxy().listener on ${mountName}`,
    http2,
    tls,
    framework,
    transport: 'wire',
    carries: capabilities.wire,
    async start(given) {
      const built = proxyOf(given)
      return frontOf(built, await serve(built.proxy))
    },
  }
}

function chainOn(mountName: string, transport: TransportName = 'wire'): FrontKind {
  const { http2, tls, framework, serve } = mountNamed(mountName)
  return {
    name: `a chain on ${mountName}${transport === 'wire' ? '' : `, over ${transport}`}`,
    http2,
    tls,
    framework,
    transport,
    carries: capabilities[transport],
    async start(given) {
      const built = chainOf(given, transport)
      const served = { listener: toListener(built.handler), upgrade: toUpgradeListener(built.handler) }
      return frontOf(built, await serve(served))
    },
  }
}

/**
 * Every way to put the proxy somewhere: the facade on every mount, a chain made by hand on those that differ, and the other
 * transports for HTTP/1.1 on one mount of each protocol.
 */
export const fronts: readonly FrontKind[] = [
  listening,
  ...listeningTls,
  ...mounts.map(({ name }) => proxyOn(name)),
  attached,
  chainOn('node:http2 without TLS'),
  chainOn('Express 5'),
  chainOn('node:http', 'undici'),
  chainOn('node:http2 without TLS', 'undici'),
  chainOn('node:http', 'http-proxy'),
  chainOn('node:http2 without TLS', 'http-proxy'),
]

/** Those that speak HTTP/1.1. */
export const http1Fronts: readonly FrontKind[] = fronts.filter(({ http2 }) => !http2)

/** Those that speak HTTP/1.1 without TLS: raw bytes can be sent to them. */
export const rawFronts: readonly FrontKind[] = http1Fronts.filter(({ tls }) => !tls)

/** Those that speak HTTP/2. */
export const http2Fronts: readonly FrontKind[] = fronts.filter(({ http2 }) => http2)

/** One of each protocol and builder: enough where what is tested takes long and the server around matters little. */
export const threeFronts: readonly FrontKind[] = [listening, attached, proxyOn('node:http2 without TLS')]

/** One of the facade and one made by hand: enough for what doesn't depend on the server around. */
export const twoFronts: readonly FrontKind[] = [listening, attached]
