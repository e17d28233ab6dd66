import { createHash } from 'node:crypto'
import { fault, quote } from '@sluice/options'

/** The longest key that is held as it is, in characters. */
const longest = 64

/**
 * The key as a limiter holds it: itself, or its SHA-256 hash where it is longer than 64 characters. Clients send what keys are made of, and
 * a table of keys of 16 KB each is not bounded by their number.
 * @throws TypeError for what is no text
 */
export function limitKey(key: string): string {
  if (typeof key !== 'string') throw new TypeError(fault('key', quote(key), 'a text'))
  if (key.length <= longest) return key
  return createHash('sha256').update(key).digest('base64')
}

/**
 * The same text with bytes of its own. One that was cut out of a longer text keeps all of that in memory: a cookie its whole field.
 */
export function ownText(text: string): string {
  // V8 copies what is shorter anyway.
  if (text.length < 13) return text
  const encoding = /[^\0-\xff]/.test(text) ? 'utf16le' : 'latin1'
  return Buffer.from(text, encoding).toString(encoding)
}

/**
 * What a request costs.
 * @throws TypeError for what is no number from 0 on
 */
export function limitCost(cost: number): number {
  if (typeof cost === 'number' && cost >= 0 && cost < Number.POSITIVE_INFINITY) return cost
  throw new TypeError(fault('cost', quote(cost), 'a number, 0 or more'))
}
