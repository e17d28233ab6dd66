import { type Ban, Bans } from './bans.js'
import type { FileFolder } from './file-folder.js'
import { lengthOf } from './file-format.js'
import { type FileIndex, type FileSlot, slotOf } from './file-index.js'
import { hashOf } from './file-names.js'
import type { FileRemovals } from './file-removals.js'
import { scanFolder } from './file-scan.js'
import type { KeyLine } from './key-line.js'
import type { EntryHead, PurgeKey } from './store.js'
import { readHead, type StoredHead } from './stored-head.js'

/** What is read of a file to know its head. */
export const firstRead = 4_096

/** What a finder needs of its store. */
export interface FinderHost {
  /** Marks what a soft purge has met. Resolves to what has kept the file from being marked or removed. */
  mark(slot: FileSlot): Promise<Error | undefined>
  /** The store is closing: nothing more is looked at. */
  stopped(): boolean
}

/** What a purge has met, outside of the line of its file. */
interface Banned {
  readonly ban: Ban
  readonly slot: FileSlot
}

/**
 * Finds the files of a store again, and puts them into its index.
 *
 * looking ──all listed and opened──▶ done
 *    └──some couldn't be, or the store closes──▶ done, with some missed ──a purge, which may mean them──▶ looking
 *
 * Purges that come while it looks are held against what it finds.
 */
export class FileFinder {
  /** Everything that can be found is in the index. */
  isDone = false
  /** There may be files that aren't in the index. */
  hasMissed = false
  private readonly bans = new Bans()
  private looking: Promise<void>

  constructor(
    private readonly folder: FileFolder,
    private readonly line: KeyLine,
    private readonly index: FileIndex,
    private readonly removals: FileRemovals,
    private readonly host: FinderHost,
  ) {
    this.looking = this.look()
  }

  /** Resolves when it has looked at everything. */
  get done(): Promise<void> {
    return this.looking
  }

  /** Holds a purge against what is found until `done`; `undefined` where all is in the index. */
  ban(what: PurgeKey, soft: boolean): Ban | undefined {
    if (this.isDone && this.hasMissed) this.looking = this.look()
    return this.isDone ? undefined : this.bans.add(what, soft)
  }

  /** The purge that meets what isn't in the index. */
  banOn(head: EntryHead): Ban | undefined {
    return this.bans.on(head)
  }

  private async look(): Promise<void> {
    this.isDone = false
    const entry = (hash: string): Promise<boolean> => this.learn(hash)
    this.hasMissed = !(await scanFolder(this.folder, entry, () => this.host.stopped()))
    this.isDone = true
    this.bans.clear()
  }

  /** `false`: it couldn't be looked at. */
  private async learn(hash: string): Promise<boolean> {
    const found = await this.line.run(hash, () => this.lookAt(hash))
    if (typeof found === 'boolean') return found
    const { ban, slot } = found
    const kept = ban.soft ? await this.host.mark(slot) : await this.removals.remove(hash, slot)
    if (kept !== undefined) ban.kept.push(kept)
    return true
  }

  /** Puts a file into the index, or removes it where it is of no use. */
  private async lookAt(hash: string): Promise<Banned | boolean> {
    if (this.host.stopped()) return false
    if (this.isKnown(hash)) return true
    const file = await this.folder.openEntry(hash, 'r')
    if (file === undefined || file === 'none') return file === 'none'
    let stored: StoredHead | undefined
    let length = 0
    let unread = false
    try {
      stored = await readHead(file, firstRead)
      length = (await file.stat()).size
    } catch (error) {
      unread = true
      this.folder.failed(error)
    }
    await this.folder.close(file)
    if (this.host.stopped()) return false
    if (this.isKnown(hash)) return true
    const isWhole = stored !== undefined && hashOf(stored.key) === hash && length >= lengthOf(stored.header)
    if (!unread && stored !== undefined && isWhole)
      return this.found(slotOf(hash, stored.head, length), stored)
    if (!unread) this.folder.damaged(hash)
    const kept = await this.folder.removeEntry(hash)
    // What is damaged is no entry after a restart either; what couldn't be read may be one.
    return kept === undefined || !unread
  }

  /** From here to the index in one go: no purge comes between. */
  private async found(slot: FileSlot, { head }: StoredHead): Promise<Banned | boolean> {
    const ban = this.bans.on(slot)
    if (head.keepUntil < Date.now() || !this.index.fits(slot.length)) {
      const kept = await this.removals.removeNow(slot.hash, slot)
      if (kept !== undefined) ban?.kept.push(kept)
      return true
    }
    if (ban !== undefined) ban.hits++
    if (ban?.soft === false) return { ban, slot }
    this.index.set(slot)
    if (ban === undefined) return true
    slot.purged = true
    return { ban, slot }
  }

  private isKnown(hash: string): boolean {
    return this.index.peek(hash) !== undefined || this.removals.isGone(hash)
  }
}
