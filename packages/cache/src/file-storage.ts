import type { FileHandle } from 'node:fs/promises'
import { changeHead } from './change-head.js'
import { FileEntry, SharedFile, WholeEntry } from './file-entry.js'
import { FileFinder } from './file-finder.js'
import { FileFolder } from './file-folder.js'
import { blockSize, encodeHead, headAtMost, lengthOf } from './file-format.js'
import { FileIndex, type FileSlot, slotOf } from './file-index.js'
import { hashOf } from './file-names.js'
import { FileRemovals } from './file-removals.js'
import type { FileStore, FileStoreStats } from './file-store.js'
import type { FileStoreSettings } from './file-store-options.js'
import type { FileSystem } from './file-system.js'
import { expectedLength, FileWriter, type WriterHost } from './file-writer.js'
import { KeyLine } from './key-line.js'
import { purgedTooLate, purgeFailed } from './purge-failed.js'
import { purgeMatches } from './purge-matches.js'
import { readStored } from './read-stored.js'
import type { Entry, EntryHead, EntryWriter, PurgeKey } from './store.js'
import { firstRead, readHead, type StoredHead } from './stored-head.js'

/** What is done to files at once. */
const together = 16
/** A file up to that length is read at once by `get`. */
const readAtOnce = blockSize + 16_384

/** The store behind `fileStore`. The index tells what there is; while it is being made, the files do. */
export class FileStorage implements FileStore, WriterHost {
  readonly maxEntry: number
  readonly folder: FileFolder
  private readonly index: FileIndex
  /** Whatever changes files goes through here, so that it happens in the order of the calls. */
  private readonly line = new KeyLine(together)
  private readonly writers = new Set<FileWriter>()
  /** Files that are getting their name now. */
  private readonly placing = new Set<string>()
  private readonly removals: FileRemovals
  private readonly finder: FileFinder
  private makingRoom = false
  private pending = 0
  private dropping: Promise<void> = Promise.resolve()
  private closing: Promise<void> | undefined = undefined

  constructor(
    private readonly settings: FileStoreSettings,
    fs: FileSystem,
  ) {
    this.maxEntry = settings.maxEntry
    this.folder = new FileFolder(fs, settings.folder, settings.maxOpen, () => this.makeRoom())
    this.removals = new FileRemovals(this.folder, this.line)
    this.index = new FileIndex(settings.maxSize, (slot) => {
      this.dropping = this.removals.remove(slot)
    })
    this.finder = new FileFinder(this.folder, this.line, this.index, this.removals, {
      mark: (slot) => this.writePurged(slot),
      stopped: () => this.closing !== undefined,
    })
  }

  get stats(): FileStoreStats {
    const { count: entries, bytes } = this.index
    const { reading, writing, failures: failed, damages: damaged } = this.folder
    const { finder, pending, removals } = this
    const open = reading.open + writing.open
    const { count: unremoved } = removals
    return { entries, bytes, pending, open, damaged, failed, unremoved, unread: finder.count }
  }

  ready(): Promise<void> {
    return this.finder.ready
  }

  get(key: string, signal?: AbortSignal): Entry | undefined | Promise<Entry | undefined> {
    if (this.closing !== undefined) return undefined
    const hash = hashOf(key)
    const slot = this.index.use(hash)
    if (slot === undefined && !this.mayRead(hash)) return undefined
    return this.read(key, hash, slot, signal)
  }

  put(key: string, head: EntryHead): EntryWriter | undefined {
    if (this.closing !== undefined) return undefined
    const text = encodeHead(key, head)
    const { length = 0 } = head
    if (text.length > headAtMost || length > this.maxEntry || !this.index.fits(expectedLength(text, length)))
      return undefined
    const writer = new FileWriter(this, hashOf(key), head, text, Math.floor(Math.random() * 2 ** 32))
    this.writers.add(writer)
    return writer
  }

  touch(key: string, head: EntryHead): void | Promise<void> {
    if (this.closing !== undefined) return
    const hash = hashOf(key)
    if (this.index.peek(hash) === undefined && !this.finder.mayHave(hash)) return
    return this.line.run(hash, async () => {
      if (this.removals.get(hash) !== undefined) return
      await this.rewrite(hash, (stored) =>
        stored.key === key && stored.head.id === head.id ? head : undefined,
      )
    })
  }

  async delete(key: string): Promise<void> {
    const { path } = this.folder
    const hash = hashOf(key)
    if (this.closing !== undefined && this.mayStand(hash)) throw purgedTooLate(path)
    const code = await this.dropKey(hash)
    if (code !== undefined) throw purgeFailed(path, { path: this.folder.pathOf(hash), code, count: 1 })
  }

