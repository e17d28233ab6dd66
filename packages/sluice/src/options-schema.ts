import { accessOptions } from '@sluice/access'
import { overflowOption, stickyOptions, subsetOptions } from '@sluice/balance'
import { cacheOptions } from '@sluice/cache'
import {
  compressOptions,
  compressRequestsOptions,
  decompressRequestsOptions,
  dictionaryOptions,
} from '@sluice/compress'
import { errorPagesOptions, pagesOptions } from '@sluice/core'
import { forwardingOptions, rewriteEntries, timeoutOptions } from '@sluice/forward'
import {
  anonymityOptions,
  ipFilterOptions,
  serverGuardOptions,
  shedOptions,
  slowOptions,
  validateOptions,
} from '@sluice/guard'
import { declaredOptions, ejectionOptions, healthOptions } from '@sluice/health'
import { concurrencyLimitOptions, rateLimitOptions } from '@sluice/limit'
import { integer, oneOf, ranged, secret, shortOr, size, that, v } from '@sluice/options'
import { breakerOptions, concurrencyOptions, hedgeOptions, retryOptions } from '@sluice/resilience'
import { pathPolicyOptions, rewritePathEntries, routeMatchEntries } from '@sluice/route'
import { policyOption } from './policy-option.js'
import { proxyProtocolOptions } from './tls-schema.js'
import { preferZoneOption, slowStartOption } from './wrapper-options.js'

const isFunction = (value: unknown): boolean => typeof value === 'function'
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

const layers = v.array(
  that(
    // Those of Connect and Koa take more, and would be told of by what they call.
    (value) => isFunction(value) && (value as () => void).length < 2,
    'a layer, (next) => (ctx) => reply; a middleware of Connect goes through fromConnect()',
  ),
)
const isHost = (value: unknown): boolean => typeof value === 'string' && /^[\w.:[\]-]+$/.test(value)
const host = that(
  (value) =>
    value === 'target' ||
    value === 'original' ||
    (isObject(value) && isHost((value as { fixed?: unknown }).fixed) && Object.keys(value).length === 1),
  "'target', 'original' or { fixed: 'example.com' }",
)
const via = that(
  (value) => value === false || (typeof value === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(value)),
  'a name without blanks, or false',
)
const isTransport = (value: unknown): boolean =>
  isObject(value) &&
  ['accepts', 'send', 'close'].every((name) => isFunction((value as Record<string, unknown>)[name]))
const transport = that(
  (value) => (Array.isArray(value) ? value.length > 0 && value.every(isTransport) : isTransport(value)),
  'a transport, such as wireTransport(), or a list of them',
)
const connect = that(
  (value) =>
    isObject(value) &&
    isFunction((value as { check?: unknown }).check) &&
    ['undefined', 'function'].includes(typeof (value as { lookup?: unknown }).lookup),
  'a connect hook, such as safeTargets()',
)
const http2 = that(
  (value) => value === false || value === 'alpn' || value === 'prior-knowledge',
  "false, 'alpn' or 'prior-knowledge'",
)
/** Targets and their TLS settings are read by the upstream that is made of them, which names each. No error shows them: they may hold keys. */
const targets = secret(
  (value) => Array.isArray(value) || (isObject(value) && isFunction((value as { watch?: unknown }).watch)),
  "a list of URLs such as ['http://127.0.0.1:3000'], or a discovery",
)

const rewrite = v.strictObject(rewriteEntries)

function orSwitch(schema: v.GenericSchema): v.GenericSchema {
  return shortOr(v.boolean(), 'true, false', schema)
}

function orFalse(schema: v.GenericSchema): v.GenericSchema {
  return shortOr(v.literal(false), 'false', schema)
}

const limitEntries = {
  bodyLimit: v.optional(size()),
  bodyBuffer: v.optional(size()),
  rateLimit: v.optional(
    v.lazy((value) => (Array.isArray(value) ? v.array(rateLimitOptions) : rateLimitOptions)),
  ),
  concurrency: v.optional(concurrencyLimitOptions),
}

const guard = orFalse(
  v.strictObject({
    ...limitEntries,
    validate: v.optional(orSwitch(validateOptions)),
    server: v.optional(orFalse(serverGuardOptions)),
    slow: v.optional(orFalse(slowOptions)),
    ip: v.optional(ipFilterOptions),
    shed: v.optional(orSwitch(shedOptions)),
    anonymity: v.optional(orSwitch(anonymityOptions)),
  }),
)

