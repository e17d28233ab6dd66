import { LRUCache } from 'lru-cache'

/** How long one is remembered. */
const lastsByDefault = 10_000

/** Bytes of keys, with what an entry costs beside them. */
const sizeByDefault = 4 * 1024 * 1024

/** What an entry costs beside its key, about. */
const perEntry = 128

/** Names of reasons that are told apart: a number holds the time and which of them it is. */
const reasonsAtMost = 64

/**
 * Remembers for which keys the last answer could not be stored, and why. Requests for such a key don't wait for one another:
 * whoever waits for private content gets none of it, and would only have waited. Each is fetched for itself, and stored where the
 * answer can be again, whereupon the key is forgotten.
 *
 * Each answer that can't be stored renews it, so a short time is enough: a key that is asked for often stays, and the target is
 * guarded by coalescing again soon after whatever made its answers unstorable has passed.
 */
export class HitForMiss {
  private readonly until: LRUCache<string, number>
  private readonly lasts: number
  private readonly reasons: string[] = []

  /**
   * @param lasts ms for which a key is remembered; 0: none is. Default 10 s
   * @param size bytes of memory for all keys, about: those not asked for the longest are forgotten first. Default 4 MB
   */
  constructor(lasts: number = lastsByDefault, size: number = sizeByDefault) {
    this.lasts = lasts
    this.until = new LRUCache({ maxSize: size, sizeCalculation: (_, key) => key.length + perEntry })
  }

  /** How many keys are remembered, those whose time is over and that nobody has asked for since among them. */
  get size(): number {
    return this.until.size
  }

  /** Whether a request for this key is to wait for no other. `now` in ms, of whatever clock. */
  has(key: string, now: number): boolean {
    return this.why(key, now) !== undefined
  }

  /** Why answers for this key could not be stored; `undefined` where nothing is known against it. */
  why(key: string, now: number): string | undefined {
    // To look for a text that is new is to hash it first.
    const packed = this.until.size === 0 ? undefined : this.until.get(key)
    if (packed === undefined) return undefined
    const index = packed % reasonsAtMost
    const until = (packed - index) / reasonsAtMost
    // Further ahead than it was ever set the clock was set back, perhaps by hours.
    if (until > now && until <= this.untilFrom(now)) return this.reasons[index]
    this.until.delete(key)
    return undefined
  }

  /** The answer for this key could not be stored. */
  note(key: string, why: string, now: number): void {
    if (this.lasts > 0) this.until.set(key, this.untilFrom(now) * reasonsAtMost + this.indexOf(why))
  }

  /** An answer for this key has been stored. */
  forget(key: string): void {
    if (this.until.size > 0) this.until.delete(key)
  }

  private untilFrom(now: number): number {
    return Math.ceil(now + this.lasts)
  }

  private indexOf(why: string): number {
    const { reasons } = this
    const index = reasons.indexOf(why)
    if (index >= 0) return index
    // Reasons are names in the code, so few; were they made up on the way, the last place would be everybody's.
    if (reasons.length < reasonsAtMost) return reasons.push(why) - 1
    reasons[reasonsAtMost - 1] = why
    return reasonsAtMost - 1
  }
}
