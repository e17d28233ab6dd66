/** Gathers what is wrong with several options, so that a person hears of all of it at once. */
export class Faults {
  readonly #lines = new Set<string>()

  /** What `make` gives; what it complains of as a `TypeError` is kept, and then it gives nothing. */
  collect<T>(make: () => T): T | undefined {
    try {
      return make()
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      for (const line of error.message.split('\n')) this.#lines.add(line)
      return undefined
    }
  }

  /** Whether anything is known to be wrong with an option, or with what is in it. */
  has(path: string): boolean {
    return [...this.#lines].some((line) => line.startsWith(path) && ':.['.includes(line.charAt(path.length)))
  }

  /** @throws TypeError with a line for each fault, if there was any */
  throwAny(): void {
    if (this.#lines.size > 0) throw new TypeError([...this.#lines].join('\n'))
  }
}
