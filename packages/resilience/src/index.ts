export { retry } from './middleware.js'
export { type RetryOptions, type RetrySettings, resolveRetry, retryOptions } from './retry-options.js'
export { type FailedTry, type NoRetry, whyNot } from './should-retry.js'
