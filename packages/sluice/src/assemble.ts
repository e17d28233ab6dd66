import { type AccessLayers, accessLayers, withoutIdentities } from '@sluice/access'
import { type Balancer, balance } from '@sluice/balance'
import { compressRequests, decompress, sharedDictionaries } from '@sluice/compress'
import {
  type Client,
  type Context,
  chain,
  checkedLayer,
  clientAddress,
  type ErrorPagesOptions,
  errorPages,
  type Handler,
  type Layer,
  type Middleware,
  onError,
  onRequest,
  onResponse,
  type Pages,
  type Reply,
  unhandled,
} from '@sluice/core'
import { forward, type TimeoutOptions } from '@sluice/forward'
import { bodyBuffer, originsOf } from '@sluice/guard'
import { declared, ejection, healthCheck, resolveEjection } from '@sluice/health'
import type { Size } from '@sluice/options'
import { breakers, concurrencyOf, hedge, retry, type UpstreamConcurrency } from '@sluice/resilience'
import { pathPolicy, rewritePath, route } from '@sluice/route'
import { createUpstream, type Selected, type Upstream } from '@sluice/upstream'
import debug from 'debug'
import { policyOf, stickyCookies } from './policy-option.js'
import type { Parts } from './proxy.js'
import type { ProxyOptions, RouteOptions, UpstreamOptions } from './proxy-options.js'
import { pathRewriteOf, rewriteOf } from './rewrite-option.js'
import { inOrder, type RouteAccessOptions, routeAccess } from './route-access.js'
import { SiteCaches } from './site-caches.js'
import { routeClientCertificate, siteClientCertificate } from './site-client-certificate.js'
import { requestDecoding, SiteCompression } from './site-compression.js'
import { limits, SiteGuard } from './site-guard.js'
import { SiteTls } from './site-tls.js'
import { trusted } from './tls-schema.js'
import { type Transports, transportsOf } from './transports.js'

const log = debug('sluice:proxy')

type Site = Context & Client

/** A group of targets with all that is needed to reach them. */
interface Group {
  readonly upstream: Upstream
  /** Where it stands in what the user wrote. */
  readonly path: string
  readonly options: UpstreamOptions
  readonly transports: Transports
  /** One for all routes: it counts for all of them. */
  readonly policy: Balancer<Site> | undefined
  /** One for all routes: its budget is a share of the traffic of all. */
  readonly retry: Middleware | undefined
  readonly limit?: UpstreamConcurrency
}

/**
 * Builds the chain that the options describe: client's address, `access.requestId`, `tls.hsts`, `access.securityHeaders`, `compress`, `dictionaries`,
 * `guard.anonymity`, `pages`, `onError`, the rest of `guard` with `access.cors` and `access.maintenance` in it, `paths`, `clientCertificate`, credentials of
 * `access`, `onResponse`, `onRequest`, `decompressRequests`, `use`, then for each route its limits, access and `use`,
 * cache, `rewrite`, `bodyBuffer`, `decompress`, retry, hedge, concurrency, balance, `compressRequests` and forward. So `onError` hears of all that hooks and layers throw, its reply is no error for `pages`, and `onResponse` sees
 * what `onRequest` answers.
 */
