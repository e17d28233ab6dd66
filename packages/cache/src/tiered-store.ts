import { fault, parse, quote, type Size, size, v } from '@sluice/options'
import { lackingOfStore } from './is-store.js'
import { PromotedEntry } from './promoted-entry.js'
import { type Promotion, Promotions } from './promotions.js'
import { purgeMatches } from './purge-matches.js'
import { RecentPurges } from './recent-purges.js'
import type { Entry, EntryHead, EntryWriter, PurgeKey, Store } from './store.js'
import { TieredWriter } from './tiered-writer.js'

/** Options of {@link tieredStore}. */
export interface TieredOptions {
  /** Bytes of a body up to which an entry that the far store has given goes into the near one too. Default 1mb. */
  promote?: Size
}

const tieredOptions = v.strictObject({ promote: v.optional(size(), '1mb') })

/**
 * Two stores as one: what `near` has, it gives (without a promise where `near` needs none), everything else comes from `far`, and goes into
 * `near` as well: at once where `far` has it in memory, else as its body is read, so that nothing is read or held for that alone.
 *
 * Both are written, touched, deleted from and purged. What one of them refuses, the other may keep; what `far` fails at, `near` has done by
 * then. Purges, marks and leases of a `far` that other proxies share are passed on, and `near` is purged by what they purge. `purge` tells
 * the greater of both counts: `near` mostly holds copies.
 * @throws TypeError for wrong arguments
 */
export function tieredStore(near: Store, far: Store, options: TieredOptions = {}): Store {
  const faults: string[] = []
  for (const [path, store] of Object.entries({ near, far })) {
    const lacking = lackingOfStore(store)
    if (lacking.length > 0)
      faults.push(fault(`tieredStore.${path}`, quote(store), `a store: it has no ${lacking.join(', ')}`))
  }
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
  return new TieredStore(near, far, parse(tieredOptions, options, 'tieredStore').promote)
}

class TieredStore implements Store {
  declare readonly mark?: () => unknown
  declare readonly watch?: (fn: (what: PurgeKey, soft: boolean) => void) => () => void
  declare readonly lease?: (key: string, wait: number) => Promise<(() => void) | undefined>
  private readonly promotions = new Promotions()
  private readonly open = new Set<TieredWriter>()
  private readonly recent = new RecentPurges()
  private readonly unwatch: (() => void) | undefined

  constructor(
    private readonly near: Store,
    private readonly far: Store,
    private readonly promote: number,
  ) {
    if (far.mark !== undefined) this.mark = () => far.mark?.()
    if (far.lease !== undefined) this.lease = (key, wait) => this.leased(key, wait)
    if (far.watch === undefined) return
    const listeners = new Set<(what: PurgeKey, soft: boolean) => void>()
    this.watch = (fn) => {
      // Of its own, for a function that watches twice.
      const each = (what: PurgeKey, soft: boolean): void => fn(what, soft)
      listeners.add(each)
      return () => void listeners.delete(each)
    }
    this.unwatch = far.watch((what, soft) => {
      this.heard(what, soft)
      for (const each of listeners) each(what, soft)
    })
  }

  get(key: string, signal?: AbortSignal): Entry | undefined | Promise<Entry | undefined> {
    let found: Entry | undefined | Promise<Entry | undefined>
    try {
      found = this.near.get(key, signal)
    } catch {
      // Whatever it is, the far one may have it.
    }
    if (!isPromise(found)) return found ?? this.getFar(key, signal)
    return found.then(
      (entry) => entry ?? this.getFar(key, signal),
      () => this.getFar(key, signal),
    )
  }

  put(key: string, head: EntryHead, mark?: unknown): EntryWriter | undefined {
    const near = attempt(() => this.near.put(key, head))
    const far = attempt(() => this.far.put(key, head, mark))
    if (near === undefined && far === undefined) return undefined
    const writer = new TieredWriter(
      head,
      near,
      far,
      (store) => this.lost(key, store),
      () => this.promotions.change(key),
      (one) => this.open.delete(one),
    )
    this.open.add(writer)
    return writer
  }

  touch(key: string, head: EntryHead): void | Promise<void> {
    return this.change(key, (store) => store.touch(key, head))
  }

  delete(key: string): void | Promise<void> {
    return this.change(key, (store) => store.delete(key))
  }