  async purge(what: PurgeKey, soft = false): Promise<number> {
    const { path } = this.folder
    const slots = this.index.matching(what)
    const stuck = this.removals.matching(what).filter(({ kept }) => kept !== undefined)
    const ban = this.finder.hold(what, soft)
    const before = ban?.hits ?? 0
    const doomed = [...this.writers].filter(({ head }) => purgeMatches(what, head))
    for (const writer of doomed) writer.doom()
    const named = doomed
      .filter(({ hash }) => this.placing.has(hash))
      .map(({ hash }) => this.line.run(hash, async () => {}))
    if (this.closing !== undefined) {
      // What is on its way out is waited for.
      await Promise.all(named)
      const left = await this.removals.left(what)
      if (slots.length > 0 || ban !== undefined || left !== undefined) throw purgedTooLate(path)
      return 0
    }
    await Promise.all([
      ...named,
      ...stuck.map((slot) => this.removals.again(slot)),
      ...slots.map((slot) => (soft ? this.markPurged(slot) : this.drop(slot))),
    ])
    if (ban !== undefined) await this.finder.seen()
    const left = await this.removals.left(what)
    if (!this.finder.isScanned) throw purgedTooLate(path)
    const unread = ban && this.finder.missed()
    if (left !== undefined || unread !== undefined) throw purgeFailed(path, left, unread)
    return slots.length + stuck.length + (ban?.hits ?? 0) - before
  }

  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<void> {
    // What is asked for from now on finds nothing: `closing` is set when this yields.
    const writers = [...this.writers]
    for (const writer of writers) writer.doom()
    this.folder.reading.close()
    this.folder.writing.close()
    await Promise.all(writers.map((writer) => writer.settled))
    await this.finder.end()
    await this.line.idle()
    await this.removals.end()
    await this.line.idle()
    this.folder.end()
  }

