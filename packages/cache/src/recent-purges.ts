import { purgeMatches } from './purge-matches.js'
import type { EntryHead, PurgeKey } from './store.js'

/** How long a purge that somebody else has told of may still be under way in the store that is shared, in ms. */
const underWay = 30_000

/** More than that, and all counts as purged. */
const most = 1000

/** Purges made elsewhere, as long as a shared store may still give what they are about to drop. */
export class RecentPurges {
  private all: { readonly what: PurgeKey; readonly until: number }[] = []

  add(what: PurgeKey): void {
    this.forget()
    const tooMany = this.all.length >= most
    if (tooMany) this.all = []
    this.all.push({ what: tooMany ? { prefix: '' } : what, until: performance.now() + underWay })
  }

  /** Whether an entry may be one that is about to go. */
  meet(head: EntryHead): boolean {
    if (this.all.length === 0) return false
    this.forget()
    return this.all.some(({ what }) => purgeMatches(what, head))
  }

  private forget(): void {
    const now = performance.now()
    while (this.all[0] !== undefined && this.all[0].until <= now) this.all.shift()
  }
}
