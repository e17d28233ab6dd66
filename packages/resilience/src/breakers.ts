import { needFunction } from '@sluice/options'
import {
  isOwnFault,
  type Lease,
  type LeaseResult,
  needUpstream,
  type Target,
  type Upstream,
} from '@sluice/upstream'
import debug from 'debug'
import { awaited } from './awaited.js'
import { failing } from './breaker.js'
import { type BreakerChange, type BreakerState, Circuit } from './breaker-circuit.js'
import { type BreakerOptions, type BreakerSettings, resolveBreaker } from './breaker-options.js'
import { type After, later } from './queue-timer.js'
import { tellAll } from './tell-all.js'

const log = debug('sluice:resilience')

/** What {@link breakers} takes from outside, to be replaced in tests. */
export interface BreakersSeams {
  /** Numbers in [0, 1). Default `Math.random`. */
  random?: () => number
  /** Calls `fn` once after `ms`; returns the undo. Default a timer that holds no process open. */
  after?: After
}

/** A change of a target's breaker, and why. */
export interface TargetBreakerChange extends BreakerChange {
  readonly target: Target
}

/** The breakers of an upstream's targets. */
export interface Breakers extends Disposable {
  /** `undefined` for one that isn't in the upstream. */
  stateOf(target: Target): BreakerState | undefined
  /** Hears each change; returns the undo. */
  on(event: 'state', fn: (change: TargetBreakerChange) => void): () => void
}

/**
 * One breaker for each target, fed by the ends of its leases, and for trials by the heads of their answers. While open, its target is ejected by
 * `'breaker'`; in `half-open` and in the ramp a gate lets the trials and the growing share through, and others get the rest. The gate holds in
 * panic too: when every breaker is open, clients get 503 at once, with `Retry-After` until the first is half-open. A client that left
 * counts for nothing. Targets that stay keep their breaker when the list changes.
 *
 * Disposed of, it gives all targets back.
 * @throws TypeError for a wrong option, or what is no upstream
 */
export function breakers(
  upstream: Upstream,
  options: BreakerOptions = {},
  seams: BreakersSeams = {},
): Breakers {
  needUpstream(upstream, 'breakers')
  return new TargetBreakers(upstream, resolveBreaker(options), seams)
}

class TargetBreakers implements Breakers {
  private readonly byTarget = new Map<Target, TargetBreaker>()
  private readonly listeners = new Set<(change: TargetBreakerChange) => void>()
  private readonly undo: (() => void)[]

  constructor(
    private readonly upstream: Upstream,
    private readonly settings: BreakerSettings,
    private readonly seams: BreakersSeams,
  ) {
    this.follow(upstream.all)
    this.undo = [
      upstream.on('targets', (targets) => this.follow(targets)),
      upstream.on('answer', (target, status, ttfb, lease) =>
        this.byTarget.get(target)?.answered(status, ttfb, lease),
      ),
      upstream.on('result', (target, result, lease) => this.byTarget.get(target)?.took(result, lease)),
      upstream.gate(
        (target) => this.byTarget.get(target)?.admits() !== false,
        (target) => this.byTarget.get(target)?.opensIn(),
      ),
    ]
  }

  stateOf(target: Target): BreakerState | undefined {
    return this.byTarget.get(target)?.circuit.state
  }

  on(event: 'state', fn: (change: TargetBreakerChange) => void): () => void {
    if (event !== 'state') throw new TypeError(`on: got ${JSON.stringify(event)}, takes 'state'`)
    needFunction(fn, "on('state')")
    this.listeners.add(fn)
    return () => void this.listeners.delete(fn)
  }

  [Symbol.dispose](): void {
    for (const undo of this.undo.splice(0)) undo()
    this.follow([])
  }

  private follow(targets: readonly Target[]): void {
    const stay = new Set(targets)
    for (const [target, each] of this.byTarget) {
      if (stay.has(target)) continue
      this.byTarget.delete(target)
      each.stop()
    }
    for (const target of targets) {
      if (this.byTarget.has(target)) continue
      const tell = (change: BreakerChange): void => tellAll(this.listeners, { target, ...change }, 'breakers')
      this.byTarget.set(target, new TargetBreaker(this.upstream, target, this.settings, this.seams, tell))
    }
  }
}