  private async read(
    key: string,
    hash: string,
    slot: FileSlot | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Entry | undefined> {
    for (let turns = 3; turns > 0; turns--) {
      const found = await this.open(key, hash, slot, signal)
      if (found !== 'changed') return found
      // When what is being done to the file is done.
      await this.line.run(hash, async () => {})
      slot = this.index.peek(hash)
    }
    return undefined
  }

  private async open(
    key: string,
    hash: string,
    slot: FileSlot | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Entry | 'changed' | undefined> {
    const file = await this.folder.openToRead(hash, signal)
    if (file === undefined) return undefined
    if (file === 'none') {
      if (slot !== undefined && this.index.peek(hash) === slot) this.index.delete(hash)
      return undefined
    }
    let entry: Entry | 'changed' | undefined
    try {
      entry = await this.entryIn(file, key, hash, slot, signal)
    } catch (error) {
      this.folder.failed(error)
    }
    if (!(entry instanceof FileEntry)) await this.folder.closeRead(file)
    return entry
  }

  private async entryIn(
    file: FileHandle,
    key: string,
    hash: string,
    slot: FileSlot | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Entry | 'changed' | undefined> {
    const first = slot !== undefined && slot.length <= readAtOnce ? slot.length : firstRead
    // Twice: another process may be at giving it another head.
    const stored = (await readHead(file, first)) ?? (await readHead(file, first))
    if (stored === undefined) return this.damaged(hash, slot?.id)
    if (stored.key !== key) return undefined
    const body = await readStored(file, stored)
    if (body === undefined) return this.damaged(hash, stored.head.id)
    const head = this.headNow(hash, slot, stored)
    if (head === 'changed' || head === undefined || signal?.aborted)
      return head === 'changed' ? head : undefined
    if (body.bytes !== undefined) return new WholeEntry(head, body.bytes, body.trailers)
    const { header } = stored
    const shared = new SharedFile(
      file,
      header,
      () => this.folder.reading.give(),
      (error) => {
        if ('code' in error) this.folder.failed(error)
        this.damaged(hash, head.id)
      },
    )
    return new FileEntry(head, header.bodySize, shared, body.trailers)
  }

  /**
   * The head as it stands after what has happened while its file was read; `undefined` where the entry is there no more, `'changed'`
   * where it is another one.
   */
  private headNow(
    hash: string,
    before: FileSlot | undefined,
    { head, header }: StoredHead,
  ): EntryHead | 'changed' | undefined {
    if (this.closing !== undefined) return undefined
    const slot = this.index.peek(hash)
    let purged = slot?.purged === true
    if (slot === undefined) {
      // It has been dropped meanwhile, or isn't known yet.
      if (before !== undefined || !this.mayRead(hash)) return undefined
      const ban = this.finder.banOn(head)
      if (ban?.soft === false) return undefined
      purged = ban !== undefined
    } else if (slot.id !== head.id) {
      if (slot !== before || this.placing.has(hash)) return 'changed'
      // Another process has put its own there.
      this.index.set(slotOf(hash, head, lengthOf(header)))
      purged = false
    }
    return purged && head.purged !== true ? { ...head, purged: true } : head
  }

  /** Whether a file that isn't in the index may be given all the same: not all of them are known yet. */
  private mayRead(hash: string): boolean {
    return !this.finder.isScanned && this.removals.get(hash) === undefined && !this.finder.isGone(hash)
  }

  /** Whether there may be a file of that name. */
  private mayStand(hash: string): boolean {
    return (
      this.index.peek(hash) !== undefined ||
      this.removals.get(hash) !== undefined ||
      this.finder.mayHave(hash)
    )
  }

  /**
   * Removes a file that isn't what was written, unless another one has its name by now.
   * @param id of the entry in it, where that is known
   */
  private damaged(hash: string, id: string | undefined): undefined {
    this.folder.damaged(hash)
    const now = this.index.peek(hash)
    if (now !== undefined) {
      if (now.id === id) void this.drop(now)
    } else if (this.mayRead(hash)) void this.line.run(hash, () => this.dropDamaged(hash, id))
  }

  /** The disk is full: what was used least goes, some at a time. */
  private makeRoom(): void {
    if (this.makingRoom) return
    this.makingRoom = true
    this.index.shed(this.index.bytes / 16)
    const done = (): void => {
      this.makingRoom = false
    }
    this.dropping.then(done, done)
  }

  private drop(slot: FileSlot): Promise<void> {
    this.index.delete(slot.hash)
    return this.removals.remove(slot)
  }

  /** The same for one whose turn it is. */
  private dropNow(slot: FileSlot): Promise<void> {
    this.index.delete(slot.hash)
    return this.removals.removeNow(slot)
  }

  /**
   * Drops what has this name, known or not.
   * @returns the code of what has kept its file
   */
  private async dropKey(hash: string): Promise<string | undefined> {
    if (!this.mayStand(hash)) return undefined
    const slot = this.index.peek(hash)
    if (slot === undefined) return this.line.run(hash, () => this.dropUnknown(hash))
    await this.drop(slot)
    return this.removals.get(hash)?.kept
  }

  private async dropDamaged(hash: string, id: string | undefined): Promise<void> {
    // It may have become known while its turn was waited for, and so may another one of its name.
    const now = this.index.peek(hash)
    if (now === undefined || now.id === id) await this.dropUnknown(hash)
  }

  private async dropUnknown(hash: string): Promise<string | undefined> {
    const known = (): FileSlot | undefined => this.index.peek(hash) ?? this.removals.get(hash)
    const kept = known() === undefined ? await this.finder.drop(hash) : undefined
    const slot = known()
    if (slot === undefined) return kept
    await this.dropNow(slot)
    return slot.kept
  }

  /** Counts at once; its file says so too when this resolves, or is gone. */
  private markPurged(slot: FileSlot): Promise<void> {
    slot.purged = true
    return this.line.run(slot.hash, () => this.writePurged(slot))
  }

  private async writePurged({ hash, id }: FileSlot): Promise<void> {
    if (this.index.peek(hash)?.id !== id) return
    const done = await this.rewrite(hash, ({ head }) =>
      head.id === id ? { ...head, purged: true } : undefined,
    )
    const slot = this.index.peek(hash)
    if (!done && slot?.id === id) await this.dropNow(slot)
  }

  /** Gives the file of this name another head; tells whether that was done. */
  private async rewrite(
    hash: string,
    change: (stored: StoredHead) => EntryHead | undefined,
  ): Promise<boolean> {
    const changed = await changeHead(this.folder, hash, change)
    // The index says so too, unless the entry is being dropped.
    if (changed !== undefined && this.index.peek(hash) !== undefined)
      this.index.set(slotOf(hash, changed.head, changed.length))
    return changed !== undefined
  }

  // What a writer asks for.

  reserve(bytes: number): boolean {
    if (this.pending + bytes > this.settings.maxPending) return false
    this.pending += bytes
    return true
  }

  unreserve(bytes: number): void {
    this.pending -= bytes
  }

  place(writer: FileWriter, name: string, length: number): Promise<void> {
    const { hash, head } = writer
    return this.line.run(hash, async () => {
      if (!this.index.fits(length)) writer.refuse()
      if (writer.doomed) return
      this.placing.add(hash)
      try {
        await this.folder.place(name, hash)
      } finally {
        this.placing.delete(hash)
      }
      this.removals.replaced(hash)
      this.finder.known(hash)
      const slot = slotOf(hash, head, length)
      // Else a purge came meanwhile: what had the name before is gone as well.
      if (writer.doomed) await this.dropNow(slot)
      else this.index.set(slot)
    })
  }

  async lost(hash: string): Promise<void> {
    // What stands is good for the next start.
    if (this.closing === undefined) await this.dropKey(hash)
  }

  over(writer: FileWriter): void {
    this.writers.delete(writer)
  }
}
