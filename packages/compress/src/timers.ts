/** Where waiting comes from, to be replaced in tests. */
export interface Timers {
  /** Calls `fn` after `ms`, once. It must not hold the process open. */
  set(fn: () => void, ms: number): unknown
  /** Forgets a timer that `set` has given. */
  clear(timer: unknown): void
}

/** Node's own timers, which hold no process open. */
export const unheldTimers: Timers = {
  set: (fn, ms) => setTimeout(fn, ms).unref(),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
}

/** For how long bytes of a body that has begun are held back while more may come, in ms. With the grain of a timer they are less than 5 late. */
export const pause = 4

/** The same where it comes so steadily that there is no pause, in ms from the first byte that is held. */
export const steady = 25

/**
 * For how long the head is held back while a short body may come, in ms. What is held beside it is coded after that, by the thread pool, and the
 * first byte is to be less than 5 late all the same.
 */
export const patience = 2
