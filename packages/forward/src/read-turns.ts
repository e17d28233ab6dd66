/** Bytes that answers may bring in one turn of the event loop before the rest waits for the next: a few milliseconds' work. */
const perTurn = 4 * 1024 * 1024
/** The same where many wait: there is more than one such turn's work then, and whoever asks for something small has to get through it. */
const perTurnOfMany = 1024 * 1024
const many = 16
/** What one read brings at most. */
const aRead = 64 * 1024

/** The real one: fake timers in an app's tests stop its clock, and not its proxy's reads. */
const immediately = setImmediate

/** A connection that has more to read. */
export interface Reader {
  /** Its turn has come. */
  readOn(): void
}

let left = perTurn
let isDue = false
const waiting: Reader[] = []

/**
 * Shares out each turn of the event loop among the answers that are larger than a buffer. The system gives what it has, 2 MB of a connection
 * in one turn: with hundreds of them, whose clients may not even take it, everybody else's requests would wait for it.
 * @param size bytes that were read, and filled their buffer
 * @returns whether it may read on at once. If not, it is told
 */
export function mayReadOn(reader: Reader, size: number): boolean {
  left -= size
  ask()
  if (left > 0) return true
  waiting.push(reader)
  return false
}

function ask(): void {
  if (isDue) return
  isDue = true
  immediately(nextTurn)
}

function nextTurn(): void {
  isDue = false
  left = waiting.length > many ? perTurnOfMany : perTurn
  if (waiting.length === 0) return
  ask()
  for (const reader of waiting.splice(0, left / aRead)) reader.readOn()
}
