import { isFieldName, isFieldValue } from '@sluice/headers'
import {
  type Duration,
  duration,
  integer,
  oneOf,
  parse,
  positiveDuration,
  ranged,
  regexp,
  that,
  v,
} from '@sluice/options'
import { declarationField } from './declaration.js'

/** A status, or a range of them such as `'200-399'`. */
export type StatusRange = number | `${number}-${number}`

/** How to ask: over HTTP/1.1, over HTTP/2, by a connect, by a TLS handshake, by gRPC's health protocol. */
export type ProbeType = 'http' | 'h2' | 'tcp' | 'tls' | 'grpc'

/** What to ask a target for, and how. */
export interface HttpProbeOptions {
  /** Default '/'. */
  path?: string
  /** Default 'GET'. */
  method?: string
  /** What `Host` says. Default the target's own. */
  host?: string
  /** Further fields of the request. Default none. */
  headers?: Record<string, string>
  /** Statuses that count as healthy. Default ['200-399']. */
  status?: readonly StatusRange[]
  /** A text that the body's first 16 kb must hold, or an expression that its first 4096 characters must match. Default: the body isn't read. */
  body?: string | RegExp
  /** The field in which targets say `ok`, `degraded` or `draining`. Default 'X-Health'; `false`: none is read. */
  header?: string | false
}

/** What to ask a gRPC server for. */
export interface GrpcProbeOptions {
  /** The name of the service. Default '': the server as a whole. */
  service?: string
  /** What `:authority` says. Default the target's own. */
  host?: string
}

/** How often to probe, and what flips a target. */
export interface MonitorOptions {
  /** Between probes of a target, more than 0. Default 5s. */
  interval?: Duration
  /** Between probes of one that is unhealthy, more than 0. Default 1s. */
  unhealthyInterval?: Duration
  /** A probe that takes longer has failed. Default 2s. 0: no limit, and a probe that never settles is the target's last. */
  timeout?: Duration
  /** Passes in a row that make an unhealthy target healthy. Default 2. */
  rise?: number
  /** Fails in a row that make a healthy target unhealthy. Default 2. */
  fall?: number
  /** Part of each interval that is left to chance, so that probes don't fall together: 0 to 1. Default 0.1. */
  jitter?: number
}

/** Options of active checks: how to ask, what for, and how often. An option that `type` has no use for is refused. */
export interface HealthOptions extends HttpProbeOptions, GrpcProbeOptions, MonitorOptions {
  /** Default 'http'; in `createProxy` 'h2' where targets are known to speak that alone. */
  type?: ProbeType
}

