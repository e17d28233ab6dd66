/** How long to wait between tries, in ms. */
export interface Backoff {
  readonly base: number
  readonly max: number
}

/**
 * The wait before a further try. The first goes to another target, and at once: to wait there gains nothing. Those behind it wait by
 * chance between nothing and a limit that doubles ("full jitter", Brooker, "Exponential Backoff And Jitter", 2015), so that those who
 * have failed together don't come back together.
 *
 * retries 0: 0; retries n: random × min(max, base × 2^(n-1))
 * @param retries tries so far beyond the first
 * @param random a number in [0, 1)
 */
export function backoff(retries: number, { base, max }: Backoff, random: number): number {
  return retries === 0 ? 0 : random * Math.min(max, base * 2 ** (retries - 1))
}
