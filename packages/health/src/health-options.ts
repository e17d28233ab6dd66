import { type Duration, duration, integer, parse, ranged, that, v } from '@sluice/options'

/** A status, or a range of them such as `'200-399'`. */
export type StatusRange = number | `${number}-${number}`

/** What to ask a target for, and how. */
export interface HttpProbeOptions {
  /** Default '/'. */
  path?: string
  /** Default 'GET'. */
  method?: string
  /** What `Host` says. Default the target's own. */
  host?: string
  /** Statuses that count as healthy. Default ['200-399']. */
  status?: readonly StatusRange[]
}

/** How often to probe, and what flips a target. */
export interface MonitorOptions {
  /** Between probes of a target, more than 0. Default 5s. */
  interval?: Duration
  /** Between probes of one that is unhealthy, more than 0. Default 1s. */
  unhealthyInterval?: Duration
  /** A probe that takes longer has failed. Default 2s. */
  timeout?: Duration
  /** Passes in a row that make an unhealthy target healthy. Default 2. */
  rise?: number
  /** Fails in a row that make a healthy target unhealthy. Default 2. */
  fall?: number
  /** Part of each interval that is left to chance, so that probes don't fall together: 0 to 1. Default 0.1. */
  jitter?: number
}

/** Options of an active check by HTTP. */
export interface HealthOptions extends HttpProbeOptions, MonitorOptions {}

const range = (value: unknown): boolean => {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 100 && value <= 599
  const match = typeof value === 'string' ? /^([1-5]\d\d)-([1-5]\d\d)$/.exec(value) : null
  return match !== null && Number(match[1]) <= Number(match[2])
}
const path = (value: unknown): boolean => typeof value === 'string' && /^\/[\x21-\x7e]*$/.test(value)
const method = (value: unknown): boolean =>
  typeof value === 'string' && /^[!#$%&'*+.^`|~\dA-Z_-]+$/.test(value)
const host = (value: unknown): boolean => typeof value === 'string' && /^[\w.:[\]-]+$/.test(value)

/** Between probes: 0 would be no limit turned off, but probe upon probe as fast as the target answers. */
function pause(): v.GenericSchema<Duration, number> {
  return v.pipe(
    duration(),
    v.check((ms) => ms > 0, 'more than 0'),
  )
}

const probeEntries = {
  path: v.optional(that<string>(path, "a path such as '/health'"), '/'),
  method: v.optional(that<string>(method, "a method such as 'GET', in capitals"), 'GET'),
  host: v.optional(that<string>(host, "a host such as 'example.com'")),
  status: v.optional(v.array(that<StatusRange>(range, "a status such as 204 or a range such as '200-399'")), [
    '200-399',
  ]),
}

const monitorEntries = {
  interval: v.optional(pause(), 5_000),
  unhealthyInterval: v.optional(pause(), 1_000),
  timeout: v.optional(duration(), 2_000),
  rise: v.optional(integer(1), 2),
  fall: v.optional(integer(1), 2),
  jitter: v.optional(ranged(0, 1), 0.1),
}

/** Validates {@link HealthOptions} and fills in the defaults. */
export const healthOptions = v.strictObject({ ...probeEntries, ...monitorEntries })

/** What a probe asks for, none left out. */
export interface ProbeSettings {
  readonly path: string
  readonly method: string
  readonly host?: string | undefined
  readonly status: readonly StatusRange[]
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

/**
 * Health options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveHealth(options: HealthOptions = {}, at = 'health'): ProbeSettings & MonitorSettings {
  return parse(healthOptions, options, at)
}