const upstreamObject = v.strictObject({
  targets,
  balance: v.optional(policyOption),
  overflow: v.optional(overflowOption),
  sticky: v.optional(stickyOptions),
  slowStart: v.optional(slowStartOption),
  subset: v.optional(subsetOptions),
  preferZone: v.optional(preferZoneOption),
  health: v.optional(orFalse(healthOptions)),
  ejection: v.optional(orSwitch(ejectionOptions)),
  declared: v.optional(orSwitch(declaredOptions)),
  panic: v.optional(ranged(0, 1)),
  retry: v.optional(orFalse(retryOptions)),
  hedge: v.optional(hedgeOptions),
  breaker: v.optional(breakerOptions),
  concurrency: v.optional(concurrencyOptions),
  timeouts: v.optional(timeoutOptions),
  connections: v.optional(integer(0)),
  decompress: v.optional(v.boolean()),
  compressRequests: v.optional(orSwitch(compressRequestsOptions)),
  host: v.optional(host),
  rewrite: v.optional(rewrite),
  tls: v.optional(v.any()),
  http2: v.optional(http2),
  proxyProtocol: v.optional(that((value) => value === 1 || value === 2, '1 or 2')),
  connect: v.optional(connect),
  transport: v.optional(transport),
})

const urls = that((value) => typeof value === 'string' || Array.isArray(value), 'URLs')
const upstream = notUrlObject(shortOr(urls, 'a URL, a list of URLs', upstreamObject))

/** Tags that clients send back are read, and a 406 is given, before a route is known. */
const { etag: _tags, unacceptable: _refused, ...ofRoute } = compressOptions.entries
const routeCompress = v.strictObject(ofRoute)

const route = v.strictObject({
  ...routeMatchEntries,
  upstream: v.string(),
  hostHeader: v.optional(host),
  rewrite: v.optional(v.strictObject({ ...rewritePathEntries, ...rewriteEntries })),
  cache: v.optional(orSwitch(cacheOptions)),
  limits: v.optional(v.strictObject(limitEntries)),
  access: v.optional(accessOptions),
  clientCertificate: v.optional(oneOf('required')),
  compress: v.optional(orSwitch(routeCompress)),
  decompressRequests: v.optional(shortOr(v.literal(true), 'true', decompressRequestsOptions)),
  timeouts: v.optional(timeoutOptions),
  use: v.optional(layers),
})

const hook = that(isFunction, 'a function')
const pages = v.lazy((value) => (isObject(value) && 'pages' in value ? errorPagesOptions : pagesOptions))

const proxyObject = v.strictObject({
  upstreams: v.record(
    v.string(),
    upstream,
    "groups of targets by their names, such as { site: 'http://127.0.0.1:3000' }",
  ),
  routes: v.optional(v.array(route)),
  paths: v.optional(pathPolicyOptions),
  trust: v.optional(v.array(v.string())),
  trustFields: v.optional(oneOf('x-forwarded', 'forwarded')),
  guard: v.optional(guard),
  access: v.optional(accessOptions),
  forwarded: v.optional(forwardingOptions),
  use: v.optional(layers),
  pages: v.optional(pages),
  onError: v.optional(hook),
  onRequest: v.optional(hook),
  onResponse: v.optional(hook),
  cache: v.optional(orSwitch(cacheOptions)),
  compress: v.optional(orSwitch(compressOptions)),
  dictionaries: v.optional(dictionaryOptions),
  decompressRequests: v.optional(orSwitch(decompressRequestsOptions)),
  tls: v.optional(
    secret(
      (value) => isObject(value) && !Array.isArray(value),
      '{ cert, key }, { certificates } or { acme }',
    ),
  ),
  proxyProtocol: v.optional(proxyProtocolOptions),
  clientCertificate: v.optional(v.any()),
  timeouts: v.optional(timeoutOptions),
  rewrite: v.optional(rewrite),
  via: v.optional(via),
})

/** What `createProxy` takes as an object. It checks: defaults are filled in by the packages that the parts belong to. */
export const proxyOptions: v.GenericSchema = notUrlObject(
  shortOr(
    that(() => false, 'URLs'),
    'a URL, a list of URLs',
    proxyObject,
  ),
)

/** Of a `URL` each of its parts would be an unknown option, its password among them. */
function notUrlObject(schema: v.GenericSchema): v.GenericSchema {
  const text = secret(() => false, 'the text of a URL: url.href')
  return v.lazy((value) => (value instanceof URL ? text : schema))
}
