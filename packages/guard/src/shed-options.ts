import type { Context } from '@sluice/core'
import { type Duration, duration, integer, parse, positiveDuration, that, v } from '@sluice/options'

/** What outlives what when there is too much: `low` goes first, `critical` is never refused. */
export type Priority = 'low' | 'normal' | 'high' | 'critical'

/** Options of {@link shed}. */
export interface ShedOptions<C extends Context = Context> {
  /**
   * How late the event loop's timers may be, for a tenth of a second and longer, before requests are refused; 0: that is not looked at. A request waits for about one
   * to two such delays in this process. Default 10ms.
   */
  delay?: Duration
  /**
   * Requests under way at once, at most; upgrades don't count. `low` gets three quarters of them, `normal` nine tenths. Default 0: no limit, since
   * what is too many depends on the targets, and streams that last count too.
   */
  inFlight?: number
  /** The priority of a request. What throws, or gives none, is 500. Default: all are `'normal'`. */
  priority?: (ctx: C) => Priority
  /** After which time those who are refused are asked to come back, each after another one: from half of it to one and a half. Default 4s. */
  retryAfter?: Duration
}

/** {@link ShedOptions}, times in ms. */
export interface ShedSettings<C extends Context = Context> {
  readonly delay: number
  readonly inFlight: number
  readonly priority?: (ctx: C) => Priority
  readonly retryAfter: number
}

/** Validates {@link ShedOptions} and fills in the defaults. */
export const shedOptions = v.pipe(
  v.strictObject({
    delay: v.optional(duration(), 10),
    inFlight: v.optional(integer(0), 0),
    priority: v.optional(that<ShedOptions['priority']>((value) => typeof value === 'function', 'a function')),
    retryAfter: v.optional(positiveDuration(), 4_000),
  }),
  v.check(({ delay, inFlight }) => delay > 0 || inFlight > 0, 'a delay or an inFlight that is more than 0'),
)

/**
 * Options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveShed<C extends Context>(options: ShedOptions<C> = {}, path = 'shed'): ShedSettings<C> {
  return parse(shedOptions, options, path) as ShedSettings<C>
}
