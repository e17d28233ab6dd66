/** In a burst the first of so many isn't kept waiting for those behind it. */
const atMost = 64

/** The real one: fake timers in an app's tests are there to stop its clock, and not its proxy's writes. */
const immediately = setImmediate

/** Functions and what each is called with, in turn. */
let calls: unknown[] = []

/**
 * Calls `fn(arg)` when what the sockets brought in this turn of the event loop has been handled, together with the others of
 * the turn: for writes. A peer that sleeps is woken by the first write and awake for those right behind it, and to wake it
 * costs as much as a write does (docs/decisions/013). In a burst it may be at once.
 * @param fn must not throw
 */
export function endOfTurn<T>(fn: (arg: T) => void, arg: T): void {
  if (calls.length === 0) immediately(callAll)
  calls.push(fn, arg)
  if (calls.length >= 2 * atMost) callAll()
}

function callAll(): void {
  const now = calls
  calls = []
  let i = 0
  try {
    for (; i < now.length; i += 2) (now[i] as (arg: unknown) => void)(now[i + 1])
  } finally {
    // One that throws all the same must not cost the others what they have to write.
    for (i += 2; i < now.length; i += 2) endOfTurn(now[i] as (arg: unknown) => void, now[i + 1])
  }
}
