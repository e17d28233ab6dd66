import { type Context, type Layer, ProxyError } from '@sluice/core'
import { fault, quote } from '@sluice/options'
import type { After } from './after.js'
import { LoopSampler } from './loop-sampler.js'
import { type Priority, resolveShed, type ShedOptions } from './shed-options.js'
import { type Rank, ranks, Shedder, type ShedReason } from './shedder.js'

/** What {@link shed} takes from outside, to be replaced in tests. */
export interface ShedSeams {
  /** Monotonic milliseconds. Default `performance.now`. */
  clock?: () => number
  /** Calls `fn` once after `ms`; returns the undo. Default a timer of Node's that holds no process open. */
  after?: After
  /** Milliseconds that the event loop has been idle, since whenever. Default by `eventLoopUtilization` of `node:perf_hooks`. */
  idle?: () => number
}

/**
 * Refuses requests that are more than this process can take, at once and as cheaply as can be, so that those that it lets in are answered in time: by
 * how late the event loop is, and by how many are under way (`Shedder` tells how). What ranks lower goes first. A refused request gets 503
 * `proxy_overloaded` with `Retry-After`, each another one, lest all come back together; the log says why: `event-loop-delay` or `in-flight`.
 *
 * It is for the whole proxy, and stands outside of all that costs anything; what one target can take is `concurrency`'s affair.
 * @param path the option's, for errors
 * @throws TypeError for a wrong option
 */
export function shed<C extends Context>(
  options: ShedOptions<NoInfer<C>> = {},
  path = 'shed',
  seams: ShedSeams = {},
): Layer<C> {
  const settings = resolveShed<C>(options, path)
  const { delay, inFlight, priority } = settings
  const { clock = () => performance.now(), after, idle } = seams
  const shedder = new Shedder(settings)
  const sampler = delay === 0 ? undefined : new LoopSampler(shedder, clock, after, idle)
  const refusals = new Refusals(settings.retryAfter)
  return (next) => (ctx) => {
    const rank = priority === undefined ? ranks.normal : rankOf(priority(ctx), path)
    const now = clock()
    sampler?.wake(now)
    // An upgrade may last for days, and costs next to nothing meanwhile.
    const counts = inFlight > 0 && ctx.upgrade === undefined
    const reason = shedder.admit(rank, now, counts)
    if (reason !== undefined) throw refusals.next(reason)
    if (counts) ctx.onClose(release, shedder)
    return next(ctx)
  }
}

function release(_end: unknown, shedder: Shedder): void {
  shedder.done()
}

/** @throws TypeError for what is no priority */
function rankOf(given: Priority, path: string): Rank {
  const rank = Object.hasOwn(ranks, given) ? ranks[given] : undefined
  if (rank === undefined)
    throw new TypeError(fault(`${path}.priority()`, quote(given), "'low', 'normal', 'high' or 'critical'"))
  return rank
}

/** How many different times to come back there are. */
const spread = 16

/** Errors made beforehand: to make one takes longer than all else that a refusal needs. */
class Refusals {
  private readonly made: Readonly<Record<ShedReason, readonly ProxyError[]>>
  private at = 0

  constructor(retryAfter: number) {
    // Evenly over the times, and each far from the one before.
    const times = Array.from(
      { length: spread },
      (_, i) => retryAfter * (0.5 + ((i * 7) % spread) / (spread - 1)),
    )
    const all = (reason: ShedReason): ProxyError[] =>
      times.map((time) => new ProxyError('proxy_overloaded', { reason, retryAfter: time }))
    this.made = { 'event-loop-delay': all('event-loop-delay'), 'in-flight': all('in-flight') }
  }

  next(reason: ShedReason): ProxyError {
    this.at = (this.at + 1) % spread
    return this.made[reason][this.at] as ProxyError
  }
}
