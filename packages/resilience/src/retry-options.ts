import { integer, parse, that, v } from '@sluice/options'

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
}

/** {@link RetryOptions} with none left out. */
export interface RetrySettings {
  readonly attempts: number
  readonly methods: readonly string[]
  readonly statuses: readonly number[]
}

// Methods are case-sensitive (RFC 9110 section 9.1): 'get' would never be one that a client sends.
const method = (value: unknown): boolean =>
  typeof value === 'string' && /^[!#$%&'*+.^`|~\dA-Z_-]+$/.test(value)
const status = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= 400 && (value as number) <= 599

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
})

/**
 * Retry options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveRetry(options: RetryOptions = {}, path = 'retry'): RetrySettings {
  return parse(retryOptions, options, path)
}
