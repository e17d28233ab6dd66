import { createHash } from 'node:crypto'
import { type HeaderList, varyValue } from '@sluice/headers'
import { callerFields } from './caller-fields.js'

/** Digests that are remembered, and how long the values may be: most clients send one of a few. */
const digestsAtMost = 1000
const rememberedLength = 256

const digests = new Map<string, string>()

/**
 * The key of a response that varies: the primary one and a digest of the request's values of those fields. A digest, so that the key
 * is short whatever a client sends, and shows no cookie to who may read keys.
 * @param vary names of request fields, in lower case, in an order that is always the same
 * @param caller as a `CacheRequest` has it
 */
export function variantKey(
  primary: string,
  vary: readonly string[],
  headers: HeaderList,
  caller?: string,
): string {
  let chosen = ''
  for (const name of vary) {
    if (caller !== undefined && callerFields.has(name)) chosen += `${caller.length}:${caller}`
    const value = varyValue(name, headers)
    // With its length, since a value could hold whatever else would set two of them apart.
    chosen += value === undefined ? `${name};` : `${name}=${value.length}:${value}`
  }
  return `${primary}\n${digest(chosen)}`
}

function digest(text: string): string {
  const known = digests.get(text)
  if (known !== undefined) return known
  const made = createHash('sha256').update(text).digest('base64url')
  if (text.length > rememberedLength) return made
  if (digests.size >= digestsAtMost) digests.clear()
  digests.set(text, made)
  return made
}
