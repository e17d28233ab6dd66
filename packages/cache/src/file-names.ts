import { hash, randomBytes } from 'node:crypto'
import { join } from 'node:path'

/** Hex digits of a name: 160 bits of SHA-256. */
const digits = 40
const suffix = '.entry'

/** Distinguishes the stores of this process from those of an earlier one that had its process id. */
const runs = new Set<string>()

/** The name of a key's file, without its folder. The key itself is in the file, and is compared. */
export function hashOf(key: string): string {
  return hash('sha256', Buffer.from(key, 'utf16le'), 'hex').slice(0, digits)
}

/** The folder of a file: 16 folders with 256 each, by the first three digits. */
export function folderOf(folder: string, hash: string): string {
  return join(folder, hash.slice(0, 1), hash.slice(1, 3))
}

/** The part of a name that tells its folder. */
export function leafOf(hash: string): string {
  return hash.slice(0, 3)
}

/** Where a key's file is. */
export function pathOf(folder: string, hash: string): string {
  return join(folderOf(folder, hash), hash + suffix)
}

/** The hash in the name of an entry's file; `undefined` for other names. */
export function hashIn(name: string): string | undefined {
  return name.length === digits + suffix.length && name.endsWith(suffix) ? name.slice(0, digits) : undefined
}

/** A name for the temporary files of one store, until `endRun`. */
export function beginRun(): string {
  const run = randomBytes(8).toString('hex')
  runs.add(run)
  return run
}

/** The store has no temporary files any more. */
export function endRun(run: string): void {
  runs.delete(run)
}

/** The name of a temporary file: it tells whose it is. */
export function temporaryName(hash: string, run: string, count: number): string {
  return `${hash}.${process.pid}.${run}.${count}.tmp`
}

/** Tells of a temporary file whether it was left behind by a process that is gone. */
export function isLeftBehind(name: string): boolean {
  const [, pid, run] = /^[0-9a-f]+\.(\d+)\.([0-9a-f]+)\.\d+\.tmp$/.exec(name) ?? []
  if (pid === undefined || run === undefined) return false
  if (Number(pid) === process.pid) return !runs.has(run)
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    // It may be somebody else's, whom we can't signal.
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
