/** Calls `fn` once after `ms`; returns the undo. */
export type After = (ms: number, fn: () => void) => () => void

/** By a timer that holds no process open. */
export const later: After = (ms, fn) => {
  const timer = setTimeout(fn, ms).unref()
  return () => clearTimeout(timer)
}
