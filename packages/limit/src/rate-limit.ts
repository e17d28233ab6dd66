import {
  asProxyError,
  type Context,
  editUnhandled,
  type Handler,
  type Layer,
  ProxyError,
  type Reply,
  unhandled,
  withFields,
} from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { fault, parse, quote, that, v } from '@sluice/options'
import { askKey } from './ask-key.js'
import { limitCost } from './limit-key.js'
import type { Limiter, Verdict } from './limiter.js'
import { limitMember, stateMember } from './rate-limit-fields.js'
import { LimiterFailures, tellRefusal } from './tell-refusal.js'

/** What {@link rateLimit} takes beside limiters. */
export interface RateLimitKey<C extends Context = Context> {
  /** Whose limit a request counts for. `undefined`: it isn't limited. */
  key: (ctx: C) => string | undefined
  /** Units that a request costs, a number from 0 on. Default 1. */
  cost?: number | ((ctx: C) => number)
  /** The limit's name in `RateLimit`, in the log and in events. Of several limiters it is followed by -1, -2 and so on. Default `'default'`. */
  name?: string
  /** Whether answers have `RateLimit` and `RateLimit-Policy`. Default true. */
  fields?: boolean
}

const isName = (value: unknown): boolean => typeof value === 'string' && /^[ !#-[\]-~]{1,64}$/.test(value)

/** The entries of a schema that options of `createProxy` share. */
export const rateLimitEntries = {
  cost: v.optional(
    that<number | ((ctx: never) => number)>(
      (value) => typeof value === 'function' || (Number.isFinite(value) && (value as number) >= 0),
      'a number from 0 on, or a function of the context',
    ),
    1,
  ),
  name: v.optional(
    that<string>(isName, 'up to 64 visible characters of ASCII, without quotes and backslashes'),
    'default',
  ),
  fields: v.optional(v.boolean(), true),
}

const rateLimitKey = v.strictObject({
  key: that<(ctx: never) => string | undefined>(
    (value) => typeof value === 'function',
    'a function of the context',
  ),
  ...rateLimitEntries,
})

const isLimiter = (value: unknown): boolean =>
  typeof (value as Limiter | null | undefined)?.take === 'function'

/** Schema of a {@link Limiter}. */
export const limiterSchema = that<Limiter>(isLimiter, 'a limiter: an object with take(key, cost)')

const limiters = that<Limiter | readonly Limiter[]>(
  (value) => (Array.isArray(value) ? value.length > 0 && value.every(isLimiter) : isLimiter(value)),
  'a limiter, an object with take(key, cost), or a list of some',
)

/**
 * Limits how often requests with the same key come. What is over the limit is 429 `http_request_rate` with `Retry-After`, and goes nowhere; it
 * uses up nothing. Of several limiters each must agree; they are asked in turn, and what the first has given is used up where the next refuses, so
 * the shortest window stands first.
 *
 * Answers tell what is left in `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10), errors as well; those of targets
 * stay beside. A limiter that throws, rejects or gives no verdict lets the request pass: `SLUICE_LIMITER` warns of the first time. A function among the
 * options that throws is 500, as a bug of the app.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function rateLimit<C extends Context>(
  limiter: Limiter | readonly Limiter[],
  options: RateLimitKey<NoInfer<C>>,
  path = 'rateLimit',
): Layer<C> {
  const given = parse(limiters, limiter, `${path}.limiter`)
  const read = parse(rateLimitKey, options, path) as Required<RateLimitKey<C>>
  const limit = new RateLimit<C>(Array.isArray(given) ? given : [given as Limiter], read, path)
  return (next) => (ctx) => limit.handle(ctx, next)
}

/** One limiter, with the name by which it is told. */
interface Named {
  readonly limiter: Limiter
  readonly name: string
}

class RateLimit<C extends Context> {
  private readonly limits: readonly Named[]
  private readonly options: Required<RateLimitKey<C>>
  private readonly path: string
  private readonly failures: LimiterFailures

  constructor(given: readonly Limiter[], options: Required<RateLimitKey<C>>, path: string) {
    const { name } = options
    this.limits = given.map((limiter, i) => ({
      limiter,
      name: given.length === 1 ? name : `${name}-${i + 1}`,
    }))
    this.options = options
    this.path = path
    this.failures = new LimiterFailures(path)
  }

  handle(ctx: C, next: Handler<C>): Reply | Promise<Reply> {
    const key = askKey(this.options.key, ctx, `${this.path}.key`)
    return key === undefined ? next(ctx) : this.judge(ctx, next, key, this.cost(ctx), 0, undefined)
  }

  private cost(ctx: C): number {
    const { cost } = this.options
    if (typeof cost === 'number') return cost
    try {
      return limitCost(cost(ctx))
    } catch (error) {
      throw asProxyError(error, `${this.path}.cost threw`)
    }
  }

  /**
   * Asks the limiters from one on, and goes on with the request if all agree.
   * @param told of those before: the fields of the answer
   */
  private judge(
    ctx: C,
    next: Handler<C>,
    key: string,
    cost: number,
    from: number,
    told: Told | undefined,
  ): Reply | Promise<Reply> {
    let so = told
    for (let i = from; i < this.limits.length; i++) {
      const named = this.limits[i] as Named
      const verdict = this.ask(named.limiter, key, cost)
      if (verdict instanceof Promise)
        return verdict.then((later) =>
          this.judge(ctx, next, key, cost, i + 1, this.note(ctx, key, named, later, so)),
        )
      so = this.note(ctx, key, named, verdict, so)
    }
    return so === undefined ? next(ctx) : withTold(ctx, next, so)
  }

  /** The verdict; nothing where the limiter fails. */
  private ask(
    limiter: Limiter,
    key: string,
    cost: number,
  ): Verdict | undefined | Promise<Verdict | undefined> {
    try {
      const given: unknown = limiter.take(key, cost)
      if (isVerdict(given)) return given
      return Promise.resolve(given)
        .then((later) => {
          if (isVerdict(later)) return later
          throw new TypeError(fault('take', quote(later), 'a verdict'))
        })
        .catch((error: unknown) => this.failed(error))
    } catch (error) {
      return this.failed(error)
    }
  }

  private failed(error: unknown): undefined {
    this.failures.tell(error)
  }

  /** What is to be told, with one verdict more. Throws where that is no. */
  private note(
    ctx: C,
    key: string,
    { limiter, name }: Named,
    verdict: Verdict | undefined,
    told: Told | undefined,
  ): Told | undefined {
    if (verdict === undefined) return told
    const fields = this.options.fields
      ? {
          policies: joined(told?.policies, limitMember(name, limiter, verdict.limit)),
          states: joined(told?.states, stateMember(name, verdict)),
        }
      : undefined
    if (verdict.ok) return fields
    tellRefusal({ ctx, kind: 'rate', name, key, verdict })
    throw new ProxyError('http_request_rate', {
      reason: 'rate-limit',
      message: `the rate limit ${name} is used up`,
      ...(verdict.retryAfterMs === undefined ? undefined : { retryAfter: verdict.retryAfterMs }),
      ...(fields === undefined ? undefined : { headers: fieldsOf(fields) }),
    })
  }
}

/** The fields of an answer, as lists. */
interface Told {
  readonly policies: string
  readonly states: string
}

function joined(list: string | undefined, member: string): string {
  return list === undefined ? member : `${list}, ${member}`
}

function fieldsOf({ policies, states }: Told): HeaderList {
  return ['RateLimit-Policy', policies, 'RateLimit', states]
}

function withTold<C extends Context>(ctx: C, next: Handler<C>, told: Told): Reply | Promise<Reply> {
  let reply: Reply | Promise<Reply>
  try {
    reply = next(ctx)
  } catch (error) {
    throw withFields(error, fieldsOf(told))
  }
  if (!(reply instanceof Promise)) return tell(reply, told, ctx)
  return reply.then(
    (came) => tell(came, told, ctx),
    (error: unknown) => {
      throw withFields(error, fieldsOf(told))
    },
  )
}

function tell(reply: Reply, told: Told, ctx: Context): Reply {
  if (reply === unhandled) return editUnhandled(ctx, (made) => withFieldsOf(told, made))
  return typeof reply !== 'object' || reply === null ? reply : withFieldsOf(told, reply)
}

function withFieldsOf(told: Told, reply: Reply): Reply {
  // A copy: a handler may give one reply many times, which would grow, and tell each client of those before.
  return { ...reply, headers: [...reply.headers, ...fieldsOf(told)] }
}

function isVerdict(value: unknown): value is Verdict {
  if (typeof value !== 'object' || value === null) return false
  const { ok, limit, remaining, resetMs } = value as Verdict
  return typeof ok === 'boolean' && isNumber(limit) && isNumber(remaining) && isNumber(resetMs)
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value)
}
