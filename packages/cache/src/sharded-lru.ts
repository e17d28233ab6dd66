import { LRUCache } from 'lru-cache'

/** What a {@link ShardedLru} orders. */
export interface Aged {
  /** Of its key; all those of one order by one function. */
  readonly hash: number
  /** When it was used last: a count of all uses. The order's to write. */
  used: number
}

/**
 * Least recently used first, as one `LRUCache` without a bound would have it. The `Map` of that is copied as a whole now and then: so there are several, and
 * the oldest of all is the oldest of theirs.
 */
export class ShardedLru<T extends Aged> {
  size = 0
  private readonly shards: LRUCache<T, T>[]
  /** Of each shard, by its number. */
  private readonly oldest: (T | undefined)[]
  private uses = 0

  /** @param count of shards: a power of two */
  constructor(count: number) {
    // A bound is asked for: it is never reached.
    this.shards = Array.from(
      { length: count },
      () => new LRUCache<T, T>({ maxSize: Number.MAX_SAFE_INTEGER, sizeCalculation: one }),
    )
    this.oldest = Array.from({ length: count }, () => undefined)
  }

  /** Takes what isn't there, as just used. */
  add(added: T): void {
    const at = this.shardOf(added)
    added.used = ++this.uses
    ;(this.shards[at] as LRUCache<T, T>).set(added, added)
    this.oldest[at] ??= added
    this.size++
  }

  /** Says of what is there that it has been used. */
  use(used: T): void {
    const at = this.shardOf(used)
    used.used = ++this.uses
    ;(this.shards[at] as LRUCache<T, T>).get(used)
    if (this.oldest[at] === used) this.lookForOldest(at)
  }

  /** Takes out what is there. */
  remove(removed: T): void {
    const at = this.shardOf(removed)
    ;(this.shards[at] as LRUCache<T, T>).delete(removed)
    if (this.oldest[at] === removed) this.lookForOldest(at)
    this.size--
  }

  /** Takes out what was used longest ago. */
  pop(): T | undefined {
    let oldest: T | undefined
    for (const each of this.oldest)
      if (each !== undefined && (oldest === undefined || each.used < oldest.used)) oldest = each
    if (oldest !== undefined) this.remove(oldest)
    return oldest
  }

  clear(): void {
    for (const shard of this.shards) shard.clear()
    this.oldest.fill(undefined)
    this.size = 0
  }

  private lookForOldest(at: number): void {
    this.oldest[at] = (this.shards[at] as LRUCache<T, T>).rvalues().next().value as T | undefined
  }

  private shardOf({ hash }: T): number {
    return (hash >>> 16) & (this.shards.length - 1)
  }
}

function one(): number {
  return 1
}
