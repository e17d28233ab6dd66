import { type GuardedStore, letGo } from './guarded-store.js'
import { isEntryHead } from './is-entry.js'
import { type Kept, newId, varyAtMost } from './keep.js'
import type { CacheKey } from './key.js'
import type { Entry, EntryHead, Store } from './store.js'

/** What becomes of a marker by one change. `undefined`: it stays as it is. */
type Change = (marker: EntryHead | undefined) => EntryHead | undefined

/** The changes that wait for those before them at one key, to be made together. */
interface Round {
  readonly changes: Change[]
  readonly done: Promise<void>
  readonly tell: () => void
}

/** The keys at which a marker is being changed, with the round after that one. */
type Line = Map<string, Round | undefined>

/** Of all caches of this process, by the store in which the markers are. */
const lines = new WeakMap<Store, Line>()

/**
 * What stands at the primary key of a resource whose responses vary: the names that they vary on, and which there are. Each change
 * looks at what is there now, since fetches of several variants end beside one another.
 *
 * In a store that answers later, changes at one key are made one after the other by all caches of this process, and what has come meanwhile
 * goes in one: free ──change──▶ being made ──what waits, if anything──▶ being made ──▶ free.
 *
 * Two processes over one store may still change one marker at once, and the later one wins. Then a variant isn't on the list: it is found all the
 * same, by what the request has of the names, only nothing drops it but its time. Or a name isn't there: what varies on it isn't found, and is
 * fetched again. A wrong answer comes of neither.
 */
export class Markers {
  readonly #line: Line

  /** @param origin what `store` guards */
  constructor(
    private readonly store: GuardedStore,
    /** Responses for one URL: the oldest goes. */
    private readonly most: number,
    origin: Store,
  ) {
    this.#line = lines.get(origin) ?? new Map<string, Round | undefined>()
    lines.set(origin, this.#line)
  }

  /** A response that varies has been stored. Resolves when it can be found, where that takes time. */
  note(key: CacheKey, kept: Kept): Promise<void> | undefined {
    if (kept.vary.length === 0) return undefined
    return this.#change(key.primary, (marker) => this.#noted(key, kept, marker))
  }

  /** A variant may be of use for longer than the marker before it was to stay. */
  renew(primary: string, keepUntil: number): void {
    void this.#change(primary, (marker) =>
      marker !== undefined && marker.keepUntil < keepUntil ? { ...marker, keepUntil } : undefined,
    )
  }

  #noted({ primary, url }: CacheKey, { head, key, vary }: Kept, marker: EntryHead | undefined): EntryHead {
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
    return {
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
    }
  }

  /** Makes a change when those before it are made: at once, where nothing takes time. */
  #change(primary: string, change: Change): Promise<void> | undefined {
    const line = this.#line
    if (line.has(primary)) {
      const next = line.get(primary) ?? newRound()
      line.set(primary, next)
      next.changes.push(change)
      return next.done
    }
    const done = this.#make(primary, [change])
    if (done !== undefined) this.#hold(primary, done)
    return done
  }

  /** While a change is being made, others wait. */
  #hold(primary: string, done: Promise<void>): void {
    const line = this.#line
    line.set(primary, undefined)
    const onward = (): void => {
      const next = line.get(primary)
      line.delete(primary)
      if (next === undefined) return
      const made = this.#make(primary, next.changes) ?? Promise.resolve()
      this.#hold(primary, made)
      void made.then(next.tell, next.tell)
    }
    done.then(onward, onward)
  }

  #make(primary: string, changes: readonly Change[]): Promise<void> | undefined {
    const found = this.store.get(primary)
    const look = (entry: Entry | undefined): Promise<void> | undefined => {
      const head = entry?.head
      letGo(entry)
      const before = head !== undefined && isEntryHead(head) && head.vary !== undefined ? head : undefined
      let marker = before
      for (const change of changes) marker = change(marker) ?? marker
      if (marker === undefined || marker === before) return undefined
      return marker.id === before?.id
        ? this.store.touch(primary, marker)
        : this.store.putBare(primary, marker)
    }
    return found instanceof Promise ? found.then(look) : look(found)
  }
}

function newRound(): Round {
  let tell = (): void => {}
  const done = new Promise<void>((resolve) => {
    tell = resolve
  })
  return { changes: [], done, tell }
}
