/** Calls `fn` once after `ms`; returns the undo. */
export type After = (ms: number, fn: () => void) => () => void

/** The real one: fake timers in an app's tests are there to stop its clock, and not its reads. */
export const immediately = setImmediate

/**
 * By a timer that holds no process open. Timers come ahead of reads, so that in a process that was held up the time is over before what has come in
 * time is read: an immediate comes behind it.
 */
export const later: After = (ms, fn) => {
  let waits = true
  const timer = setTimeout(immediately, ms, () => {
    if (waits) fn()
  }).unref()
  return () => {
    waits = false
    clearTimeout(timer)
  }
}
