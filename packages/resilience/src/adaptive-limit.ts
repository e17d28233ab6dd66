import { integer, v } from '@sluice/options'

/** Bounds of a limit that finds itself. */
export interface AdaptiveOptions {
  /** Where it begins. Default 20. */
  initial?: number
  /** Default 1. */
  min?: number
  /** Default 1000. */
  max?: number
}

/** {@link AdaptiveOptions} with none left out. */
export interface AdaptiveSettings {
  readonly initial: number
  readonly min: number
  readonly max: number
}

/** Validates {@link AdaptiveOptions} and fills in the defaults. */
export const adaptiveOptions = v.pipe(
  v.strictObject({
    initial: v.optional(integer(1), 20),
    min: v.optional(integer(1), 1),
    max: v.optional(integer(1), 1000),
  }),
  v.check(({ min, max }) => min <= max, 'a min that is no more than max'),
)

/** How much longer than the long-term latency the short-term one may be before the limit sinks. */
const tolerance = 1.2
/** Part of the way to its new value that a limit goes at once. */
const smoothing = 0.2
/** Windows between two dips. */
const dipEvery = 50

/**
 * A limit of calls in flight that finds itself by latencies: where more calls at once only make each wait longer, the service
 * is full. After the gradient limits of Netflix's concurrency-limits (`Gradient2Limit`), whose long-term latency drifts up
 * with the queue that it causes; dips, as in Envoy's adaptive concurrency filter, keep it down.
 *
 *   window    max(10, limit / 2) calls; short = their average latency
 *   long      follows short: by 0.3 of the difference down, or in a window that is unused; by 0.5 after a dip; else by 0.002 up
 *   gradient  min(1, max(0.5, 1.2 * long / short))
 *   limit     += 0.2 * (limit * gradient + √limit - limit), in [min, max]; * 0.9 after a window in which calls were dropped
 *   unused    a window that never had half the limit in flight leaves the limit alone
 *   dip       after 50 used windows the limit is half for as many calls as were in flight, whose latency is that of the queue
 *             before, and for one window more, which shows the latency without a queue
 *
 * At rest short = 1.2 * long / (1 - 1 / √limit): the limit is a little above what the service can do at once, so it's never idle.
 * Cost: constant, some additions a call.
 */
export class AdaptiveLimit {
  private limit: number
  private long = 0
  private count = 0
  private sum = 0
  private most = 0
  private dropped = false
  private used = 0
  private dipping = false
  private skip = 0

  constructor(private readonly settings: AdaptiveSettings) {
    this.limit = this.bounded(settings.initial)
  }

  /** Calls that may be in flight. */
  get value(): number {
    const { limit } = this
    return Math.floor(this.dipping ? this.bounded(limit / 2) : limit)
  }

  /**
   * Takes the end of a call.
   * @param inFlight calls in flight at that time, this one included
   * @param dropped it failed as one does that is too much: no answer in time, or 503
   */
  sample(ms: number, inFlight: number, dropped = false): void {
    if (this.skip > 0) {
      this.skip--
      return
    }
    this.count++
    this.sum += ms
    if (inFlight > this.most) this.most = inFlight
    if (dropped) this.dropped = true
    if (this.count >= Math.max(10, this.value / 2)) this.close()
  }

  private close(): void {
    const { dipping, dropped, limit, long, most } = this
    const short = this.sum / this.count
    this.count = 0
    this.sum = 0
    this.most = 0
    this.dropped = false
    this.dipping = false
    if (dropped) {
      this.limit = this.bounded(limit * 0.9)
      return
    }
    const unused = !dipping && most < limit / 2
    const pull = dipping ? 0.5 : unused || short < long ? 0.3 : 0.002
    this.long = long === 0 ? short : long + (short - long) * pull
    if (dipping || unused) return
    const gradient = short > 0 ? Math.min(1, Math.max(0.5, (tolerance * this.long) / short)) : 1
    this.limit = this.bounded(limit + smoothing * (limit * gradient + Math.sqrt(limit) - limit))
    if (++this.used % dipEvery > 0) return
    this.dipping = true
    this.skip = most
  }

  private bounded(limit: number): number {
    const { min, max } = this.settings
    return Math.max(min, Math.min(max, limit))
  }
}
