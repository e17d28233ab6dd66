import { randomInt } from 'node:crypto'
import type { Variants } from '@sluice/core'
import { LinkedList } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { CodedForms } from './coded-forms.js'
import { FieldTable } from './field-table.js'
import { flatCopy } from './flat-copy.js'
import { keyHash } from './key-hash.js'
import { MemoryEntry } from './memory-entry.js'
import { MemorySlot, slotCost } from './memory-slot.js'
import {
  type MemoryStoreOptions,
  type MemoryStoreSettings,
  resolveMemoryStore,
} from './memory-store-options.js'
import { MemoryWriter } from './memory-writer.js'
import { type PackedHead, packedId, packedPurged, packHead, unpackHead } from './packed-head.js'
import { ProbationCache } from './probation-cache.js'
import { PurgeIndex } from './purge-index.js'
import { purgeMatches } from './purge-matches.js'
import type { Entry, EntryHead, EntryWriter, PurgeKey, Store } from './store.js'
import { UrlIndex } from './url-index.js'

/** A store in this process's memory. It answers without promises. */
export interface MemoryStore extends Store {
  /** Bytes it holds, all that it takes to hold them included. Never above `maxSize`. */
  readonly bytes: number
  /** How many entries it holds. */
  readonly count: number
  get(key: string): Entry | undefined
  touch(key: string, head: EntryHead): void
  delete(key: string): void
}

/**
 * Keeps responses in memory, bounded in bytes. What is asked for once doesn't push out what is asked for often (see `ProbationCache`).
 *
 * Bytes are what an entry takes in all: its body, its head, its key, and some 400 for the objects around them, measured with a
 * million entries. Bodies on their way in aren't counted: each is bounded by `maxEntry`. An entry that is past its `keepUntil` goes when it is
 * asked for or when its turn comes; no timer runs.
 *
 * A purge is in force when it returns. Dropping what it matches takes about a microsecond each, so after some hundreds the
 * rest follows in slices, one in each turn of the event loop; until then `get` asks of each entry whether such a purge matches.
 * @throws TypeError that names the option: `memoryStore.maxSize`
 */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  return new Memory(resolveMemoryStore(options))
}

/** A purge that is still being carried out. */
interface Ban {
  readonly what: PurgeKey
  readonly soft: boolean
  /** It matches what was put while the store counted no further. */
  readonly upTo: number
  count: number
}

/** How often a slot is asked for until its entry is kept beside it. */
const hitsToKeepEntry = 3
/** Slots that a purge looks at before others get their turn. */
const slice = 500
const noTags: readonly string[] = Object.freeze([])
const empty = Buffer.alloc(0)
/**
 * The seconds that a slot counts to: a small number takes no memory of its own. What ends later (34 years from when the store was made, as all
 * does on a machine that began in 1970 and has been told the time since) goes when its turn comes.
 */
const longest = 2 ** 30

class Memory implements MemoryStore {
  readonly maxEntry: number
  private readonly slots: ProbationCache<MemorySlot>
  private readonly byUrl = new UrlIndex<MemorySlot>((key) => this.slots.peek(key, this.hash(key)))
  private readonly byTag = new PurgeIndex<MemorySlot>()
  private readonly fields = new FieldTable()
  private readonly writers = new LinkedList<MemoryWriter>()
  private readonly seed = randomInt(2 ** 32)
  private readonly maxSize: number
  private readonly clock: () => number
  /** Times are counted from here on, which keeps them small. */
  private readonly begun: number
  private bans: Ban[] = []
  /** Purges so far. */
  private purges = 0
  private closed = false

  constructor({ maxSize, maxEntry, clock }: MemoryStoreSettings) {
    this.maxSize = maxSize
    this.maxEntry = maxEntry
    this.clock = clock
    this.begun = clock()
    this.slots = new ProbationCache(maxSize, (slot) => this.forget(slot))
  }

  get bytes(): number {
    return this.slots.bytes
  }

  get count(): number {
    return this.slots.count
  }