const range = (value: unknown): boolean => {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 100 && value <= 599
  const match = typeof value === 'string' ? /^([1-5]\d\d)-([1-5]\d\d)$/.exec(value) : null
  return match !== null && Number(match[1]) <= Number(match[2])
}
const path = (value: unknown): boolean => typeof value === 'string' && /^\/[\x21-\x7e]*$/.test(value)
const method = (value: unknown): boolean =>
  typeof value === 'string' && /^[!#$%&'*+.^`|~\dA-Z_-]+$/.test(value) && value !== 'CONNECT'
const host = (value: unknown): boolean => typeof value === 'string' && /^[\w.:[\]-]+$/.test(value)
const text = (value: unknown): boolean => typeof value === 'string' && value !== ''
const fieldName = (value: unknown): boolean => typeof value === 'string' && isFieldName(value)
/** Of the connection, or written by an option of its own. */
const reserved = /^(host|connection|content-length|transfer-encoding|upgrade|te|trailer|keep-alive)$/i
const fields = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.entries(value).every(
    ([name, each]) =>
      isFieldName(name) && !reserved.test(name) && typeof each === 'string' && isFieldValue(each),
  )

const bodyMatch = v.lazy((value) =>
  value instanceof RegExp ? regexp() : that<string>(text, 'a text or a regular expression'),
) as v.GenericSchema<string | RegExp>

const header = v.lazy((value) =>
  value === false ? v.literal(false) : that<string>(fieldName, "a name such as 'X-Health', or false"),
) as v.GenericSchema<string | false>

const hostEntry = { host: v.optional(that<string>(host, "a host such as 'example.com'")) }

const httpEntries = {
  ...hostEntry,
  path: v.optional(that<string>(path, "a path such as '/health'"), '/'),
  method: v.optional(that<string>(method, "a method such as 'GET', in capitals"), 'GET'),
  headers: v.optional(
    that<Record<string, string>>(
      fields,
      "fields such as { Accept: 'text/plain' }, without Host, and none of the connection",
    ),
    {},
  ),
  status: v.optional(
    v.pipe(
      v.array(that<StatusRange>(range, "a status such as 204 or a range such as '200-399'")),
      v.minLength(1, 'at least one'),
    ),
    ['200-399'],
  ),
  body: v.optional(bodyMatch),
  header: v.optional(header, declarationField),
}

const service = (value: unknown): boolean => typeof value === 'string' && Buffer.byteLength(value) <= 1024
const grpcEntries = {
  ...hostEntry,
  service: v.optional(that<string>(service, "a name such as 'pkg.Service', or ''"), ''),
}

const monitorEntries = {
  // 0 would be probe upon probe, as fast as the target answers.
  interval: v.optional(positiveDuration(), 5_000),
  unhealthyInterval: v.optional(positiveDuration(), 1_000),
  timeout: v.optional(duration(), 2_000),
  rise: v.optional(integer(1), 2),
  fall: v.optional(integer(1), 2),
  jitter: v.optional(ranged(0, 1), 0.1),
}

const types = oneOf('http', 'h2', 'tcp', 'tls', 'grpc')
const every = {
  type: v.optional(types, 'http'),
  ...monitorEntries,
}

function asking<T extends typeof httpEntries>(entries: T) {
  return v.pipe(
    v.strictObject<typeof httpEntries>(entries),
    v.check(({ method, body }) => method !== 'HEAD' || body === undefined, 'no body to be seen with HEAD'),
  )
}

const httpAlone = asking(httpEntries)
const grpcAlone = v.strictObject(grpcEntries)
const monitorAlone = v.strictObject(monitorEntries)

/** What each type has a use for: a path that a connect never asks for would be a check that nobody makes. */
const byType: Record<ProbeType, v.GenericSchema> = {
  http: asking({ ...every, ...httpEntries }),
  h2: asking({ ...every, ...httpEntries }),
  tcp: v.strictObject(every),
  tls: v.strictObject(every),
  grpc: v.strictObject({ ...every, ...grpcEntries }),
}

/** Validates {@link HealthOptions} and fills in the defaults. */
export const healthOptions = v.lazy((value) => {
  const type = (value as HealthOptions | null | undefined)?.type ?? 'http'
  return byType[Object.hasOwn(byType, type) ? type : 'http']
}) as v.GenericSchema<HealthOptions, HealthSettings>

/** What a probe over HTTP asks for, none left out. */
export interface ProbeSettings {
  readonly path: string
  readonly method: string
  readonly host?: string | undefined
  /** Names in lower case, so that a field given replaces our own. */
  readonly headers: Readonly<Record<string, string>>
  readonly status: readonly StatusRange[]
  readonly body?: string | RegExp | undefined
  readonly header: string | false
}

/** When to probe, in milliseconds, none left out. */
export interface MonitorSettings {
  readonly interval: number
  readonly unhealthyInterval: number
  readonly timeout: number
  readonly rise: number
  readonly fall: number
  readonly jitter: number
}

/** {@link HealthOptions} with the defaults of their type. */
export interface HealthSettings extends MonitorSettings {
  readonly type: ProbeType
}

/**
 * Health options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveHealth(options: HealthOptions = {}, at = 'health'): HealthSettings {
  return parse(healthOptions, options, at)
}

/**
 * When to probe, with defaults for what is left out.
 * @throws TypeError that names the option below `at`
 */
export function resolveMonitor(options: MonitorOptions, at: string): MonitorSettings {
  return parse(monitorAlone, options, at)
}

/**
 * What a probe over HTTP asks for, with defaults for what is left out.
 * @throws TypeError that names the option below `at`
 */
export function resolveHttpProbe(options: HttpProbeOptions, at: string): ProbeSettings {
  const settings = parse(httpAlone, options, at)
  const given = Object.entries(settings.headers).map(([name, value]) => [name.toLowerCase(), value])
  return { ...settings, headers: { 'user-agent': 'sluice-health', ...Object.fromEntries(given) } }
}

/**
 * What a probe by gRPC asks for, with defaults for what is left out.
 * @throws TypeError that names the option below `at`
 */
export function resolveGrpcProbe(
  options: GrpcProbeOptions,
  at: string,
): { readonly service: string; readonly host?: string | undefined } {
  return parse(grpcAlone, options, at)
}

/** Of the options of a check those for its probe over HTTP. */
export const httpPart = (options: HealthOptions): HttpProbeOptions => pick(options, httpEntries)
/** Of the options of a check those for its probe by gRPC. */
export const grpcPart = (options: HealthOptions): GrpcProbeOptions => pick(options, grpcEntries)
/** Of the options of a check those that say when to probe. */
export const monitorPart = (options: HealthOptions): MonitorOptions => pick(options, monitorEntries)

function pick(options: object, entries: object): object {
  return Object.fromEntries(Object.entries(options).filter(([name]) => Object.hasOwn(entries, name)))
}
