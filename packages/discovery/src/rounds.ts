import type { Seams } from './discovery-options.js'
import type { Feed } from './feed.js'

/** How long to wait after failures, in milliseconds. */
export interface RetrySettings {
  readonly min: number
  readonly max: number
}

/** A round that has failed in part: it is told of as a failure, but what it has brought is to be asked for again in time. */
export class PartFailure extends Error {
  readonly code: string | undefined

  /** @param life of what it has brought, in ms */
  constructor(
    failure: NodeJS.ErrnoException,
    readonly life: number,
  ) {
    super(failure.message, { cause: failure })
    this.code = failure.code
  }
}

/**
 * A source's work, one round after the other until disposed. A round that rejects is told of and tried again later.
 *
 * after a success: as long as the round says
 * after one that says nothing, for there was nothing, and after a failure, the nth in a row:
 *   min(max, min × 2^(n-1)) × (0.5 + 0.5 × random): half of it is left to chance, so that many
 * proxies don't come back to a registry at the same moment; where it has failed in part, no longer than what it has
 *   brought lives
 */
export class Rounds implements Disposable {
  private failures = 0
  private readonly controller = new AbortController()
  private cancel: (() => void) | undefined = undefined

  /**
   * @param round its signal aborts when all is over; it resolves with the milliseconds until the next one. One that lasts calls its
   * second argument where it has worked, whatever comes of it in the end
   * @param retry how long to wait after a failure, if that is not said by their number
   */
  constructor(
    private readonly round: (signal: AbortSignal, works: () => void) => Promise<number | undefined>,
    private readonly feed: Feed,
    private readonly retry: RetrySettings | (() => number),
    private readonly seams: Seams,
  ) {}

  start(): this {
    this.run()
    return this
  }

  /** Between two rounds: puts the next off, or forward, to that many milliseconds from now. In a round: nothing. */
  again(ms: number): void {
    if (this.cancel === undefined) return
    this.cancel()
    this.wait(ms)
  }

  [Symbol.dispose](): void {
    this.cancel?.()
    this.cancel = undefined
    this.feed.close()
    this.controller.abort()
  }

  private readonly works = (): void => {
    this.failures = 0
    this.feed.works()
  }

  private run(): void {
    const { signal } = this.controller
    this.cancel = undefined
    // A round that throws instead of rejecting has failed all the same.
    new Promise<number | undefined>((resolve) => resolve(this.round(signal, this.works))).then(
      (pause) => {
        if (signal.aborted) return
        this.feed.works()
        if (pause !== undefined) this.failures = 0
        this.wait(pause ?? this.backoff())
      },
      (error: unknown) => {
        if (signal.aborted) return
        this.feed.fail(error)
        const most = error instanceof PartFailure ? error.life : Number.POSITIVE_INFINITY
        this.wait(Math.min(this.backoff(), most))
      },
    )
  }

  private wait(ms: number): void {
    this.cancel = this.seams.after(ms, () => this.run())
  }

  private backoff(): number {
    if (typeof this.retry === 'function') return this.retry()
    const { min, max } = this.retry
    const most = Math.min(max, min * 2 ** Math.min(this.failures++, 30))
    return most * (0.5 + 0.5 * this.seams.random())
  }
}
