import type { FileFolder } from './file-folder.js'
import { rewriteHead } from './rewrite-head.js'
import type { EntryHead } from './store.js'
import { firstRead, readHead, type StoredHead } from './stored-head.js'

/**
 * Gives the entry of a name in a store's folder another head.
 * @param change makes it of what is there; `undefined`: it stays
 * @returns the head and how long the file is now, where that was done
 */
export async function changeHead(
  folder: FileFolder,
  hash: string,
  change: (stored: StoredHead) => EntryHead | undefined,
): Promise<{ head: EntryHead; length: number } | undefined> {
  const file = await folder.openEntry(hash, 'r+')
  if (file === undefined || file === 'none') return undefined
  try {
    const stored = await readHead(file, firstRead)
    const head = stored && change(stored)
    if (stored === undefined || head === undefined) return undefined
    const length = await rewriteHead(file, stored, head)
    return length === undefined ? undefined : { head, length }
  } catch (error) {
    folder.failed(error)
    return undefined
  } finally {
    await folder.close(file)
  }
}
