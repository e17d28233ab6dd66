import {
  type Context,
  type Handler,
  type Middleware,
  type Outcome,
  onBodyEnd,
  ProxyError,
  type Reply,
  unhandled,
} from '@sluice/core'
import { fault, integer, parse, quote, that, v } from '@sluice/options'
import {
  isOwnFault,
  type Lease,
  type LeaseResult,
  needUpstream,
  type Selected,
  type Target,
  type TargetInit,
  type Tried,
  type Upstream,
} from '@sluice/upstream'
import debug from 'debug'
import { type Affinity, type Balancer, type PolicyParts, partsOf } from './balancer.js'
import { byCount } from './by-count.js'
import { clockEntry, needPolicy, randomEntry } from './policy-options.js'
import { TargetCache } from './target-cache.js'
import { Tiers } from './tiers.js'

const log = debug('sluice:balance')

/** Options of {@link balance}. */
export interface BalanceOptions {
  /**
   * Lets tiers of a lower `priority` take load before those above have nobody left: how much more than its part of the load a
   * target can take, 1.4 for instance. Then a tier keeps all its load until less than 1 / 1.4 of it is fit. From 1 to 100. Default: none;
   * a lower tier is for when nobody above may be asked. Where all have one priority it changes nothing.
   */
  overflow?: number
  /** Monotonic milliseconds. Default `turnTime`: as of the event loop's turn. */
  clock?: () => number
  /** Chance of `overflow`: numbers in [0, 1). Default `Math.random`. */
  random?: () => number
}

/** Envoy has it in percent: 140 would keep all load in a tier until nobody of it is left. */
const isFactor = (value: unknown): boolean => typeof value === 'number' && value >= 1 && value <= 100

/** Validates {@link BalanceOptions.overflow}. */
export const overflowOption = that<number>(isFactor, 'a number from 1 to 100, such as 1.4')

const balanceOptions = v.strictObject({
  overflow: v.optional(overflowOption),
  ...clockEntry,
  ...randomEntry,
})

/**
 * Picks a target for each attempt and takes a lease on it: adds `target` and `lease`. The lease ends when the reply's body
 * has ended or failed, at once when the attempt throws.
 *
 * Targets that were tried before are left out as long as there is another (for a second try beside a first: always); the policy is
 * asked among the targets known to be fit first, then among those not probed yet, and in each by priority. With nobody left it is 503, with `Retry-After` where all that
 * refuse know when they will not (open breakers do). A policy that throws, or gives what is no target, is 500, as a bug of the app. A
 * sticky one has its target looked for among all of the upstream, and its cookie added to the first reply below 500, and where it is
 * of an older secret.
 * @param policy default by count: `roundRobin` for fewer than three targets, `weightedRoundRobin` where their weights differ, else `powerOfTwo`
 * @throws TypeError for a wrong option, and for what is no upstream or no policy
 */