  async purge(what: PurgeKey, soft?: boolean): Promise<number> {
    const over = this.promotions.changeAll()
    this.doom(what)
    // Both are told before anything is waited for.
    const counts = [this.near, this.far].map((store) => outcome(() => store.purge(what, soft)))
    const ends = await Promise.all(counts)
    over()
    return Math.max(...ends.map(valueOf))
  }

  async close(): Promise<void> {
    this.unwatch?.()
    const ends = await Promise.all([this.near, this.far].map((store) => outcome(() => store.close())))
    ends.forEach(valueOf)
  }

  private getFar(
    key: string,
    signal: AbortSignal | undefined,
  ): Entry | undefined | Promise<Entry | undefined> {
    const promotion = this.promotions.begin(key)
    let found: Entry | undefined | Promise<Entry | undefined>
    try {
      found = this.far.get(key, signal)
    } catch (error) {
      this.promotions.end(promotion)
      throw error
    }
    if (!isPromise(found)) return this.promoted(found, promotion)
    return found.then(
      (entry) => this.promoted(entry, promotion),
      (error: unknown) => {
        this.promotions.end(promotion)
        throw error
      },
    )
  }

  /** An entry of the far store, on its way into the near one where it may go there. */
  private promoted(entry: Entry | undefined, promotion: Promotion): Entry | undefined {
    const fits = entry !== undefined && entry.size <= this.promote
    if (fits && !promotion.outdated && !this.recent.meet(entry.head)) {
      if (entry.bytes === undefined) return new PromotedEntry(entry, this.near, promotion, this.promotions)
      this.copy(entry, entry.bytes, promotion)
    } else this.promotions.end(promotion)
    return entry
  }

  private copy(entry: Entry, bytes: Uint8Array, promotion: Promotion): void {
    if (!this.promotions.claim(promotion)) return this.promotions.end(promotion)
    const done = (): void => this.promotions.end(promotion, true)
    const kept = outcome(() => {
      const writer = this.near.put(promotion.key, entry.head)
      if (writer === undefined || bytes.length === 0 || writer.write(bytes))
        return writer?.commit(entry.trailers)
      return writer.abort()
    })
    if (isPromise(kept)) void kept.then(done)
    else done()
  }

  /** What a store refused of a new entry: the one before it there would pass for the newest. */
  private lost(key: string, store: 'near' | 'far'): void | Promise<void> {
    return this[store].delete(key)
  }

  private change(key: string, make: (store: Store) => void | Promise<void>): void | Promise<void> {
    const over = this.promotions.change(key)
    // Near first: it is done by then where it needs no promise. Whether it fails or not, far is told too.
    const done = [this.near, this.far].map((store) => outcome(() => make(store)))
    if (!done.some(isPromise)) {
      over()
      return (done as PromiseSettledResult<void>[]).forEach(valueOf)
    }
    return Promise.all(done).then((ends) => {
      over()
      ends.forEach(valueOf)
    })
  }

  /** A purge was made elsewhere: it is told of before the far store is through with it, and what that gives meanwhile must not stay here. */
  private heard(what: PurgeKey, soft: boolean): void {
    this.recent.add(what)
    const over = this.promotions.changeAll()
    this.doom(what)
    void Promise.resolve(outcome(() => this.near.purge(what, soft))).then(over)
  }

  /** What is on its way isn't kept; and what has come under its key since isn't its to drop. */
  private doom(what: PurgeKey): void {
    for (const writer of this.open) if (purgeMatches(what, writer.head)) writer.abort()
  }

  private async leased(key: string, wait: number): Promise<(() => void) | undefined> {
    const end = await this.far.lease?.(key, wait)
    // Another proxy has stored a newer one, which the near store would hide.
    if (end === undefined) await outcome(() => this.near.delete(key))
    return end
  }
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Promise<T> | undefined)?.then === 'function'
}

/** What `work` gives; nothing where it throws. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

/** What has become of `work`: a promise of it where it needs one. */
function outcome<T>(work: () => T | Promise<T>): PromiseSettledResult<T> | Promise<PromiseSettledResult<T>> {
  try {
    const value = work()
    if (!isPromise(value)) return { status: 'fulfilled', value }
    return value.then(
      (value) => ({ status: 'fulfilled', value }),
      (reason: unknown) => ({ status: 'rejected', reason }),
    )
  } catch (reason) {
    return { status: 'rejected', reason }
  }
}

function valueOf<T>(end: PromiseSettledResult<T>): T {
  if (end.status === 'rejected') throw end.reason
  return end.value
}
