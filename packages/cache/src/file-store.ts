import { FileStorage } from './file-storage.js'
import { type FileStoreOptions, resolveFileStore } from './file-store-options.js'
import { type FileSystem, fileSystem } from './file-system.js'
import type { Store } from './store.js'

/** A store whose bodies are on disk. */
export interface FileStore extends Store {
  /** How it stands now. */
  readonly stats: FileStoreStats
  /** Resolves when all files that were there at the start are known. Nobody needs to wait for it. */
  ready(): Promise<void>
}

/** How a file store stands. */
export interface FileStoreStats {
  /** Entries that it knows of. */
  readonly entries: number
  /** Bytes of their files, in whole pages. */
  readonly bytes: number
  /** Bytes taken that aren't written yet. */
  readonly pending: number
  /** Files open now, to be read or written. */
  readonly open: number
  /** Files found damaged, and removed. */
  readonly damaged: number
  /** Calls of the file system that have failed: what they were for was a miss, or isn't kept. */
  readonly failed: number
  /** Files that are to be gone and couldn't be removed: this process doesn't serve them, a restart may. */
  readonly unremoved: number
  /** Files and folders found at the start that couldn't be read: nothing of them is served. */
  readonly unread: number
}

/** What a file store takes from outside, to be replaced in tests. */
export interface FileStoreSeams {
  /** Default `node:fs/promises`. */
  fs?: FileSystem
}

/**
 * A store that keeps its entries in files of one folder, and finds them again after a restart. Small bodies (64 KB) are read as a whole by
 * `get`, longer ones block by block as they are sent; every block is held against its checksum before a byte of it is given.
 *
 * A file gets its name when it is whole, and nothing is flushed to the disk by force: a killed process or a power cut costs entries, and never
 * makes a wrong one. A purge outlives the process once it has resolved, a power cut in the seconds after it may undo it. At the start the heads of all files are read in the background; until that is done, entries are looked for on the disk,
 * and a `purge` takes effect at once but resolves when it is.
 *
 * No error of the file system fails a request: what can't be read is a miss, what can't be written isn't kept, `stats` counts it and
 * `debug('sluice:cache')` says each kind once. On a full disk the least recently used go, a sixteenth at a time.
 *
 * `purge` and `delete` reject where what they mean would be found again after a restart, since it can't be removed, or may be in a file that
 * can't be read, or the store is closing. This process doesn't give it any more. It is tried again by the next purge that means it, after
 * something could be written or removed in its folder, and by `close`. A purge removes what it can't read: it may be meant. What this user has
 * no right to read, or the disk can't give, and that can't be removed either, no purge waits for.
 *
 * Files and folders are made for this user alone to read.
 *
 * Two processes may use one folder and harm nobody, but share neither bounds nor purges, and each finds what the other has stored only
 * after a restart. One folder each is better.
 * @throws TypeError for wrong options
 */
export function fileStore(options: FileStoreOptions, seams: FileStoreSeams = {}): FileStore {
  return new FileStorage(resolveFileStore(options), seams.fs ?? fileSystem)
}
