/** Finds values by a text that several may share. One that is alone costs no set. */
export class PurgeIndex<T extends object> {
  private readonly found = new Map<string, T | Set<T>>()

  add(text: string, value: T): void {
    const there = this.found.get(text)
    if (there === undefined) this.found.set(text, value)
    else if (there instanceof Set) there.add(value)
    else if (there !== value) this.found.set(text, new Set([there, value]))
  }

  remove(text: string, value: T): void {
    const there = this.found.get(text)
    if (there === value) this.found.delete(text)
    else if (there instanceof Set && there.delete(value) && there.size === 0) this.found.delete(text)
  }

  /** All of a text. */
  of(text: string): Iterable<T> {
    const there = this.found.get(text)
    if (there === undefined) return []
    return there instanceof Set ? there : [there]
  }

  /** Every text with its values. What comes and goes between two steps does no harm: nothing that stays is left out. */
  *entries(): IterableIterator<[string, Iterable<T>]> {
    for (const [text, there] of this.found) yield [text, there instanceof Set ? there : [there]]
  }

  clear(): void {
    this.found.clear()
  }
}
