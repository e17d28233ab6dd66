import { type GuardedStore, letGo } from './guarded-store.js'
import { isEntryHead } from './is-entry.js'
import { type Kept, newId, varyAtMost } from './keep.js'
import type { CacheKey } from './key.js'
import type { Entry, EntryHead } from './store.js'

/**
 * What stands at the primary key of a resource whose responses vary: the names that they vary on, and which there are. Each change
 * looks at what is there now, since fetches of several variants end beside one another.
 */
export class Markers {
  constructor(
    private readonly store: GuardedStore,
    /** Responses for one URL: the oldest goes. */
    private readonly most: number,
  ) {}

  /** A response that varies has been stored. Resolves when it can be found, where that takes time. */
  note(key: CacheKey, kept: Kept): Promise<void> | undefined {
    if (kept.vary.length === 0) return undefined
    return this.#at(key.primary, (marker) => this.#noted(key, kept, marker))
  }

  /** A variant may be of use for longer than the marker before it was to stay. */
  renew(primary: string, keepUntil: number): void {
    void this.#at(primary, (marker) => {
      if (marker !== undefined && marker.keepUntil < keepUntil)
        return this.store.touch(primary, { ...marker, keepUntil })
      return undefined
    })
  }

  #noted(
    { primary, url }: CacheKey,
    { head, key, vary }: Kept,
    marker: EntryHead | undefined,
  ): Promise<void> | undefined {
    const before = marker?.vary ?? []
    const known = marker?.variants ?? []
    const all = [...new Set([...before, ...vary])].sort()
    // Meanwhile another one may have come that varies on more: by those names this one isn't found.
    const outdated = all.length > vary.length && all.length <= varyAtMost
    let variants: readonly string[] = known
    let gone: readonly string[] = [key]
    if (!outdated) {
      // None of before is found by more names than it was stored by.
      const found = before.length === vary.length ? known.filter((one) => one !== key) : []
      variants = [...found, key].slice(-this.most)
      gone = known.filter((one) => !variants.includes(one))
    }
    for (const one of gone) void this.store.delete(one)
    const { requestTime, responseTime } = head
    return this.store.putBare(primary, {
      id: newId(),
      primary,
      url,
      tags: [],
      status: 0,
      headers: [],
      requestTime,
      responseTime,
      keepUntil: Math.max(marker?.keepUntil ?? 0, head.keepUntil),
      vary: outdated ? all : vary,
      variants,
    })
  }

  #at(
    primary: string,
    act: (marker: EntryHead | undefined) => Promise<void> | undefined,
  ): Promise<void> | undefined {
    const found = this.store.get(primary)
    const look = (entry: Entry | undefined) => {
      const head = entry?.head
      letGo(entry)
      return act(head !== undefined && isEntryHead(head) && head.vary !== undefined ? head : undefined)
    }
    return found instanceof Promise ? found.then(look) : look(found)
  }
}
