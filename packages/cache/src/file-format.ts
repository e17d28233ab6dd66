import { crc32 } from 'node:zlib'
import type { HeaderList } from '@sluice/headers'
import type { EntryHead } from './store.js'

/**
 * How an entry lies in its file:
 *
 *   header    its fields are those of {@link FileHeader}; 68 bytes, the last four their checksum
 *   head      JSON of the key and the entry's head, in a region with some room
 *   spare     a region of the same room, for the next head: it is written there, then the header that names it
 *   blocks    the body, each block with its checksum before it
 *   trailers  JSON, where there are some
 *   regions   for heads that fitted nowhere before
 *
 * Every checksum begins with a number that the file has drawn by chance, and the one of a block with its place too: what belongs to another
 * file, or elsewhere in this one, doesn't pass. The magic has the version of all of this in it.
 */
const magic = Buffer.from('sluice\0\x01', 'latin1')

/** Bytes of the header. */
export const headerSize = 68
/** Bytes of the body in a block; all blocks but the last are full. */
export const blockSize = 65_536
/** Bytes of a checksum. */
export const crcSize = 4
/** More than that is no head, nor trailers. */
export const headAtMost = 1_048_576

/** A piece of the file that holds a head, or is there for one. */
export interface Region {
  readonly at: number
  readonly room: number
}

/** What stands at the beginning of a file. */
export interface FileHeader {
  /** Drawn by chance, a part of every checksum in the file. */
  readonly nonce: number
  /** Where the blocks begin. */
  readonly bodyAt: number
  /** Bytes of the body. */
  readonly bodySize: number
  readonly trailersLength: number
  readonly trailersCrc: number
  readonly head: Region
  readonly headLength: number
  readonly headCrc: number
  readonly spare: Region
}

/** A header as bytes. */
export function encodeHeader(header: FileHeader): Buffer {
  const bytes = Buffer.alloc(headerSize)
  magic.copy(bytes)
  bytes.writeUInt32BE(header.nonce, 8)
  bytes.writeUInt32BE(blockSize, 12)
  bytes.writeUIntBE(header.bodyAt, 16, 6)
  bytes.writeUIntBE(header.bodySize, 22, 6)
  bytes.writeUInt32BE(header.trailersLength, 28)
  bytes.writeUInt32BE(header.trailersCrc, 32)
  bytes.writeUIntBE(header.head.at, 36, 6)
  bytes.writeUInt32BE(header.headLength, 42)
  bytes.writeUInt32BE(header.head.room, 46)
  bytes.writeUInt32BE(header.headCrc, 50)
  bytes.writeUIntBE(header.spare.at, 54, 6)
  bytes.writeUInt32BE(header.spare.room, 60)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 64)), 64)
  return bytes
}

/** The header that a file begins with; `undefined` where it isn't one, or of another version. */
export function decodeHeader(bytes: Buffer): FileHeader | undefined {
  if (bytes.length < headerSize || !bytes.subarray(0, magic.length).equals(magic)) return undefined
  if (bytes.readUInt32BE(64) !== crc32(bytes.subarray(0, 64))) return undefined
  if (bytes.readUInt32BE(12) !== blockSize) return undefined
  const header: FileHeader = {
    nonce: bytes.readUInt32BE(8),
    bodyAt: bytes.readUIntBE(16, 6),
    bodySize: bytes.readUIntBE(22, 6),
    trailersLength: bytes.readUInt32BE(28),
    trailersCrc: bytes.readUInt32BE(32),
    head: { at: bytes.readUIntBE(36, 6), room: bytes.readUInt32BE(46) },
    headLength: bytes.readUInt32BE(42),
    headCrc: bytes.readUInt32BE(50),
    spare: { at: bytes.readUIntBE(54, 6), room: bytes.readUInt32BE(60) },
  }
  return header.headLength <= headAtMost && header.trailersLength <= headAtMost ? header : undefined
}

/** How many blocks a body of so many bytes has. */
export function blocksOf(bodySize: number): number {
  return Math.ceil(bodySize / blockSize)
}

/** Where a block begins, its checksum first. */
export function blockAt(bodyAt: number, index: number): number {
  return bodyAt + index * (crcSize + blockSize)
}

/** Where the trailers begin: the end of the body. */
export function trailersAt({ bodyAt, bodySize }: { bodyAt: number; bodySize: number }): number {
  return bodyAt + bodySize + blocksOf(bodySize) * crcSize
}

/** How long a file must be, at least, to be whole. */
export function lengthOf(header: FileHeader): number {
  return Math.max(trailersAt(header) + header.trailersLength, header.head.at + header.headLength)
}

/** Writes the checksum of a block before its bytes. */
export function sealBlock(block: Buffer, nonce: number, index: number): void {
  block.writeUInt32BE(crc32(block.subarray(crcSize), seed(nonce, index)), 0)
}

/** The bytes of a block; `undefined` where they aren't what was written. */
export function openBlock(block: Buffer, nonce: number, index: number): Buffer | undefined {
  const bytes = block.subarray(crcSize)
  if (bytes.length === 0 || block.readUInt32BE(0) !== crc32(bytes, seed(nonce, index))) return undefined
  return bytes
}

/** The checksum of a head or of trailers. */
export function textCrc(text: Buffer, nonce: number): number {
  return crc32(text, nonce)
}

function seed(nonce: number, index: number): number {
  return (nonce + index + 1) >>> 0
}

/** The key and an entry's head as bytes. Any string is as before when it is read: JSON escapes what UTF-8 can't hold. */
export function encodeHead(key: string, head: EntryHead): Buffer {
  return Buffer.from(JSON.stringify([key, head]))
}

/** What {@link encodeHead} has written; `undefined` where it is something else. */
export function decodeHead(bytes: Buffer): { key: string; head: EntryHead } | undefined {
  const value = parsed(bytes)
  if (!Array.isArray(value) || value.length !== 2) return undefined
  const [key, head] = value as [unknown, Partial<EntryHead> | null]
  if (typeof key !== 'string' || typeof head !== 'object' || head === null) return undefined
  const fits =
    typeof head.id === 'string' &&
    typeof head.url === 'string' &&
    typeof head.status === 'number' &&
    typeof head.keepUntil === 'number' &&
    areTexts(head.tags) &&
    areTexts(head.headers)
  return fits ? { key, head: head as EntryHead } : undefined
}

/** Trailers as bytes; none where there are none. */
export function encodeTrailers(trailers: HeaderList | undefined): Buffer {
  return Buffer.from(trailers === undefined || trailers.length === 0 ? '' : JSON.stringify(trailers))
}

/** What {@link encodeTrailers} has written. */
export function decodeTrailers(bytes: Buffer): HeaderList | undefined {
  const value = parsed(bytes)
  return areTexts(value) ? value : undefined
}

/** How much room a head of so many bytes gets, so that a somewhat longer one fits there too. */
export function roomFor(headLength: number): number {
  return headLength + Math.max(128, headLength >> 2)
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

function areTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
}
