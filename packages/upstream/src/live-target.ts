import type { Lease, LeasePhase, LeaseResult } from './lease.js'
import type { Target, TargetSettings, TargetState } from './target.js'
import type { TargetTls } from './target-tls.js'

/** Time over which the average of answers forgets, in ms. */
const memory = 10_000

/** As much of an upstream as its targets know of it. */
export interface Siblings {
  readonly available: readonly Target[]
  readonly ranks: readonly (readonly Target[])[]
  admits(target: Target): boolean
}

/**
 * A target and its live state, counted in place.
 *
 * state: draining while told so, else ejected while anybody ejects it, else the last verdict:
 *        unknown ──mark──▶ healthy ◀──mark──▶ unhealthy
 * ewma:  e + (ttfb - e) * (1 - exp(-dt / 10 s)), dt since the last answer; the first answer sets it. Of an answer whose head is told of
 *        (`lease.answered`) then, and not of tunnels; else with its end
 */
export class LiveTarget implements Target {
  readonly id: string
  readonly url: string
  weight: number
  priority: number
  declare zone?: string
  declare readonly tls?: TargetTls
  inFlight = 0
  answering = 0
  leased = 0
  ewma = 0
  verdict: 'unknown' | 'healthy' | 'unhealthy' = 'unknown'
  degraded = false
  /** When it joined or came back, by the upstream's clock. */
  since = Number.NEGATIVE_INFINITY
  /** Who has drained it, each by its own name. */
  readonly drainers = new Set<string>()
  /** Who keeps it out for a time, each by its own name. */
  readonly ejectors = new Set<string>()
  /** It is none of the upstream's any more. */
  left = false
  private answeredAt = 0
  /** Private to the engine too: whoever prints a target wants no upstream. */
  readonly #siblings: Siblings | undefined

  constructor(settings: TargetSettings, siblings?: Siblings) {
    this.#siblings = siblings
    this.id = settings.id
    this.url = settings.url
    this.weight = settings.weight
    this.priority = settings.priority
    if (settings.zone !== undefined) this.zone = settings.zone
    // Whoever prints a target must not print its private key.
    if (settings.tls !== undefined) Object.defineProperty(this, 'tls', { value: settings.tls })
  }

  get draining(): boolean {
    return this.drainers.size > 0
  }

  get state(): TargetState {
    if (this.draining) return 'draining'
    return this.ejectors.size > 0 ? 'ejected' : this.verdict
  }

  /** It may be used, as far as anybody knows. */
  get usable(): boolean {
    return !this.draining && this.ejectors.size === 0 && this.verdict !== 'unhealthy'
  }

  /** Its upstream gives it no more requests: there are others, or it is drained or gone. */
  get withdrawn(): boolean {
    if (this.#siblings === undefined || (this.usable && !this.left)) return false
    return !this.#siblings.available.includes(this)
  }

  /** Whether a request for it could go to another one now, that isn't among those tried, nor asked only when there is nobody like this one. */
  hasOther(tried: readonly Target[] | undefined): boolean {
    const siblings = this.#siblings
    if (siblings === undefined) return false
    try {
      for (const rank of siblings.ranks) {
        for (const each of rank)
          if (each !== this && tried?.includes(each) !== true && siblings.admits(each)) return true
        if (rank.includes(this)) return false
      }
    } catch {
      // A gate that throws is told of where requests are picked for: transports ask from their timers, where it would end the process.
    }
    return false
  }

  /** Takes over what may change while it lives; true if anything has. */
  update({ weight, priority, zone }: TargetSettings): boolean {
    if (this.weight === weight && this.priority === priority && this.zone === zone) return false
    this.weight = weight
    this.priority = priority
    if (zone === undefined) delete this.zone
    else this.zone = zone
    return true
  }

  answered(ttfb: number, now: number): void {
    if (this.answeredAt === 0) this.ewma = ttfb
    else this.ewma += (ttfb - this.ewma) * (1 - Math.exp(-Math.max(now - this.answeredAt, 0) / memory))
    this.answeredAt = now
  }
}

/** Who hears what becomes of leases. */
export interface LeaseEnds {
  leaseAnswered(target: LiveTarget, status: number, ttfb: number, lease: Lease): void
  leaseEnded(target: LiveTarget, result: LeaseResult | undefined, lease: Lease): void
}

/** A lease on a live target. */
export class TargetLease implements Lease {
  readonly nth: number
  phase: LeasePhase = 'request'
  private held = true

  /** @param ended hears of the end; nothing counts where there is no result */
  constructor(
    readonly target: LiveTarget,
    private readonly clock: () => number,
    private readonly ended?: LeaseEnds,
  ) {
    target.inFlight++
    this.nth = ++target.leased
  }

  answered(status: number, ttfb: number, tunnel = false): void {
    if (!this.held || this.phase !== 'request') return
    this.phase = tunnel ? 'tunnel' : 'body'
    const { target } = this
    target.answering++
    // A handshake is no work like the others'.
    if (!tunnel && isTime(ttfb)) target.answered(ttfb, this.clock())
    this.ended?.leaseAnswered(target, status, ttfb, this)
  }

  release(result?: LeaseResult): void {
    if (!this.held) return
    this.held = false
    const { target } = this
    target.inFlight--
    if (this.phase !== 'request') target.answering--
    // At the end of a long body its time would tell of long ago.
    else if (result?.ok === true && isTime(result.ttfb)) target.answered(result.ttfb, this.clock())
    this.ended?.leaseEnded(target, result, this)
  }
}

/** One that is none would spoil the average for ever. */
function isTime(ms: number | undefined): ms is number {
  return ms !== undefined && ms >= 0 && ms < Number.POSITIVE_INFINITY
}
