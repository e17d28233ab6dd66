import { dirname } from 'node:path'
import { type Ban, Bans } from './bans.js'
import type { FileFolder } from './file-folder.js'
import { lengthOf } from './file-format.js'
import { type FileIndex, type FileSlot, slotOf } from './file-index.js'
import { folderOf, hashOf } from './file-names.js'
import type { FileRemovals } from './file-removals.js'
import { type FolderPart, scanFolder } from './file-scan.js'
import { codeOf, isNowhere } from './file-system.js'
import type { KeyLine } from './key-line.js'
import type { StillThere } from './purge-failed.js'
import type { EntryHead, PurgeKey } from './store.js'
import { firstRead, readHead } from './stored-head.js'

/** What a finder needs of its store. */
export interface FinderHost {
  /** Marks what a soft purge has met, in its turn. */
  mark(slot: FileSlot): Promise<void>
  /** The store is closing: what the scan hasn't come to stays unknown. */
  stopped(): boolean
}

/** Faults that are over when the process is, or by themselves, or when a disk of the network is there again. */
const passing = new Set([
  ...['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EBUSY', 'EINTR'],
  ...['ETIMEDOUT', 'ESTALE', 'ENOTCONN', 'EHOSTDOWN', 'EHOSTUNREACH', 'ENODEV'],
])

/** Faults that a file has for this user, whoever mounts its folder again. */
const rights = new Set(['EACCES', 'EPERM'])

/**
 * Finds the files of a store at the start, and puts them into its index.
 *
 * scanning ──all read──▶ whole
 *    └──some files or folders couldn't be──▶ some missed ──a purge, which may mean them: a look at these alone──▶ whole, or some missed
 *
 * Until it is whole, purges are held against what turns up. A purge removes what it can't read: it may be meant. What can't be removed
 * either, and may well be read after a restart, makes it reject; so does the whole folder, if that can't be listed. What in it is broken or
 * closed to this user stays so after a restart: it is out of reach, and no purge waits for it.
 */
export class FileFinder {
  /** Resolves when the scan at the start is over. */
  readonly ready: Promise<void>
  /** That scan has come to its end. */
  isScanned = false
  private readonly bans = new Bans()
  /** Files to be looked at again, by name, with the code of what has kept us from reading them. */
  private readonly unread = new Map<string, string>()
  /** Names of files that can neither be read nor removed. */
  private readonly outOfReach = new Set<string>()
  /** Folders to be listed again, by path. */
  private readonly unlisted = new Map<string, { readonly part: FolderPart; readonly code: string }>()
  /** The look that is under way, or the last one. */
  private looking: Promise<void>
  /** The one after that. */
  private next: Promise<void> | undefined = undefined
  /** That at the end, for which all purges that are held have come in time: none comes after it, the folder may be another store's by then. */
  private last: Promise<void> | undefined = undefined

  constructor(
    private readonly folder: FileFolder,
    private readonly line: KeyLine,
    private readonly index: FileIndex,
    private readonly removals: FileRemovals,
    private readonly host: FinderHost,
  ) {
    this.ready = this.scan()
    this.looking = this.ready
  }

  /** How many files and folders couldn't be read. */
  get count(): number {
    return this.unread.size + this.outOfReach.size + this.unlisted.size
  }

  /** Whether the file of this name may be there though it isn't known. */
  mayHave(hash: string): boolean {
    return !this.isScanned || this.unread.has(hash) || this.outOfReach.has(hash) || this.isUnlisted(hash)
  }

  /** Whether the file of this name was deleted, though it may be there. */
  isGone(hash: string): boolean {
    return this.bans.meetsName(hash)
  }

  /** The purge that meets what isn't in the index. */
  banOn(head: EntryHead): Ban | undefined {
    return this.bans.on(head)
  }

  /** Holds a purge against what turns up; `undefined` where all is known. */
  hold(what: PurgeKey, soft: boolean): Ban | undefined {
    return this.isWhole ? undefined : this.bans.add(what, soft)
  }

  /** Resolves when everything that was unknown at the call has been looked at once more. */
  async seen(): Promise<void> {
    await this.ready
    await (this.last ?? this.lookAgain())
  }

  /** What still couldn't be read, and may be there after a restart. */
  missed(): StillThere | undefined {
    let first: { path: string; code: string } | undefined
    let count = 0
    for (const [path, { part, code }] of this.unlisted) {
      if (!passing.has(code) && part.depth > 0) continue
      first ??= { path, code }
      count++
    }
    for (const [hash, code] of this.unread) first ??= { path: this.folder.pathOf(hash), code }
    return first && { ...first, count: count + this.unread.size }
  }

  /**
   * Looks for the file of this name, in its turn, to have it dropped. What is found is known then; what can't be read is removed.
   * @returns the code of what has kept that
   */
  async drop(hash: string): Promise<string | undefined> {
    // In a folder that can't be listed it may not be there at all, and is found when that can be.
    const code = await this.learn(hash, !this.isUnlisted(hash))
    if (code !== undefined) this.bans.addName(hash)
    const kept = code === undefined ? undefined : await this.removeUnread(hash, code)
    this.tidy()
    return kept
  }

