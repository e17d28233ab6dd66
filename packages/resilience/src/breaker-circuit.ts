import type { BreakerSettings } from './breaker-options.js'
import { BreakerWindow } from './breaker-window.js'

/** Where a breaker stands. In its ramp it is closed, with a `share` below 1. */
export type BreakerState = 'closed' | 'open' | 'half-open'

/** A change of a breaker's state, and why. */
export interface BreakerChange {
  readonly from: BreakerState
  readonly to: BreakerState
  readonly reason: string
}

/**
 * The state machine of a breaker, driven by results and by the clock alone.
 *
 *   closed ──a limit is met──▶ open ──open time over──▶ half-open ──`trials` succeed──▶ closed, share growing over `ramp`
 *                                ▲                          │
 *                                └────────a trial fails─────┘
 *
 * limits    judged with `volume` calls or more in the window:
 *           failed / all >= failures; network errors / all >= network;
 *           (measured - slow) / measured < quantile, slow: latency > over; that is: the quantile (nearest rank) is above `over`
 * open time min(max(max, open), open * growth^(n - 1)) * (1 - jitter * random()); n counts openings in a row: one within `window` + `ramp`
 *           of the last closing is in a row with it
 * share     min(1, (now - closed at) / ramp)
 *
 * A clock that jumps back begins the open time or the ramp anew: it never holds longer than that.
 */
export class Circuit {
  /** Counts the states so far: who began in an earlier one has no say in this one. */
  turn = 1
  /** Trials that have succeeded. */
  passed = 0
  private current: BreakerState = 'closed'
  private since = Number.NEGATIVE_INFINITY
  private openings = 0
  private openFor = 0
  private ramping = false
  private readonly window: BreakerWindow

  constructor(
    private readonly settings: BreakerSettings,
    private readonly clock: () => number,
    private readonly random: () => number,
    private readonly changed: (change: BreakerChange) => void,
  ) {
    this.window = new BreakerWindow(settings.window, settings.buckets, clock())
  }

  /** Where it stands now: an open time that is over makes it half-open. */
  get state(): BreakerState {
    if (this.current === 'open' && this.left === 0)
      this.go('half-open', `open for ${Math.round(this.openFor)} ms`)
    return this.current
  }

  /** Milliseconds until it is half-open; 0 if it isn't open. */
  get left(): number {
    return this.current === 'open' ? Math.max(0, this.since + this.openFor - this.now()) : 0
  }

  /** How long this state has lasted. */
  get age(): number {
    return this.now() - this.since
  }

  /** How long it was open last. */
  get lastOpen(): number {
    return this.openFor
  }

  /** Part of the calls that is let through: 0 while open, 1 where trials are counted instead. */
  get share(): number {
    const { state } = this
    if (state !== 'closed') return state === 'open' ? 0 : 1
    // Closed for long is the rule, and asks no clock.
    if (!this.ramping) return 1
    const share = Math.min(1, this.age / this.settings.ramp)
    this.ramping = share < 1
    return share
  }

  /**
   * Takes the result of a call.
   * @param ms its latency, where it is known
   */
  note(failed: boolean, network: boolean, ms?: number): void {
    const { state, settings } = this
    const { latency } = settings
    const slow = latency !== false && ms !== undefined && ms > latency.over
    if (state === 'half-open') {
      if (failed || slow) this.trip(failed ? 'a trial failed' : 'a trial was slow')
      else if (++this.passed >= settings.trials) this.go('closed', `${this.passed} trials succeeded`)
    } else if (state === 'closed') {
      this.window.note(this.clock(), failed, network, ms !== undefined, slow)
      const reason = this.judge()
      if (reason !== undefined) this.trip(reason)
    }
  }

  /** Why it should open, if it should. */
  private judge(): string | undefined {
    const { sum } = this.window
    const { failures, network, latency, volume } = this.settings
    if (sum.total < volume) return undefined
    if (failures !== false && sum.failures >= failures * sum.total)
      return `${sum.failures} of ${sum.total} calls failed`
    if (network !== false && sum.network >= network * sum.total)
      return `${sum.network} of ${sum.total} calls met a network error`
    if (
      latency !== false &&
      sum.measured >= volume &&
      sum.measured - sum.slow < latency.quantile * sum.measured
    )
      return `${sum.slow} of ${sum.measured} calls took more than ${latency.over} ms`
    return undefined
  }

  private trip(reason: string): void {
    const { open, growth, max, jitter, window, ramp } = this.settings
    const inARow = this.current === 'half-open' || this.age < window + ramp
    this.openings = inARow ? this.openings + 1 : 1
    this.openFor =
      Math.min(Math.max(max, open), open * growth ** (this.openings - 1)) * (1 - jitter * this.random())
    this.go('open', reason)
  }

  private go(to: BreakerState, reason: string): void {
    const from = this.current
    this.current = to
    this.turn++
    this.passed = 0
    this.ramping = to === 'closed' && this.settings.ramp > 0
    this.since = this.clock()
    this.window.clear(this.since)
    this.changed({ from, to, reason })
  }

  private now(): number {
    const now = this.clock()
    if (now < this.since) this.since = now
    return now
  }
}