export function assemble(
  options: ProxyOptions,
  upstreams: Record<string, UpstreamOptions>,
  pathOf: PathOf,
): Parts {
  const groups = new Map<string, Group>()
  const caches = new SiteCaches(options.cache, stickyCookies(upstreams))
  let handler: Handler
  let tls: SiteTls | undefined
  let guard: SiteGuard | undefined
  const access: AccessLayers[] = []
  try {
    tls = options.tls && new SiteTls(options.tls, 'tls')
    for (const [name, upstreamOptions] of Object.entries(upstreams)) {
      const { concurrency, panic, targets, tls } = upstreamOptions
      const path = pathOf(name)
      const policy = policyOf(upstreamOptions, name, rampOf(upstreamOptions))
      const upstream = createUpstream(
        {
          name,
          targets,
          ...(tls === undefined ? {} : { tls }),
          ...(panic === undefined ? {} : { panic }),
        },
        path,
      )
      groups.set(name, {
        upstream,
        path,
        options: upstreamOptions,
        transports: transportsOf(upstreamOptions),
        policy,
        retry: upstreamOptions.retry === false ? undefined : retry(upstreamOptions.retry, `${path}.retry`),
        ...(concurrency === undefined ? {} : { limit: concurrencyOf(upstream, concurrency) }),
      })
    }
    guard = new SiteGuard(options.guard, originsOf(upstreamsOf(groups), fixedHosts(options, upstreams)))
    handler = link(options, groups, caches, guard, access, tls?.layers ?? [])
  } catch (error) {
    // Nobody gets a proxy to close: sources watched so far would go on for ever.
    for (const { upstream } of groups.values()) void upstream.close()
    void caches.close()
    void tls?.close()
    guard?.close()
    throw error
  }
  // Last, for the same reason: from here on nothing throws.
  // These serve what is in flight when the proxy closes, and those that still wait. To end one that judges gives back whom it has taken out,
  // so it goes on until nobody could be sent there.
  const guards: Disposable[] = []
  for (const { upstream, options, limit, transports } of groups.values()) {
    const { breaker, health, http2, ejection: out = true } = options
    // Of what is known to speak HTTP/2 alone nothing else is asked.
    const type = http2 === 'prior-knowledge' ? 'h2' : 'http'
    if (health) guards.push(healthCheck(upstream, { ...health, type: health.type ?? type }, transports))
    if (out !== false) guards.push(ejection(upstream, out === true ? {} : out))
    if (breaker !== undefined) guards.push(breakers(upstream, breaker))
    if (limit !== undefined) guards.push(limit)
  }
  return {
    handler,
    upstreams: new Map([...groups].map(([name, group]) => [name, group.upstream])),
    cache: caches.isOn ? caches : undefined,
    tls,
    proxies: proxiesOf(options),
    ...serverLimitsOf(options.guard),
    stop() {
      tls?.stop()
      guard.close()
    },
    async disconnect(force) {
      for (const each of guards) each[Symbol.dispose]()
      for (const each of access) each.close()
      const owned = [...groups.values()].flatMap(({ transports }) => transports.owned)
      // What a cache fetches goes on without its client: it would hold up the end for as long as a target likes, and nobody waits for it.
      await Promise.all(owned.map((transport) => transport.close(force || caches.isOn)))
      await caches.close()
    },
  }
}

/**
 * Links the layers.
 * @param held gets what is to be closed of them
 */