export function balance<C = unknown>(
  upstream: Upstream,
  policy?: Balancer<C>,
  options: BalanceOptions = {},
): Middleware<C extends object ? C : {}, Selected> {
  const { overflow, clock, random } = parse(balanceOptions, options, 'balance')
  needUpstream(upstream, 'balance')
  if (policy !== undefined) needPolicy(policy, 'balance')
  const pick: Balancer<C> = policy ?? byCount()
  const { affinity, observe } = partsOf(pick)
  const tiers = overflow === undefined ? undefined : new Tiers(upstream, overflow, random)
  // To ask a gate may let a target in again, and so let another go that has asked to, or was out of turn: the one chosen is looked at last.
  const may = (target: Target, not?: (target: Target) => boolean): boolean =>
    not?.(target) !== true && (!upstream.gated || upstream.available.includes(target))
  const choose = (ctx: C, not?: (target: Target) => boolean): Target | undefined => {
    for (const rank of tiers === undefined ? upstream.ranks : tiers.order()) {
      const target = pick(rank, ctx, not) ?? undefined
      // What is no target, a promise say, is nothing to ask gates about: the lease says what is wrong with it.
      if (target !== undefined && typeof target.leased !== 'number') upstream.lease(target)
      if (target !== undefined && may(target, not)) return target
      // A policy that ignores `not` is corrected.
      const fit = target === undefined ? undefined : rank.find((each) => may(each, not))
      if (fit !== undefined) return fit
    }
    return undefined
  }
  const full = (target: Target): boolean => !upstream.admits(target)
  const select = (ctx: C): Target => {
    const { tried, spare } = ctx as Tried
    const not = upstream.gated ? full : undefined
    // Tried before is better than none, where there has to be one; full is none.
    const target =
      tried === undefined
        ? choose(ctx, not)
        : (choose(ctx, (each) => tried.includes(each) || not?.(each) === true) ??
          (spare === true ? undefined : choose(ctx, not)))
    if (target !== undefined) {
      if (spare === true && (ctx as Tried).afford?.() === false)
        throw none(upstream, 'has a target for a try that is one too many')
      return target
    }
    throw spare === true
      ? none(upstream, 'has no other target with room')
      : none(upstream, whyNone(upstream), upstream.gated ? upstream.opensIn() : undefined)
  }
  const plain: Middleware<{}, Selected> = (next) => (ctx) => {
    let lease: Lease
    try {
      lease = upstream.lease(select(ctx as unknown as C))
    } catch (error) {
      return Promise.reject(blamed(error, upstream))
    }
    return lend(ctx, lease, next, clock, observe)
  }
  const bound =
    (affinity: Affinity): Middleware<{}, Selected> =>
    (next) =>
    (ctx) => {
      let lease: Lease
      let known: Target | 'gone' | undefined
      try {
        known = affinity.bound(ctx, upstream.all)
        if (known === 'gone' && affinity.gone === 'refuse')
          throw new ProxyError('destination_unavailable', {
            message: `the target that this client had of upstream ${upstream.name} is gone`,
          })
        // What the client has begun there may not be known elsewhere.
        if (typeof known === 'object' && (ctx as Tried).spare === true)
          throw none(upstream, 'has one target alone for this client')
        const may = typeof known === 'object' && mayServe(upstream, known, ctx as Tried)
        if (may) (ctx as Tried).movable = false
        lease = upstream.lease(may ? (known as Target) : select(ctx as unknown as C))
      } catch (error) {
        return Promise.reject(blamed(error, upstream))
      }
      const reply = lend(ctx, lease, next, clock, observe)
      if (typeof known !== 'object') return bind(reply, affinity, lease.target, ctx)
      return affinity.outdated?.(ctx) === true ? bind(reply, affinity, known, ctx) : reply
    }
  const middleware = affinity === undefined ? plain : bound(affinity)
  return middleware as Middleware<C extends object ? C : {}, Selected>
}

/** Whether a target may have this attempt. */
function mayServe(upstream: Upstream, target: Target, { tried }: Tried): boolean {
  if (tried?.includes(target) === true || (upstream.gated && !upstream.admits(target))) return false
  return upstream.available.includes(target)
}

/** Adds the cookie that binds a client to the target that has answered. Who has failed is nobody to stay with. */
async function bind(
  answer: Promise<Reply>,
  affinity: Affinity,
  target: Target,
  ctx: Context,
): Promise<Reply> {
  const reply = await answer
  if (reply.status >= 500 || reply === unhandled) return reply
  // A copy: a handler may give one reply many times, and the next client must not get this one's cookie.
  return { ...reply, headers: [...reply.headers, 'set-cookie', affinity.cookie(target, ctx)] }
}

function none({ name }: Upstream, why: string, retryAfter?: number): ProxyError {
  return new ProxyError('destination_unavailable', {
    message: `upstream ${name} ${why}`,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  })
}

function whyNone(upstream: Upstream): string {
  const { all, available } = upstream
  if (all.length === 0) return 'has no targets'
  if (available.length === 0) return 'has no target that may be used'
  return available.some((target) => upstream.admits(target))
    ? 'has a policy that gave none of its targets'
    : 'has no target that takes a request now: full, or its breaker is open'
}

/** Whose fault it is, where a policy or a gate throws, or gives what is no target: the app's, as a person will read it. */
function blamed(error: unknown, { name }: Upstream): unknown {
  if (error instanceof ProxyError) return error
  const text = error instanceof Error ? error.message : String(error)
  return new ProxyError('proxy_internal_error', {
    message: `picking a target of upstream ${name} failed: ${text}`,
    cause: error,
  })
}

/** Options of {@link targetFrom}. */
export interface TargetFromOptions {
  /** Targets kept at most, with their connections; those that were used last stay. From 1 to 1,000,000. Default 1000. */
  max?: number
  /** Monotonic milliseconds. Default `turnTime`: as of the event loop's turn. */
  clock?: () => number
}

const targetFromOptions = v.strictObject({ max: v.optional(integer(1, 1_000_000), 1000), ...clockEntry })

