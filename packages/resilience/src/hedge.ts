import {
  type Context,
  discard,
  type Handler,
  type Middleware,
  type Outcome,
  ProxyError,
  type Reply,
  turnTime,
} from '@sluice/core'
import { hasLeftLine, type Selected, type Tried } from '@sluice/upstream'
import debug from 'debug'
import { type HedgeDelay, hedgeDelay } from './hedge-delay.js'
import { type HedgeOptions, type HedgeSettings, resolveHedge } from './hedge-options.js'
import type { After } from './queue-timer.js'
import { Race } from './race.js'
import type { RetryBudget } from './retry-budget.js'
import { showAttempt } from './show-attempt.js'
import { SlowLine } from './slow-line.js'
import { triedSoFar } from './tried-so-far.js'
import { warnInside } from './warn-inside.js'

const log = debug('sluice:resilience')

/** What {@link hedge} takes from outside, to be replaced in tests. */
export interface HedgeSeams {
  /** Calls `fn` once after `ms`; returns the undo. Default a timer for all of the layer, which holds no process open. */
  after?: After
  /** Monotonic milliseconds. Default `turnTime`: as of the event loop's turn. */
  clock?: () => number
  /** What messages call the options. Default `hedge`. */
  path?: string
}

/**
 * A second try, on another target, beside a first one that is slow: the first good answer wins, and the other try is cancelled
 * with nothing held against its target ("The Tail at Scale", CACM 2013). It stands inside `retry` and outside `balance` (inside of it no second try would be made, and a warning says so), and goes by the
 * latencies that this layer has seen, to the head of the answer. Nothing of what is sent twice can be taken back, and it adds load:
 * where all targets are slow, too. Give it a budget.
 *
 * Not hedged are: methods that aren't listed, bodies that flow, upgrades, CONNECT, what still waits for a target of its own, clients
 * that are bound to a target, and whatever has no other target with room. A first try that fails before its time is
 * `retry`'s to try again; that one leaves out both targets when both have failed. 1xx go out of one try alone, the first
 * to send any, which may be the loser. A budget that throws is 500, as a bug of the app, and ends the first try too.
 * @throws TypeError for a wrong option
 */
export function hedge(options: HedgeOptions = {}, seams: HedgeSeams = {}): Middleware {
  const { after, clock = turnTime, path = 'hedge' } = seams
  const settings = resolveHedge(options, path)
  const hedged: Hedge = {
    settings,
    delay: hedgeDelay(settings),
    clock,
    after,
    line: new SlowLine(clock),
    path,
  }
  return (next) => (ctx) => {
    const no = whyAlone(ctx, settings)
    if (no !== undefined) {
      if (log.enabled) log('%s %s is not hedged: %s', ctx.out.method, ctx.out.path, no)
      return next(ctx)
    }
    // What is tried again was counted before.
    if ((ctx as Tried).tried === undefined) {
      try {
        settings.budget?.request()
      } catch (error) {
        return Promise.reject(threw(`${path}.budget.request`, error))
      }
    }
    const race = new ForkRace(hedged, next as Handler, ctx)
    const reply = race.run(hedged.delay.wait())
    ctx.onClose(closed, race)
    return reply
  }
}

/** Why a request is not hedged, or has no second try though its first is slow. */
export type NoHedge = 'method-not-listed' | 'body-flows' | 'upgrade' | 'has-no-target-yet' | 'budget-used'

/** What keeps a request from being sent twice; all that one costs that is not hedged. */
function whyAlone(
  { out: { method, body }, upgrade }: Context,
  { methods }: HedgeSettings,
): NoHedge | undefined {
  if (!methods.includes(method)) return 'method-not-listed'
  // Its bytes flow once.
  if (body !== null && typeof body !== 'string' && !(body instanceof Uint8Array)) return 'body-flows'
  if (upgrade !== undefined) return 'upgrade'
  return undefined
}

/** What the requests of one layer share. */
interface Hedge {
  readonly settings: HedgeSettings
  readonly delay: HedgeDelay
  readonly clock: () => number
  /** A timer for each request, where a test asks for that. */
  readonly after: After | undefined
  readonly line: SlowLine
  readonly path: string
}

/** What a function of the app's threw, as its fault. A `ProxyError` is what it says. */
function threw(option: string, cause: unknown): ProxyError {
  if (cause instanceof ProxyError) return cause
  return new ProxyError('proxy_internal_error', { message: `${option} threw`, cause })
}

