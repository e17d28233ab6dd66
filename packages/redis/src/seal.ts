import { crc32 } from 'node:zlib'

/** Bytes before the content: its checksum and its length. */
const before = 8

/**
 * Content as it is kept in Redis, behind a checksum and its length. The checksum is also over `name`: what was kept under another
 * name, or for another entry, opens no more than what has changed.
 */
export function sealed(parts: readonly Uint8Array[], name: string): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const value = Buffer.allocUnsafe(before + length)
  let at = before
  for (const part of parts) {
    value.set(part, at)
    at += part.length
  }
  value.writeUInt32BE(crc32(value.subarray(before), crc32(name)), 0)
  value.writeUInt32BE(length, 4)
  return value
}

/** The content; `undefined` for what isn't there, isn't whole, or isn't what was sealed under this name. */
export function opened(value: unknown, name: string): Buffer | undefined {
  if (!Buffer.isBuffer(value) || value.length < before) return undefined
  const content = value.subarray(before)
  if (value.readUInt32BE(4) !== content.length) return undefined
  return value.readUInt32BE(0) === crc32(content, crc32(name)) ? content : undefined
}
