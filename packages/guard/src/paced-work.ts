/** Between one turn of the work and the next, in ms. */
const step = 5

/**
 * Work that comes in heaps, done evenly over some time, so that whoever has nothing to do with it waits for a piece of it and not for the
 * heap. A request takes a handful of turns of the event loop: with a piece in each turn it would still wait for a handful of them.
 */
export class PacedWork {
  #pieces: (() => void)[] = []
  /** In a turn of the work. */
  #count = 0
  #stop: (() => void) | undefined
  readonly #turns: number

  /**
   * @param every calls again and again, without keeping the process, until what it gives is called
   * @param spread how long a heap may take, in ms: the next one comes then
   */
  constructor(
    private readonly every: (ms: number, fn: () => void) => () => void,
    spread: number,
  ) {
    this.#turns = Math.max(1, Math.floor(spread / step))
  }

  add(piece: () => void): void {
    this.#pieces.push(piece)
    this.#stop ??= this.every(step, this.#turn)
  }

  /** All that is left, at once. */
  finish(): void {
    this.#rest()
    for (const piece of this.#pieces.splice(0)) piece()
  }

  readonly #turn = (): void => {
    // What is left of a heap goes on at its pace.
    this.#count = Math.max(this.#count, Math.ceil(this.#pieces.length / this.#turns))
    // What a piece adds has a turn of its own: some want one between.
    for (let left = Math.min(this.#count, this.#pieces.length); left > 0; left--) {
      const piece = this.#pieces.shift()
      if (this.#pieces.length === 0) this.#rest()
      piece?.()
    }
  }

  #rest(): void {
    this.#count = 0
    this.#stop?.()
    this.#stop = undefined
  }
}
