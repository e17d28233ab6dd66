import {
  type Context,
  type Handler,
  type Middleware,
  onBodyEnd,
  ProxyError,
  type Reply,
  turnTime,
  unhandled,
} from '@sluice/core'
import type { Lease, Selected, Target, TargetInit, Tried, Upstream } from '@sluice/upstream'
import debug from 'debug'
import type { Balancer } from './balancer.js'
import { powerOfTwo } from './power-of-two.js'
import { roundRobin } from './round-robin.js'
import { TargetCache } from './target-cache.js'

const log = debug('sluice:balance')

/** Options of {@link balance}. */
export interface BalanceOptions {
  /** Monotonic milliseconds. Default `turnTime`: as of the event loop's turn. */
  clock?: () => number
}

/**
 * Picks a target for each attempt and takes a lease on it: adds `target` and `lease`. The lease ends when the reply's body
 * has ended or failed, at once when the attempt throws.
 *
 * Targets that were tried before are left out as long as there is another; the policy is asked among the targets known to
 * be fit first, then among those not probed yet, and in each by priority.
 * @param policy default `roundRobin()` under 3 targets, else `powerOfTwo()`
 */
export function balance<C = unknown>(
  upstream: Upstream,
  policy?: Balancer<C>,
  options: BalanceOptions = {},
): Middleware<C extends object ? C : {}, Selected> {
  const pick: Balancer<C> = policy ?? byCount()
  const clock = options.clock ?? turnTime

  const choose = (ctx: C, not?: (target: Target) => boolean): Target | undefined => {
    for (const rank of upstream.ranks) {
      const target = pick(rank, ctx, not)
      if (target !== undefined && (not === undefined || !not(target))) return target
      // A policy that ignores `not` is corrected.
      const fit = target === undefined ? undefined : rank.find((each) => not === undefined || !not(each))
      if (fit !== undefined) return fit
    }
    return undefined
  }

  const full = (target: Target): boolean => !upstream.admits(target)

  const select = (ctx: C): Target => {
    const { tried } = ctx as Tried
    const not = upstream.gated ? full : undefined
    // Tried before is better than none; full is none.
    const target =
      tried === undefined
        ? choose(ctx, not)
        : (choose(ctx, (each) => tried.includes(each) || not?.(each) === true) ?? choose(ctx, not))
    if (target !== undefined) return target
    throw new ProxyError('destination_unavailable', {
      message: `upstream ${upstream.name} ${whyNone(upstream)}`,
    })
  }

  const middleware: Middleware<{}, Selected> = (next) => (ctx) => {
    let lease: Lease
    try {
      lease = upstream.lease(select(ctx as unknown as C))
    } catch (error) {
      return Promise.reject(error)
    }
    return lend(ctx, lease, next, clock)
  }
  return middleware as Middleware<C extends object ? C : {}, Selected>
}

function whyNone({ all, available }: Upstream): string {
  if (all.length === 0) return 'has no targets'
  return available.length === 0 ? 'has no target that may be used' : 'has no target with room'
}

/** Options of {@link targetFrom}. */
export interface TargetFromOptions {
  /** Targets kept at most, with their connections; those that were used last stay. Default 1000. */
  max?: number
  /** Monotonic milliseconds. Default `turnTime`: as of the event loop's turn. */
  clock?: () => number
}

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
  const { max = 1000, clock = turnTime } = options
  if (typeof fn !== 'function') throw new TypeError(`targetFrom: got ${String(fn)}, takes a function`)
  if (!Number.isSafeInteger(max) || max < 1)
    throw new TypeError(`targetFrom.max: got ${String(max)}, takes a whole number, 1 or more`)
  const targets = new TargetCache(max, clock)
  const middleware: Middleware<{}, Selected> = (next) => (ctx) => {
    let lease: Lease
    try {
      const init = fn(ctx as unknown as C)
      if (init === undefined) return unhandled
      lease = targets.lease(init)
    } catch (error) {
      return Promise.reject(error)
    }
    return lend(ctx, lease, next, clock)
  }
  return middleware as Middleware<C, Selected>
}

/** Passes a request on with a lease, which ends with its answer. */
async function lend<C extends Context>(
  ctx: C,
  lease: Lease,
  next: Handler<C & Selected>,
  clock: () => number,
): Promise<Reply> {
  const { target } = lease
  const selected = ctx as C & Selected
  selected.target = target
  selected.lease = lease
  const begun = clock()
  const held = new Held(lease)
  try {
    const reply = await next(selected)
    held.ttfb = clock() - begun
    held.status = reply.status
    onBodyEnd(reply, release, held)
    // Whatever becomes of the reply, the exchange's end is the lease's.
    ctx.onClose(abandon, held)
    return reply
  } catch (error) {
    held.end(error instanceof Error ? error : new Error(String(error)))
    if (log.enabled) log('%s: %s', target.id, error)
    throw error
  }
}

/** A lease on its way to its end. */
class Held {
  ttfb = 0
  status = 0

  constructor(readonly lease: Lease) {}

  /** Only what the target did counts for or against it: not a client that left, nor a fault of our own. */
  end(error: Error | undefined): void {
    if (error === undefined) this.lease.release({ ok: true, ttfb: this.ttfb, status: this.status })
    else if (error instanceof ProxyError && error.source === 'upstream')
      this.lease.release({ ok: false, error })
    else this.lease.release()
  }
}

function release(error: Error | undefined, held: Held): void {
  held.end(error)
}

function abandon(_end: unknown, held: Held): void {
  held.lease.release()
}

/** The default: in turn while there are few, else the less loaded of two. */
function byCount(): Balancer {
  const few = roundRobin()
  const many = powerOfTwo()
  return (available, ctx, not) => (available.length < 3 ? few : many)(available, ctx, not)
}
