import type { FileFolder } from './file-folder.js'
import { FileIndex, type FileSlot } from './file-index.js'
import { leafOf } from './file-names.js'
import type { KeyLine } from './key-line.js'
import type { StillThere } from './purge-failed.js'
import type { PurgeKey } from './store.js'

/** Files that are tried at once at the end. */
const together = 16

/**
 * The files of what was dropped, from then on until they are gone. A name is in here or in the index of the store, never in both.
 *
 * under way ──removed, overwritten, replaced, or out of date──▶ gone
 *    └──the file system doesn't let it──▶ stuck ──tried again by a purge that means it, after something
 *                                                else in its folder could be written or removed, at the end──▶ under way
 */
export class FileRemovals {
  /** All of them. What each has in its head is known, so that a purge finds those that it means. */
  private readonly going = new FileIndex(Number.MAX_SAFE_INTEGER, () => {})
  /** Those that are stuck, by folder and name; what was tried last stands last. */
  private readonly stuck = new Map<string, Map<string, FileSlot>>()
  /** Folders in which those that are stuck are being tried again. */
  private readonly retried = new Set<string>()
  /** Nothing could be written on the whole file system when it was tried last. */
  private readOnly = false
  private ended = false

  /** @param line whatever changes files goes through it */
  constructor(
    private readonly folder: FileFolder,
    private readonly line: KeyLine,
  ) {}

  /** How many are stuck. */
  get count(): number {
    let count = 0
    for (const files of this.stuck.values()) count += files.size
    return count
  }

  /** What is to be gone under this name. */
  get(hash: string): FileSlot | undefined {
    return this.going.peek(hash)
  }

  /** Those that a purge means. */
  matching(what: PurgeKey): FileSlot[] {
    return this.going.matching(what)
  }

  /** Removes a file when it is its turn. Resolves when that is done, or the file is stuck. */
  remove(slot: FileSlot): Promise<void> {
    this.going.set(slot)
    return this.again(slot)
  }

  /** The same for one whose turn it is. */
  removeNow(slot: FileSlot): Promise<void> {
    this.going.set(slot)
    return this.attempt(slot.hash)
  }

  /** Tries one that is stuck once more. */
  again({ hash }: FileSlot): Promise<void> {
    return this.line.run(hash, () => this.attempt(hash))
  }

  /** Those that a purge means and that are stuck, when what is under way has been done. */
  async left(what: PurgeKey): Promise<StillThere | undefined> {
    const underWay = this.matching(what).filter(({ kept }) => kept === undefined)
    await Promise.all(underWay.map(({ hash }) => this.line.run(hash, async () => {})))
    const left = this.matching(what).filter(({ kept }) => kept !== undefined)
    const [{ hash, kept: code } = { hash: '', kept: undefined }] = left
    return code === undefined ? undefined : { path: this.folder.pathOf(hash), code, count: left.length }
  }

  /** Another file has taken the place of this name. */
  replaced(hash: string): void {
    this.gone(hash)
    this.worked(leafOf(hash))
  }

  /** Tries all that are stuck once more, until the file system turns out to be read-only. */
  async end(): Promise<void> {
    this.ended = true
    this.readOnly = false
    const slots = [...this.stuck.values()].flatMap((files) => [...files.values()]).values()
    const worker = async (): Promise<void> => {
      for (const slot of slots) {
        if (this.readOnly) return
        await this.again(slot)
      }
    }
    await Promise.all(Array.from({ length: together }, worker))
  }

  private async attempt(hash: string): Promise<void> {
    const slot = this.going.peek(hash)
    if (slot === undefined) return
    const kept = await this.folder.removeEntry(hash)
    if (kept === undefined) {
      this.gone(hash)
      this.worked(leafOf(hash))
    } else if (slot.keepUntil < Date.now()) {
      // A restart wouldn't serve it either.
      this.gone(hash)
    } else this.stick(slot, kept)
  }

  private stick(slot: FileSlot, kept: string): void {
    slot.kept = kept
    if (kept === 'EROFS') this.readOnly = true
    const leaf = leafOf(slot.hash)
    const files = this.stuck.get(leaf) ?? new Map<string, FileSlot>()
    this.stuck.set(leaf, files)
    files.delete(slot.hash)
    files.set(slot.hash, slot)
  }

  private gone(hash: string): void {
    const slot = this.going.peek(hash)
    if (slot === undefined) return
    this.going.delete(hash)
    if (slot.kept === undefined) return
    slot.kept = undefined
    const leaf = leafOf(hash)
    const files = this.stuck.get(leaf)
    files?.delete(hash)
    if (files?.size === 0) this.stuck.delete(leaf)
  }

  /** Something could be written or removed in a folder: what is stuck there may go by now, and everything where nothing could be written. */
  private worked(leaf: string): void {
    if (this.ended || this.stuck.size === 0) return
    if (this.readOnly) {
      this.readOnly = false
      void this.retryAll()
    } else if (this.stuck.has(leaf)) void this.retry(leaf)
  }

  private async retryAll(): Promise<void> {
    for (const leaf of [...this.stuck.keys()]) {
      if (this.readOnly) return
      await this.retry(leaf)
    }
  }

  /** Tries those of a folder, one after the other, until one stays: it will be the last the next time. */
  private async retry(leaf: string): Promise<void> {
    const files = this.stuck.get(leaf)
    if (files === undefined || this.retried.has(leaf)) return
    this.retried.add(leaf)
    for (const slot of files.values()) {
      if (this.ended) break
      await this.again(slot)
      if (slot.kept !== undefined) break
    }
    this.retried.delete(leaf)
  }
}
