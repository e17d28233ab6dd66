import type { Client, Context, Layer } from '@sluice/core'
import { type Duration, integer, oneOf, parse, v } from '@sluice/options'
import type { ClientKeyOptions } from './client-key.js'
import { gcra } from './gcra.js'
import { issueAt } from './issue-at.js'
import { keyBy, type LimitBy, limitBy, limitPrefix } from './limit-by.js'
import type { Limiter } from './limiter.js'
import { memoryLimiterOptions, windowDuration } from './limiter-options.js'
import { limiterSchema, type RateLimitKey, rateLimit, rateLimitEntries } from './rate-limit.js'
import { slidingWindow } from './sliding-window.js'

/** A rate limit of `createProxy`: a limiter and whose requests it counts. */
export interface RateLimitOptions {
  /** Units for each key in each window. Needed, unless there is a `limiter`. */
  limit?: number
  /** How long a window is: `'1m'`. Needed, unless there is a `limiter`. */
  window?: Duration
  /** Units at once, with `'gcra'`. Default `limit`. */
  burst?: number
  /**
   * How it counts. `'gcra'`: units come back one after the other, and never more than `limit` and `burst` together pass in a window.
   * `'sliding-window'`: never more than `limit` in any window, at eight times the memory. Default `'gcra'`.
   */
  algorithm?: 'gcra' | 'sliding-window'
  /** A limiter of one's own, such as `redisLimiter`, in place of the options above and `keys`. */
  limiter?: Limiter
  /**
   * Who shares the limit. `'address'`: who calls from one address. `'route'`: all requests. `'header:x-api-key'`: who sends one value, which nobody has
   * checked yet; who sends another each time has no limit by it, so it stands beside one by address. A function gives the key, or nothing for what isn't
   * limited. Default `'address'`.
   */
  by?: LimitBy
  /** Bits of an address that count, where it goes by that: `{ ipv4, ipv6 }`. Default `{ ipv4: 32, ipv6: 64 }`. */
  prefix?: ClientKeyOptions
  /** Units that a request costs, a number from 0 on, or a function that gives one. Default 1. */
  cost?: number | ((ctx: Context & Client) => number)
  /** Keys that are held at most; see `keys` of `gcra`. Default 100000. */
  keys?: number
  /** The limit's name in `RateLimit`, in the log and in events. Default `'default'`, of a route `'route'`. */
  name?: string
  /** Whether answers have `RateLimit` and `RateLimit-Policy`. Default true. */
  fields?: boolean
}

const ofOurLimiters = ['limit', 'window', 'burst', 'algorithm', 'keys'] as const

/** Validates {@link RateLimitOptions}. */
export const rateLimitOptions = v.pipe(
  v.strictObject({
    limit: v.optional(integer(1, 2 ** 32 - 1)),
    window: v.optional(windowDuration()),
    burst: v.optional(integer(1)),
    algorithm: v.optional(oneOf('gcra', 'sliding-window')),
    limiter: v.optional(limiterSchema),
    by: v.optional(limitBy, 'address'),
    prefix: limitPrefix,
    ...rateLimitEntries,
    name: v.optional(rateLimitEntries.name.wrapped),
    keys: v.optional(memoryLimiterOptions.keys.wrapped),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const { value } = dataset
    if (value.limiter !== undefined) {
      for (const option of ofOurLimiters)
        if (value[option] !== undefined) addIssue(issueAt(value, option, 'nothing beside limiter'))
      return
    }
    if (value.limit === undefined)
      addIssue(issueAt(value, 'limit', 'a whole number, 1 or more: it is required'))
    if (value.window === undefined)
      addIssue(issueAt(value, 'window', "a duration such as '1m': it is required"))
    if (value.burst !== undefined && value.algorithm === 'sliding-window')
      addIssue(issueAt(value, 'burst', "nothing with algorithm 'sliding-window', which has no bursts"))
  }),
)

/**
 * The layer of a rate limit of `createProxy`. Its counts begin anew with each.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function resolveRateLimit(options: RateLimitOptions, path = 'rateLimit'): Layer<Context & Client> {
  const read = parse(rateLimitOptions, options, path)
  const { by, cost, fields, limiter, name, prefix } = read
  const settings = {
    key: keyBy(by, prefix),
    cost: cost as RateLimitKey<Context & Client>['cost'] & {},
    fields,
    name: name ?? (path.startsWith('routes') ? 'route' : 'default'),
  }
  return rateLimit<Context & Client>(limiter ?? limiterOf(read), settings, path)
}

function limiterOf(read: v.InferOutput<typeof rateLimitOptions>): Limiter {
  const { algorithm, limit = 1, window = 1, burst, keys } = read
  const shared = { limit, window, ...(keys === undefined ? undefined : { keys }) }
  if (algorithm === 'sliding-window') return slidingWindow(shared)
  return gcra({ ...shared, ...(burst === undefined ? undefined : { burst }) })
}
