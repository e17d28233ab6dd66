import { type Duration, duration, v } from '@sluice/options'

/** How long to wait before a further try. */
export interface BackoffOptions {
  /** The most that the first wait takes; it doubles with each further one. Default 25 ms. */
  base?: Duration
  /** The most that any wait takes, and the most that a `Retry-After` is waited for. Default 1 s. */
  max?: Duration
  /** Chance, from 0 up to but without 1. Default `Math.random`. */
  random?: () => number
}

/** {@link BackoffOptions} with none left out. */
export interface BackoffSettings {
  readonly base: number
  readonly max: number
  readonly random: () => number
}

/** Validates {@link BackoffOptions} and fills in the defaults. */
export const backoffOptions = v.strictObject({
  base: v.optional(duration(), 25),
  max: v.optional(duration(), 1_000),
  random: v.optional(
    v.custom<() => number>((value) => typeof value === 'function', 'a function that returns a number'),
    () => Math.random,
  ),
})

/**
 * Milliseconds to wait after the try of this number (from 1): evenly spread from 0 to the doubled bound ("full jitter", Marc
 * Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015), so that those who failed together don't come back
 * together. Chance that gives no number from 0 to 1 counts as the nearest of them, and NaN as 1.
 */
export function backoffDelay(attempt: number, { base, max, random }: BackoffSettings): number {
  const chance = random()
  const share = chance >= 0 ? Math.min(chance, 1) : chance < 0 ? 0 : 1
  // 2 ** 1024 is Infinity, and 0 * Infinity is NaN.
  return share * Math.min(max, base * 2 ** Math.min(attempt - 1, 1_000))
}
