/** What a {@link KeyTable} holds. */
export interface Hashed {
  readonly key: string
  /** Of the key, 32 bits with a sign; all those of a table by one function. */
  readonly hash: number
}

/** Buckets of an empty table. A power of two. */
const fewest = 16

/**
 * Holds much by keys, and finds it by their hashes. A `Map` of a million is copied as a whole now and then, for a second; this one grows
 * by a bucket at a time (linear hashing: Litwin, VLDB 1980), and by places that are used again, so that what is young stands together. It
 * keeps them, 24 bytes each.
 */
export class KeyTable<T extends Hashed> {
  size = 0
  /** By place; nobody is at 0. */
  private ones: (T | undefined)[] = [undefined]
  /** For each place its hash, and the next place of its bucket, or free one. */
  private links = new Int32Array(fewest * 2)
  private free = 0
  /** For each bucket the first place. */
  private heads = new Int32Array(fewest)
  private buckets = fewest
  /** So many there were when the last had been split: now up to twice as many. */
  private level = fewest

  get(key: string, hash: number): T | undefined {
    const { links, ones } = this
    for (let at = this.heads[this.bucket(hash)] as number; at !== 0; at = links[at * 2 + 1] as number) {
      if (links[at * 2] !== hash) continue
      const one = ones[at] as T
      if (one.key === key) return one
    }
    return undefined
  }

  /** Takes one whose key isn't there yet. */
  add(one: T): void {
    const at = this.place()
    const bucket = this.bucket(one.hash)
    this.ones[at] = one
    this.links[at * 2] = one.hash
    this.links[at * 2 + 1] = this.heads[bucket] as number
    this.heads[bucket] = at
    if (++this.size > this.buckets) this.split()
  }

  /** Puts one in the place of another of the same key. */
  replace(old: T, one: T): void {
    const { links, ones } = this
    let at = this.heads[this.bucket(old.hash)] as number
    while (at !== 0 && ones[at] !== old) at = links[at * 2 + 1] as number
    if (at !== 0) ones[at] = one
  }

  /** Takes out what is there. */
  remove(one: T): void {
    const { heads, links, ones } = this
    const bucket = this.bucket(one.hash)
    let before = 0
    let at = heads[bucket] as number
    while (at !== 0 && ones[at] !== one) {
      before = at
      at = links[at * 2 + 1] as number
    }
    if (at === 0) return
    const next = links[at * 2 + 1] as number
    if (before === 0) heads[bucket] = next
    else links[before * 2 + 1] = next
    ones[at] = undefined
    links[at * 2 + 1] = this.free
    this.free = at
    if (--this.size === 0) this.clear()
  }

  /** All there is. Nothing that stays is left out, whatever comes and goes between two steps. */
  *values(): IterableIterator<T> {
    for (let at = 1; at < this.ones.length; at++) {
      const one = this.ones[at]
      if (one !== undefined) yield one
    }
  }

  clear(): void {
    this.size = 0
    this.ones = [undefined]
    this.links = new Int32Array(fewest * 2)
    this.free = 0
    this.heads = new Int32Array(fewest)
    this.buckets = fewest
    this.level = fewest
  }

  private bucket(hash: number): number {
    const { buckets, level } = this
    const bucket = hash & (level * 2 - 1)
    return bucket < buckets ? bucket : bucket & (level - 1)
  }

  /** A free place. */
  private place(): number {
    const { free, links, ones } = this
    if (free !== 0) {
      this.free = links[free * 2 + 1] as number
      return free
    }
    const at = ones.length
    if (at * 2 === links.length) this.links = twice(links)
    ones.push(undefined)
    return at
  }

  /** Adds a bucket, with what is its own by one more bit of the hash. */
  private split(): void {
    const { buckets, level } = this
    if (buckets === this.heads.length) this.heads = twice(this.heads)
    const { heads, links } = this
    const from = buckets - level
    let at = heads[from] as number
    let stays = 0
    let goes = 0
    while (at !== 0) {
      const next = links[at * 2 + 1] as number
      if (((links[at * 2] as number) & level) === 0) {
        links[at * 2 + 1] = stays
        stays = at
      } else {
        links[at * 2 + 1] = goes
        goes = at
      }
      at = next
    }
    heads[from] = stays
    heads[buckets] = goes
    this.buckets++
    if (this.buckets === level * 2) this.level = this.buckets
  }
}

function twice(numbers: Int32Array): Int32Array<ArrayBuffer> {
  const more = new Int32Array(numbers.length * 2)
  more.set(numbers)
  return more
}
