import diagnostics from 'node:diagnostics_channel'
import { type Context, type Handler, type Middleware, ProxyError, type Reply } from '@sluice/core'
import {
  type Lease,
  type LeaseResult,
  needUpstream,
  type Target,
  type Tried,
  type Upstream,
} from '@sluice/upstream'
import debug from 'debug'
import { AdaptiveLimit, timed } from './adaptive-limit.js'
import { awaited } from './awaited.js'
import {
  type ConcurrencyOptions,
  type ConcurrencySettings,
  resolveConcurrency,
} from './concurrency-options.js'
import { QueueLine, type QueueRefusal, Waiter } from './queue-line.js'
import { type After, later } from './queue-timer.js'

const log = debug('sluice:resilience')
const limited = diagnostics.channel('sluice:limit')

/** What {@link concurrencyOf} takes from outside, to be replaced in tests. */
export interface ConcurrencyOfSeams {
  /** Calls `fn` once after `ms`; returns the undo. Default a timer that holds no process open. */
  after?: After
}

/** The concurrency limit of an upstream's targets. */
export interface UpstreamConcurrency extends Disposable {
  /** Stands right outside `balance`, with nothing between them that waits. */
  readonly middleware: Middleware
  /** Requests that wait. */
  readonly waiting: number
  /** Requests that a target may have in flight now. */
  limitOf(target: Target): number
}

/**
 * Limits the requests in flight at each target. A full one is left out of picks by a gate; where none has room, `middleware`
 * lets requests wait in one bounded line, and serves one for each place that becomes free. A further try waits for a target that it was not at,
 * as long as there is one that is merely full, and lets those pass meanwhile who may go where it may not. Who finds no place in the line
 * (`queue_full`), or waits too long (`queue_timeout`), gets 503 with `Retry-After`; a client that leaves frees its place at once. When nobody is
 * left who could make room (all drained or removed), those that wait are passed on, and `balance` refuses them. The second try of
 * a `hedge` never waits.
 *
 * The limit counts one proxy's own requests; all users of the upstream share it, whether they wait or not. A number counts each as long as
 * it is in flight, a tunnel (WebSocket) included. `'adaptive'` counts what it measures: requests that wait for the head of their answer.
 * Bodies and tunnels that flow hold no place of it, so event streams, slow clients and WebSockets shut nobody out; where bodies are the
 * work, state a number. Disposed of, it refuses those that wait and limits nothing any more.
 * @throws TypeError for a wrong option
 */
export function concurrencyOf(
  upstream: Upstream,
  options: ConcurrencyOptions,
  seams: ConcurrencyOfSeams = {},
): UpstreamConcurrency {
  needUpstream(upstream, 'concurrencyOf')
  return new TargetConcurrency(upstream, resolveConcurrency(options, 'concurrencyOf'), seams)
}

/** Targets that take a request, and that would if they weren't full, as all gates but ours have it. */
interface Places {
  readonly free: readonly Target[]
  readonly full: readonly Target[]
}

/**
 * arrival ──nobody waits who could go in its place, and none is full──▶ next
 *         ──else──▶ line ──a place is free, or none ever will be──▶ next     (or refused, or gone)
 *
 * A place at a target that a try was at is none for it, while one that it wasn't at is full and nothing else. Who has room and answers nothing has
 * it always, so a target that is dead would take all tries that others could serve a moment later.
 *
 * The line moves in a microtask after each end of a lease and each change of targets: `balance` takes its lease as it is
 * called, so what is free is known again before the next one is served; who arrives before that joins the line's end.
 */
class TargetConcurrency implements UpstreamConcurrency {
  readonly middleware: Middleware
  private readonly line: QueueLine
  private readonly fixed: number
  private readonly adaptive: Map<Target, AdaptiveLimit> | undefined
  private readonly undo: (() => void)[]
  private moving = false
  /** Where places are, as of this look; read where somebody asks who has tried before. */
  private places: Places | undefined = undefined
  private readonly after: After
  private readonly may = (waiter: Waiter): boolean => this.goes((waiter as RequestWaiter).tried)
  /** Takes back the look at what opens soon. */
  private again: (() => void) | undefined = undefined
  /** Milliseconds after which others may let somebody through to a target that they shut now, as of the last look. */
  private opens: number | undefined = undefined
  /** What the other gates say: one's own is lifted. */
  private asking = false
  private closed = false

