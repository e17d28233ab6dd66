import { createHash } from 'node:crypto'
import type { PathPattern } from './path-pattern.js'

/** Bytes that a client may have, too (RFC 9842): what is sent to it is coded by what it shares with them. */
export interface Dictionary {
  readonly bytes: Buffer
  /** Their SHA-256. */
  readonly digest: Buffer
  /** The same, as `Available-Dictionary` says it: base64. */
  readonly hash: string
  /** Paths that it is meant for. */
  readonly match: PathPattern
}

/** Makes one of bytes that are all there. */
export function dictionaryOf(bytes: Buffer, match: PathPattern): Dictionary {
  const digest = createHash('sha256').update(bytes).digest()
  return { bytes, digest, hash: digest.toString('base64'), match }
}
