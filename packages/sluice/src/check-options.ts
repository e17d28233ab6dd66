import { accessLayers } from '@sluice/access'
import { cidrSet, Faults, parse, v } from '@sluice/options'
import { mayBeginWith, rewritePathEntries, routeMatchEntries } from '@sluice/route'
import { clientCertificate } from '@sluice/tls'
import { createUpstream, type TargetTls } from '@sluice/upstream'
import { checkAccessTogether } from './access-together.js'
import type { GuardOptions } from './guard-option.js'
import { proxyOptions } from './options-schema.js'
import { warms } from './policy-option.js'
import type { ProxyOptions, RouteOptions } from './proxy-options.js'
import { routeAccess } from './route-access.js'
import { limits, SiteGuard } from './site-guard.js'
import { SiteTls } from './site-tls.js'
import { trusted } from './tls-schema.js'

/**
 * Checks all that can be checked of the options before anything is built, so that a person hears of every fault at once.
 * @throws TypeError with a line for each fault
 */
export function checkOptions(options: unknown): void {
  const faults = new Faults()
  const collect = faults.collect.bind(faults)
  collect(() => parse(proxyOptions, options, ''))
  if (isRecord(options) && isRecord(options['upstreams'])) {
    const { upstreams, routes, trust } = options
    for (const [name, given] of Object.entries(upstreams)) {
      const { targets, tls } = isRecord(given)
        ? given
        : { targets: typeof given === 'string' ? [given] : given, tls: undefined }
      if (Array.isArray(targets))
        void collect(() => createUpstream({ name, targets, ...secured(tls) }, `upstreams.${name}`).close())
    }
    for (const [name, given] of Object.entries(upstreams))
      if (isRecord(given))
        for (const check of [checkTogether, checkWarming]) collect(() => check(given, `upstreams.${name}`))
    collect(() => checkRoutes(routes, Object.keys(upstreams)))
    if (Array.isArray(trust)) collect(() => cidrSet(trust, 'trust'))
  }
  if (isRecord(options)) for (const check of serving) collect(() => check(options))
  faults.throwAny()
}

/** What `listen` serves with. Each throws a TypeError for what is wrong. */
const serving: readonly ((options: Partial<ProxyOptions>) => unknown)[] = [
  ({ tls }) => isRecord(tls) && new SiteTls(tls, 'tls').close(),
  ({ proxyProtocol }) => Array.isArray(proxyProtocol?.trust) && trusted(proxyProtocol, 'proxyProtocol'),
  ({ proxyProtocol, tls }) => {
    if (proxyProtocol !== undefined && tls?.proxyProtocol !== undefined)
      throw new TypeError(
        'tls.proxyProtocol: got it beside proxyProtocol, takes one of them: both say the same',
      )
  },
  ({ access }) => isRecord(access) && accessLayers(access),
  ({ guard, upstreams }) => {
    if (!isRecord(guard)) return
    if (guard.anonymity) checkAffinity(upstreams)
    new SiteGuard(withoutLoads(guard), () => []).close()
  },
  ({ guard }) => {
    if (isRecord(guard) && guard['server'] === false && isRecord(guard['slow']))
      throw new TypeError(
        'guard.slow: got options beside server: false, takes them with server alone: it is the server that cuts slow clients',
      )
  },
  ({ access: site, routes }) => {
    if (!Array.isArray(routes)) return
    const faults = new Faults()
    routes.forEach((route, i) => {
      if (!isRecord(route)) return
      const { access, limits: given } = route as Partial<RouteOptions>
      faults.collect(() => checkStrip(route, `routes[${i}]`))
      if (isRecord(access)) faults.collect(() => routeAccess(access, i))
      faults.collect(() => checkAccessTogether(site, access, `routes[${i}].access`))
      if (isRecord(given)) faults.collect(() => limits(given, `routes[${i}].limits`))
    })
    faults.throwAny()
  },
  ({ clientCertificate: given }) => given !== undefined && clientCertificate(given, 'clientCertificate'),
  checkProofs,
]

/** @throws TypeError where a certificate is required that no client is ever asked for: all of them would get 403 */
function checkProofs({ tls, clientCertificate: given, routes }: Partial<ProxyOptions>): void {
  // A server that isn't the proxy's own may ask, and proxies in front may say.
  if (!isRecord(tls) || (tls['client'] ?? 'none') !== 'none') return
  const site: Record<string, unknown> = isRecord(given) ? given : {}
  if (site['trust'] !== undefined) return
  const required = (Array.isArray(routes) ? routes : []).flatMap((route: unknown, i) =>
    isRecord(route) && route['clientCertificate'] === 'required'
      ? [`routes[${i}].clientCertificate: got 'required'`]
      : [],
  )
  if (site['required'] === true) required.unshift('clientCertificate.required: got true')
  if (required.length > 0)
    throw new TypeError(
      required
        .map((got) => `${got} without tls.client, takes it with 'optional' there: clients are asked for none`)
        .join('\n'),
    )
}

