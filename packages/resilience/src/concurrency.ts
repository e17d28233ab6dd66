import { ProxyError } from '@sluice/core'
import { fault, quote } from '@sluice/options'
import { AdaptiveLimit, timed } from './adaptive-limit.js'
import { statusOf } from './breaker.js'
import {
  type ConcurrencyOptions,
  type ConcurrencySettings,
  type QueueOptions,
  resolveConcurrency,
  resolveQueue,
} from './concurrency-options.js'
import { QueueError } from './queue-error.js'
import { QueueLine, type QueueRefusal, Waiter } from './queue-line.js'
import type { After } from './queue-timer.js'

/** What a concurrency limit takes from outside, to be replaced in tests. */
export interface ConcurrencySeams {
  /** Monotonic milliseconds, for the adaptive limit. Default `performance.now`. */
  clock?: () => number
  /** Calls `fn` once after `ms`; returns the undo. Default a timer that holds no process open. */
  after?: After
}

/** A limit on calls at once, with a bounded line of those that wait. */
export interface Concurrency {
  /** Calls that may be in flight now. */
  readonly limit: number
  readonly inFlight: number
  readonly waiting: number
  /**
   * Calls `fn` as soon as there is room.
   * @param signal gives up waiting, with its reason; a call that has begun is for `fn` to end
   * @throws QueueError
   */
  run<T>(fn: () => T | Promise<T>, signal?: AbortSignal): Promise<T>
  /** Refuses those that wait and all that come. Calls in flight go on. */
  close(): void
}

/**
 * A concurrency limit around any asynchronous function, fixed or found by latencies (see `AdaptiveLimit`).
 * @throws TypeError for a wrong option
 */
export function concurrency(options: ConcurrencyOptions, seams: ConcurrencySeams = {}): Concurrency {
  return new CallConcurrency(resolveConcurrency(options), seams)
}

/**
 * A bounded queue in front of any asynchronous function: so many at once, so many that wait.
 * @throws TypeError for a wrong option
 */
export function queue(options: QueueOptions = {}, seams: ConcurrencySeams = {}): Concurrency {
  return new CallConcurrency(resolveQueue(options), seams)
}

/** Whoever ends serves the next at once, so nobody who comes meanwhile can take its place. */
class CallConcurrency implements Concurrency {
  inFlight = 0
  private closed = false
  private serving = false
  private readonly fixed: number
  private readonly adaptive: AdaptiveLimit | undefined
  private readonly line: QueueLine
  private readonly clock: () => number

  constructor(settings: ConcurrencySettings, seams: ConcurrencySeams) {
    const { limit } = settings
    this.fixed = limit === 'adaptive' ? 0 : limit
    this.adaptive =
      limit === 'adaptive' ? new AdaptiveLimit(settings.adaptive, seams.after, () => this.move()) : undefined
    this.line = new QueueLine(settings.line, seams.after)
    this.clock = seams.clock ?? (() => performance.now())
  }

  get limit(): number {
    return this.adaptive?.value ?? this.fixed
  }

  get waiting(): number {
    return this.line.size
  }

  run<T>(fn: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    if (typeof fn !== 'function')
      return Promise.reject(new TypeError(fault('concurrency.run', quote(fn), 'a function')))
    if (this.closed) return Promise.reject(new QueueError('queue_closed'))
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    if (this.line.size === 0 && this.inFlight < this.limit) return this.call(fn, signal)
    return new Promise((resolve, reject) => {
      const waiter = new CallWaiter(() => resolve(this.call(fn, signal)), reject, signal, this.line)
      if (!this.line.join(waiter)) waiter.refuse('queue_full')
    })
  }

  close(): void {
    this.closed = true
    this.adaptive?.stop()
    this.line.clear('queue_closed')
  }

  private async call<T>(fn: () => T | Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    this.inFlight++
    const { adaptive } = this
    const begun = adaptive === undefined ? 0 : this.clock()
    try {
      const result = await fn()
      const status = statusOf(result)
      if (timed(status)) adaptive?.sample(this.clock() - begun, this.inFlight, status === 503)
      return result
    } catch (error) {
      if (signal?.aborted !== true && isTooMuch(error))
        adaptive?.sample(this.clock() - begun, this.inFlight, true)
      throw error
    } finally {
      this.inFlight--
      this.move()
    }
  }

  /** In one loop, whoever ends: a call that throws at once ends while it is served, and would serve the next one on its stack. */
  private move(): void {
    if (this.serving) return
    this.serving = true
    while (this.inFlight < this.limit && this.line.serve());
    this.serving = false
  }
}

const busy =
  /^E(CONN\w+|TIMEDOUT|PIPE|AI_AGAIN|HOST\w+|NET\w+|MFILE|NFILE|NOBUFS|ADDRNOTAVAIL)$|^UND_ERR_(SOCKET|\w+_TIMEOUT)$/

/**
 * Whether a call failed as one does that is too much: no connection or no answer in time, also beneath `fetch failed`, or 503. A call
 * that was wrong by itself fails as well with room for thousands, and as fast as no good one ends: it counts for nothing.
 */
function isTooMuch(error: unknown): boolean {
  if (error instanceof ProxyError) return error.source === 'upstream'
  if (!(error instanceof Error)) return false
  const { cause } = error
  return isBusy(error) || (cause instanceof Error && isBusy(cause))
}

function isBusy(error: NodeJS.ErrnoException): boolean {
  return error.name === 'TimeoutError' || busy.test(String(error.code)) || statusOf(error) === 503
}

class CallWaiter extends Waiter {
  private readonly aborted = (): void => {
    if (this.line?.leave(this) === true) this.reject(this.signal?.reason)
  }

  constructor(
    private readonly begin: () => void,
    private readonly reject: (error: unknown) => void,
    private readonly signal: AbortSignal | undefined,
    private readonly owner: QueueLine,
  ) {
    super()
    signal?.addEventListener('abort', this.aborted, { once: true })
  }

  serve(): void {
    this.signal?.removeEventListener('abort', this.aborted)
    this.begin()
  }

  refuse(why: QueueRefusal): void {
    this.signal?.removeEventListener('abort', this.aborted)
    this.reject(new QueueError(why, this.owner.retryAfter(why)))
  }
}
