import type { BodyInit, Variants } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import type { MemorySlot } from './memory-slot.js'
import type { Prepared } from './prepared.js'
import type { Entry, EntryHead } from './store.js'

/** Gives the coded forms of a slot's body. */
export interface FormsOf {
  formsOf(slot: MemorySlot): Variants
}

/** An entry whose body is in memory. */
export class MemoryEntry implements Entry {
  readonly size: number
  readonly trailers?: HeaderList
  /** Of the cache that served it last. */
  prepared: Prepared | undefined = undefined

  constructor(
    readonly head: EntryHead,
    readonly bytes: Uint8Array,
    private readonly slot: MemorySlot,
    private readonly store: FormsOf,
  ) {
    this.size = bytes.length
    if (slot.trailers !== undefined) this.trailers = slot.trailers
  }

  /** Made when they are first asked for: most entries have none. */
  get variants(): Variants {
    return this.store.formsOf(this.slot)
  }

  body(from?: number, to?: number): BodyInit {
    return from === undefined && to === undefined ? this.bytes : this.bytes.subarray(from, to)
  }
}