  constructor(
    readonly upstream: Upstream,
    private readonly settings: ConcurrencySettings,
    seams: ConcurrencyOfSeams,
  ) {
    const { limit, line } = settings
    this.fixed = limit === 'adaptive' ? 0 : limit
    this.adaptive = limit === 'adaptive' ? new Map() : undefined
    this.after = seams.after ?? later
    this.line = new QueueLine(line, this.after)
    this.follow(upstream.all)
    this.undo = [
      upstream.gate((target) => this.asking || this.fits(target)),
      upstream.on('answer', (target, status, ttfb, lease) => this.answered(target, status, ttfb, lease)),
      upstream.on('result', (target, result, lease) => this.ended(target, result, lease)),
      upstream.on('state', () => this.move()),
      upstream.on('targets', (targets) => this.follow(targets)),
    ]
    this.middleware = (next) => (ctx) => this.enter(ctx, next as Handler)
  }

  get waiting(): number {
    return this.line.size
  }

  limitOf(target: Target): number {
    return this.adaptive?.get(target)?.value ?? (this.adaptive === undefined ? this.fixed : 0)
  }

  refuse(why: QueueRefusal): ProxyError {
    const { name } = this.upstream
    if (log.enabled) log('%s: %s, %d waiting', name, why, this.line.size)
    if (limited.hasSubscribers) limited.publish({ upstream: name, reason: why, waiting: this.line.size })
    if (why === 'queue_closed') return new ProxyError('proxy_closing')
    const retryAfter = this.line.retryAfter(why)
    return new ProxyError('destination_unavailable', {
      message: `upstream ${name}: ${why}`,
      ...(retryAfter === undefined ? {} : { retryAfter }),
    })
  }

  [Symbol.dispose](): void {
    this.closed = true
    for (const undo of this.undo.splice(0)) undo()
    this.again?.()
    this.line.clear('queue_closed')
    for (const limit of this.adaptive?.values() ?? []) limit.stop()
    this.adaptive?.clear()
  }

  private enter(ctx: Context, next: Handler): Reply | Promise<Reply> {
    const { line } = this
    if (this.closed || this.passes((ctx as Tried).tried)) return next(ctx)
    // It would take the place of a request that has no other try.
    if ((ctx as Tried).spare === true) return Promise.reject(noRoom(this.upstream))
    return new Promise((resolve, reject) => {
      const waiter = new RequestWaiter(this, ctx, next, resolve, reject)
      if (!line.join(waiter, (ctx as Tried).moved)) return waiter.refuse('queue_full')
      ctx.onClose(left, waiter)
      // Another's gate may have opened with time, which nobody tells of.
      this.move()
    })
  }

  /** Whether one who comes goes on at once: there is room for it that nobody who waits could take. */
  private passes(tried: Tried['tried']): boolean {
    const { line } = this
    const found = this.look()
    this.places = undefined
    // Back to where it was is better than a line without a place.
    if (found === 'full' || !(this.goes(tried) || line.full)) return false
    return line.size === 0 || (found === 'room' && line.next(this.may) === undefined)
  }

  /** Whether one may go on where there is room. */
  private goes(tried: Tried['tried']): boolean {
    if (tried === undefined) return true
    try {
      this.places ??= this.whereFree()
    } catch {
      // `balance` asks the same gate, and there somebody catches it.
      return true
    }
    const { free, full } = this.places
    for (const target of free) if (!tried.includes(target)) return true
    for (const target of full) if (!tried.includes(target)) return false
    // It was at all that there are.
    return true
  }

  private whereFree(): Places {
    const { upstream } = this
    const free: Target[] = []
    const full: Target[] = []
    this.asking = true
    try {
      for (const target of upstream.available)
        if (upstream.admits(target)) (this.fits(target) ? free : full).push(target)
    } finally {
      this.asking = false
    }
    return { free, full }
  }

  /**
   * `room`: somebody takes one more. `full`: somebody would, as soon as what is in flight there ends. `shut`: only others'
   * gates are in the way (an open breaker), where something is in flight. `soon`: only others' gates, and they open at any moment (a
   * breaker's ramp). `none`: nothing that ends would change it.
   */
  private look(): 'room' | 'full' | 'shut' | 'soon' | 'none' {
    const { upstream } = this
    let found: 'full' | 'shut' | 'none' = 'none'
    this.opens = undefined
    this.asking = true
    try {
      for (const target of upstream.available) {
        const fits = this.fits(target)
        const others = upstream.admits(target)
        if (others && fits) return 'room'
        if (others) found = 'full'
        else if (target.inFlight > 0 && found === 'none') found = 'shut'
        const ms = others || this.line.size === 0 ? undefined : upstream.opensIn(target)
        // At any moment (a ramp): asked at each move, and else not, or who waits would toss its coin again and again.
        if (ms !== undefined && ms > 0) this.opens = Math.min(this.opens ?? ms, ms)
      }
      return found === 'none' && upstream.opensIn() === 0 ? 'soon' : found
    } finally {
      // Also where another's gate throws: this one must hold again.
      this.asking = false
    }
  }

