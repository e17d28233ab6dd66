import { type FSWatcher, watch } from 'node:fs'
import { readlink, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, relative, resolve, sep } from 'node:path'

/** As many links as Linux follows on the way to a file. */
const mostLinks = 40

/** One that is watched. */
interface Folder {
  readonly inode: number
  readonly watcher: FSWatcher
  names: ReadonlySet<string>
}

/**
 * Watches the folders on the way to a file, not the file: a rename over it, an editor's new file and Kubernetes' switch of the
 * link `..data` all leave a watched file behind, with nobody to write to it. Where a path is a link, the folder of what it leads to
 * is watched as well.
 */
export class FileWatch implements Disposable {
  private readonly folders = new Map<string, Folder>()
  private closed = false

  /**
   * @param changed something has happened near the file
   * @param failed a folder can't be watched, and why
   */
  constructor(
    private readonly path: string,
    private readonly changed: () => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Looks where the path leads now, and watches that. */
  async arm(): Promise<void> {
    const wanted = await foldersOf(this.path)
    const inodes = await Promise.all(
      [...wanted].map(async ([folder, names]) => {
        // What can't be watched now may be there at the next look.
        const found = await stat(folder).catch(() => undefined)
        return [folder, names, found?.ino] as const
      }),
    )
    if (this.closed) return
    for (const [folder, { watcher }] of this.folders) if (!wanted.has(folder)) this.drop(folder, watcher)
    for (const [folder, names, inode] of inodes) {
      const now = this.folders.get(folder)
      // A folder of the same name may be another one.
      if (now !== undefined && now.inode !== inode) this.drop(folder, now.watcher)
      const same = this.folders.get(folder)
      if (same !== undefined) same.names = names
      else if (inode !== undefined) this.add(folder, inode, names)
    }
  }

  [Symbol.dispose](): void {
    this.closed = true
    for (const [folder, { watcher }] of this.folders) this.drop(folder, watcher)
  }

  private add(folder: string, inode: number, names: ReadonlySet<string>): void {
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
    } catch (error) {
      this.failed(error)
    }
  }

  private drop(folder: string, watcher: FSWatcher): void {
    if (this.folders.get(folder)?.watcher === watcher) this.folders.delete(folder)
    watcher.close()
  }
}

/**
 * The folder of the path, those of the links that it leads through, and the names in each that are part of the way: other files in
 * them may change as they like.
 */
async function foldersOf(path: string): Promise<Map<string, Set<string>>> {
  const way: string[] = []
  let next: string | undefined = resolve(path)
  while (next !== undefined && way.length <= mostLinks) {
    const at: string = next
    way.push(at)
    const link = await readlink(at).catch(() => undefined)
    next = link === undefined ? undefined : resolve(dirname(at), link)
  }
  const folders = new Map(way.map((each) => [dirname(each), new Set<string>()]))
  for (const [folder, names] of folders) {
    for (const each of way) {
      const inside = relative(folder, each)
      if (!isAbsolute(inside)) names.add(inside.split(sep)[0] as string)
    }
  }
  return folders
}
