import { type Duration, duration, integer, that, v } from '@sluice/options'

/** What all limiters in memory take. */
export interface MemoryLimiterOptions {
  /**
   * Keys that are held at most. When it is full, the key that was asked for longest ago has its whole limit again, but one that has used half of its
   * limit stays. Default 100000.
   */
  keys?: number
  /** Monotonic milliseconds. Default `performance.now`. */
  clock?: () => number
}

/** Schema of {@link MemoryLimiterOptions}. */
export const memoryLimiterOptions = {
  keys: v.optional(integer(1, 10_000_000), 100_000),
  clock: v.optional(
    that<() => number>((value) => typeof value === 'function', 'a function'),
    () => () => performance.now(),
  ),
}

/** Schema of a window: milliseconds, one at least. */
export function windowDuration(): v.GenericSchema<Duration, number> {
  return v.pipe(
    duration(),
    v.check((ms) => ms >= 1, '1ms or more'),
  )
}

/** Schema of a rate, which may be less than one. */
export const rateNumber = that<number>(
  (value) => typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY,
  'a number, more than 0',
)
