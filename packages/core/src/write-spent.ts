import type { Writable } from 'node:stream'
import type { Spent } from './body.js'
import { writesUnseen } from './unseen.js'

/**
 * Writes a part of a body, and has its memory freed when the system has taken it, if nobody else gets to see it.
 * @param to where the body ends: nothing further out may pass the part on
 * @returns what `to.write` says
 */
export function writeSpent(to: Writable, chunk: Uint8Array, spent: Spent | undefined): boolean {
  if (spent === undefined || !writesUnseen(to)) return to.write(chunk)
  return to.write(chunk, (error) => {
    if (!error) spent(chunk)
  })
}
