import type { HeaderList } from '@sluice/headers'
import type { CodedForms } from './coded-forms.js'
import type { MemoryEntry } from './memory-entry.js'
import type { PackedHead } from './packed-head.js'
import type { Held, Place } from './probation-cache.js'

/**
 * What `memoryStore` keeps for a key. There may be a million of them, so it is made to be small: the head is packed, a small body is a text (a
 * buffer takes 400 bytes beside its own), and the {@link MemoryEntry} that `get` gives is made anew from them until it has been asked for a few
 * times, and kept then.
 */
export class MemorySlot implements Held<MemorySlot> {
  cost = 0
  hits = 0
  place: Place = 0
  used = 0
  next: MemorySlot | undefined = undefined
  previous: MemorySlot | undefined = undefined
  /** Set once it is asked for often. */
  entry: MemoryEntry | undefined = undefined
  /** Coded forms of the body: passed on to the slot that takes this one's place with the same body. */
  coded: CodedForms | undefined = undefined

  /**
   * @param until when it may be dropped, in the store's seconds
   * @param body its bytes, or a small one as a text of one character a byte
   * @param born what the store had counted when it was put
   */
  constructor(
    readonly key: string,
    readonly hash: number,
    readonly url: string,
    readonly tags: readonly string[],
    readonly packed: PackedHead,
    readonly until: number,
    public body: Uint8Array | string,
    readonly trailers: HeaderList | undefined,
    readonly born: number,
  ) {}
}

/** An object of 17 fields, its place in a table, and what is around its texts. Measured with a million of them. */
const perSlot = 320
const perText = 32
/** A tag: its text, its place in a list and in a map. */
const perTag = 110
/** A buffer with memory of its own: the view, what it is a view of, and what V8 and the allocator note about it. */
const perBuffer = 400
/** A head that is not packed, and its entry: an object, a list, and for each field two references and a text that is part of another. */
const perEntry = 500
const perField = 56

/** Bytes that a slot takes, for the bound of its store. */
export function slotCost(slot: MemorySlot): number {
  const { key, url, tags, packed, body, trailers, entry, coded } = slot
  let cost = perSlot + perText * 3 + key.length + packed.length + body.length
  if (url !== key && !key.startsWith(url)) cost += url.length
  for (let i = 0; i < tags.length; i++) cost += perTag + (tags[i] as string).length
  if (typeof body !== 'string') cost += perBuffer
  if (entry !== undefined) cost += perEntry + entry.head.headers.length * (perField / 2)
  if (trailers !== undefined) for (const text of trailers) cost += perText + text.length
  return coded === undefined ? cost : cost + coded.bytes
}
