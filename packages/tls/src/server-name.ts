import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { ipv6Groups } from '@sluice/options'

const name = /^[a-z\d_-]{1,63}(?:\.[a-z\d_-]{1,63})*$/

/**
 * A name as names are compared: lower case, internationalized names as A-labels, no dot at the end, IP addresses in one spelling.
 * `undefined` for what can be no name, such as most of what an attacker sends: longer than 253 characters, an empty label or one of
 * more than 63, other characters than letters, digits, `-` and `_`.
 */
export function readServerName(given: string): string | undefined {
  if (given.length > 254) return undefined
  let text = given
  if (!/^[\0-\x7f]*$/.test(text)) text = domainToASCII(text)
  text = text.toLowerCase()
  if (text.endsWith('.')) text = text.slice(0, -1)
  if (text.length <= 253 && name.test(text)) return text
  return isIP(text) === 6 && !text.includes('%') ? ipv6Groups(text).map(hexadecimal).join(':') : undefined
}

/** A name that a certificate may have: as {@link readServerName}, or one with `*` for its first label as a whole (RFC 9525 section 6.3). */
export function readCertificateName(given: string): string | undefined {
  if (!given.startsWith('*.')) return readServerName(given)
  const parent = readServerName(given.slice(2))
  return parent === undefined || isIP(parent) !== 0 ? undefined : `*.${parent}`
}

function hexadecimal(group: number): string {
  return group.toString(16)
}
