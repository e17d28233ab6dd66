import { isIP } from 'node:net'
import { type Duration, duration, fault, integer, positiveDuration, that, v } from '@sluice/options'
import type { TargetTls } from '@sluice/upstream'
import type { Early, Family } from './addresses.js'
import {
  type CommonOptions,
  checkTargetTls,
  commonEntries,
  jitterEntry,
  type RetryOptions,
  retryEntries,
  type SchemeOptions,
  type Seams,
  schemeEntries,
  tlsEntry,
} from './discovery-options.js'

/** What {@link dnsTargets} and {@link srvTargets} have in common. */
export interface LookupOptions extends CommonOptions, RetryOptions, SchemeOptions {
  /** Addresses of the kinds to ask for: A, AAAA, both. Default `'both'`. */
  family?: Family
  /** Name servers, such as `'127.0.0.1:5353'` or `'[::1]:53'`. Default the system's. */
  servers?: readonly string[]
  /** A name server that takes longer is asked again, or the next is. Default 2s. */
  timeout?: Duration
  /**
   * How long the addresses of one kind that have been answered wait for those of the other (RFC 8305 section 3): then they are targets, and the
   * others join them when they come. Default 50ms; 0: they wait until the other kind is answered, or has failed.
   */
  resolutionDelay?: Duration
  /** How often each name server is asked before a lookup has failed. Default 2. */
  tries?: number
  /** A set holds at least that long, whatever its TTL says. Default 1s. */
  minTtl?: Duration
  /** A set is asked for again after that long at the latest. Default 5m for addresses, 30s for SRV records. */
  maxTtl?: Duration
  /** Part of a time to live that may be added to it by chance, so that not all proxies ask at once: 0 to 1. Default 0.1. */
  jitter?: number
  /**
   * How to speak TLS to the targets, with `scheme: 'https'`. Default `{ servername }` with the name that was looked up, since
   * certificates are for names and not for addresses; what is given is added to that. It replaces the upstream's `tls` as a whole.
   */
  tls?: TargetTls
}

const familyEntry = v.optional(
  that<Family>((value) => value === 4 || value === 6 || value === 'both', "4, 6 or 'both'"),
  'both',
)

/** Schemas of {@link LookupOptions}. */
export const lookupEntries = {
  ...commonEntries,
  ...retryEntries,
  ...schemeEntries,
  family: familyEntry,
  servers: v.optional(v.array(v.string())),
  timeout: v.optional(
    v.pipe(
      duration(),
      v.check((ms) => ms >= 1, 'at least 1 ms'),
    ),
    2_000,
  ),
  resolutionDelay: v.optional(duration(), 50),
  tries: v.optional(integer(1, 10), 2),
  minTtl: v.optional(positiveDuration(), 1_000),
  jitter: jitterEntry,
  tls: tlsEntry,
}

/**
 * Bounds that must not cross, and TLS settings that a target would refuse.
 * @throws TypeError that names the option
 */
export function checkLookup(
  settings: { minTtl: number; maxTtl: number; scheme: string; tls?: object | undefined },
  where: string,
): void {
  const { minTtl, maxTtl } = settings
  if (minTtl > maxTtl)
    throw new TypeError(fault(`${where}.minTtl`, String(minTtl), `at most maxTtl, which is ${maxTtl}`))
  checkTargetTls(settings, where)
}

/** The resolution delay of a lookup; nothing where both kinds are waited for. */
export function earlyOf(
  { resolutionDelay }: { readonly resolutionDelay: number },
  { after }: Seams,
  tell: () => void,
): Early | undefined {
  return resolutionDelay === 0 ? undefined : { after: (fn) => after(resolutionDelay, fn), tell }
}

/** What is longer fires at once, and would be question upon question. */
const longestTimer = 2 ** 31 - 1

/** Milliseconds until a set is asked for again. */
export function lifeOf(
  seconds: number,
  { minTtl, maxTtl, jitter }: { minTtl: number; maxTtl: number; jitter: number },
  random: () => number,
): number {
  const ms = Math.min(Math.max(seconds * 1_000, minTtl), maxTtl) * (1 + jitter * random())
  return Math.min(ms, longestTimer)
}

/** What the targets at the addresses of a name have for TLS; nothing without TLS. An address is no server name (RFC 6066 section 3). */
export function tlsFor(
  name: string,
  { scheme, tls }: { scheme: string; tls?: object | undefined },
): { tls: TargetTls } | undefined {
  if (scheme !== 'https') return undefined
  const host = name.replace(/\.$/, '')
  return { tls: { ...(isIP(host) === 0 ? { servername: host } : {}), ...(tls as TargetTls) } }
}
