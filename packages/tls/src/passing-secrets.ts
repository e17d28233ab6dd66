import { randomBytes } from 'node:crypto'

/**
 * Random secrets of one process, one for each period. What is gone can't be made again: whoever gets to read the memory opens what was recorded
 * in the last periods, and nothing older.
 */
export class PassingSecrets {
  readonly #made = new Map<number, Buffer>()

  /** The one of a period. */
  of(period: number): Buffer {
    const made = this.#made.get(period) ?? randomBytes(32)
    this.#made.set(period, made)
    return made
  }

  /** Forgets those of all other periods. */
  keep(first: number, last: number): void {
    for (const [period, made] of this.#made)
      if (period < first || period > last) {
        made.fill(0)
        this.#made.delete(period)
      }
  }
}
