/** What a limiter says of one request. */
export interface Verdict {
  /** Whether it may pass. One that may not has used up nothing. */
  readonly ok: boolean
  /** Units that a key may use at once when it has used none. */
  readonly limit: number
  /** Units that are left right now. */
  readonly remaining: number
  /** Milliseconds until all of `limit` is there again, if nothing more is used. */
  readonly resetMs: number
  /** Of one that may not pass: milliseconds until the same would. Nothing where it never will, since it costs more than `limit`. */
  readonly retryAfterMs?: number
}

/** What a limiter allows in the long run, for `RateLimit-Policy`. */
export interface LimitPolicy {
  /** Units in each window. */
  readonly quota: number
  /** Whole seconds. */
  readonly window: number
}

/** Counts for keys. Anything with a `take` is one. */
export interface Limiter {
  /**
   * Asks for `cost` units (default 1) for a key. What it throws, or rejects with, lets the request pass: see `rateLimit`. One that answers
   * with a promise should bound its time, since the request waits for it.
   */
  take(key: string, cost?: number): Verdict | Promise<Verdict>
  /** What it allows. Default: `RateLimit-Policy` tells the `limit` of a verdict, without a window. */
  readonly policy?: LimitPolicy
}

/** A limiter of this process alone: it answers at once. */
export interface MemoryLimiter extends Limiter {
  /** @throws TypeError for a key that is no text, and a cost that is no number from 0 on */
  take(key: string, cost?: number): Verdict
  readonly policy: LimitPolicy
  /** Keys that it holds. */
  readonly size: number
}