  get(key: string): Entry | undefined {
    let slot = this.slots.get(key, this.hash(key))
    if (slot !== undefined && this.bans.length > 0) slot = this.spared(slot)
    if (slot === undefined) return undefined
    if (this.clock() - this.begun > slot.until * 1000 && slot.until !== longest) {
      this.drop(slot)
      return undefined
    }
    if (slot.hits < hitsToKeepEntry) slot.hits++
    return slot.entry ?? this.entryOf(slot)
  }

  put(key: string, head: EntryHead): EntryWriter | undefined {
    if (this.closed || (head.length !== undefined && head.length > this.maxEntry)) return undefined
    const writer = new MemoryWriter(this, key, head, this.purges)
    this.writers.add(writer)
    return writer
  }

  ended(writer: MemoryWriter): void {
    this.writers.remove(writer)
  }

  keep({ key, head, born }: MemoryWriter, body: Uint8Array | string, trailers?: HeaderList): void {
    if (this.closed) return
    const hash = this.hash(key)
    const old = this.current(key, hash)
    const ownKey = old?.key ?? flatCopy(key)
    const kept = trailers === undefined || trailers.length === 0 ? undefined : trailers.map(flatCopy)
    const slot = this.slotOf(ownKey, hash, head, body, kept, born)
    if (slot.cost > this.maxSize) return
    if (old === undefined) this.slots.add(slot)
    else {
      this.forget(old)
      this.slots.replace(old, slot)
    }
    this.index(slot)
  }

  touch(key: string, head: EntryHead): void {
    const slot = this.current(key, this.hash(key))
    if (slot === undefined || packedId(slot.packed) !== head.id) return
    this.swap(slot, this.slotOf(slot.key, slot.hash, head, slot.body, slot.trailers, this.purges))
  }

  delete(key: string): void {
    const slot = this.slots.peek(key, this.hash(key))
    if (slot !== undefined) this.drop(slot)
  }

  purge(what: PurgeKey, soft = false): Promise<number> {
    const ban: Ban = { what, soft, upTo: this.purges++, count: 0 }
    this.writers.forEach(doomIf, what)
    const steps = this.candidates(what)
    if (this.walk(ban, steps)) return Promise.resolve(ban.count)
    this.bans.push(ban)
    return new Promise((resolve) => {
      const next = (): void => {
        if (!this.walk(ban, steps)) return void setImmediate(next)
        this.bans = this.bans.filter((each) => each !== ban)
        resolve(ban.count)
      }
      setImmediate(next)
    })
  }

  close(): Promise<void> {
    this.closed = true
    this.writers.forEach(abort, undefined)
    this.slots.clear()
    this.byUrl.clear()
    this.byTag.clear()
    return Promise.resolve()
  }

  formsOf(slot: MemorySlot): Variants {
    slot.coded ??= this.newForms(slot)
    return slot.coded
  }

  private newForms(slot: MemorySlot): CodedForms {
    // The slot that has the forms by then: a head may be replaced meanwhile.
    let holder = slot
    const current = (): MemorySlot | undefined => {
      if (this.closed) return undefined
      if (holder.place !== 0) return holder
      const found = this.slots.peek(slot.key, slot.hash)
      if (found?.coded !== forms) return undefined
      holder = found
      return found
    }
    const forms = new CodedForms(
      this.maxEntry,
      (added) => {
        const found = current()
        return (
          found !== undefined && forms.bytes + added <= this.maxEntry && found.cost + added <= this.maxSize
        )
      },
      () => {
        const found = current()
        if (found !== undefined) this.slots.reweigh(found, slotCost(found))
      },
    )
    return forms
  }

  private hash(key: string): number {
    return keyHash(key, this.seed)
  }

  private slotOf(
    key: string,
    hash: number,
    head: EntryHead,
    body: Uint8Array | string,
    trailers: HeaderList | undefined,
    born: number,
  ): MemorySlot {
    const url = key.startsWith(head.url) ? key.slice(0, head.url.length) : flatCopy(head.url)
    const tags = head.tags.length === 0 ? noTags : head.tags.map(flatCopy)
    const packed = packHead(head, key, this.fields, this.begun)
    const until = Math.min(longest, Math.ceil((head.keepUntil - this.begun) / 1000))
    const slot = new MemorySlot(key, hash, url, tags, packed, until, body, trailers, born)
    slot.cost = slotCost(slot)
    return slot
  }