  private fits(target: Target): boolean {
    // A target that has just joined, or has left, has no limit of its own here; neither holds anybody up.
    if (this.adaptive === undefined) return target.inFlight < this.fixed
    const limit = this.adaptive.get(target)?.value
    return limit === undefined || awaited(target) < limit
  }

  private answered(target: Target, status: number, ttfb: number, { phase }: Lease): void {
    // It is awaited no more; it was one of those.
    if (phase === 'body' && timed(status))
      this.adaptive?.get(target)?.sample(ttfb, awaited(target) + 1, status === 503)
    // By a number it holds its place, but another's gate may have waited for this: a breaker judges its trials so.
    this.move()
  }

  private ended(target: Target, result: LeaseResult | undefined, { phase }: Lease): void {
    const limit = this.adaptive?.get(target)
    if (limit !== undefined && result !== undefined && phase !== 'tunnel') {
      const { ok, status, ttfb = target.ewma } = result
      if (!ok) limit.sample(0, awaited(target) + 1, true)
      else if (phase === 'request' && timed(status)) limit.sample(ttfb, awaited(target) + 1, status === 503)
    }
    this.move()
  }

  private move(): void {
    if (this.moving || this.line.size === 0) return
    this.moving = true
    queueMicrotask(() => {
      this.moving = false
      while (this.mayServe() && this.line.serve(this.may));
    })
  }

  private lookAgain(): void {
    this.again = undefined
    this.move()
  }

  private mayServe(): boolean {
    this.places = undefined
    try {
      const found = this.look()
      this.lookLater(found)
      return found === 'room' || found === 'none'
    } catch {
      // A gate that throws does so for `balance` as well: who waits hears of it there, where somebody catches it.
      return true
    }
  }

  /** A gate that opens by time alone may tell nobody of it: a target that another keeps out as well has no change of state. */
  private lookLater(found: ReturnType<TargetConcurrency['look']>): void {
    this.again?.()
    this.again = undefined
    if (this.line.size === 0) return
    const ms = found === 'soon' ? 1 : found === 'room' || found === 'none' ? undefined : this.opens
    if (ms !== undefined) this.again = this.after(Math.max(1, Math.ceil(ms)), () => this.lookAgain())
  }

  private limitFor(): AdaptiveLimit {
    return new AdaptiveLimit(this.settings.adaptive, this.after, () => this.move())
  }

  private follow(targets: readonly Target[]): void {
    const { adaptive } = this
    if (adaptive !== undefined) {
      const stay = new Set(targets)
      for (const [target, limit] of adaptive) {
        if (stay.has(target)) continue
        limit.stop()
        adaptive.delete(target)
      }
      for (const target of targets) if (!adaptive.has(target)) adaptive.set(target, this.limitFor())
    }
    this.move()
  }
}

function noRoom({ name }: Upstream): ProxyError {
  return new ProxyError('destination_unavailable', {
    message: `upstream ${name}: no room for a try that can be done without`,
  })
}

class RequestWaiter extends Waiter {
  constructor(
    private readonly owner: TargetConcurrency,
    private readonly ctx: Context,
    private readonly next: Handler,
    private readonly resolve: (reply: Reply | Promise<Reply>) => void,
    private readonly reject: (error: unknown) => void,
  ) {
    super()
  }

  get tried(): Tried['tried'] {
    return (this.ctx as Tried).tried
  }

  override alike(other: RequestWaiter): boolean {
    const { tried } = this
    const its = other.tried
    if (tried === undefined || its === undefined) return tried === its
    return tried.length === its.length && tried.every((target, i) => target === its[i])
  }

  serve(): void {
    try {
      this.resolve(this.next(this.ctx))
    } catch (error) {
      this.reject(error)
    }
  }

  refuse(why: QueueRefusal): void {
    this.reject(this.owner.refuse(why))
  }

  leave(): void {
    if (this.line?.leave(this) === true) this.reject(new ProxyError('client_left'))
  }
}

function left(_end: unknown, waiter: RequestWaiter): void {
  waiter.leave()
}
