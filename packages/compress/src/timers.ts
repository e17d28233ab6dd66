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

/** For how long bytes may be held back, in ms: with the grain of a timer they are still less than 5 late. */
export const patience = 4
