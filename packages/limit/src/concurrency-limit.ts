import { type Client, type Context, type Layer, type Outcome, ProxyError } from '@sluice/core'
import { integer, parse, that, v } from '@sluice/options'
import { askKey } from './ask-key.js'
import { issueAt } from './issue-at.js'
import { keyBy, type LimitBy, limitBy } from './limit-by.js'
import { tellRefusal } from './tell-refusal.js'

/** Options of {@link concurrencyLimit}. */
export interface ConcurrencyLimitOptions<C extends Context = Context & Client> {
  /** Requests at once, of each key. */
  limit: number
  /** Who shares the limit, by name, as in `rateLimit` of `createProxy`; `'route'` is everybody. Default `'route'`. */
  by?: LimitBy
  /** The same as a function, in a chain of one's own, in place of `by`. `undefined`: the request isn't limited. */
  key?: (ctx: C) => string | undefined
  /** The limit's name in the log and in events. Default `'default'`. */
  name?: string
}

/** Schema of {@link ConcurrencyLimitOptions}. */
export const concurrencyLimitOptions = v.pipe(
  v.strictObject({
    limit: integer(1),
    by: v.optional(limitBy),
    key: v.optional(
      that<(ctx: never) => string | undefined>(
        (value) => typeof value === 'function',
        'a function of the context',
      ),
    ),
    name: v.optional(v.string(), 'default'),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.value.by === undefined || dataset.value.key === undefined) return
    addIssue(issueAt(dataset.value, 'key', 'nothing beside by, which tells the key as well'))
  }),
)

/**
 * Limits how many requests of a key are in flight at once, from here to the last byte of their answer; of an upgraded connection, to its end. With one
 * limit for everybody what is over it is 503 `proxy_overloaded`, which is nobody's fault; with a key it is 429 `http_request_rate`, since that client has too
 * many. Nobody waits, and nothing is held of a key that has nothing in flight. A function among the options that throws is 500, as a bug of the app.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function concurrencyLimit<C extends Context = Context & Client>(
  options: ConcurrencyLimitOptions<NoInfer<C>>,
  path = 'concurrencyLimit',
): Layer<C> {
  const { limit, by, key, name } = parse(concurrencyLimitOptions, options, path)
  const shared = key === undefined && (by === undefined || by === 'route')
  const keyOf = (key ?? keyBy(by ?? 'route')) as (ctx: C) => string | undefined
  const where = key === undefined ? `${path}.by` : `${path}.key`
  const inFlight = new Map<string, number>()
  const release = (_end: Outcome, of: string): void => {
    const left = (inFlight.get(of) as number) - 1
    if (left === 0) inFlight.delete(of)
    else inFlight.set(of, left)
  }
  return (next) => (ctx) => {
    const of = askKey(keyOf, ctx, where)
    if (of === undefined) return next(ctx)
    const count = inFlight.get(of) ?? 0
    if (count >= limit) {
      tellRefusal({ ctx, kind: 'concurrency', name, key: of })
      throw new ProxyError(shared ? 'proxy_overloaded' : 'http_request_rate', {
        reason: 'concurrency-limit',
        message: `the concurrency limit ${name} of ${limit} is reached`,
      })
    }
    inFlight.set(of, count + 1)
    ctx.onClose(release, of)
    return next(ctx)
  }
}
