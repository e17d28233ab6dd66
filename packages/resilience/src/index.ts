export { AdaptiveLimit, type AdaptiveOptions, type AdaptiveSettings } from './adaptive-limit.js'
export { type BackoffOptions, type BackoffSettings, backoffDelay, backoffOptions } from './backoff.js'
export { type Breaker, BreakerOpenError, type BreakerSeams, breaker } from './breaker.js'
export type { BreakerChange, BreakerState } from './breaker-circuit.js'
export {
  type BreakerOptions,
  type BreakerSettings,
  breakerOptions,
  resolveBreaker,
} from './breaker-options.js'
export { type Breakers, type BreakersSeams, breakers, type TargetBreakerChange } from './breakers.js'
export { type Concurrency, type ConcurrencySeams, concurrency, queue } from './concurrency.js'
export { type ConcurrencyOfSeams, concurrencyOf, type UpstreamConcurrency } from './concurrency-of.js'
export {
  type ConcurrencyOptions,
  type ConcurrencySettings,
  concurrencyOptions,
  type QueueOptions,
  resolveConcurrency,
} from './concurrency-options.js'
export { type HedgeSeams, hedge, type NoHedge } from './hedge.js'
export type { HedgeDelayOptions, HedgeDelaySettings } from './hedge-delay.js'
export { type HedgeOptions, type HedgeSettings, hedgeOptions, resolveHedge } from './hedge-options.js'
export { type HedgingOptions, hedging } from './hedging.js'
export { retry } from './middleware.js'
export { QueueError } from './queue-error.js'
export type { QueueOrder, QueueRefusal } from './queue-line.js'
export { retryAfter } from './retry-after.js'
export {
  type BudgetOption,
  budgetOption,
  type RetryBudget,
  type RetryBudgetOptions,
  retryBudget,
} from './retry-budget.js'
export {
  type RetryOptions,
  type RetrySettings,
  type RetryWhen,
  resolveRetry,
  retryOptions,
} from './retry-options.js'
export { type EndedTry, type RetryingOptions, retrying } from './retrying.js'
export { type FailedTry, type NoRetry, whyNot } from './should-retry.js'
