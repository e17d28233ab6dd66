import type { FileHandle } from 'node:fs/promises'
import { encodeHead, encodeHeader, headAtMost, headerSize, roomFor, textCrc } from './file-format.js'
import { writeAll } from './file-system.js'
import type { EntryHead } from './store.js'
import type { StoredHead } from './stored-head.js'

/**
 * Gives a stored file another head. It is written beside the one that counts, into spare room or behind everything, and counts when the
 * header names it, which is one small write: a process that is killed leaves one of the two, a power cut at worst a wrong checksum.
 * @returns how long the file is now; `undefined` where the head is too long
 */
export async function rewriteHead(
  file: FileHandle,
  { header, key }: StoredHead,
  head: EntryHead,
): Promise<number | undefined> {
  const text = encodeHead(key, head)
  if (text.length > headAtMost) return undefined
  const { size } = await file.stat()
  const { spare } = header
  const region = text.length <= spare.room ? spare : { at: size, room: roomFor(text.length) }
  // All of the room, so that the file has it.
  const bytes = region === spare ? text : Buffer.alloc(region.room)
  if (region !== spare) text.copy(bytes)
  await writeAll(file, bytes, region.at)
  const changed = {
    ...header,
    head: region,
    headLength: text.length,
    headCrc: textCrc(text, header.nonce),
    spare: header.head,
  }
  await writeAll(file, encodeHeader(changed).subarray(0, headerSize), 0)
  return Math.max(size, region.at + region.room)
}
