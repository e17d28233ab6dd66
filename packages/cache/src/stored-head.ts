import type { FileHandle } from 'node:fs/promises'
import { decodeHead, decodeHeader, type FileHeader, textCrc } from './file-format.js'
import { readInto } from './file-system.js'
import type { EntryHead } from './store.js'

/** What is read of a file at first: most heads, and small bodies with them. */
export const firstRead = 4_096

/** What is known of a stored file when its beginning has been read. */
export interface StoredHead {
  readonly header: FileHeader
  readonly key: string
  readonly head: EntryHead
  /** The bytes that were read, from the beginning of the file. */
  readonly begin: Buffer
}

/**
 * Reads the header and the head of a file: one read of `length` bytes, and another one where the head lies further back.
 * @returns `undefined` where they aren't whole
 */
export async function readHead(file: FileHandle, length: number): Promise<StoredHead | undefined> {
  // A buffer of its own: what is read of a body stays in it.
  const buffer = Buffer.allocUnsafeSlow(length)
  const begin = buffer.subarray(0, await readInto(file, buffer, 0))
  const header = decodeHeader(begin)
  if (header === undefined) return undefined
  const { at } = header.head
  const end = at + header.headLength
  let text = begin.subarray(at, end)
  if (end > begin.length) {
    text = Buffer.allocUnsafe(header.headLength)
    if ((await readInto(file, text, at)) < text.length) return undefined
  }
  if (textCrc(text, header.nonce) !== header.headCrc) return undefined
  const decoded = decodeHead(text)
  return decoded && { header, ...decoded, begin }
}
