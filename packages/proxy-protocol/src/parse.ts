import { Invalid } from './invalid.js'
import { type Found, parseBlock } from './parse-block.js'
import { parseLine } from './parse-line.js'
import { signature, word } from './signature.js'

/** What the bytes at the beginning of a connection are. */
export type Parsed =
  /** They may become a header: wait for more of them. */
  | { readonly status: 'more' }
  /** They are one; what follows its `length` bytes belongs to the connection. */
  | (Found & { readonly status: 'header'; readonly version: 1 | 2 })
  /** They can become none: end the connection. It is not to be read as one without a header (section 2). */
  | { readonly status: 'invalid'; readonly reason: string }

/**
 * Reads a header from the bytes that a connection has begun with, all of them, again and again until it has come whole. It
 * keeps no state and throws nothing. Whoever isn't known to send headers must not be asked for one: anybody could then say
 * to be anyone.
 */
export function parse(bytes: Uint8Array): Parsed {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  try {
    if (begins(buffer, signature)) return result(2, buffer.length < 16 ? undefined : parseBlock(buffer))
    if (begins(buffer, word)) return result(1, parseLine(buffer))
    return { status: 'invalid', reason: 'neither signature' }
  } catch (error) {
    if (error instanceof Invalid) return { status: 'invalid', reason: error.message }
    throw error
  }
}

function result(version: 1 | 2, found: Found | undefined): Parsed {
  return found === undefined ? { status: 'more' } : { status: 'header', version, ...found }
}

/** As far as there are bytes they are those of `mark`. */
function begins(bytes: Buffer, mark: Buffer): boolean {
  const length = Math.min(bytes.length, mark.length)
  return bytes.subarray(0, length).equals(mark.subarray(0, length))
}