/** @throws TypeError for options that one by one are right, and together would leave one of them without effect */
function checkTogether(
  { http2, proxyProtocol, transport, connect, connections }: Record<string, unknown>,
  path: string,
): void {
  if (connect !== undefined && transport !== undefined)
    throw new TypeError(
      `${path}.connect: got it with a transport, takes one of them: the transport connects by its own, as wireTransport({ connect }) does`,
    )
  if (connections !== undefined && Array.isArray(transport))
    throw new TypeError(
      `${path}.connections: got it with a list of transports, takes one of them: each has its own, as wireTransport({ connections }) does`,
    )
  const on = http2 !== undefined && http2 !== false
  if (on && proxyProtocol !== undefined)
    throw new TypeError(
      `${path}.proxyProtocol: got it with http2, takes one of them: its header names one client, and a connection of HTTP/2 serves many`,
    )
  if (proxyProtocol !== undefined && transport !== undefined)
    throw new TypeError(
      `${path}.proxyProtocol: got it with a transport, takes one of them: connections of the transport's own would begin without the header`,
    )
  if (on && transport !== undefined)
    throw new TypeError(`${path}.http2: got it with a transport, takes one of them: http2Transport() is one`)
}

/** The guard but for lists that functions give: what they do they would do twice, and what they give is named when it is there. */
function withoutLoads(guard: GuardOptions): GuardOptions {
  const { ip, ...others } = guard
  if (!isRecord(ip)) return guard
  const lists = Object.entries(ip).filter(
    ([, list]) => !(isRecord(list) && typeof list['load'] === 'function'),
  )
  return lists.length === 0 ? others : { ...others, ip: Object.fromEntries(lists) }
}

/** @throws TypeError for an affinity cookie that would say more than anonymity lets it */
function checkAffinity(upstreams: unknown): void {
  if (!isRecord(upstreams)) return
  for (const [name, upstream] of Object.entries(upstreams)) {
    const sticky = isRecord(upstream) ? upstream['sticky'] : undefined
    if (isRecord(sticky) && sticky['encrypt'] === false)
      throw new TypeError(
        `upstreams.${name}.sticky.encrypt: got false with guard.anonymity, takes true: of signed cookies clients can tell whether they are on the same target`,
      )
  }
}

/** @throws TypeError for two that say how targets warm up: one of them would have no effect */
function checkWarming({ balance, ejection, slowStart }: Record<string, unknown>, path: string): void {
  const ramp = isRecord(ejection) && ejection['ramp'] !== undefined
  if (slowStart !== undefined && ramp)
    throw new TypeError(
      `${path}.slowStart: got it with ejection.ramp, takes one of them: both say how long a target that comes back warms up`,
    )
  if (warms(balance) && (ramp || slowStart !== undefined))
    throw new TypeError(
      `${path}.${ramp ? 'ejection.ramp' : 'slowStart'}: got it with a policy that has a slow start of its own, takes one of them`,
    )
}

/** @throws TypeError if it isn't clear which request goes to which upstream */
function checkRoutes(routes: unknown, names: readonly string[]): void {
  const known = names.map((name) => JSON.stringify(name)).join(', ')
  if (names.length === 0) throw new TypeError('upstreams: got none, takes at least one group of targets')
  if (routes === undefined && names.length > 1)
    throw new TypeError(
      `routes: got none with several upstreams (${known}), takes rules that say which request goes where`,
    )
  if (!Array.isArray(routes)) return
  const faults = routes.flatMap((route: unknown, i) => {
    const upstream = isRecord(route) ? route['upstream'] : undefined
    return typeof upstream !== 'string' || names.includes(upstream)
      ? []
      : [`routes[${i}].upstream: got ${JSON.stringify(upstream)}, takes a name of upstreams: ${known}`]
  })
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
}

/** @throws TypeError for a prefix that is never there to be stripped: targets would get all paths whole */
function checkStrip({ path = '/', rewrite, use }: Record<string, unknown>, at: string): void {
  const strip = isRecord(rewrite) ? rewrite['strip'] : undefined
  // Layers of a route may put it there.
  if (typeof path !== 'string' || typeof strip !== 'string' || (Array.isArray(use) && use.length > 0)) return
  // What is wrong with one of them alone has been told.
  if (!v.is(routeMatchEntries.path, path) || !v.is(rewritePathEntries.strip, strip)) return
  if (!mayBeginWith(path, strip))
    throw new TypeError(
      `${at}.rewrite.strip: got ${JSON.stringify(strip)} with path ${JSON.stringify(path)}, takes what paths of the route begin with`,
    )
}

function secured(tls: unknown): { tls?: TargetTls } {
  return tls === undefined ? {} : { tls: tls as TargetTls }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
