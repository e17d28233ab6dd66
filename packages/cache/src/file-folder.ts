import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import debug from 'debug'
import { beginRun, endRun, folderOf, pathOf, temporaryName } from './file-names.js'
import { codeOf, type FileSystem } from './file-system.js'
import { OpenFiles } from './open-files.js'

const log = debug('sluice:cache')

/** The folder of a file store: opens, renames and removes its files, and counts what fails. */
export class FileFolder {
  /** Calls that have failed. */
  failures = 0
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
  async openEntry(hash: string, flags: string): Promise<FileHandle | 'none' | undefined> {
    try {
      return await this.fs.open(pathOf(this.path, hash), flags)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return 'none'
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
    await this.fs.rename(name, pathOf(this.path, hash))
  }

  /** Removes a file, if it is there. */
  async remove(path: string): Promise<void> {
    try {
      await this.fs.unlink(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') this.failed(error)
    }
  }

  removeEntry(hash: string): Promise<void> {
    return this.remove(pathOf(this.path, hash))
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

  /** Says once that files are damaged. */
  damaged(hash: string): void {
    if (this.said.has('damaged')) return
    this.said.add('damaged')
    log('%s: %s is damaged, and is removed', this.path, hash)
  }

  /** There will be no more temporary files. */
  end(): void {
    endRun(this.run)
  }
}
