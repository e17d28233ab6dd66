import { isIP } from 'node:net'
import { type Duration, fault, oneOf, positiveDuration, quote, ranged, that, v } from '@sluice/options'
import { createTarget } from '@sluice/upstream'
import type { EmptyPolicy } from './feed.js'

/** Options that every source has. */
export interface CommonOptions {
  /**
   * What becomes of an empty set. `'keep'` (default) keeps the last targets, since a registry that has lost its data says the same
   * as one whose service is gone; `'apply'` takes it over: requests get 503 until targets come. Either way it is told once.
   */
  empty?: EmptyPolicy
}

/** Options of sources that ask somebody, and ask again when it fails. */
export interface RetryOptions {
  /** Waits after failures: from `min` (default 500ms), twice as long each time, to `max` (default 30s); half of it by chance. */
  retry?: { min?: Duration; max?: Duration }
}

/** How targets are spoken to. */
export interface SchemeOptions {
  /** Default `'http'`. */
  scheme?: 'http' | 'https'
  /** Put before the path of each request, such as `'/base'`. Default none. */
  path?: string
}

/** What a source takes from outside, to be replaced in tests. */
export interface DiscoverySeams {
  /** Numbers in [0, 1). Default `Math.random`. */
  random?: () => number
  /** Monotonic milliseconds. Default `performance.now`. */
  now?: () => number
  /** Calls `fn` once after `ms`; returns the undo. Default a timer of Node's that holds no process open. */
  after?: (ms: number, fn: () => void) => () => void
}

/** {@link DiscoverySeams}, none left out. */
export type Seams = Required<DiscoverySeams>

/** Fills in what isn't given. */
export function seamsOf({
  random = Math.random,
  now = () => performance.now(),
  after = (ms, fn) => {
    const timer = setTimeout(fn, ms).unref()
    return () => clearTimeout(timer)
  },
}: DiscoverySeams): Seams {
  return { random, now, after }
}

const hostName = /^(?=.{1,253}$)[\w-]+(\.[\w-]+)*$/
const path = (value: unknown): boolean =>
  typeof value === 'string' && /^(\/[\w.~!$&'()*+,;=:@%/-]+)?$/.test(value)

/** Schemas of {@link CommonOptions}. */
export const commonEntries = { empty: v.optional(oneOf('keep', 'apply'), 'keep') }

/** Schemas of {@link RetryOptions}. */
export const retryEntries = {
  retry: v.optional(
    v.pipe(
      v.strictObject({
        min: v.optional(positiveDuration(), 500),
        max: v.optional(positiveDuration(), 30_000),
      }),
      v.check(({ min, max }) => min <= max, 'a min that is no more than max'),
    ),
    {},
  ),
}

/** Schemas of {@link SchemeOptions}. */
export const schemeEntries = {
  scheme: v.optional(oneOf('http', 'https'), 'http'),
  path: v.optional(that<string>(path, "a path such as '/base'"), ''),
}

/** Schema of a part of a wait that is left to chance. */
export const jitterEntry = v.optional(ranged(0, 1), 0.1)

/** Schema of the TLS settings of targets: the upstream reads them. */
export const tlsEntry = v.optional(
  that<object>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'TLS settings',
  ),
)

/**
 * Looks at TLS settings as a target would.
 * @throws TypeError that names the option
 */
export function checkTargetTls(
  { scheme, tls }: { scheme: string; tls?: object | undefined },
  where: string,
): void {
  if (tls !== undefined) createTarget({ url: `${scheme}://target`, tls }, where)
}

/**
 * The first argument of a source.
 * @throws TypeError that names it
 */
export function needName(value: unknown, where: string, example: string): asserts value is string {
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value))
    throw new TypeError(fault(where, quote(value), `a name such as '${example}'`))
}

/**
 * The name that a source looks up in the DNS. A URL, or a name with a port, would be asked for as it is, and found nowhere.
 * @throws TypeError that names the argument
 */
export function needHost(value: unknown, where: string, example: string): asserts value is string {
  needName(value, where, example)
  if (isIP(value) === 0 && !hostName.test(value.replace(/\.$/, '')))
    throw new TypeError(
      fault(where, quote(value), `a name such as '${example}', without scheme, port or path`),
    )
}

/**
 * A target's URL; undefined for a host that is none. What a registry holds was written by whoever may register: it must not
 * bring a path, a user or another port with it.
 */
export function urlOf(scheme: string, host: string, port: number, path: string): string | undefined {
  const family = isIP(host)
  if (family === 0 && !hostName.test(host)) return undefined
  if (host.includes('%') || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined
  try {
    // The form that the upstream gives it, for two ways to write one address are one target.
    const { origin } = new URL(`${scheme}://${family === 6 ? `[${host}]` : host}:${port}`)
    return origin + path
  } catch {
    return undefined
  }
}