/**
 * The target follows from the request: adds `target` and `lease`, as `balance` does. Targets are kept by URL; what falls out is
 * closed with its connections when its last lease has ended. Where clients have a say in `fn`, give the transport
 * `safeTargets()`.
 * @param fn the target; `undefined`: none of this request's (`unhandled`: the host app's next handler, or 404). What is no
 * target is 500, told as a bug of the app; throw `new ProxyError('http_request_error')` for what a client got wrong
 * @throws TypeError for a wrong option
 */
export function targetFrom<C extends Context = Context>(
  fn: (ctx: C) => TargetInit | undefined,
  options: TargetFromOptions = {},
): Middleware<C, Selected> {
  if (typeof fn !== 'function')
    throw new TypeError(fault('targetFrom', quote(fn), 'a function that gives a URL'))
  const { max, clock } = parse(targetFromOptions, options, 'targetFrom')
  const targets = new TargetCache(max, clock)
  const middleware: Middleware<{}, Selected> = (next) => (ctx) => {
    let lease: Lease
    try {
      const init = fn(ctx as unknown as C)
      if (init === undefined) return unhandled
      if ((ctx as Tried).spare === true)
        throw new ProxyError('destination_unavailable', { message: 'the request has one target alone' })
      lease = targets.lease(init)
    } catch (error) {
      return Promise.reject(error)
    }
    return lend(ctx, lease, next, clock)
  }
  return middleware as Middleware<C, Selected>
}

/** Passes a request on with a lease, which ends with its answer. */
function lend<C extends Context>(
  ctx: C,
  lease: Lease,
  next: Handler<C & Selected>,
  clock: () => number,
  observe?: PolicyParts['observe'],
): Promise<Reply> {
  const selected = ctx as C & Selected
  selected.target = lease.target
  selected.lease = lease
  const held = new Held(lease, observe, clock)
  // Whatever becomes of the attempt, the exchange's end is the lease's.
  ctx.onClose(abandon, held)
  let answer: Reply | Promise<Reply>
  try {
    answer = next(selected)
  } catch (error) {
    answer = Promise.reject(error)
  }
  // No async function, here and in mounts: its own state would be among the largest objects of a request.
  return Promise.resolve(answer).then(
    (reply) => held.answer(reply),
    (error) => held.fail(error),
  )
}

/** A lease on its way to its end. */
class Held {
  private readonly begun: number
  private ttfb = 0
  private status = 0
  private answered = false
  private ended = false

  constructor(
    private readonly lease: Lease,
    private readonly observe: PolicyParts['observe'],
    private readonly clock: () => number,
  ) {
    this.begun = clock()
  }

  answer(reply: Reply): Reply {
    this.ttfb = this.clock() - this.begun
    this.status = reply.status
    this.answered = true
    const tunnel = reply.socket !== undefined
    this.lease.answered(reply.status, this.ttfb, tunnel)
    // With the head: at the end of a long body its time would tell of long ago. A tunnel's is none like the others'.
    if (!this.ended && !tunnel)
      this.observe?.(this.lease.target, { ok: true, ttfb: this.ttfb, status: reply.status })
    onBodyEnd(reply, release, this)
    return reply
  }

  fail(error: unknown): never {
    this.end(error instanceof Error ? error : new Error(String(error)))
    if (log.enabled) log('%s: %s', this.lease.target.id, error)
    throw error
  }

  /** Only what the target did counts for or against it: not a client that left, nor a fault of our own. */
  end(error: Error | undefined): void {
    const { status, ttfb } = this
    if (error instanceof ProxyError) this.release(isOwnFault(error) ? undefined : { ok: false, error })
    // A layer further out may drop an answer of 503 and have it tried elsewhere: the target has given it all the same.
    else if (error === undefined || status >= 500) this.release({ ok: true, ttfb, status })
    else this.release()
  }

  /**
   * The exchange is over, or this attempt was given up. A handler that doesn't hear of it may never settle, so it ends here, and without an
   * answer it counts as what it was given up for: a time limit is the target's fault, the failure of another target is not.
   */
  close(end: Outcome): void {
    const { error } = end
    const its = error?.target === undefined || error.target === this.lease.target.id
    if (error !== undefined && its && !this.answered) this.end(error)
    else this.release()
  }

  private release(result?: LeaseResult): void {
    if (this.ended) return
    this.ended = true
    this.lease.release(result)
    if (!this.answered || result?.ok !== true) this.observe?.(this.lease.target, result)
  }
}

function release(error: Error | undefined, held: Held): void {
  held.end(error)
}

function abandon(end: Outcome, held: Held): void {
  held.close(end)
}
