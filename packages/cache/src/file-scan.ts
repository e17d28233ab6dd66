import { join } from 'node:path'
import type { FileFolder } from './file-folder.js'
import { hashIn, isLeftBehind } from './file-names.js'
import { codeOf } from './file-system.js'

/** Files that are looked at at once. */
const together = 4

/**
 * Calls `entry` for every entry's file of a store's folder, some at once, and removes the temporary files that were left behind.
 * @param entry resolves to whether it could look at the file
 * @param stopped asked before each
 * @returns whether all that is there has been looked at
 */
export async function scanFolder(
  folder: FileFolder,
  entry: (hash: string) => Promise<boolean>,
  stopped: () => boolean,
): Promise<boolean> {
  let whole = true
  const files = filesOf(folder, () => {
    whole = false
  })
  const worker = async (): Promise<void> => {
    for (;;) {
      const { value, done } = await files.next()
      if (done) return
      if (stopped()) {
        whole = false
        return
      }
      const hash = hashIn(value.name)
      if (hash !== undefined) {
        if (!(await entry(hash))) whole = false
      } else if (isLeftBehind(value.name)) await folder.remove(join(value.folder, value.name))
    }
  }
  await Promise.all(Array.from({ length: together }, worker))
  return whole
}

/** @param hidden called for each folder that can't be listed */
async function* filesOf(
  folder: FileFolder,
  hidden: () => void,
): AsyncGenerator<{ folder: string; name: string }> {
  const namesIn = async (path: string, like: RegExp): Promise<string[]> => {
    try {
      return (await folder.fs.readdir(path)).filter((name) => like.test(name))
    } catch (error) {
      const code = codeOf(error)
      if (code !== 'ENOENT' && code !== 'ENOTDIR') {
        folder.failed(error)
        hidden()
      }
      return []
    }
  }
  const { path } = folder
  for (const first of await namesIn(path, /^[0-9a-f]$/)) {
    for (const second of await namesIn(join(path, first), /^[0-9a-f]{2}$/)) {
      const leaf = join(path, first, second)
      for (const name of await namesIn(leaf, /^[0-9a-f]{40}\./)) yield { folder: leaf, name }
    }
  }
}
