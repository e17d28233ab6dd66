import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'

/** A label of a host name (RFC 1123 section 2.1); an underscore is none, and no authority signs one. */
const label = /^(?!-)[a-z\d-]{1,63}(?<!-)$/

/**
 * A name as certificates have it: in lower case, Unicode as Punycode (RFC 5891), without the dot of the root. A wildcard is its
 * first label alone (RFC 6125 section 6.4.3). `undefined` for what is no such name: an address, a URL, a name with a port.
 */
export function domainName(text: string): string | undefined {
  const plain = text.endsWith('.') ? text.slice(0, -1) : text
  const wild = plain.startsWith('*.')
  const rest = wild ? plain.slice(2) : plain
  // What would be read as something else than a name is told by its characters: `domainToASCII` takes URLs' hosts, escapes and all.
  if (rest.length > 253 || /[\0-,/:-@[-`{-\x7f]/.test(rest)) return undefined
  const host = domainToASCII(rest)
  const name = wild ? `*.${host}` : host
  if (host === '' || name.length > 253 || isIP(host) !== 0) return undefined
  const labels = host.split('.')
  // A last label of digits makes a name an address to many readers (RFC 3696 section 2).
  const fits = labels.every((each) => label.test(each)) && !/^\d+$/.test(labels.at(-1) as string)
  return fits && (!wild || labels.length > 1) ? name : undefined
}

/** The wildcard that would cover a name: one label, and no more (RFC 6125 section 6.4.3). */
export function wildcardOf(name: string): string | undefined {
  const dot = name.indexOf('.')
  return dot > 0 ? `*${name.slice(dot)}` : undefined
}