/**
 * The breaker of one target.
 *
 * counts     what began in the state that it is in: an end from before says how the target was. So a trial is what began while
 *            half-open
 * trial      judged by the head of its answer: an event stream or a tunnel may last for hours, and would hold its place for as long. One that
 *            breaks behind its head, while others are still out, has failed all the same
 * trials out = those that wait for their head - those of them that began before it was half-open
 * ramp       a coin for each millisecond: a pick asks more than once, and must hear the same
 */
class TargetBreaker {
  readonly circuit: Circuit
  private readonly random: () => number
  private readonly after: After
  /** Leases of the target when its state changed last, and how many of them still wait for their head. */
  private before = 0
  private stale = 0
  private coinAt = -1
  private coin = false
  private cancel: (() => void) | undefined = undefined

  constructor(
    private readonly upstream: Upstream,
    private readonly target: Target,
    private readonly settings: BreakerSettings,
    seams: BreakersSeams,
    private readonly tell: (change: BreakerChange) => void,
  ) {
    this.random = seams.random ?? Math.random
    this.after = seams.after ?? later
    this.circuit = new Circuit(
      settings,
      () => upstream.now(),
      this.random,
      (change) => this.changed(change),
    )
  }

  /** Whether one more may go there. Changes nothing that would matter to who asks again. */
  admits(): boolean {
    const { circuit, target, settings } = this
    const { share } = circuit
    if (share <= 0) return false
    if (circuit.state === 'half-open') return awaited(target) - this.stale + circuit.passed < settings.trials
    return share >= 1 || this.tossed(share)
  }

  /** When it lets somebody through: at any moment in the ramp, and nobody knows how long trials take. */
  opensIn(): number | undefined {
    const { left, state } = this.circuit
    return state === 'half-open' ? undefined : left
  }

  answered(status: number, ttfb: number, { nth }: Lease): void {
    this.awaitedNoMore(nth)
    if (this.circuit.state === 'half-open' && nth > this.before)
      this.circuit.note(failing(status, this.settings), false, ttfb)
  }

  took(result: LeaseResult | undefined, { nth, phase }: Lease): void {
    if (phase === 'request') this.awaitedNoMore(nth)
    // Read first: it may have been open for long enough, and be half-open from here on.
    const { state } = this.circuit
    if (state === 'open' || nth <= this.before || result === undefined) return
    const { ok, error, status, ttfb } = result
    // A trial with a head is judged already.
    if (isOwnFault(error) || (ok && state === 'half-open' && phase !== 'request')) return
    this.circuit.note(!ok || failing(status, this.settings), !ok, ttfb)
  }

  stop(): void {
    this.cancel?.()
    this.cancel = undefined
    this.upstream.restore(this.target, 'breaker', 'breakers are off')
  }

  /** One that waits for its head no more. */
  private awaitedNoMore(nth: number): void {
    if (nth <= this.before && this.stale > 0) this.stale--
  }

  private tossed(share: number): boolean {
    const now = Math.floor(this.upstream.now())
    if (now !== this.coinAt) {
      this.coinAt = now
      this.coin = this.random() < share
    }
    return this.coin
  }

  private changed(change: BreakerChange): void {
    const { upstream, target } = this
    const { from, to, reason } = change
    if (log.enabled) log('%s: breaker of %s %s -> %s: %s', upstream.name, target.id, from, to, reason)
    this.cancel?.()
    this.cancel = undefined
    this.before = target.leased
    this.stale = awaited(target)
    if (to === 'open') {
      upstream.eject(target, 'breaker', `breaker open: ${reason}`)
      this.wait()
    } else if (to === 'half-open') upstream.restore(target, 'breaker', `breaker half-open: ${reason}`)
    this.tell(change)
  }

  /** Timers of Node may be a little early, and the upstream's clock is the one that counts. */
  private wait(): void {
    this.cancel = this.after(Math.max(1, Math.ceil(this.circuit.left)), () => {
      if (this.circuit.state === 'open') this.wait()
    })
  }
}
