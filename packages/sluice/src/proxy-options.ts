import type { AccessOptions } from '@sluice/access'
import type { StickyOptions, SubsetOptions } from '@sluice/balance'
import type { CacheOptions } from '@sluice/cache'
import type {
  CompressOptions,
  CompressRequestsOptions,
  DecompressRequestsOptions,
  DictionaryOptions,
} from '@sluice/compress'
import type {
  Client,
  Context,
  ErrorPagesOptions,
  HookResult,
  Layer,
  Pages,
  ProxyError,
  Reply,
} from '@sluice/core'
import type {
  ConnectHook,
  ForwardingOptions,
  HostPolicy,
  RewriteOptions,
  TimeoutOptions,
  Transport,
} from '@sluice/forward'
import type { DeclaredOptions, EjectionOptions, HealthOptions } from '@sluice/health'
import type { Duration } from '@sluice/options'
import type { BreakerOptions, ConcurrencyOptions, HedgeOptions, RetryOptions } from '@sluice/resilience'
import type { PathPolicyOptions, RewritePathOptions, RouteMatch } from '@sluice/route'
import type { ClientCertificateOptions } from '@sluice/tls'
import type { Discovery, Selected, TargetInit, TargetTls } from '@sluice/upstream'
import type { GuardOptions, LimitOptions } from './guard-option.js'
import type { PolicyOption } from './policy-option.js'
import type { RouteAccessOptions } from './route-access.js'
import type { ProxyProtocolOptions, TlsOptions } from './tls-option.js'
import type { PreferZoneOption, SlowStartOption } from './wrapper-options.js'

/** What {@link createProxy} is made of. */
export interface ProxyOptions {
  /** Groups of targets by name. A string or a list of strings are its targets' URLs. */
  upstreams: Readonly<Record<string, string | readonly string[] | UpstreamOptions>>
  /** Which request goes to which upstream; the most specific match counts. Without routes the only upstream takes all. */
  routes?: readonly RouteOptions[]
  /**
   * What becomes of encoded slashes, double slashes and dot segments, before `use` and the routes see the path. Default
   * `'preserve'`: a target that decodes `%2f` or resolves dots may then see a path that another route is for.
   */
  paths?: PathPolicyOptions
  /**
   * CIDR ranges of one's own proxies, whose word of who called is believed. Default: none. A range from which clients
   * call lets them choose their address.
   */
  trust?: readonly string[]
  /** Which fields those proxies write; the others are never read. Default `'x-forwarded'`. */
  trustFields?: 'x-forwarded' | 'forwarded'
  /** What targets are told of who called. Default X-Forwarded-* and no `Forwarded`. */
  forwarded?: ForwardingOptions
  /**
   * What keeps attackers and overload out, and identities in. Default `{}`: malformed and ambiguous requests are refused, and the servers of
   * `listen` limit heads, slow clients, connections and floods. `false` turns all of it off but the framing that is judged always.
   */
  guard?: false | GuardOptions
  /** Who may pass, and what browsers are told of it: before the cache, so that what is kept is given to nobody else. Default: everybody. */
  access?: AccessOptions
  /** Layers of one's own, outermost first, inside the client's address and outside the routes. */
  use?: readonly Layer<Context & Client>[]
  /**
   * Pages of one's own by status, or `{ pages, intercept }` to replace replies of those statuses too. They answer all that
   * nobody further in has answered. Default: the status in plain text. Requests that are refused before the chain (no
   * request at all, or the proxy is closing) are answered without them.
   */
  pages?: Pages<Context & Client> | ErrorPagesOptions<Context & Client>
  /** Hears every error of the chain before its page goes out; what it returns goes out instead. */
  onError?: (error: ProxyError, ctx: Context & Client) => HookResult
  /** Sees each request before all else; may edit `ctx.out`, and answer by itself. A throw is a 500. */
  onRequest?: (ctx: Context & Client) => HookResult
  /** Sees each reply on its way out but those of `onError` and `pages`; may edit it or give another. A throw is a 500. */
  onResponse?: (reply: Reply, ctx: Context & Client) => HookResult
  /**
   * Answers that may be shared are kept, and served again (RFC 9111). `true`, or how. Default false: nothing is kept. It stands inside of `use`
   * and outside of the retries; cookies of `sticky` are never kept.
   */
  cache?: boolean | CacheOptions
  /**
   * Answers are compressed for clients that take it. `true`, or how. Default false. It stands outside of all else, so that layers see
   * plain bodies, and error pages are compressed too.
   */
  compress?: boolean | CompressOptions
  /**
   * Answers are coded by what their client has already, an earlier version of the same file for instance (RFC 9842): over TLS, and where this
   * Node can. Default none.
   */
  dictionaries?: DictionaryOptions
  /**
   * Bodies of requests that come coded reach `use`, routes and targets plain. `true`, or within which bounds. Default false: they pass as
   * they are.
   */
  decompressRequests?: boolean | DecompressRequestsOptions
  /**
   * How `listen` speaks TLS, and with it HTTP/2. Default plain HTTP. A server that the proxy is attached to or mounted in has a TLS of its own.
   */
  tls?: TlsOptions
  /**
   * Load balancers in front, each of whose connections to `listen` begins with a header of the PROXY protocol: their clients are the peers
   * then. Default none.
   */
  proxyProtocol?: ProxyProtocolOptions
  /**
   * What targets are told of the certificate of a client, and which proxies in front say what it is. Where `tls.client` asks for certificates,
   * layers have it as `ctx.clientCertificate` in any case.
   */
  clientCertificate?: ClientCertificateOptions
  /** Limits by phase, for every upstream that has none of its own. */
  timeouts?: TimeoutOptions
  /**
   * What is changed in the fields of requests and answers. Rules of an upstream and of a route are applied after these; their
   * `location` and each of their `cookies` take the place of these. Default: URLs that name the target become the client's.
   */
  rewrite?: RewriteOptions<Context & Client & Selected>
  /** The pseudonym in `Via`; `false` writes none. Default a random one. */
  via?: string | false
}

