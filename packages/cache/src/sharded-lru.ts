import { LRUCache } from 'lru-cache'

/** What a {@link ShardedLru} orders. */
export interface Aged {
  /** Of its key; all those of one order by one function. */
  readonly hash: number
  /** When it was used last: a count of all uses. The order's to write. */
  used: number
}

/** Some of all, by their hashes. */
interface Shard<T extends Aged> {
  readonly lru: LRUCache<T, T>
  oldest: T | undefined
}

/**
 * Least recently used first, as one `LRUCache` without a bound would have it. The `Map` of that is copied as a whole now and then: so there are several, and
 * the oldest of all is the oldest of theirs.
 */
export class ShardedLru<T extends Aged> {
  size = 0
  private readonly shards: readonly Shard<T>[]
  private uses = 0

  /** @param count of shards: a power of two */
  constructor(count: number) {
    this.shards = Array.from({ length: count }, () => ({
      // A bound that is never reached.
      lru: new LRUCache<T, T>({ maxSize: Number.MAX_SAFE_INTEGER, sizeCalculation: one }),
      oldest: undefined,
    }))
  }

  /** Takes what isn't there, as just used. */
  add(added: T): void {
    const shard = this.shardOf(added)
    added.used = ++this.uses
    shard.lru.set(added, added)
    shard.oldest ??= added
    this.size++
  }

  /** What is there has been used. */
  use(used: T): void {
    const shard = this.shardOf(used)
    used.used = ++this.uses
    shard.lru.get(used)
    if (shard.oldest === used) shard.oldest = oldestOf(shard)
  }

  /** Takes out what is there. */
  remove(removed: T): void {
    const shard = this.shardOf(removed)
    shard.lru.delete(removed)
    if (shard.oldest === removed) shard.oldest = oldestOf(shard)
    this.size--
  }

  /** Takes out what was used longest ago. */
  pop(): T | undefined {
    let found: T | undefined
    for (const { oldest } of this.shards)
      if (oldest !== undefined && (found === undefined || oldest.used < found.used)) found = oldest
    if (found !== undefined) this.remove(found)
    return found
  }

  clear(): void {
    for (const shard of this.shards) {
      shard.lru.clear()
      shard.oldest = undefined
    }
    this.size = 0
  }

  private shardOf({ hash }: T): Shard<T> {
    // By high bits: tables use the low ones.
    return this.shards[(hash >>> 16) & (this.shards.length - 1)] as Shard<T>
  }
}

function oldestOf<T extends Aged>({ lru }: Shard<T>): T | undefined {
  return lru.rvalues().next().value as T | undefined
}

function one(): number {
  return 1
}
