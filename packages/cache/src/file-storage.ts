import type { FileHandle } from 'node:fs/promises'
import { Bans } from './bans.js'
import { FileEntry, SharedFile, WholeEntry } from './file-entry.js'
import { FileFolder } from './file-folder.js'
import { blockSize, encodeHead, headAtMost, lengthOf } from './file-format.js'
import { FileIndex, type FileSlot, slotOf } from './file-index.js'
import { hashOf } from './file-names.js'
import { scanFolder } from './file-scan.js'
import type { FileStore, FileStoreStats } from './file-store.js'
import type { FileStoreSettings } from './file-store-options.js'
import type { FileSystem } from './file-system.js'
import { expectedLength, FileWriter, type WriterHost } from './file-writer.js'
import { KeyLine } from './key-line.js'
import { purgeMatches } from './purge-matches.js'
import { readStored } from './read-stored.js'
import { rewriteHead } from './rewrite-head.js'
import type { Entry, EntryHead, EntryWriter, PurgeKey } from './store.js'
import { readHead, type StoredHead } from './stored-head.js'

/** What is done to files at once. */
const together = 16
/** What is read of a file at first: most heads, and small bodies with them. */
const firstRead = 4_096
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
  /** How often files are still to be removed, by name: what is looked at before its turn isn't there any more. */
  private readonly leaving = new Map<string, number>()
  private readonly bans = new Bans()
  private readonly scanning: Promise<void>
  private scanned = false
  private makingRoom = false
  private damages = 0
  private pending = 0
  private dropping: Promise<void> = Promise.resolve()
  private closing: Promise<void> | undefined = undefined

  constructor(
    private readonly settings: FileStoreSettings,
    fs: FileSystem,
  ) {
    this.maxEntry = settings.maxEntry
    this.folder = new FileFolder(fs, settings.folder, settings.maxOpen, () => this.makeRoom())
    this.index = new FileIndex(settings.maxSize, ({ hash }) => {
      this.dropping = this.removeUnindexed(hash)
    })
    this.scanning = this.scan()
  }

  get stats(): FileStoreStats {
    const { count: entries, bytes } = this.index
    const { reading, writing, failures: failed } = this.folder
    const open = reading.open + writing.open
    return { entries, bytes, pending: this.pending, open, damaged: this.damages, failed }
  }

  ready(): Promise<void> {
    return this.scanning
  }

  get(key: string, signal?: AbortSignal): Entry | undefined | Promise<Entry | undefined> {
    if (this.closing !== undefined) return undefined
    const hash = hashOf(key)
    const slot = this.index.use(hash)
    if (slot === undefined && this.scanned) return undefined
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
    if (this.index.peek(hash) === undefined && this.scanned) return
    return this.line.run(hash, async () => {
      await this.rewrite(hash, (stored) =>
        stored.key === key && stored.head.id === head.id ? head : undefined,
      )
    })
  }

  async delete(key: string): Promise<void> {
    await this.lost(hashOf(key))
  }

  async purge(what: PurgeKey, soft = false): Promise<number> {
    if (this.closing !== undefined) return 0
    for (const writer of this.writers) if (purgeMatches(what, writer.head)) writer.doom()
    const slots = this.index.matching(what)
    const ban = this.scanned ? undefined : this.bans.add(what, soft)
    const done = slots.map((slot) => (soft ? this.markPurged(slot) : this.drop(slot)))
    await Promise.all(done)
    if (ban === undefined) return slots.length
    await this.scanning
    return slots.length + ban.hits
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
    await this.scanning
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
    let entry: Entry | 'damaged' | 'changed' | undefined
    try {
      entry = await this.entryIn(file, key, hash, slot, signal)
    } catch (error) {
      this.folder.failed(error)
    }
    if (!(entry instanceof FileEntry)) await this.folder.closeRead(file)
    if (entry !== 'damaged') return entry
    this.damaged(hash, slot)
    return undefined
  }

  private async entryIn(
    file: FileHandle,
    key: string,
    hash: string,
    slot: FileSlot | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Entry | 'damaged' | 'changed' | undefined> {
    const first = slot !== undefined && slot.length <= readAtOnce ? slot.length : firstRead
    // Twice: another process may be at giving it another head.
    const stored = (await readHead(file, first)) ?? (await readHead(file, first))
    if (stored === undefined) return 'damaged'
    if (stored.key !== key) return undefined
    const body = await readStored(file, stored)
    if (body === undefined) return 'damaged'
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
        this.damaged(hash, this.index.peek(hash)?.id === head.id ? this.index.peek(hash) : undefined)
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
      if (before !== undefined || this.scanned) return undefined
      const ban = this.bans.on(head)
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

  /** Removes a file that isn't what was written, unless another one has its name by now. */
  private damaged(hash: string, slot: FileSlot | undefined): void {
    this.damages++
    this.folder.damaged(hash)
    const now = this.index.peek(hash)
    if (now === undefined) void this.removeUnindexed(hash)
    else if (now === slot) this.index.delete(hash)
  }

  /** Removes the file of this name, unless there is an entry of that name when it is its turn. */
  private async removeUnindexed(hash: string): Promise<void> {
    this.leaving.set(hash, (this.leaving.get(hash) ?? 0) + 1)
    await this.line.run(hash, async () => {
      if (this.index.peek(hash) === undefined) await this.folder.removeEntry(hash)
      const left = (this.leaving.get(hash) as number) - 1
      if (left > 0) this.leaving.set(hash, left)
      else this.leaving.delete(hash)
    })
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
    return this.dropping
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
    if (!done && this.index.peek(hash)?.id === id) this.index.delete(hash)
  }

  /**
   * Gives the file of this name another head.
   * @param change makes it of what is there; `undefined`: it stays
   * @returns whether that was done
   */
  private async rewrite(
    hash: string,
    change: (stored: StoredHead) => EntryHead | undefined,
  ): Promise<boolean> {
    const file = await this.folder.openEntry(hash, 'r+')
    if (file === undefined || file === 'none') return false
    try {
      const stored = await readHead(file, firstRead)
      const head = stored && change(stored)
      if (stored === undefined || head === undefined) return false
      const length = await rewriteHead(file, stored, head)
      if (length === undefined) return false
      this.renew(hash, head, length)
      return true
    } catch (error) {
      this.folder.failed(error)
      return false
    } finally {
      await this.folder.close(file)
    }
  }

  /** Another head has been written: the index says so too, unless the entry is being dropped. */
  private renew(hash: string, head: EntryHead, length: number): void {
    if (this.index.peek(hash) !== undefined) this.index.set(slotOf(hash, head, length))
  }

  private async scan(): Promise<void> {
    const learn = (hash: string): Promise<void> => this.line.run(hash, () => this.learn(hash))
    await scanFolder(this.folder, learn, () => this.closing !== undefined)
    this.scanned = true
    this.bans.clear()
  }

  /** Puts a file into the index, or removes it where it is of no use. */
  private async learn(hash: string): Promise<void> {
    if (this.closing !== undefined || this.index.peek(hash) !== undefined) return
    const file = await this.folder.openEntry(hash, 'r')
    if (file === undefined || file === 'none') return
    let slot: FileSlot | undefined
    try {
      const stored = await readHead(file, firstRead)
      const { size } = await file.stat()
      const whole = stored !== undefined && hashOf(stored.key) === hash && size >= lengthOf(stored.header)
      if (!whole) this.damages++
      else if (stored.head.keepUntil >= Date.now() && this.index.fits(size))
        slot = slotOf(hash, stored.head, size)
    } catch (error) {
      this.folder.failed(error)
    }
    await this.folder.close(file)
    if (this.closing !== undefined || this.leaving.has(hash)) return
    // From here to the index in one go: no purge comes between.
    const ban = slot && this.bans.on(slot)
    if (ban !== undefined) ban.hits++
    if (slot === undefined || ban?.soft === false) return this.folder.removeEntry(hash)
    this.index.set(slot)
    if (ban === undefined) return
    slot.purged = true
    await this.writePurged(slot)
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
      if (!writer.doomed) return this.index.set(slotOf(hash, head, length))
      // A purge came meanwhile: what had the name before is gone as well.
      this.index.delete(hash)
      await this.folder.removeEntry(hash)
    })
  }

  async lost(hash: string): Promise<void> {
    // What stands is good for the next start.
    if (this.closing !== undefined) return
    if (this.index.peek(hash) !== undefined) {
      this.index.delete(hash)
      await this.dropping
    } else if (!this.scanned) await this.removeUnindexed(hash)
  }

  over(writer: FileWriter): void {
    this.writers.delete(writer)
  }
}
