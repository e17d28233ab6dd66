import { type Duration, duration, integer, oneOf, parse, positiveDuration, that, v } from '@sluice/options'
import { type After, later } from './after.js'
import type { CertificateFault } from './certificate-fault.js'

/** Options of `certificates`. */
export interface CertificatesOptions {
  /**
   * What serves names that there is no certificate for, and clients that send no name. Default `'first'`: the first certificate of the
   * source; one that a provider has is none. `'none'`: such a name gets the alert `unrecognized_name`, and a client without one
   * `handshake_failure`.
   */
  fallback?: 'first' | 'none'
  /** Contexts that are kept, those in use; each holds some 35 KB. As many of a provider's answers are kept. Default 300. */
  contexts?: number
  /** How long a provider may take before its answer is given up. Default 5s. */
  timeout?: Duration
  /** Names that a provider is asked for at the same time; ten times as many wait in line, all others have none. Default 100. */
  lookups?: number
  /** For how long a provider isn't asked again for a name that it had none for, or failed for. Default 10s. */
  missing?: Duration
  /** After how long a provider is asked again for what it gave, in passing. Default 1h; 0: only when it tells of a change. */
  refresh?: Duration
  /** Hears what is wrong with a certificate once the store is made. */
  onFault?: (fault: CertificateFault) => void
}

/** What `certificates` takes from outside, to be replaced in tests. */
export interface StoreSeams {
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: () => number
  /** Default a timer that holds no process open. */
  after?: After
}

/** {@link CertificatesOptions} in milliseconds, none left out, and the seams. */
export interface StoreSettings {
  readonly fallback: 'first' | 'none'
  readonly contexts: number
  readonly timeout: number
  readonly lookups: number
  readonly missing: number
  readonly refresh: number
  readonly onFault?: ((fault: CertificateFault) => void) | undefined
  readonly now: () => number
  readonly after: After
}

/** Validates {@link CertificatesOptions} and fills in the defaults. */
export const certificatesOptions = v.strictObject({
  fallback: v.optional(oneOf('first', 'none'), 'first'),
  contexts: v.optional(integer(1, 1_000_000), 300),
  timeout: v.optional(positiveDuration(), 5_000),
  lookups: v.optional(integer(1, 100_000), 100),
  missing: v.optional(duration(), 10_000),
  refresh: v.optional(duration(), 3_600_000),
  onFault: v.optional(
    that<(fault: CertificateFault) => void>((value) => typeof value === 'function', 'a function'),
  ),
})

/** @throws TypeError that names the option below `path` */
export function readStoreOptions(
  options: CertificatesOptions,
  path: string,
  seams: StoreSeams,
): StoreSettings {
  const settings = parse(certificatesOptions, options, path)
  return { ...settings, now: seams.now ?? Date.now, after: seams.after ?? later }
}
