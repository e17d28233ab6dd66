import type { FileFolder } from './file-folder.js'
import type { FileSlot } from './file-index.js'
import type { KeyLine } from './key-line.js'
import { purgeMatches } from './purge-matches.js'
import type { PurgeKey } from './store.js'

/** A file that should be gone and isn't. */
interface Unremoved {
  /** What is in it; unknown where nobody has looked. */
  readonly slot: FileSlot | undefined
  /** What has kept it. */
  readonly fault: Error
}

/** How many of the files that are left are tried again after a file was written: the folder may be written to by then. */
const triedAgain = 4

/**
 * Removes the files of what was dropped, each in its turn.
 *
 * leaving ──unlinked, or overwritten, or replaced──▶ gone
 *    └──the file system doesn't let it──▶ left ──tried again by a purge that means it, after a file was written, at the end──▶ gone
 *
 * What is leaving or left isn't there for this process. What is left at its end, a restart finds.
 */
export class FileRemovals {
  /** By name, and how often each is still to be removed. */
  private readonly leaving = new Map<string, { times: number; readonly slot: FileSlot | undefined }>()
  /** By name, what was tried last at the end. */
  private readonly left = new Map<string, Unremoved>()

  /**
   * @param line whatever changes files goes through it
   * @param stands tells whether there is an entry of this name, whose file has taken the place of any other
   */
  constructor(
    private readonly folder: FileFolder,
    private readonly line: KeyLine,
    private readonly stands: (hash: string) => boolean,
  ) {}

  /** How many files are left. */
  get count(): number {
    return this.left.size
  }

  /** Whether the file of this name counts as gone, though it may be found. */
  isGone(hash: string): boolean {
    return this.leaving.has(hash) || this.left.has(hash)
  }

  /** What has kept the file of this name, if it is left when what is being done to it is done. */
  settled(hash: string): Promise<Error | undefined> {
    return this.line.run(hash, async () => this.left.get(hash)?.fault)
  }

  /**
   * Removes the file of this name, unless there is an entry of that name when it is its turn.
   * @param slot what is in it, where that is known
   * @returns what has kept the file
   */
  async remove(hash: string, slot?: FileSlot): Promise<Error | undefined> {
    const before = this.leaving.get(hash)
    const leaving = before ?? { times: 0, slot }
    leaving.times++
    if (before === undefined) this.leaving.set(hash, leaving)
    return this.line.run(hash, async () => {
      const fault = await this.removeNow(hash, slot)
      if (--leaving.times === 0) this.leaving.delete(hash)
      return fault
    })
  }

  /** The same for one whose turn it is. */
  async removeNow(hash: string, slot?: FileSlot): Promise<Error | undefined> {
    if (this.stands(hash)) return undefined
    const fault = await this.folder.removeEntry(hash)
    const before = this.left.get(hash)
    this.left.delete(hash)
    if (fault !== undefined) this.left.set(hash, { slot: before?.slot ?? slot, fault })
    return fault
  }

  /** What has kept those that are being removed already, and that a purge means. */
  leave(what: PurgeKey): Promise<Error | undefined>[] {
    return [...this.meant(what, this.leaving)].map((hash) => this.settled(hash))
  }

  /** Tries those that are left again, if a purge means them. */
  again(what: PurgeKey): Promise<Error | undefined>[] {
    return [...this.meant(what, this.left)]
      .filter((hash) => !this.leaving.has(hash))
      .map((hash) => this.remove(hash, this.left.get(hash)?.slot))
  }

  /** Another file has taken the place of this one. */
  replaced(hash: string): void {
    this.left.delete(hash)
    // A file could be written, so others may go by now.
    let tries = triedAgain
    for (const [name, { slot }] of this.left) {
      if (tries-- === 0) return
      if (!this.leaving.has(name)) void this.remove(name, slot)
    }
  }

  /** Tries all of them again. */
  async end(): Promise<void> {
    await Promise.all([...this.left].map(([hash, { slot }]) => this.remove(hash, slot)))
  }

  /** What nobody has looked at any purge may mean. */
  private *meant(
    what: PurgeKey,
    files: ReadonlyMap<string, { readonly slot: FileSlot | undefined }>,
  ): Generator<string> {
    for (const [hash, { slot }] of files) if (slot === undefined || purgeMatches(what, slot)) yield hash
  }
}
