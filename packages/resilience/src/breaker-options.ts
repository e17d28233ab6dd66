import {
  type Duration,
  duration,
  integer,
  parse,
  positiveDuration,
  ranged,
  shortOr,
  that,
  v,
} from '@sluice/options'

/** When a breaker opens, for how long, and how it closes again. */
export interface BreakerOptions {
  /** Opens when this part of the calls has failed, from 0 to 1. Default 0.5; `false` turns it off. */
  failures?: number | false
  /** Opens when this part of the calls met an error of the network (`isNetworkError` of `@sluice/upstream`). Default `false`: off. */
  network?: number | false
  /**
   * Opens when this quantile of the latencies is above `over`. Default `false`: off. Over an upstream the latency is the time
   * to the head of the answer.
   */
  latency?: false | { /** From 0 to 1, both excluded. Default 0.95. */ quantile?: number; over: Duration }
  /** Statuses of an answer that count as failures. Default 500 to 599. */
  statuses?: readonly number[]
  /** Calls in the window below which nothing is judged. Default 20. */
  volume?: number
  /** How far back it looks, more than 0. Default 10s. */
  window?: Duration
  /** Parts of the window; the oldest falls out as a whole. Default 10. */
  buckets?: number
  /** How long it stays open the first time, more than 0. Default 5s. */
  open?: Duration
  /** Each further time in a row it stays open this many times longer, 1 or more. Default 2. */
  growth?: number
  /** It never stays open longer than this, or than `open` where that is more. Default 1m. */
  max?: Duration
  /** Part of the open time that is left to chance, from 0 to 1. Default 0.1. */
  jitter?: number
  /** Calls let through while half-open; all have to succeed. Default 3. */
  trials?: number
  /** After that, the share of calls let through grows evenly from 0 to 1 over this time. Default 10s; 0: all at once. */
  ramp?: Duration
}

/** {@link BreakerOptions} in milliseconds, none left out. */
export interface BreakerSettings {
  readonly failures: number | false
  readonly network: number | false
  readonly latency: false | { readonly quantile: number; readonly over: number }
  readonly statuses?: readonly number[] | undefined
  readonly volume: number
  readonly window: number
  readonly buckets: number
  readonly open: number
  readonly growth: number
  readonly max: number
  readonly jitter: number
  readonly trials: number
  readonly ramp: number
}

const share = that<number | false>(
  (value) => value === false || (typeof value === 'number' && value > 0 && value <= 1),
  'a number above 0 and up to 1, or false',
)
const quantile = that<number>(
  (value) => typeof value === 'number' && value > 0 && value < 1,
  'a number between 0 and 1',
)
const status = that<number>(
  (value) => Number.isInteger(value) && (value as number) >= 100 && (value as number) <= 599,
  'a status from 100 to 599',
)
const latency = v.strictObject({ quantile: v.optional(quantile, 0.95), over: positiveDuration() })

/** Validates {@link BreakerOptions} and fills in the defaults. */
export const breakerOptions = v.strictObject({
  failures: v.optional(share, 0.5),
  network: v.optional(share, false),
  latency: v.optional(shortOr(v.literal(false), 'false', latency), false),
  statuses: v.optional(v.array(status)),
  volume: v.optional(integer(1), 20),
  window: v.optional(positiveDuration(), 10_000),
  buckets: v.optional(integer(1, 1000), 10),
  open: v.optional(positiveDuration(), 5_000),
  growth: v.optional(ranged(1, 100), 2),
  max: v.optional(positiveDuration(), 60_000),
  jitter: v.optional(ranged(0, 1), 0.1),
  trials: v.optional(integer(1), 3),
  ramp: v.optional(duration(), 10_000),
})

/**
 * Breaker options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveBreaker(options: BreakerOptions = {}, path = 'breaker'): BreakerSettings {
  return parse(breakerOptions, options, path)
}
