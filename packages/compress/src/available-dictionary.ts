import { getAll, type HeaderList } from '@sluice/headers'

/** 32 bytes as a byte sequence (RFC 9651 section 3.3.5); parameters may follow, and mean nothing here. */
const sha256 = /^ *:([A-Za-z0-9+/]{43})=?: *(?:;[\x20-\x7e]*)?$/
const longest = 256

/**
 * The hash of the dictionary that a client has (RFC 9842 section 2.2), in base64.
 * @returns `undefined` where the field isn't there, comes twice, or is no SHA-256
 */
export function availableDictionary(headers: HeaderList): string | undefined {
  const [value, more] = getAll(headers, 'available-dictionary')
  if (value === undefined || more !== undefined || value.length > longest) return undefined
  const digits = sha256.exec(value)?.[1]
  // Written anew: of the last digit two bits say nothing, whatever they are (RFC 9651 section 4.2.7).
  return digits === undefined ? undefined : Buffer.from(digits, 'base64').toString('base64')
}
