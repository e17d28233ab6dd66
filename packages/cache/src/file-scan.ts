import { join } from 'node:path'
import type { FileFolder } from './file-folder.js'
import { hashIn, isLeftBehind } from './file-names.js'
import { codeOf, isNowhere } from './file-system.js'

/** Files that are looked at at once. */
const together = 4

/** What the names in a store's folder are like, by how deep they are. */
const names = [/^[0-9a-f]$/, /^[0-9a-f]{2}$/, /^[0-9a-f]{40}\./]

/** A part of a store's folder. */
export interface FolderPart {
  readonly path: string
  /** How many folders of the store it is below: 0 for the folder itself, 2 at most. */
  readonly depth: number
}

/** What a scan asks and tells. */
export interface ScanHost {
  /** Called for every entry's file, for some at once. */
  entry(hash: string): Promise<void>
  /** Called for each folder that can't be listed, with the code of the error. */
  unlisted(part: FolderPart, code: string): void
  /** Asked before each file. */
  stopped(): boolean
}

/** Goes through all files in a part of a store's folder, and removes the temporary ones that were left behind. */
export async function scanFolder(folder: FileFolder, part: FolderPart, host: ScanHost): Promise<void> {
  const files = filesOf(folder, part, host)
  const worker = async (): Promise<void> => {
    for (;;) {
      const { value, done } = await files.next()
      if (done || host.stopped()) return
      const hash = hashIn(value.name)
      if (hash !== undefined) await host.entry(hash)
      else if (isLeftBehind(value.name)) await folder.remove(join(value.folder, value.name))
    }
  }
  await Promise.all(Array.from({ length: together }, worker))
}

async function* filesOf(
  folder: FileFolder,
  { path, depth }: FolderPart,
  host: ScanHost,
): AsyncGenerator<{ folder: string; name: string }> {
  let found: string[]
  try {
    found = await folder.fs.readdir(path)
  } catch (error) {
    if (isNowhere(error)) return
    folder.failed(error)
    host.unlisted({ path, depth }, codeOf(error) ?? String(error))
    return
  }
  for (const name of found) {
    if (!names[depth]?.test(name)) continue
    if (depth === 2) yield { folder: path, name }
    else yield* filesOf(folder, { path: join(path, name), depth: depth + 1 }, host)
  }
}
