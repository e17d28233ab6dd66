import type { Context, ProxyError } from '@sluice/core'
import { type Duration, duration, integer, parse, that, v } from '@sluice/options'
import type { Backoff } from './backoff.js'
import { type RetryBudget, type RetryBudgetOptions, retryBudget, retryBudgetOptions } from './retry-budget.js'

/** What the user says of a try that failed, an error or the status of an answer: `undefined` leaves it to the rules. */
export type RetryWhen = (failure: ProxyError | number, ctx: Context) => boolean | undefined

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
  /**
   * Is asked before the rules are, of answers of 400 and more too. `true` for a method that isn't among `methods` means that a
   * request may be processed twice. What it throws ends the request with 500.
   */
  when?: RetryWhen
  /**
   * Waits behind the second try: by chance up to `base`, doubled with each up to `max`. `Retry-After` of an answer is obeyed up to
   * `max`; one that asks for more is passed on. Default 50ms and 1s.
   */
  backoff?: { base?: Duration; max?: Duration }
  /**
   * Bounds tries again of what a target may have processed, as a part of the traffic; what it has not seen is free. A budget that is
   * shared, its options, or `false` for none. Default `{ share: 0.2, min: 3 }`.
   */
  budget?: false | RetryBudgetOptions | RetryBudget
}

/** {@link RetryOptions} with none left out. */
export interface RetrySettings {
  readonly attempts: number
  readonly methods: readonly string[]
  readonly statuses: readonly number[]
  readonly when: RetryWhen | undefined
  readonly backoff: Backoff
  readonly budget: RetryBudget | undefined
}

// Methods are case-sensitive (RFC 9110 section 9.1): 'get' would never be one that a client sends.
const method = (value: unknown): boolean =>
  typeof value === 'string' && /^[!#$%&'*+.^`|~\dA-Z_-]+$/.test(value)
const status = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= 400 && (value as number) <= 599

const isFunction = (value: unknown): boolean => typeof value === 'function'
const isBudget = (value: unknown): value is RetryBudget =>
  typeof value === 'object' && value !== null && isFunction((value as Partial<RetryBudget>).take)
const shared = that<RetryBudget>(isBudget, 'a budget')
const budget = v.lazy((value) =>
  value === false ? v.literal(false) : isBudget(value) ? shared : retryBudgetOptions,
)

/** Validates {@link RetryOptions} and fills in the defaults. */
export const retryOptions = v.strictObject({
  attempts: v.optional(integer(1, 100), 2),
  methods: v.optional(v.array(that<string>(method, "a method such as 'GET', in capitals")), [
    'GET',
    'HEAD',
    'OPTIONS',
    'TRACE',
  ]),
  statuses: v.optional(v.array(that<number>(status, 'a status from 400 to 599')), []),
  when: v.optional(that<RetryWhen>(isFunction, 'a function')),
  backoff: v.optional(
    v.strictObject({ base: v.optional(duration(), 50), max: v.optional(duration(), 1_000) }),
    {},
  ),
  budget: v.optional(budget, {}),
})

/**
 * Retry options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveRetry(options: RetryOptions = {}, path = 'retry'): RetrySettings {
  const { budget: given, when, ...rest } = parse(retryOptions, options, path)
  return {
    ...rest,
    when,
    budget: given === false ? undefined : isBudget(given) ? given : retryBudget(given as RetryBudgetOptions),
  }
}
