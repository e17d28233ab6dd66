import type { FileHandle } from 'node:fs/promises'
import type { HeaderList } from '@sluice/headers'
import {
  blockSize,
  crcSize,
  decodeTrailers,
  lengthOf,
  openBlock,
  textCrc,
  trailersAt,
} from './file-format.js'
import { readInto } from './file-system.js'
import type { StoredHead } from './stored-head.js'

/** What follows the head of a stored file. */
export interface StoredBody {
  /** The whole body, where it is a small one. */
  readonly bytes?: Buffer
  readonly trailers: HeaderList | undefined
}

/**
 * Reads what follows the head: a body of one block whole, of a longer one the trailers alone.
 * @returns `undefined` where something is missing or isn't what was written
 */
export async function readStored(file: FileHandle, stored: StoredHead): Promise<StoredBody | undefined> {
  const { header } = stored
  const { bodyAt, bodySize, nonce } = header
  if (bodySize > blockSize) {
    if ((await file.stat()).size < lengthOf(header)) return undefined
    const text = await piece(file, stored, trailersAt(header), header.trailersLength)
    return text && trailersIn(text, stored)
  }
  const length = bodySize === 0 ? 0 : crcSize + bodySize
  const rest = await piece(file, stored, bodyAt, length + header.trailersLength)
  if (rest === undefined) return undefined
  const bytes = length === 0 ? rest.subarray(0, 0) : openBlock(rest.subarray(0, length), nonce, 0)
  const trailers = trailersIn(rest.subarray(length), stored)
  return bytes && trailers && { bytes, ...trailers }
}

function trailersIn(text: Buffer, { header }: StoredHead): StoredBody | undefined {
  if (textCrc(text, header.nonce) !== header.trailersCrc) return undefined
  if (text.length === 0) return { trailers: undefined }
  const trailers = decodeTrailers(text)
  return trailers && { trailers }
}

/** Bytes of the file, of what has been read already where they are in there. */
async function piece(
  file: FileHandle,
  { begin }: StoredHead,
  at: number,
  length: number,
): Promise<Buffer | undefined> {
  if (at + length <= begin.length) return begin.subarray(at, at + length)
  const bytes = Buffer.allocUnsafeSlow(length)
  return (await readInto(file, bytes, at)) === length ? bytes : undefined
}
