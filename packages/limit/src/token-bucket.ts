import { type Duration, integer, parse, v } from '@sluice/options'
import { GcraLimiter } from './gcra.js'
import type { MemoryLimiter } from './limiter.js'
import {
  type MemoryLimiterOptions,
  memoryLimiterOptions,
  rateNumber,
  windowDuration,
} from './limiter-options.js'

/** Options of {@link tokenBucket}. */
export interface TokenBucketOptions extends MemoryLimiterOptions {
  /** Tokens that flow in, for each `per`. It may be less than one. */
  rate: number
  /** Default '1s'. */
  per?: Duration
  /** Tokens that the bucket holds: so many at once. Default `rate`, at least 1. */
  burst?: number
}

const tokenBucketOptions = v.strictObject({
  rate: rateNumber,
  per: v.optional(windowDuration(), 1_000),
  burst: v.optional(integer(1)),
  ...memoryLimiterOptions,
})

/**
 * A bucket of tokens for each key, full at first: a request takes its cost out of it, tokens flow back at a rate. Told in rate and bucket it
 * is what `gcra` is in limit and window: both hold when the bucket is full again, one number for each key.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function tokenBucket(options: TokenBucketOptions, path = 'tokenBucket'): MemoryLimiter {
  const { rate, per, burst, keys, clock } = parse(tokenBucketOptions, options, path)
  return new GcraLimiter({ interval: per / rate, burst: burst ?? Math.max(1, Math.floor(rate)) }, keys, clock)
}
