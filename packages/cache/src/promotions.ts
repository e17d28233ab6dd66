/** An entry of the far store on its way into the near one. */
export interface Promotion {
  readonly key: string
  /** Something has happened since it was asked for that it may not know of: it must not go into the near store. */
  outdated: boolean
}

/**
 * Keeps what a far store has given from going into the near one after it was replaced, deleted or purged: that would bring it back. What
 * was asked for before such a change ended is outdated.
 */
export class Promotions {
  private readonly open = new Map<string, Set<Promotion>>()
  /** How many changes are under way, by key. */
  private readonly changing = new Map<string, number>()
  private purging = 0
  private readonly claimed = new Set<string>()

  /** The far store is being asked for this key. */
  begin(key: string): Promotion {
    const promotion = { key, outdated: this.purging > 0 || this.changing.has(key) }
    const others = this.open.get(key)
    if (others === undefined) this.open.set(key, new Set([promotion]))
    else others.add(promotion)
    return promotion
  }

  /** Tells whether this one may go into the near store: one at a time for a key. */
  claim(promotion: Promotion): boolean {
    if (promotion.outdated || this.claimed.has(promotion.key)) return false
    this.claimed.add(promotion.key)
    return true
  }

  /** It goes nowhere any more. */
  end(promotion: Promotion, claimed = false): void {
    const { key } = promotion
    if (claimed) this.claimed.delete(key)
    const all = this.open.get(key)
    if (all?.delete(promotion) && all.size === 0) this.open.delete(key)
  }

  /** The entry of this key is being changed, until what this returns is called. */
  change(key: string): () => void {
    for (const promotion of this.open.get(key) ?? []) promotion.outdated = true
    this.changing.set(key, (this.changing.get(key) ?? 0) + 1)
    return () => {
      const left = (this.changing.get(key) as number) - 1
      if (left === 0) this.changing.delete(key)
      else this.changing.set(key, left)
    }
  }

  /** Any entry may be changed, until what this returns is called. */
  changeAll(): () => void {
    for (const all of this.open.values()) for (const promotion of all) promotion.outdated = true
    this.purging++
    return () => {
      this.purging--
    }
  }
}