  /** What has this name is known. */
  known(hash: string): void {
    this.forget(hash)
    this.tidy()
  }

  /** The store closes: purges that are held meet what can be read by now. */
  async end(): Promise<void> {
    await this.ready
    this.last = this.bans.isEmpty ? Promise.resolve() : this.lookAgain()
    await this.last
  }

  private async lookAgain(): Promise<void> {
    if (!this.isScanned || this.isWhole) return
    // The look that is under way may have passed what was missed.
    this.next ??= this.looking.then(() => {
      this.next = undefined
      this.looking = this.look()
      return this.looking
    })
    await this.next
  }

  private get isWhole(): boolean {
    return this.isScanned && this.unread.size === 0 && this.unlisted.size === 0
  }

  private tidy(): void {
    if (this.isWhole) this.bans.clear()
  }

  private async scan(): Promise<void> {
    await this.list({ path: this.folder.path, depth: 0 }, () => this.host.stopped())
    this.isScanned = !this.host.stopped()
    this.tidy()
  }

  private async look(): Promise<void> {
    for (const { part } of [...this.unlisted.values()]) await this.list(part, () => false)
    const again = async (hash: string): Promise<void> => {
      const code = await this.learn(hash)
      if (code !== undefined) await this.removeUnread(hash, code)
    }
    await Promise.all([...this.unread.keys()].map((hash) => this.line.run(hash, () => again(hash))))
    this.tidy()
  }

  private async list(from: FolderPart, stopped: () => boolean): Promise<void> {
    let listed = true
    await scanFolder(this.folder, from, {
      entry: async (hash) => {
        await this.line.run(hash, () => this.learn(hash))
      },
      unlisted: (part, code) => {
        if (part.path === from.path) listed = false
        if (!passing.has(code)) this.folder.outOfReach(part.path)
        this.unlisted.set(part.path, { part, code })
      },
      stopped,
    })
    if (listed) this.unlisted.delete(from.path)
  }

  /**
   * Puts a file into the index, or removes it where it is of no use.
   * @param again whether it is to be looked at again where it can't be read
   * @returns the code of what has kept it from being read
   */
  private async learn(hash: string, again = true): Promise<string | undefined> {
    const isKnown = (): boolean =>
      this.index.peek(hash) !== undefined || this.removals.get(hash) !== undefined
    const found = isKnown() ? undefined : await this.read(hash)
    if (typeof found === 'string') {
      if (again && !this.outOfReach.has(hash)) this.unread.set(hash, found)
      return found
    }
    const isDeleted = this.isGone(hash)
    this.forget(hash)
    if (found === undefined) return undefined
    // From here to the index in one go: no purge comes between.
    const ban = this.bans.on(found)
    if (ban !== undefined) ban.hits++
    if (isDeleted || ban?.soft === false || !this.index.fits(found.length)) {
      await this.removals.removeNow(found)
      return undefined
    }
    this.index.set(found)
    if (ban === undefined) return undefined
    found.purged = true
    await this.host.mark(found)
    return undefined
  }

  private forget(hash: string): void {
    this.unread.delete(hash)
    this.outOfReach.delete(hash)
    this.bans.liftName(hash)
  }

  private isUnlisted(hash: string): boolean {
    if (this.unlisted.size === 0) return false
    const { path } = this.folder
    const leaf = folderOf(path, hash)
    // The folder itself by the text that it was given as: what is below it has that without `./` and a slash at the end.
    return [leaf, dirname(leaf), path].some((each) => this.unlisted.has(each))
  }

  /** What is in a file: nothing where it is no entry, which is removed; the code of the error where it can't be read. */
  private async read(hash: string): Promise<FileSlot | string | undefined> {
    const { folder } = this
    let slot: FileSlot | undefined
    try {
      const file = await folder.fs.open(folder.pathOf(hash), 'r')
      try {
        const stored = await readHead(file, firstRead)
        const { size } = await file.stat()
        const isWhole = stored !== undefined && hashOf(stored.key) === hash && size >= lengthOf(stored.header)
        if (!isWhole) folder.damaged(hash)
        else slot = slotOf(hash, stored.head, size)
      } finally {
        await folder.close(file)
      }
    } catch (error) {
      if (isNowhere(error)) return undefined
      folder.failed(error)
      const code = codeOf(error) ?? String(error)
      // A folder of that name isn't ours.
      return code === 'EISDIR' ? undefined : code
    }
    if (slot !== undefined && slot.keepUntil >= Date.now()) return slot
    // Where it can't be removed, a restart finds the same, and has no more use for it.
    await folder.removeEntry(hash)
    return undefined
  }

  /** Removes what can't be read, in its turn. */
  private async removeUnread(hash: string, code: string): Promise<string | undefined> {
    const kept = await this.folder.removeEntry(hash)
    if (kept === undefined) this.forget(hash)
    else if (!passing.has(code) && (kept !== 'EROFS' || rights.has(code)) && this.unread.delete(hash)) {
      this.folder.outOfReach(this.folder.pathOf(hash))
      this.outOfReach.add(hash)
    }
    return kept
  }
}
