import { ProxyError } from '@sluice/core'
import { needFunction } from '@sluice/options'
import { isNetworkError } from '@sluice/upstream'
import { type BreakerChange, type BreakerState, Circuit } from './breaker-circuit.js'
import { type BreakerOptions, type BreakerSettings, resolveBreaker } from './breaker-options.js'
import { tellAll } from './tell-all.js'

/** What a breaker takes from outside, to be replaced in tests. */
export interface BreakerSeams {
  /** Monotonic milliseconds. Default `performance.now`. */
  clock?: () => number
  /** Numbers in [0, 1). Default `Math.random`. */
  random?: () => number
}

/** A call that the breaker did not let through. */
export class BreakerOpenError extends Error {
  override readonly name = 'BreakerOpenError'
  readonly code = 'breaker_open'

  /** @param retryAfterMs until trials are let through; 0 while they are, or in the ramp */
  constructor(readonly retryAfterMs: number) {
    super('the breaker lets no call through now')
  }
}

/** A circuit breaker around any asynchronous function. */
export interface Breaker {
  readonly state: BreakerState
  /** Part of the calls that is let through: below 1 in the ramp. */
  readonly share: number
  /**
   * Calls `fn` if it may be called. A rejection is a failure, and so is an answer with a `status` among `statuses`; what
   * the caller gave up (`AbortError`, an aborted `signal`), and what was a client's or the proxy's own fault, counts for nothing.
   * @throws BreakerOpenError
   */
  run<T>(fn: () => T | Promise<T>, signal?: AbortSignal): Promise<T>
  /**
   * Asks for one call: 0 for no, else a permit, to be handed to one of `succeeded`, `failed` and `forget` once. A permit of a
   * state that is over has no effect.
   */
  allow(): number
  succeeded(permit: number, ms?: number): void
  failed(permit: number, ms?: number, network?: boolean): void
  /** The call counts for nothing. */
  forget(permit: number): void
  /** Hears each change of state; returns the undo. Nothing is timed: half-open is told of by the first who asks. */
  on(event: 'state', fn: (change: BreakerChange) => void): () => void
}

/**
 * A circuit breaker: while a service fails, its callers get an error at once, and it gets time to recover. After M. Nygard,
 * Release It! (2007); window and volume as in Hystrix, the quantile and the ramp as in oxy's `cbreaker` (vulcand/oxy, Traefik's
 * circuit breaker). States and formulas stand at `Circuit`.
 * @throws TypeError for a wrong option
 */
export function breaker(options: BreakerOptions = {}, seams: BreakerSeams = {}): Breaker {
  return new CallBreaker(resolveBreaker(options), seams)
}

class CallBreaker implements Breaker {
  private readonly circuit: Circuit
  private readonly listeners = new Set<(change: BreakerChange) => void>()
  private readonly clock: () => number
  private readonly random: () => number
  /** Trials that have neither succeeded nor been given up. */
  private out = 0
  private trialAt = 0

  constructor(
    private readonly settings: BreakerSettings,
    seams: BreakerSeams,
  ) {
    this.clock = seams.clock ?? (() => performance.now())
    this.random = seams.random ?? Math.random
    this.circuit = new Circuit(settings, this.clock, this.random, (change) => this.changed(change))
  }

  get state(): BreakerState {
    return this.circuit.state
  }

  get share(): number {
    return this.circuit.share
  }

  allow(): number {
    const { circuit } = this
    const { state } = circuit
    if (state === 'open') return 0
    if (state === 'half-open') return this.trial() ? circuit.turn : 0
    const { share } = circuit
    return share >= 1 || this.random() < share ? circuit.turn : 0
  }

  succeeded(permit: number, ms?: number): void {
    this.end(permit, false, false, ms)
  }

  failed(permit: number, ms?: number, network = false): void {
    this.end(permit, true, network, ms)
  }

  forget(permit: number): void {
    if (permit === this.circuit.turn && this.out > 0) this.out--
  }

  async run<T>(fn: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    needFunction(fn, 'breaker.run')
    const permit = this.allow()
    if (permit === 0) throw new BreakerOpenError(this.circuit.left)
    const begun = this.clock()
    try {
      const result = await fn()
      const ms = this.clock() - begun
      if (failing(statusOf(result), this.settings)) this.failed(permit, ms)
      else this.succeeded(permit, ms)
      return result
    } catch (error) {
      if (signal?.aborted === true || blameless(error)) this.forget(permit)
      else this.failed(permit, this.clock() - begun, isNetworkError(error))
      throw error
    }
  }

  on(event: 'state', fn: (change: BreakerChange) => void): () => void {
    if (event !== 'state') throw new TypeError(`on: got ${JSON.stringify(event)}, takes 'state'`)
    needFunction(fn, "on('state')")
    this.listeners.add(fn)
    return () => void this.listeners.delete(fn)
  }

  /** Those whose callers never say how they went are given up after another open time: else it would stay half-open for ever. */
  private trial(): boolean {
    const { circuit } = this
    const now = this.clock()
    // One that has jumped back begins the wait anew.
    if (now < this.trialAt) this.trialAt = now
    if (this.out > 0 && now - this.trialAt >= circuit.lastOpen) this.out = 0
    if (this.out + circuit.passed >= this.settings.trials) return false
    this.out++
    this.trialAt = now
    return true
  }

  private end(permit: number, failed: boolean, network: boolean, ms: number | undefined): void {
    // It may have been open long enough meanwhile: the state is read first, so that the permit is held against that of now.
    if (this.circuit.state === 'open' || permit !== this.circuit.turn) return
    if (this.out > 0) this.out--
    this.circuit.note(failed, network, ms)
  }

  private changed(change: BreakerChange): void {
    this.out = 0
    tellAll(this.listeners, change, 'breaker')
  }
}

/** Whether an answer counts as a failure. */
export function failing(status: number | undefined, { statuses }: BreakerSettings): boolean {
  if (status === undefined) return false
  return statuses === undefined ? status >= 500 && status <= 599 : statuses.includes(status)
}

/** The status of an answer, where it is one. */
export function statusOf(result: unknown): number | undefined {
  const { status } = (typeof result === 'object' && result !== null ? result : {}) as { status?: unknown }
  return typeof status === 'number' ? status : undefined
}

/** What says nothing of whom was called. */
function blameless(error: unknown): boolean {
  if (error instanceof ProxyError) return error.source !== 'upstream'
  return error instanceof Error && error.name === 'AbortError'
}