type Attempt = Context & Tried & Partial<Selected>

/** A race of forks. The exchange itself is in no try, since what loses has to end before it. */
class ForkRace extends Race<Reply> {
  #first: Attempt | undefined = undefined
  #second: Attempt | undefined = undefined
  #undo: (() => void) | undefined = undefined
  /** It was slow, and no second try could be kept apart from it. */
  #alone = false
  readonly #begun: number

  constructor(
    readonly hedge: Hedge,
    readonly next: Handler,
    readonly ctx: Attempt,
  ) {
    super()
    this.#begun = hedge.clock()
  }

  protected start(attempt: number): Reply | Promise<Reply> {
    const fork = this.ctx.fork()
    if (attempt === 1) {
      this.#first = fork
    } else {
      this.#second = fork
      fork.tried = triedSoFar(this.#first as Attempt)
      fork.spare = true
      const { budget } = this.hedge.settings
      if (budget !== undefined) fork.afford = () => this.#takes(budget)
    }
    return log.enabled ? this.#heard(attempt, fork) : this.next(fork)
  }

  protected wait(ms: number): void {
    const { line, after } = this.hedge
    if (after === undefined) line.join(this, this.#begun + ms)
    else this.#undo = after(ms, () => this.slow())
  }

  protected stopWaiting(): void {
    this.hedge.line.leave(this)
    this.#undo?.()
  }

  /** Else nobody hears why a try has failed if the other one wins: there was no other target, say. */
  async #heard(attempt: number, fork: Attempt): Promise<Reply> {
    try {
      return await this.next(fork)
    } catch (error) {
      const { method, path } = fork.out
      log('%s %s: try %d of a hedge: %s', method, path, attempt, error)
      throw error
    }
  }

  protected may(): boolean {
    // Who waits for room would wait twice; without `balance` nobody would keep the two apart.
    const no = this.#first?.lease === this.ctx.lease ? 'has-no-target-yet' : undefined
    if (log.enabled) this.#told(no)
    this.#alone = no !== undefined
    return no === undefined
  }

  /** Whether the budget has something for a second try, which has a target by now. */
  #takes(budget: RetryBudget): boolean {
    try {
      if (budget.take()) return true
      if (log.enabled) this.#told('budget-used')
    } catch (error) {
      this.leave(threw(`${this.hedge.path}.budget.take`, error))
    }
    return false
  }

  #told(no: NoHedge | undefined): void {
    const { method, path } = this.ctx.out
    log('%s %s is slow: %s', method, path, no ?? 'a second try')
  }

  protected isGood(reply: Reply): boolean {
    return !this.hedge.settings.statuses.includes(reply?.status)
  }

  /** A time limit of the layers outside counts against the first try's target alone: the second has had less than that. */
  protected stop(attempt: number, reason?: unknown): void {
    if (attempt === 1) this.#first?.cancel(reason instanceof ProxyError ? reason : undefined)
    else this.#second?.cancel()
  }

  /** Whom nobody has seen, in a line, has nothing to tell. Nor has a second try that found no target. */
  protected override tellsSecond(first: unknown): boolean {
    return hasLeftLine(first) && this.#second?.lease !== this.ctx.lease
  }

  protected drop(reply: Reply): void {
    discard(reply)
  }

  protected ended(attempt: number, won: boolean): void {
    const { hedge, ctx } = this
    if (won) hedge.delay.took(hedge.clock() - this.#begun)
    // With an answer there, what chooses a target would have taken a lease of its own.
    if (won && this.#alone && ctx.lease !== undefined && this.#first?.lease === ctx.lease)
      warnInside('hedge', hedge.settings, hedge.path)
    const second = this.#second
    const { spare = false, afford } = ctx
    showAttempt(ctx, attempt === 1 ? this.#first : second)
    if (second === undefined) return
    ctx.tried = triedSoFar(second)
    ctx.spare = spare
    ctx.afford = afford
  }

  /** The exchange, or the attempt that is hedged, has ended before its answer did. */
  close(error: ProxyError): void {
    // With the head there the winner is on its way, and goes with it.
    this.stop(1, error)
    this.stop(2, error)
    this.leave(error)
  }
}

function closed(end: Outcome, race: ForkRace): void {
  if (end.kind !== 'done') race.close(end.error ?? new ProxyError('client_left'))
}
