import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fault, quote } from '@sluice/options'
import type { AcmeLock, AcmeStorage } from './acme-storage.js'
import { FileLock } from './file-lock.js'
import { isErrno } from './is-errno.js'
import { checkStorageKey } from './storage-key.js'

/** After which time, in ms, a file that never got its name is what a process left that was killed. */
const abandoned = 3_600_000

/**
 * Keeps accounts and certificates in a folder, which several processes of one machine may share. Values are in `values`, each a file that only its owner
 * may read, written beside (in `new`) and put in its place as a whole; who holds a lock is in `locks`. Nothing is touched before the first call.
 * @throws TypeError for what is no folder's name
 */
export function fileStorage(folder: string): AcmeStorage {
  if (typeof folder !== 'string' || folder === '' || folder.includes('\0'))
    throw new TypeError(fault('fileStorage', quote(folder), "a folder's name such as '/var/lib/sluice/acme'"))
  return new FileStorage(folder)
}

class FileStorage implements AcmeStorage {
  private readonly values: string
  private readonly fresh: string
  private readonly locks: string
  private swept: Promise<void> | undefined = undefined

  constructor(folder: string) {
    this.values = join(folder, 'values')
    this.fresh = join(folder, 'new')
    this.locks = join(folder, 'locks')
  }

  async get(key: string): Promise<string | undefined> {
    checkStorageKey(key, 'get')
    try {
      return await readFile(this.fileOf(key), 'utf8')
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined
      throw error
    }
  }

  async set(key: string, value: string): Promise<void> {
    checkStorageKey(key, 'set')
    this.swept ??= this.sweep()
    await this.swept
    const file = this.fileOf(key)
    await mkdir(this.fresh, { recursive: true, mode: 0o700 })
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    // No name that another process could have as well, on whatever machine: two would write into one file.
    const made = join(this.fresh, randomBytes(12).toString('hex'))
    try {
      const handle = await open(made, 'wx', 0o600)
      try {
        await handle.writeFile(value)
        // Before it gets its name: after a loss of power a name without its bytes would be left.
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(made, file)
    } catch (error) {
      await rm(made, { force: true }).catch(() => {})
      throw error
    }
  }

  async delete(key: string): Promise<void> {
    checkStorageKey(key, 'delete')
    try {
      await unlink(this.fileOf(key))
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    // The folder that holds all of them, and the rest by name.
    const parents = prefix.split('/').slice(0, -1)
    if (parents.length > 0) checkStorageKey(parents.join('/'), 'list')
    const found: string[] = []
    await this.collect(parents, found)
    return found.filter((key) => key.startsWith(prefix)).sort()
  }

  async lock(name: string, ttl: number): Promise<AcmeLock | undefined> {
    checkStorageKey(name, 'lock')
    return FileLock.take(join(this.locks, name.split('/').map(written).join('+')), ttl)
  }

  private fileOf(key: string): string {
    const parts = key.split('/')
    const last = parts.pop() as string
    return join(this.values, ...parts.map(folderName), `${written(last)}.json`)
  }

  private async collect(parents: readonly string[], found: string[]): Promise<void> {
    const folder = join(this.values, ...parents.map(folderName))
    let entries: Awaited<ReturnType<typeof entriesOf>>
    try {
      entries = await entriesOf(folder)
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return
      throw error
    }
    for (const entry of entries) {
      if (entry.isDirectory()) await this.collect([...parents, read(entry.name.replace(/\+$/, ''))], found)
      else if (entry.name.endsWith('.json')) found.push([...parents, read(entry.name.slice(0, -5))].join('/'))
    }
  }

  /** What processes left that were killed in the middle of it. */
  private async sweep(): Promise<void> {
    const names = await readdir(this.fresh).catch(() => [])
    for (const name of names) {
      const file = join(this.fresh, name)
      const made = await stat(file).catch(() => undefined)
      if (made !== undefined && Date.now() - made.mtimeMs > abandoned)
        await rm(file, { force: true }).catch(() => {})
    }
  }
}

function entriesOf(folder: string) {
  return readdir(folder, { withFileTypes: true })
}

// `*` is no letter of file names everywhere.
const written = (part: string): string => part.replaceAll('*', '%2A')
const read = (name: string): string => name.replaceAll('%2A', '*')

/** A folder is never called as the file of another key. */
const folderName = (part: string): string => written(part.endsWith('.json') ? `${part}+` : part)