/** A group of targets and how to use them. */
export interface UpstreamOptions {
  /** URLs, or a source that delivers them. */
  targets: readonly TargetInit[] | Discovery
  /** Who gets the next request. Default `'round-robin'` under 3 targets (`'weighted-round-robin'` where their weights differ), else `'power-of-two'`. */
  balance?: PolicyOption
  /**
   * Targets of a lower `priority` take what those above can't: how much more than its part of the load a target can take, 1.4 for
   * instance. Default none: they are used when nobody above is left.
   */
  overflow?: number
  /** Keeps each client on its target by a cookie, named for the upstream by default. Default off. */
  sticky?: StickyOptions
  /**
   * Targets that join or come back get a growing part of their share for this long; or `{ window, from, aggression, steps }`. Those of the
   * first list are warm. Default `ejection.ramp`, which it takes the place of; 0: the whole share at once.
   */
  slowStart?: Duration | SlowStartOption
  /**
   * Only some of the targets are asked, as long as one of those may be: keeps the connections of many proxies to many targets few.
   * `{ size: 20, seed: 0 }`, with the numbers 0, 1, 2… of the instances as seeds; with `preferZone` numbered in each zone by itself.
   * Default off.
   */
  subset?: SubsetOptions
  /**
   * The zone in which this proxy stands: its targets (by their `zone`) are asked as long as one of them may be. Or `{ zone, min }`: with
   * fewer than `min` of them available all zones are alike. Default off.
   */
  preferZone?: string | PreferZoneOption
  /**
   * Active probes, which connect as requests do. Default `false`: no path to ask for is known. Where `http2` is `'prior-knowledge'` the default of
   * `type` is `'h2'`.
   */
  health?: false | HealthOptions
  /**
   * Targets are taken out for a time by what they do to requests. Default `true`; `false` leaves them in whatever they do.
   */
  ejection?: boolean | EjectionOptions
  /**
   * Targets are believed that say `draining` or `degraded` in `X-Health` of an answer; the field never reaches the client. One that
   * copies fields out of requests into answers would let clients drain it. Default `false`.
   */
  declared?: boolean | DeclaredOptions
  /**
   * Where a smaller part of the targets than this may be used, all are: few would break down under the load. 0 to 1. Default 0:
   * only when none is left.
   */
  panic?: number
  /** A second try on another target. Default on; `false` turns it off. */
  retry?: false | RetryOptions
  /**
   * A second try on another target beside a first one that is slow; the first good answer wins. For safe methods by default, with
   * latencies of each route's own. Default off; `{}` turns it on.
   */
  hedge?: HedgeOptions
  /** Takes a target out while too many of its answers fail, and lets it come back by and by. Default off; `{}` turns it on. */
  breaker?: BreakerOptions
  /** Requests in flight to each target at most, and how many may wait for a place. Default off. */
  concurrency?: ConcurrencyOptions
  /** Limits by phase; those left out come from the proxy's. */
  timeouts?: TimeoutOptions
  /** Connections over HTTP/1.1 to each target at most; of HTTP/2 there are few. Default 128; 0: no limit. */
  connections?: number
  /**
   * Answers that come coded are plain for the cache and all layers; `compress` codes them again for each client. Default false: they pass as
   * they are.
   */
  decompress?: boolean
  /**
   * Bodies of requests are compressed towards targets that have said by `Accept-Encoding` in an answer that they take it, or of which the
   * options tell. Default false.
   */
  compressRequests?: boolean | CompressRequestsOptions
  /** What `Host` says to the target. Default `'target'`. */
  host?: HostPolicy
  /** Changes of fields, after those of the proxy. */
  rewrite?: RewriteOptions<Context & Client & Selected>
  /** TLS towards `https:` targets that have no settings of their own: authorities, client certificate, pins, server name. */
  tls?: TargetTls
  /**
   * HTTP/2 to the targets: `'alpn'` where a target chooses it in the TLS handshake, `'prior-knowledge'` for those known to
   * speak it, with TLS or without. Default `false`.
   */
  http2?: false | 'alpn' | 'prior-knowledge'
  /**
   * Each connection begins with a header of the PROXY protocol of this version, which names the client. Over HTTP/1.1 alone,
   * and one connection for each request. Default off.
   */
  proxyProtocol?: 1 | 2
  /**
   * Says where connections may go, and resolves names: `safeTargets()`, or one's own. Not beside `transport`, which has its
   * own. Default: anywhere.
   */
  connect?: ConnectHook
  /**
   * How to speak to the targets, where that isn't `wireTransport()`, which then carries what this one can't. A list is taken as
   * it is, and the first that can carry a request takes it: no request goes past the
   * dispatcher of `[undiciTransport({ dispatcher })]`; probes of `health` do. They are their owner's to close.
   */
  transport?: Transport | readonly Transport[]
}

