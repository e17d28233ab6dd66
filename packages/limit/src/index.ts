export { type ClientKeyOptions, clientKey } from './client-key.js'
export {
  type ConcurrencyLimitOptions,
  concurrencyLimit,
  concurrencyLimitOptions,
} from './concurrency-limit.js'
export { type GcraOptions, type GcraRate, gcra, gcraEntries, gcraPolicy, gcraVerdict } from './gcra.js'
export type { LimitBy } from './limit-by.js'
export { limitCost, limitKey } from './limit-key.js'
export type { Limiter, LimitPolicy, MemoryLimiter, Verdict } from './limiter.js'
export type { MemoryLimiterOptions } from './limiter-options.js'
export { type RateLimitKey, rateLimit } from './rate-limit.js'
export { type RateLimitOptions, rateLimitOptions, resolveRateLimit } from './rate-limit-options.js'
export { type SlidingWindowOptions, slidingWindow } from './sliding-window.js'
export type { LimitEvent } from './tell-refusal.js'
export { type TokenBucketOptions, tokenBucket } from './token-bucket.js'