function link(
  options: ProxyOptions,
  groups: ReadonlyMap<string, Group>,
  caches: SiteCaches,
  { layers: guard }: SiteGuard,
  held: AccessLayers[],
  outermost: readonly Middleware[],
): Handler {
  const { trust = [], trustFields: fields = 'x-forwarded' } = options
  let layers = chain().use(clientAddress({ trust, fields })) as unknown as SiteChain
  const compression = new SiteCompression(options.compress)
  const access = accessLayers(options.access ?? {})
  held.push(access)
  const ofRoute = (rules: RouteAccessOptions | undefined, index: number): readonly Middleware[] => {
    if (rules === undefined) return []
    const made = routeAccess(rules, index)
    held.push(made)
    return inOrder(made)
  }
  // All of them first: the layer of compression asks whether one has its own, and routes without a cache drop what they change from all others.
  const rules = options.routes?.map(
    (
      {
        upstream,
        hostHeader,
        rewrite,
        timeouts,
        use,
        cache,
        clientCertificate: proof,
        compress,
        limits: most,
        access: rules,
        decompressRequests,
        ...match
      },
      index,
    ) => ({
      cache: caches.layer(cache, { index, upstream, match }),
      match,
      rule: { upstream, hostHeader, rewrite, timeouts, limits: most } as RouteOptions,
      layers: [
        ...compression.route(compress, index),
        ...limits(most ?? {}, `routes[${index}].limits`),
        ...routeClientCertificate(proof),
        ...ofRoute(rules, index),
        ...requestDecoding(decompressRequests, `routes[${index}].decompressRequests`),
        ...layersOf(use, `routes[${index}].use`),
      ],
    }),
  )
  const use = (more: readonly (Layer<Site> | undefined)[]): void => {
    for (const layer of more) if (layer !== undefined) layers = layers.use(layer)
  }
  use([access.requestId])
  use(outermost)
  use([access.securityHeaders])
  use(compression.layer())
  if (options.dictionaries !== undefined) layers = layers.use(sharedDictionaries(options.dictionaries))
  use(guard.anonymity)
  if (options.pages !== undefined) layers = layers.use(errorPages<Site>(pagesOf(options.pages)))
  if (options.onError !== undefined) layers = layers.use(onError<Site>(options.onError))
  use(guard.judging)
  use([access.cors])
  use([access.maintenance])
  use(guard.limiting)
  if (options.paths !== undefined) layers = layers.use(pathPolicy(options.paths))
  use(siteClientCertificate(options))
  // Also where a route asks nobody who it is: its target may be that of one that does.
  const told = held.flatMap(({ identities }) => identities)
  if (told.length > 0) use([withoutIdentities(told)])
  use(access.credentials)
  if (options.onResponse !== undefined) layers = layers.use(onResponse<Site>(options.onResponse))
  if (options.onRequest !== undefined) layers = layers.use(onRequest<Site>(options.onRequest))
  use([...requestDecoding(options.decompressRequests), ...layersOf(options.use, 'use')])
  const [only] = groups.values()
  if (rules === undefined) return layers.handle(cached(caches.layer(), toUpstream(only as Group, options)))
  return layers
    .use(
      route(
        rules.map(({ cache, layers: ofRoute, match, rule }) => {
          const end = routed(groups.get(rule.upstream) as Group, options, rule)
          const kept = cache === undefined ? (caches.invalidation()?.(end) ?? end) : cached(cache, end)
          return { ...match, handler: ofRoute.reduceRight<Handler<Site>>((next, one) => one(next), kept) }
        }),
      ),
    )
    .handle(noRoute)
}

/** Layers of the user's own, each named by its path if it gives no handler. */
function layersOf(use: ProxyOptions['use'], path: string): Layer<Site>[] {
  return (use ?? []).map((layer, i) => {
    const checked = checkedLayer(layer, `${path}[${i}]`)
    return (next) => checked(heard(next))
  })
}

/**
 * A layer that has something else to wait for, or that forgets the reply, hears too late or never that it failed: a target that refuses
 * would end the process, and with it everybody's requests.
 */
function heard(next: Handler<Site>): Handler<Site> {
  return (ctx) => {
    const reply = next(ctx)
    if (reply instanceof Promise) reply.catch(ignore)
    return reply
  }
}

function ignore(): void {}

/** Where an upstream stands in what the user wrote. */
export type PathOf = (name: string) => string

/** It would look like a 404 of the target's. */
function noRoute({ out, authority }: Context): Reply {
  if (log.enabled) log('no route takes %s %s%s', out.method, authority, out.path)
  return unhandled
}

interface SiteChain {
  use(layer: Layer<Site>): SiteChain
  handle(handler: Handler<Site>): Handler
}

function routed(group: Group, options: ProxyOptions, rule: RouteOptions): Handler<Site> {
  const end = toUpstream(group, options, rule)
  const rewrite = pathRewriteOf(rule.rewrite)
  return rewrite === undefined ? end : rewritePath(rewrite)<Site>(end)
}

/** Linked as a chain: what the cache fetches for others is an attempt of its own, which ends with its body. */
function cached(cache: Middleware | undefined, handler: Handler<Site>): Handler<Site> {
  return cache === undefined ? handler : chain<Site>().use(cache).handle(handler)
}

