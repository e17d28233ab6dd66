import { type FSWatcher, watch } from 'node:fs'
import { lstat, readlink, stat } from 'node:fs/promises'
import { basename, join, parse, resolve, sep } from 'node:path'

/** As many links as Linux follows on the way to a file. */
const mostLinks = 40
/** Each time something new is watched the way is looked at once more: it may have changed just before. */
const mostLooks = 5

/** One that is watched. */
interface Folder {
  readonly inode: number
  readonly watcher: FSWatcher
  names: ReadonlySet<string>
}

/**
 * Watches the folders on the way to a file (or several), not the file: a rename over it, an editor's new file and Kubernetes' switch of the
 * link `..data` all leave a watched file behind, with nobody to write to it. Where a part of the path is a link, the folder that the
 * link stands in is watched, and the way goes on where it leads; where a part isn't there, the folder that it would stand in.
 *
 * It holds no process open. Where the system tells of no change (some network file systems) it tells of none either: whoever must
 * know looks from time to time.
 */
export class FileWatch implements Disposable {
  private readonly folders = new Map<string, Folder>()
  private closed = false

  /**
   * @param paths the file's, or those of files that belong together
   * @param changed something has happened near one
   * @param failed a folder can't be watched, and why
   */
  constructor(
    private readonly paths: string | readonly string[],
    private readonly changed: () => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Looks where the path leads now, and watches that. To be called again after each change. */
  async arm(): Promise<void> {
    for (let looks = 0; looks < mostLooks; looks++) if (!(await this.look())) return
  }

  [Symbol.dispose](): void {
    this.closed = true
    for (const [folder, { watcher }] of this.folders) this.drop(folder, watcher)
  }

  /** Whether a folder is watched that wasn't. */
  private async look(): Promise<boolean> {
    const wanted = new Map<string, Set<string>>()
    for (const path of [this.paths].flat()) await addFoldersOf(path, wanted)
    const inodes = await Promise.all(
      [...wanted].map(async ([folder, names]) => {
        // What can't be watched now may be there at the next look.
        const found = await stat(folder).catch(() => undefined)
        return [folder, names, found?.ino] as const
      }),
    )
    if (this.closed) return false
    for (const [folder, { watcher }] of this.folders) if (!wanted.has(folder)) this.drop(folder, watcher)
    let added = false
    for (const [folder, names, inode] of inodes) {
      const now = this.folders.get(folder)
      // A folder of the same name may be another one.
      if (now !== undefined && now.inode !== inode) this.drop(folder, now.watcher)
      const same = this.folders.get(folder)
      if (same !== undefined) same.names = names
      else if (inode !== undefined && this.add(folder, inode, names)) added = true
    }
    return added
  }

  private add(folder: string, inode: number, names: ReadonlySet<string>): boolean {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        // The folder itself is gone, it seems. One in its place may have its very inode, and is watched anew.
        if (name === basename(folder)) this.drop(folder, watcher)
        else if (name !== null && this.folders.get(folder)?.names.has(name) !== true) return
        this.changed()
      })
      watcher.on('error', (error) => {
        this.drop(folder, watcher)
        this.failed(error)
      })
      this.folders.set(folder, { inode, watcher, names })
      return true
    } catch (error) {
      this.failed(error)
      return false
    }
  }

  private drop(folder: string, watcher: FSWatcher): void {
    if (this.folders.get(folder)?.watcher === watcher) this.folders.delete(folder)
    watcher.close()
  }
}

/**
 * Adds the folders to watch for a path, and the names in each that are part of the way: other files in them may change as they like. A folder that is
 * just passed through isn't watched: in some, such as `/tmp`, something happens all the time.
 */
async function addFoldersOf(path: string, folders: Map<string, Set<string>>): Promise<void> {
  let [folder, rest] = partsOf(resolve(path))
  let links = 0
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    const at = join(folder, name)
    const link = await readlink(at).catch(() => undefined)
    const passed = link === undefined && rest.length > 0 && (await isThere(at))
    if (!passed) folders.set(folder, (folders.get(folder) ?? new Set()).add(name))
    if (passed) folder = at
    else if (link === undefined || ++links > mostLinks) break
    else {
      const [root, way] = partsOf(resolve(folder, link))
      folder = root
      rest = [...way, ...rest]
    }
  }
}

function partsOf(path: string): [root: string, names: string[]] {
  const { root } = parse(path)
  return [
    root,
    path
      .slice(root.length)
      .split(sep)
      .filter((name) => name !== ''),
  ]
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
