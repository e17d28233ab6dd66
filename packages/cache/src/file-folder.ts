import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import debug from 'debug'
import { headerSize } from './file-format.js'
import { beginRun, endRun, folderOf, hashOf, pathOf, temporaryName } from './file-names.js'
import { codeOf, type FileSystem, isNowhere, writeAll } from './file-system.js'
import { OpenFiles } from './open-files.js'
import { firstRead, readHead } from './stored-head.js'

const log = debug('sluice:cache')

/** To change a file whose folder is somebody else's: what they have linked to is left alone. Windows has no such flag. */
const inPlace = constants.O_RDWR | ((constants.O_NOFOLLOW as number | undefined) ?? 0)

/** The folder of a file store: opens, renames and removes its files, and counts what fails. */
export class FileFolder {
  /** Calls that have failed. */
  failures = 0
  /** Files found damaged. */
  damages = 0
  /** Who reads holds a file for as long as its client takes. */
  readonly reading: OpenFiles
  /** Who writes holds one for as long as its target gives. */
  readonly writing: OpenFiles
  private readonly said = new Set<string>()
  private readonly run = beginRun()
  private created = 0

  /**
   * @param full called when the disk is
   */
  constructor(
    readonly fs: FileSystem,
    readonly path: string,
    maxOpen: number,
    private readonly full: () => void,
  ) {
    this.reading = new OpenFiles(maxOpen)
    this.writing = new OpenFiles(maxOpen)
  }

  /**
   * Opens the file of an entry for what is soon done.
   * @returns `'none'` where there is no such file, nothing where that has failed
   */
  async openEntry(hash: string, flags: string | number): Promise<FileHandle | 'none' | undefined> {
    try {
      return await this.fs.open(this.pathOf(hash), flags)
    } catch (error) {
      if (isNowhere(error)) return 'none'
      this.failed(error)
      return undefined
    }
  }

  /** Opens the file of an entry for somebody who reads it, when there is a place; `closeRead` gives that back. */
  async openToRead(hash: string, signal: AbortSignal | undefined): Promise<FileHandle | 'none' | undefined> {
    const place = this.reading.take(signal)
    if (place !== true && !(await place)) return undefined
    const file = await this.openEntry(hash, 'r')
    if (file === undefined || file === 'none') this.reading.give()
    return file
  }

  async closeRead(file: FileHandle): Promise<void> {
    await this.close(file)
    this.reading.give()
  }

  async close(file: FileHandle): Promise<void> {
    await file.close().catch((error: unknown) => this.failed(error))
  }

  /** Opens a new temporary file for an entry, in the folder where that is to be. Nobody else may read what is in there. */
  async create(hash: string): Promise<{ file: FileHandle; name: string }> {
    const folder = folderOf(this.path, hash)
    const name = join(folder, temporaryName(hash, this.run, ++this.created))
    try {
      return { file: await this.fs.open(name, 'wx', 0o600), name }
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
    await this.fs.mkdir(folder, { recursive: true, mode: 0o700 })
    return { file: await this.fs.open(name, 'wx', 0o600), name }
  }

  /** Gives a temporary file its place. */
  async place(name: string, hash: string): Promise<void> {
    await this.fs.rename(name, this.pathOf(hash))
  }

  /** Where the file of an entry is. */
  pathOf(hash: string): string {
    return pathOf(this.path, hash)
  }

  /**
   * Removes a file, if it is there.
   * @returns the code of what has kept it
   */
  async remove(path: string): Promise<string | undefined> {
    try {
      await this.fs.unlink(path)
      return undefined
    } catch (error) {
      if (isNowhere(error)) return undefined
      this.failed(error)
      return codeOf(error) ?? String(error)
    }
  }

  /**
   * Removes the file of an entry. Where its folder doesn't let it go, its header is overwritten, so that nobody takes it for an entry any
   * more; whoever reads its body knows the header already, and goes on.
   * @returns the code of what has kept it, where it could be neither
   */
  async removeEntry(hash: string): Promise<string | undefined> {
    const kept = await this.remove(this.pathOf(hash))
    if (kept === undefined || kept === 'EROFS') return kept
    return (await this.spoil(hash)) ? undefined : kept
  }

  /** Makes a file no entry. Nothing but an entry of that name is written to. */
  private async spoil(hash: string): Promise<boolean> {
    const file = await this.openEntry(hash, inPlace)
    if (file === undefined || file === 'none') return file === 'none'
    try {
      const stored = await readHead(file, firstRead)
      if (stored !== undefined && hashOf(stored.key) === hash)
        await writeAll(file, Buffer.alloc(headerSize), 0)
      return true
    } catch (error) {
      this.failed(error)
      return false
    } finally {
      await this.close(file)
    }
  }

  /** Counts a failure, and says it, each kind once. */
  failed(error: unknown): void {
    this.failures++
    const { syscall = '', message } = error as NodeJS.ErrnoException
    const code = codeOf(error)
    if (code === 'ENOSPC' || code === 'EDQUOT') this.full()
    const kind = `${syscall} ${code ?? message}`
    // What has no code may be different every time.
    if (this.said.has(kind) || this.said.size >= 100) return
    this.said.add(kind)
    log('%s: %s', this.path, message)
  }

  /** Counts a damaged file, and says so once. */
  damaged(hash: string): void {
    this.damages++
    if (this.said.has('damaged')) return
    this.said.add('damaged')
    log('%s: %s is damaged, and is removed', this.path, hash)
  }

  /** Says once that something is there which is neither to be read nor to be removed. */
  outOfReach(path: string): void {
    if (this.said.has('out of reach')) return
    this.said.add('out of reach')
    log('%s can neither be read nor removed: no purge reaches what is stored there', path)
  }

  /** There will be no more temporary files. */
  end(): void {
    endRun(this.run)
  }
}
