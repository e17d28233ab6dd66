import { type Duration, duration, ranged, v } from '@sluice/options'
import { latencyQuantile } from './latency-quantile.js'

/** When the second try goes. */
export interface HedgeDelayOptions {
  /** Send the second try after this time. Default: after `quantile` of the latencies seen. */
  after?: Duration
  /** Which latency to wait for before the second try: above 0, below 1. Default 0.95: one call in twenty is hedged. */
  quantile?: number
  /** The second try goes no earlier than this, if `after` isn't set. Default 5 ms. */
  min?: Duration
  /** The second try goes no later than this, if `after` isn't set; also while no latency is known. Default 1 s. */
  max?: Duration
}

/** Validate {@link HedgeDelayOptions} and fill in the defaults. */
export const hedgeDelayEntries = {
  after: v.optional(duration()),
  quantile: v.optional(ranged(0.01, 0.999), 0.95),
  min: v.optional(duration(), 5),
  max: v.optional(duration(), 1_000),
}

/** {@link HedgeDelayOptions} with none left out, in milliseconds. */
export interface HedgeDelaySettings {
  readonly after?: number | undefined
  readonly quantile: number
  readonly min: number
  readonly max: number
}

/** How long to wait for a first try, by how long first tries took so far. */
export interface HedgeDelay {
  /** In ms. */
  wait(): number
  /** Adds how long a first try took or, where it lost, how long it ran, in ms. */
  took(ms: number): void
}

/**
 * A delay with latencies of its own.
 *
 *   wait = min(max, the greater of min and the quantile of first tries)
 *
 * One that lost would have taken longer than it ran. Counted so, it stays above the wait, and in the long run no more are hedged than
 * the share that `quantile` leaves, as far as `max` lets the wait grow. Counted by the second try's time, or not at all, the
 * wait would sink with each one that lost, and more and more would be sent twice. A quantile costs a walk over the histogram: it is
 * taken anew when a sixty-fourth more has been seen, or 16 more.
 */
export function hedgeDelay({ after, quantile, min, max }: HedgeDelaySettings): HedgeDelay {
  if (after !== undefined) return { wait: () => after, took() {} }
  const latencies = latencyQuantile(quantile)
  let wait = max
  let seen = 0
  let next = 1
  return {
    wait: () => wait,
    took(ms) {
      latencies.add(ms)
      if (++seen < next) return
      next = seen + Math.min(16, 1 + Math.floor(seen / 64))
      wait = Math.min(max, Math.max(min, latencies.value() ?? max))
    },
  }
}
