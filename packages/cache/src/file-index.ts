import { LRUCache } from 'lru-cache'
import { flatCopy } from './flat-copy.js'
import { PurgeIndex } from './purge-index.js'
import type { EntryHead, PurgeKey } from './store.js'

/** What is known of a stored file without opening it. */
export interface FileSlot {
  /** The name of the file. */
  readonly hash: string
  readonly id: string
  readonly url: string
  readonly tags: readonly string[]
  /** Bytes of the file. */
  readonly length: number
  /** Of no use after that, in ms since 1970. */
  readonly keepUntil: number
  /** Purged softly, whatever its file says yet. */
  purged: boolean
  /** What has kept its file from being removed, where it is to be gone: the code of the error. */
  kept: string | undefined
}

/** Files are given whole pages by most file systems. */
const page = 4_096

/** A slot for a file. */
export function slotOf(hash: string, head: EntryHead, length: number): FileSlot {
  const { id, url, tags, keepUntil, purged = false } = head
  return {
    hash,
    id: flatCopy(id),
    url: flatCopy(url),
    tags: tags.map(flatCopy),
    length,
    keepUntil,
    purged,
    kept: undefined,
  }
}

/**
 * The files of a store, the least recently used of which go when there are more bytes than `maxSize`; each counts in whole pages of 4 KB.
 * About 0.6 KB of memory for each with a URL of 60 characters, and some 60 bytes more for each tag.
 */
export class FileIndex {
  private readonly slots: LRUCache<string, FileSlot>
  private readonly urls = new PurgeIndex<FileSlot>()
  private readonly tags = new PurgeIndex<FileSlot>()

  /**
   * @param shed hears of what has become too much; not of what was deleted or replaced
   */
  constructor(
    readonly maxSize: number,
    shed: (slot: FileSlot) => void,
  ) {
    this.slots = new LRUCache<string, FileSlot>({
      maxSize,
      sizeCalculation: sizeOf,
      // Not before it is gone: whoever hears of it looks whether there is another one by now.
      disposeAfter: (slot, _hash, reason) => {
        this.urls.remove(slot.url, slot)
        for (const tag of slot.tags) this.tags.remove(tag, slot)
        if (reason === 'evict') shed(slot)
      },
    })
  }

  /** How many there are. */
  get count(): number {
    return this.slots.size
  }

  /** Their bytes. */
  get bytes(): number {
    return this.slots.calculatedSize
  }

  /** Tells whether a file of that length may be kept at all. */
  fits(length: number): boolean {
    return sizeOf({ length }) <= this.maxSize
  }

  /** The slot of this name, which is now the most recently used. */
  use(hash: string): FileSlot | undefined {
    return this.slots.get(hash)
  }

  peek(hash: string): FileSlot | undefined {
    return this.slots.peek(hash)
  }

  /** Adds a slot, or puts it in the place of the one with its name. */
  set(slot: FileSlot): void {
    this.slots.set(slot.hash, slot)
    // Whatever doesn't stay has been disposed of already.
    if (this.slots.peek(slot.hash) !== slot) return
    this.urls.add(slot.url, slot)
    for (const tag of slot.tags) this.tags.add(tag, slot)
  }

  delete(hash: string): void {
    this.slots.delete(hash)
  }

  /** Lets the least recently used go until so many bytes are free. */
  shed(bytes: number): void {
    const { bytes: before } = this
    while (before - this.bytes < bytes && this.slots.size > 0) this.slots.pop()
  }

  /** What a purge means. By prefix it looks at every URL. */
  matching(what: PurgeKey): FileSlot[] {
    if (what.url !== undefined) return [...this.urls.of(what.url)]
    if (what.tag !== undefined) return [...this.tags.of(what.tag)]
    const { prefix } = what
    if (prefix === undefined) return []
    const found: FileSlot[] = []
    for (const [url, slots] of this.urls.entries()) if (url.startsWith(prefix)) found.push(...slots)
    return found
  }
}

function sizeOf({ length }: { length: number }): number {
  return Math.ceil(length / page) * page
}
