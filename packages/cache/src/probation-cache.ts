import { type Linked, LinkedList } from '@sluice/core'
import { Ghosts } from './ghosts.js'
import { type Hashed, KeyTable } from './key-table.js'
import { type Aged, ShardedLru } from './sharded-lru.js'

/** What a {@link ProbationCache} holds. The fields below are the cache's to write, but for `hits`. */
export interface Held<T> extends Linked<T>, Hashed, Aged {
  /** Bytes it counts for: 1 or more. */
  cost: number
  /** How often it was used, up to a few. */
  hits: number
  /** Where it stands. */
  place: Place
}

/** Nowhere (not yet, or no more), on probation, or among those that have proven themselves. */
export type Place = 0 | 1 | 2

const nowhere = 0
const probation = 1
const main = 2

/** Share of the bytes that those on probation keep when room is short. */
const onProbation = 0.1
/** Uses during probation that prove it: with one, a page that a crawler asks for twice in a row would be. */
const proof = 2
/** So many for each that leaves: when it has filled up all may be proven. */
const promotedAtOnce = 100
/** Bytes for each shard of the main part. */
const perShard = 4 * 1024 * 1024

/**
 * Bounded in bytes, and not to be flushed by a scan.
 *
 * What is new stands in a queue, on probation. While there is room nothing is let go. Then, while the queue holds more than a tenth of the
 * bytes, its oldest leaves: to the main part if it was used twice meanwhile; else it is gone, and its key remembered. What comes again with
 * a key that is remembered goes to the main part at once. That part is an LRU, and gives up its least recently used only for those two. So what is
 * asked for once passes through the queue, however much there is of it, and what is asked for often stays.
 *
 * This is S3-FIFO (Yang et al., FIFO queues are all you need for cache eviction, SOSP 2023), as 2Q before it (Johnson and Shasha, VLDB 1994), with an LRU for
 * the main part. Why not W-TinyLFU: docs/decisions/030.
 *
 * `add`, `replace` and `reweigh` never let go of what they were given: to make room for what is larger than the queue, the main part shrinks by as much.
 */
export class ProbationCache<T extends Held<T>> {
  /** All that is held, of both parts. */
  private readonly all = new KeyTable<T>()
  private readonly queue = new LinkedList<T>()
  private queueBytes = 0
  private readonly main: ShardedLru<T>
  private mainBytes = 0
  private readonly ghosts = new Ghosts()

  /**
   * @param maxSize bytes in all
   * @param letGo hears of each that had to leave for want of room
   */
  constructor(
    private readonly maxSize: number,
    private readonly letGo: (held: T) => void,
  ) {
    this.main = new ShardedLru(2 ** Math.floor(Math.log2(Math.min(64, Math.max(1, maxSize / perShard)))))
  }

  /** Bytes held. */
  get bytes(): number {
    return this.queueBytes + this.mainBytes
  }

  /** How many are held. */
  get count(): number {
    return this.all.size
  }

  /** What is held for a key; counts as a use in the main part, and in probation by its `hits`. */
  get(key: string, hash: number): T | undefined {
    const held = this.all.get(key, hash)
    if (held !== undefined && held.place === main) this.main.use(held)
    return held
  }

  /** What is held for a key, without a use. */
  peek(key: string, hash: number): T | undefined {
    return this.all.get(key, hash)
  }

  /** All that is held. What comes and goes between two steps does no harm: nothing that stays is left out. */
  values(): IterableIterator<T> {
    return this.all.values()
  }

  /** Takes what isn't held for a key yet. Its cost is at most the cache's bytes. */
  add(held: T): void {
    const proven = this.ghosts.take(held.hash, this.count)
    this.all.add(held)
    this.place(held, proven ? main : probation)
    this.makeRoom(held)
  }

  /** Puts one in the place of another of the same key. */
  replace(old: T, held: T): void {
    const { place } = old
    held.hits = old.hits
    this.displace(old)
    this.all.replace(old, held)
    this.place(held, place)
    this.makeRoom(held)
  }

  /** Counts one that is held for another cost; a use. */
  reweigh(held: T, cost: number): void {
    const { place } = held
    this.displace(held)
    held.cost = cost
    this.place(held, place)
    this.makeRoom(held)
  }

  /** Takes one out. Nobody hears of it. */
  remove(held: T): void {
    if (held.place === nowhere) return
    this.displace(held)
    this.all.remove(held)
  }

  /** Takes all out. */
  clear(): void {
    for (const held of this.all.values()) held.place = nowhere
    this.all.clear()
    this.queue.clear()
    this.queueBytes = 0
    this.main.clear()
    this.mainBytes = 0
  }

  private place(held: T, place: Place): void {
    held.place = place
    if (place === main) {
      this.main.add(held)
      this.mainBytes += held.cost
    } else {
      this.queue.add(held)
      this.queueBytes += held.cost
    }
  }

  private displace(held: T): void {
    if (held.place === main) {
      this.main.remove(held)
      this.mainBytes -= held.cost
    } else {
      this.queue.remove(held)
      this.queueBytes -= held.cost
    }
    held.place = nowhere
  }

  private makeRoom(keep: T): void {
    for (let most = promotedAtOnce; this.bytes > this.maxSize; ) {
      const inMain = this.main.size
      const young = this.count - inMain > (keep.place === probation ? 1 : 0)
      const old = inMain > (keep.place === main ? 1 : 0)
      const isMuch = this.queueBytes > this.maxSize * onProbation
      if (young && (!old || (isMuch && most > 0))) {
        if (this.endProbation(keep)) most--
        else most += promotedAtOnce
      } else if (old) this.giveUp(keep)
      else return
    }
  }

  /** @returns whether the oldest has stayed */
  private endProbation(keep: T): boolean {
    const held = this.queue.last as T
    if (held === keep || held.hits >= proof) {
      this.displace(held)
      this.place(held, held === keep ? probation : main)
      return true
    }
    this.remove(held)
    this.ghosts.add(held.hash, this.count)
    this.letGo(held)
    return false
  }

  private giveUp(keep: T): void {
    const held = this.main.pop() as T
    this.mainBytes -= held.cost
    if (held === keep) return this.place(held, main)
    held.place = nowhere
    this.all.remove(held)
    this.letGo(held)
  }
}
