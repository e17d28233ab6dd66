/** What a {@link KeyTable} holds. */
export interface Hashed<T> {
  readonly key: string
  /** Of the key; all those of a table by one function. */
  readonly hash: number
  /** Another one of the same hash. The table's to write. */
  twin: T | undefined
}

/**
 * Holds much by keys, and finds it by their hashes. To look for a text in a `Map` of texts is to look into some others that stand beside it,
 * and where there are many each is somewhere else in memory; a number stands in the map itself. Two keys of one hash are linked.
 */
export class KeyTable<T extends Hashed<T>> {
  size = 0
  private readonly byHash = new Map<number, T>()

  get(key: string, hash: number): T | undefined {
    let one = this.byHash.get(hash)
    while (one !== undefined && one.key !== key) one = one.twin
    return one
  }

  /** Takes one whose key isn't there yet. */
  add(one: T): void {
    one.twin = this.byHash.get(one.hash)
    this.byHash.set(one.hash, one)
    this.size++
  }

  /** Puts one in the place of another of the same key. */
  replace(old: T, one: T): void {
    one.twin = old.twin
    this.link(old, one)
  }

  /** Takes out what is there. */
  remove(one: T): void {
    this.link(one, one.twin)
    this.size--
  }

  /** All there is. What comes and goes between two steps does no harm: nothing that stays is left out. */
  *values(): IterableIterator<T> {
    for (const first of this.byHash.values())
      for (let one: T | undefined = first; one !== undefined; one = one.twin) yield one
  }

  clear(): void {
    this.byHash.clear()
    this.size = 0
  }

  /** Lets whatever leads to `old` lead to `to`. */
  private link(old: T, to: T | undefined): void {
    const { hash } = old
    let one = this.byHash.get(hash)
    if (one === old) {
      if (to === undefined) this.byHash.delete(hash)
      else this.byHash.set(hash, to)
      return
    }
    while (one !== undefined && one.twin !== old) one = one.twin
    if (one !== undefined) one.twin = to
  }
}