function toUpstream(group: Group, options: ProxyOptions, rule?: RouteOptions): Handler<Site> {
  const { upstream, transports, policy } = group
  const own = group.options
  const timeouts: TimeoutOptions = { ...options.timeouts, ...own.timeouts, ...rule?.timeouts }
  const host = rule?.hostHeader ?? own.host
  const end = forward({
    transport: transports.inOrder,
    timeouts,
    ...(host === undefined ? {} : { host }),
    rewrite: rewriteOf(options.rewrite, own.rewrite, rule?.rewrite),
    ...pick(options, 'via'),
    ...pick(options, 'forwarded'),
  })
  const { compressRequests: coding = false } = own
  const sending =
    coding === false
      ? end
      : compressRequests(coding === true ? {} : coding, { path: `${group.path}.compressRequests` })<
          Site & Selected
        >(end)
  const picked = chain<Site>().use(balance(upstream, policy, pick(own, 'overflow')))
  const sent = own.declared
    ? picked.use(declared(upstream, own.declared === true ? {} : own.declared)).handle(sending)
    : picked.handle(sending)
  const balanced = group.limit === undefined ? sent : group.limit.middleware(sent)
  // Linked as a chain, in which the end of each try is that of its body.
  const hedged =
    own.hedge === undefined
      ? balanced
      : chain<Site>()
          .use(hedge(own.hedge, { path: `${group.path}.hedge` }))
          .handle(balanced)
  const tried = group.retry === undefined ? hedged : group.retry(hedged)
  const decoded = own.decompress === true ? decompress({ for: 'all' })<Site>(tried) : tried
  // There is no gRPC over HTTP/1.1: what claims to be a call of it is none for such targets, and is waited for.
  const grpc = (own.http2 ?? false) !== false || own.transport !== undefined
  return bodyBuffer(bufferOf(options, rule), 'bodyBuffer', grpc)<Site>(decoded)
}

/** What is waited for of a body: for each route its own. */
function bufferOf({ guard }: ProxyOptions, rule: RouteOptions | undefined): Size {
  return rule?.limits?.bodyBuffer ?? (guard === false ? undefined : guard?.bodyBuffer) ?? 0
}

/** What `listen` limits its servers by. */
function serverLimitsOf(guard: ProxyOptions['guard']): Pick<Parts, 'server' | 'slow' | 'limitsServers'> {
  if (guard === false) return { server: false, slow: false, limitsServers: false }
  const { server, slow } = guard ?? {}
  return {
    server: server ?? {},
    slow: slow ?? {},
    limitsServers: typeof server === 'object' || typeof slow === 'object',
  }
}

function upstreamsOf(groups: ReadonlyMap<string, Group>): Upstream[] {
  return [...groups.values()].map(({ upstream }) => upstream)
}

/** Names that targets are asked by, and may call themselves by. */
function fixedHosts({ routes = [] }: ProxyOptions, upstreams: Record<string, UpstreamOptions>): string[] {
  const policies = [
    ...Object.values(upstreams).map(({ host }) => host),
    ...routes.map((one) => one.hostHeader),
  ]
  return policies.flatMap((host) => (typeof host === 'object' ? [`http://${host.fixed}`] : []))
}

/** Whose word of a client's address is taken before anything else of a connection. */
function proxiesOf({ proxyProtocol, tls }: ProxyOptions): Parts['proxies'] {
  if (proxyProtocol !== undefined) return trusted(proxyProtocol, 'proxyProtocol')
  return tls?.proxyProtocol && trusted(tls.proxyProtocol, 'tls.proxyProtocol')
}

/** Who is never taken out never comes back. */
function rampOf({ ejection: out = true }: UpstreamOptions): number {
  return out === false ? 0 : resolveEjection(out === true ? {} : out).ramp
}

/** `pages` by status alone, or with `intercept` beside them. */
function pagesOf(pages: NonNullable<ProxyOptions['pages']>): ErrorPagesOptions<Site> {
  return 'pages' in pages ? (pages as ErrorPagesOptions<Site>) : { pages: pages as Pages<Site> }
}

/** One option as an object that lacks it where it isn't set. */
function pick<T extends object, K extends keyof T>(
  options: T,
  key: K,
): { [P in K]?: Exclude<T[P], undefined> } {
  const value = options[key]
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: Exclude<T[P], undefined> }
}
