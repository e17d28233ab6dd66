import type { ProxyError } from '@sluice/core'
import type { RetrySettings } from './retry-options.js'

/** What is known of a try that failed. */
export interface FailedTry {
  /** How it failed: an error, or a status that is tried again. */
  readonly failure: ProxyError | number
  readonly method: string
  /** Tries so far, this one included. */
  readonly attempt: number
  /** The request's body can be sent again: there is none, it is in memory, or nobody has read it. */
  readonly replayable: boolean
}

/** Why there is no further try. */
export type NoRetry =
  | 'status-not-listed'
  | 'attempts-used'
  | 'not-the-targets-fault'
  | 'method-not-safe'
  | 'body-gone'

/**
 * Whether to try again: `undefined` for yes, else the name of the reason against it. What the target has not processed may
 * be sent again whatever its method (RFC 9110 section 9.2.2); what it may have processed only by a listed method.
 */
export function whyNot(
  { failure, method, attempt, replayable }: FailedTry,
  settings: RetrySettings,
): NoRetry | undefined {
  const answered = typeof failure === 'number'
  if (answered && !settings.statuses.includes(failure)) return 'status-not-listed'
  if (attempt >= settings.attempts) return 'attempts-used'
  if (!answered && failure.source !== 'upstream') return 'not-the-targets-fault'
  if ((answered || !failure.retryable) && !settings.methods.includes(method)) return 'method-not-safe'
  if (!replayable) return 'body-gone'
  return undefined
}