/** One rule of the routes: what it takes, and where that goes. */
export interface RouteOptions extends RouteMatch {
  /** A name of `upstreams`. */
  upstream: string
  /** What `Host` says to the target, in place of the upstream's policy. */
  hostHeader?: HostPolicy
  /** How path and query change on the way to the target, inside of `use`, and changes of fields, after those of the upstream. */
  rewrite?: RewritePathOptions & RewriteOptions<Context & Client & Selected>
  /**
   * Answers of this route: `false` keeps them out of the cache; options are laid over those of the proxy, whose store it shares unless
   * it has one of its own.
   */
  cache?: boolean | CacheOptions
  /**
   * Answers of this route: `false` leaves them as they are; options are laid over those of the proxy, whose `etag` and `unacceptable` count
   * for all.
   */
  compress?: boolean | Omit<CompressOptions, 'etag' | 'unacceptable'>
  /** How much a client may ask for of this route, beside what `guard` says for all. */
  limits?: LimitOptions
  /** Who may pass here, beside what `access` says for all. */
  access?: RouteAccessOptions
  /** Clients of this route need a certificate that was verified, or get 403: `tls.client` has to ask for one. Default: they don't. */
  clientCertificate?: 'required'
  /** Bodies of requests to this route come plain, where those to all don't. */
  decompressRequests?: true | DecompressRequestsOptions
  /** Limits by phase; those left out come from the upstream's. */
  timeouts?: TimeoutOptions
  /** Layers of one's own for this route. */
  use?: readonly Layer<Context & Client>[]
}