  /** The entry of a slot that has none yet. */
  private entryOf(slot: MemorySlot): Entry {
    const { packed, key, url, tags, body } = slot
    const head = unpackHead(packed, key, url, tags, this.fields, this.begun)
    const often = slot.hits === hitsToKeepEntry
    const entry = new MemoryEntry(head, bytesOf(body, often), slot, this)
    if (!often) return entry
    slot.entry = entry
    slot.body = entry.bytes
    const cost = slotCost(slot)
    if (cost <= this.maxSize) this.slots.reweigh(slot, cost)
    else {
      slot.entry = undefined
      slot.body = body
    }
    return entry
  }

  /** What stands at a key, where no purge matches it. */
  private current(key: string, hash: number): MemorySlot | undefined {
    const slot = this.slots.peek(key, hash)
    return slot === undefined || this.bans.length === 0 ? slot : this.spared(slot)
  }

  /** What the purges that are being carried out leave of a slot. */
  private spared(slot: MemorySlot): MemorySlot | undefined {
    let left: MemorySlot | undefined = slot
    for (const ban of this.bans) left = left === undefined ? undefined : this.apply(ban, left)
    return left
  }

  private apply(ban: Ban, slot: MemorySlot): MemorySlot | undefined {
    if (slot.born > ban.upTo || !purgeMatches(ban.what, slot)) return slot
    ban.count++
    if (!ban.soft) {
      this.drop(slot)
      return undefined
    }
    const { key, hash, url, tags, packed, until, body, trailers } = slot
    const marked: PackedHead = packedPurged(packed)
    const purged = new MemorySlot(key, hash, url, tags, marked, until, body, trailers, ban.upTo + 1)
    purged.cost = slotCost(purged)
    this.swap(slot, purged)
    return purged
  }

  /** Gives a slot's body to one with another head. */
  private swap(old: MemorySlot, slot: MemorySlot): void {
    slot.coded = old.coded
    if (slot.coded !== undefined) slot.cost = slotCost(slot)
    if (slot.cost > this.maxSize) return this.drop(old)
    this.forget(old)
    this.slots.replace(old, slot)
    this.index(slot)
  }

  /** All that a purge may match. */
  private *candidates({ url, tag, prefix }: PurgeKey): Generator<MemorySlot, void> {
    if (url !== undefined) yield* this.byUrl.of(url)
    else if (tag !== undefined) yield* this.byTag.of(tag)
    else if (prefix !== undefined) yield* this.slots.values()
  }

  /** Carries a purge on. True when it is done. */
  private walk(ban: Ban, steps: Generator<MemorySlot, void>): boolean {
    for (let i = 0; i < slice; i++) {
      const step = steps.next()
      if (step.done === true) return true
      // One may have gone since it was found.
      if (step.value.place !== 0) this.apply(ban, step.value)
    }
    return false
  }

  private drop(slot: MemorySlot): void {
    this.slots.remove(slot)
    this.forget(slot)
  }

  private index(slot: MemorySlot): void {
    this.byUrl.add(slot)
    const { tags } = slot
    for (let i = 0; i < tags.length; i++) this.byTag.add(tags[i] as string, slot)
  }

  private forget(slot: MemorySlot): void {
    this.byUrl.remove(slot)
    const { tags } = slot
    for (let i = 0; i < tags.length; i++) this.byTag.remove(tags[i] as string, slot)
  }
}

function doomIf(writer: MemoryWriter, what: PurgeKey): void {
  writer.doomed ||= purgeMatches(what, writer.head)
}

function abort(writer: MemoryWriter): void {
  writer.abort()
}

/** @param alone in memory of its own, for long: what is used once may share its memory */
function bytesOf(body: Uint8Array | string, alone: boolean): Uint8Array {
  if (typeof body !== 'string') return body
  if (body === '') return empty
  if (!alone) return Buffer.from(body, 'latin1')
  const bytes = Buffer.allocUnsafeSlow(body.length)
  bytes.write(body, 'latin1')
  return bytes
}
