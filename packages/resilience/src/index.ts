export { type Breaker, BreakerOpenError, type BreakerSeams, breaker } from './breaker.js'
export type { BreakerChange, BreakerState } from './breaker-circuit.js'
export {
  type BreakerOptions,
  type BreakerSettings,
  breakerOptions,
  resolveBreaker,
} from './breaker-options.js'
export { type Breakers, type BreakersSeams, breakers, type TargetBreakerChange } from './breakers.js'
export { type RetrySeams, retry } from './middleware.js'
export { type RetryBudget, type RetryBudgetOptions, retryBudget } from './retry-budget.js'
export {
  type RetryOptions,
  type RetrySettings,
  type RetryWhen,
  resolveRetry,
  retryOptions,
} from './retry-options.js'
export { type FailedTry, type NoRetry, whyNot } from './should-retry.js'
