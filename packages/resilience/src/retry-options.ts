import type { Context } from '@sluice/core'
import { type Duration, duration, integer, parse, type Size, size, that, v } from '@sluice/options'
import { type BackoffOptions, type BackoffSettings, backoffOptions } from './backoff.js'
import { isMethod, safeMethods } from './methods.js'
import { type BudgetOption, budgetOption, type RetryBudget } from './retry-budget.js'
import type { FailedTry } from './should-retry.js'
import { decision } from './user-functions.js'

/**
 * The user's say on a failed try: `true` tries again whatever the status and the method, `false` doesn't, `undefined` leaves it
 * to the rules. It may not be async: anything else that it gives, or throws, is 500, as a bug of the app. What it can't allow: more
 * than `attempts`, a body that is gone, a try for a client that left.
 */
export type RetryWhen = (failed: FailedTry, ctx: Context) => boolean | undefined

/** When and how often to try again. */
export interface RetryOptions {
  /** Tries in all, the first included. Default 2. */
  attempts?: number
  /**
   * Methods that may be sent again after a target may have processed them. Default GET, HEAD, OPTIONS, TRACE. Naming another
   * one means that its requests may be processed twice.
   */
  methods?: readonly string[]
  /** Statuses of an answer after which another target is tried, 503 for instance. Default none. */
  statuses?: readonly number[]
  /** Asked for each error and each answer from status 400 on. Naming an unsafe request means that it may be processed twice. */
  when?: RetryWhen
  /**
   * Waits before a further try, with full jitter. A `Retry-After` of a retried answer is waited for too; one of more than
   * `max` makes that answer the last. Default no wait, and `Retry-After` is passed over: the next target is another one.
   */
  backoff?: BackoffOptions
  /**
   * Time to the head of the answer for one try; past it that try is cancelled, as `http_response_timeout`. A body that is under way
   * begins it anew when it was sent, so a client that sends slowly is not held against the target. Default 0: none.
   */
  perTry?: Duration
  /** Time to the head of the answer for all tries and the waits between them. Default 0: none. */
  total?: Duration
  /**
   * Bytes of a flowing request body that are kept until the head of the answer, so that it can be sent again. One that is longer
   * streams on, and isn't sent again once a target has had some of it. So much memory at most for each request in flight with a
   * body. Default 64kb; 0: none.
   */
  replay?: Size
  /**
   * Bounds further tries by the traffic: `{ share, min }`, what `retryBudget()` gives, which many may share, or `false` for no
   * bound. Tries after one that its target has not processed (a refused connection, say) are free of it. Past it the failure
   * is passed on. Default `{ share: 0.2, min: 3 }`, for each `retry()` its own.
   */
  budget?: BudgetOption
}

/** {@link RetryOptions} with none left out. */
export interface RetrySettings {
  readonly attempts: number
  readonly methods: readonly string[]
  readonly statuses: readonly number[]
  readonly when?: RetryWhen | undefined
  readonly backoff?: BackoffSettings | undefined
  readonly perTry: number
  readonly total: number
  readonly replay: number
  readonly budget?: RetryBudget | undefined
}

const status = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= 400 && (value as number) <= 599

/** Validates {@link RetryOptions} and fills in the defaults. */
export const retryOptions = v.strictObject({
  attempts: v.optional(integer(1, 100), 2),
  methods: v.optional(v.array(that<string>(isMethod, "a method such as 'GET', in capitals")), [
    ...safeMethods,
  ]),
  statuses: v.optional(v.array(that<number>(status, 'a status from 400 to 599')), []),
  when: v.optional(
    v.pipe(
      that<RetryWhen>((value) => typeof value === 'function', 'a function'),
      v.transform(
        (when): RetryWhen =>
          (failed, ctx) =>
            decision(when(failed, ctx), '`when` of a retry'),
      ),
    ),
  ),
  backoff: v.optional(backoffOptions),
  perTry: v.optional(duration(), 0),
  total: v.optional(duration(), 0),
  replay: v.optional(size(), 64 * 1024),
  budget: v.optional(budgetOption, {}),
})

/**
 * Retry options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveRetry(options: RetryOptions = {}, path = 'retry'): RetrySettings {
  return parse(retryOptions, options, path)
}
