/** The real one: fake timers in an app's tests are there to stop its clock, and not its proxy's connections. */
const immediately = setImmediate

/**
 * Calls `fn` once the event loop has read what sockets hold now. An immediate runs behind the reads that this turn of the
 * loop began with; only one set from there runs behind the reads of a whole turn.
 */
export function afterReads(fn: () => void): void {
  immediately(() => immediately(fn))
}
