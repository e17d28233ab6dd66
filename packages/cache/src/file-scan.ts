import { join } from 'node:path'
import type { FileFolder } from './file-folder.js'
import { hashIn, isLeftBehind } from './file-names.js'
import type { FileSystem } from './file-system.js'

/** Files that are looked at at once. */
const together = 4

/**
 * Calls `entry` for every entry's file of a store's folder, some at once, and removes the temporary files that were left behind.
 * @param stopped asked before each
 */
export async function scanFolder(
  folder: FileFolder,
  entry: (hash: string) => Promise<void>,
  stopped: () => boolean,
): Promise<void> {
  const files = filesOf(folder.fs, folder.path)
  const worker = async (): Promise<void> => {
    for (;;) {
      const { value, done } = await files.next()
      if (done || stopped()) return
      const hash = hashIn(value.name)
      if (hash !== undefined) await entry(hash)
      else if (isLeftBehind(value.name)) await folder.remove(join(value.folder, value.name))
    }
  }
  await Promise.all(Array.from({ length: together }, worker))
}

async function* filesOf(fs: FileSystem, folder: string): AsyncGenerator<{ folder: string; name: string }> {
  for (const first of await namesIn(fs, folder, /^[0-9a-f]$/)) {
    for (const second of await namesIn(fs, join(folder, first), /^[0-9a-f]{2}$/)) {
      const leaf = join(folder, first, second)
      for (const name of await namesIn(fs, leaf, /^[0-9a-f]{40}\./)) yield { folder: leaf, name }
    }
  }
}

/** What can't be listed isn't there. */
async function namesIn(fs: FileSystem, folder: string, like: RegExp): Promise<string[]> {
  try {
    return (await fs.readdir(folder)).filter((name) => like.test(name))
  } catch {
    return []
  }
}
