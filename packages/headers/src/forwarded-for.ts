import { isIP } from 'node:net'

/** Who called, and what of X-Forwarded-For can be believed of it. */
export interface ForwardedFor {
  readonly address: string
  /** The client's address first, then each trusted proxy but the peer. */
  readonly believed: string[]
}

/**
 * An IP address in its plain form: without brackets, port and zone, an IPv4-mapped one as IPv4, lower case. `undefined` for
 * what is none.
 */
export function cleanAddress(text: string): string | undefined {
  let address = text.trim()
  if (address[0] === '"' && address.endsWith('"')) address = address.slice(1, -1)
  if (address[0] === '[') address = /^\[([^\]]+)\](?::\d+)?$/.exec(address)?.[1] ?? ''
  else if (/^[\d.]+:\d+$/.test(address)) address = address.slice(0, address.indexOf(':'))
  const zone = address.indexOf('%')
  if (zone !== -1) address = address.slice(0, zone)
  const kind = isIP(address)
  if (kind === 0) return undefined
  if (kind === 4) return address
  const lower = address.toLowerCase()
  // As sockets spell it.
  if (lower.startsWith('::ffff:') && isIP(lower.slice(7)) === 4) return lower.slice(7)
  return lower.includes('ffff:') ? (mappedAddress(lower) ?? lower) : lower
}

/** The IPv4 address that an IPv6 one stands for, however it is spelt (RFC 4291 section 2.5.5.2). */
function mappedAddress(address: string): string | undefined {
  // URLs have one spelling for each address.
  const found = /^\[::ffff:([\da-f]+):([\da-f]+)\]$/.exec(new URL(`http://[${address}]`).hostname)
  if (found === null) return undefined
  const [high, low] = [Number.parseInt(found[1] as string, 16), Number.parseInt(found[2] as string, 16)]
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

/**
 * Walks X-Forwarded-For from the right. Each entry is believed if the one who wrote it, the peer first, is trusted; the
 * first entry that isn't a trusted proxy is the client. An entry that is no address ends the walk.
 * @param value every X-Forwarded-For line, joined by commas
 * @param limit entries looked at, at most
 */
export function walkForwardedFor(
  value: string,
  peer: string,
  trusted: (address: string) => boolean,
  limit = 10_000,
): ForwardedFor {
  const { address, believed } = walkEntries(value, peer, trusted, limit)
  return { address, believed }
}

/** The same with the number of entries that trusted proxies vouch for: the last may say that it names nobody. */
export function walkEntries(
  value: string,
  peer: string,
  trusted: (address: string) => boolean,
  limit: number,
): ForwardedFor & { readonly hops: number } {
  let address = peer
  const believed: string[] = []
  let hops = 0
  let end = value.length
  for (; hops < limit && end > 0 && trusted(address); hops++) {
    const comma = value.lastIndexOf(',', end - 1)
    const text = value.slice(comma + 1, end)
    const entry = cleanAddress(text)
    end = comma
    if (entry === undefined) {
      if (namesNobody(text.trim())) hops++
      break
    }
    believed.push(entry)
    address = entry
  }
  return { address, believed: believed.reverse(), hops }
}

/** What RFC 7239 section 6 has in place of an address, and proxies write here too. */
function namesNobody(entry: string): boolean {
  return /^(?:unknown|_[\w.-]+)$/i.test(entry)
}
