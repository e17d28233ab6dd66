/** Pieces that may wait: with more than so many, more than one is done in a turn. */
const inTurns = 1_000

/**
 * Work that comes in heaps, a piece in each turn of the event loop, so that whoever has nothing to do with it waits for one piece and not
 * for the heap. The more there are, the more
 * are done in a turn: 50,000 in some thousands of turns.
 */
export class PacedWork {
  #pieces: (() => void)[] = []
  #isDue = false

  /** @param soon calls in the next turn, without keeping the process */
  constructor(private readonly soon: (fn: () => void) => void) {}

  add(piece: () => void): void {
    this.#pieces.push(piece)
    this.#ask()
  }

  /** All that is left, at once. */
  finish(): void {
    for (const piece of this.#pieces.splice(0)) piece()
  }

  #ask(): void {
    if (this.#isDue) return
    this.#isDue = true
    this.soon(this.#run)
  }

  readonly #run = (): void => {
    this.#isDue = false
    const now = this.#pieces.splice(0, Math.ceil(this.#pieces.length / inTurns))
    if (this.#pieces.length > 0) this.#ask()
    for (const piece of now) piece()
  }
}
