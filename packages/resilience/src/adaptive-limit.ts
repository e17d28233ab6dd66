import { integer, v } from '@sluice/options'
import { type After, later } from './queue-timer.js'

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

/**
 * Whether an answer's latency says something. A handshake (101) is no work like the others'. A fault comes faster than any work: taken for the latency without a queue, some of them
 * would make all that works look slow, long after they are over. 503 counts as dropped.
 */
export function timed(status: number | undefined): boolean {
  return status === undefined || (status !== 101 && status < 500) || status === 503
}

/** How much longer than the long-term latency the short-term one may be before the limit sinks. */
const tolerance = 1.2
/** Part of the way to its new value that a limit goes at once. */
const smoothing = 0.2
/** Windows between two dips. */
const dipEvery = 50
/** A dip is given up after so many long-term latencies, in bounds. */
const patience = 10
const leastPatience = 1_000
const mostPatience = 10_000
/** Windows that one counts for, by how far its gradient is below the one of rest. */
const haste = 40

/**
 * A limit of calls in flight that finds itself by latencies: where more calls at once only make each wait longer, the service
 * is full. After the gradient limits of Netflix's concurrency-limits (`Gradient2Limit`), whose long-term latency drifts up
 * with the queue that it causes; dips, as in Envoy's adaptive concurrency filter, keep it down.
 *
 *   window    max(10, limit / 2) calls; short = the average latency of those that weren't dropped
 *   long      follows short: by 0.3 of the difference down, or in a window that is unused; by 0.5 after a dip; else by 0.002 up
 *   gradient  min(1, max(0.5, 1.2 * long / short))
 *   limit     * max(0.5, 1 - part of the calls that were dropped), then += 0.2 * (limit * gradient + √limit - limit), in [min, max]:
 *             one lost now and then costs less than a window grows
 *   unused    a window that never had half the limit in flight does not let it grow
 *   dip       after 50 used windows the limit is half for as many calls as were in flight, whose latency is that of the queue
 *             before, and for one window more, which shows the latency without a queue. Windows with a gradient below that of
 *             rest, 1 - 1 / √limit, count for more: 40 times the difference. Given up after 10 * long, of 1 s to 10 s: what takes so
 *             long (a long poll) isn't a queue, and must not keep all else waiting
 *
 * At rest short = 1.2 * long / (1 - 1 / √limit): the limit is a little above what the service can do at once, so it's never idle.
 * Cost: constant, some additions a call, and a timer a dip.
 */
export class AdaptiveLimit {
  private limit: number
  private long = 0
  private count = 0
  private sum = 0
  private most = 0
  private lost = 0
  private used = 0
  private dipping = false
  private skip = 0
  private cancel: (() => void) | undefined = undefined

  /** @param opened hears that a dip was given up, so that there is more room */
  constructor(
    private readonly settings: AdaptiveSettings,
    private readonly after: After = later,
    private readonly opened?: () => void,
  ) {
    this.limit = this.bounded(settings.initial)
  }

  /** Calls that may be in flight. */
  get value(): number {
    const { limit } = this
    return Math.floor(this.dipping ? this.bounded(limit / 2) : limit)
  }

  /**
   * Takes the end of a call.
   * @param ms its latency; one that is no time, from a clock that has jumped, is left out
   * @param inFlight calls in flight at that time, this one included
   * @param dropped it failed as one does that is too much: no answer in time, or 503
   */
  sample(ms: number, inFlight: number, dropped = false): void {
    if (this.skip > 0) {
      this.skip--
      return
    }
    if (dropped) this.lost++
    else if (ms >= 0 && ms <= Number.MAX_SAFE_INTEGER) this.sum += ms
    else return
    this.count++
    if (inFlight > this.most) this.most = inFlight
    if (this.count >= Math.max(10, this.value / 2)) this.close()
  }

  /** Nothing more comes of it. */
  stop(): void {
    this.cancel?.()
    this.cancel = undefined
  }

  private close(): void {
    const { count, dipping, long, lost, most } = this
    const good = count - lost
    const short = this.sum / good
    this.begin()
    const limit = this.bounded(this.limit * Math.max(0.5, 1 - lost / count))
    this.limit = limit
    if (good === 0) return
    const unused = !dipping && most < limit / 2
    const pull = dipping ? 0.5 : unused || short < long ? 0.3 : 0.002
    this.long = long === 0 ? short : long + (short - long) * pull
    if (dipping || unused) return
    const gradient = short > 0 ? Math.min(1, Math.max(0.5, (tolerance * this.long) / short)) : 1
    this.limit = this.bounded(limit + smoothing * (limit * gradient + Math.sqrt(limit) - limit))
    // What looks slow may be so without a queue by now, which a dip alone can tell.
    this.used += 1 + haste * Math.max(0, 1 - 1 / Math.sqrt(limit) - gradient)
    if (this.used < dipEvery) return
    this.used = 0
    this.dipping = true
    this.skip = most
    const ms = Math.min(Math.max(this.long * patience, leastPatience), mostPatience)
    this.cancel = this.after(ms, () => {
      this.begin()
      this.opened?.()
    })
  }

  /** A window begins, and any dip is over. */
  private begin(): void {
    this.count = 0
    this.sum = 0
    this.most = 0
    this.lost = 0
    this.skip = 0
    this.dipping = false
    this.stop()
  }

  private bounded(limit: number): number {
    const { min, max } = this.settings
    return Math.max(min, Math.min(max, limit))
  }
}
