import type { Writable } from 'node:stream'
import type { Body } from './body.js'

/** Smaller parts of a body than this aren't worth a callback. */
const worthIt = 16 * 1024

/**
 * Writes a part of the body `from` into `to`, which keeps nothing of it; the body hears when it has been used up.
 * @param from null: nobody is to hear
 * @returns what `to.write` says
 */
export function writeSpent(to: Writable, chunk: Uint8Array, from: Body | null): boolean {
  if (from?.spent === undefined || chunk.length < worthIt) return to.write(chunk)
  return to.write(chunk, (error) => {
    if (!error) from.spent?.(chunk)
  })
}
