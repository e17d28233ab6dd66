import type { ProxyError } from '@sluice/core'
import type { RetrySettings } from './retry-options.js'

/** What is known of a try that failed. */
export interface FailedTry {
  /** How it failed: an error, or the status of its answer, 400 or more. */
  readonly failure: ProxyError | number
  readonly method: string
  /** Tries so far, this one included. */
  readonly attempt: number
  /** The request's body can be sent again: there is none, it is in memory, nobody has read it, or `replay` has kept all of it. */
  readonly replayable: boolean
  /** What `when` said of it. */
  readonly wanted?: boolean | undefined
  /** Milliseconds that its `Retry-After` asks for. */
  readonly retryAfter?: number | undefined
  /** Milliseconds of `total` that are left after the wait. */
  readonly left?: number | undefined
}

/** Why there is no further try. */
export type NoRetry =
  | 'status-not-listed'
  | 'attempts-used'
  | 'not-the-targets-fault'
  | 'method-not-safe'
  | 'body-gone'
  | 'not-wanted'
  | 'retry-after-too-long'
  | 'time-used'
  | 'budget-used'

/**
 * Whether to try again: `undefined` for yes, else the name of the reason against it. What the target has not processed may
 * be sent again whatever its method (RFC 9110 section 9.2.2); what it may have processed only by a listed method, or where the
 * user wants it. The budget is asked last, and a yes is taken out of it. It bounds work that targets do more than once, so what a
 * target has not processed costs nothing of it.
 */
export function whyNot(failed: FailedTry, settings: RetrySettings): NoRetry | undefined {
  const { failure, method, attempt, replayable, wanted, retryAfter, left } = failed
  const answered = typeof failure === 'number'
  if (wanted === false) return 'not-wanted'
  if (wanted !== true && answered && !settings.statuses.includes(failure)) return 'status-not-listed'
  if (attempt >= settings.attempts) return 'attempts-used'
  if (!answered && failure.source !== 'upstream') return 'not-the-targets-fault'
  if (wanted !== true && (answered || !failure.retryable) && !settings.methods.includes(method))
    return 'method-not-safe'
  if (!replayable) return 'body-gone'
  if (retryAfter !== undefined && settings.backoff !== undefined && retryAfter > settings.backoff.max)
    return 'retry-after-too-long'
  if (left !== undefined && left <= 0) return 'time-used'
  const worked = answered || !failure.retryable
  if (worked && settings.budget !== undefined && !settings.budget.take()) return 'budget-used'
  return undefined
}
