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
