import {
  asScheme,
  type ForwardedElement,
  getAll,
  isAuthority,
  walkForwarded,
  walkXForwarded,
} from '@sluice/headers'
import { cidrSet, oneOf, parse, v } from '@sluice/options'
import type { Middleware } from './chain.js'

/** What `clientAddress` adds: who called, as far as it can be believed. */
export interface Client {
  client: {
    /** IP address, without port and zone; an IPv4-mapped one as IPv4. */
    readonly address: string
    /** What the client spoke to the first trusted proxy. */
    readonly scheme: 'http' | 'https'
    /** Believed entries of the chosen field, the client's first; empty unless the peer is a trusted proxy. */
    readonly believed: readonly string[]
    /** The authority that the client asked the first trusted proxy for, where one has said so. */
    readonly host?: string
    /** The port that the client spoke to, by X-Forwarded-Port; `Forwarded` has it in `host`. */
    readonly port?: number
    /** The path that trusted proxies have stripped, by X-Forwarded-Prefix; `Forwarded` has no word of it. */
    readonly prefix?: string
    /** With `fields: 'forwarded'` the believed elements themselves, the client's first. */
    readonly elements?: readonly ForwardedElement[]
  }
}

/** Options of {@link clientAddress}. */
export interface ClientAddressOptions {
  /** CIDR ranges of one's own proxies. Default: none. */
  trust?: readonly string[]
  /** Which fields one's own proxies write. Default `'x-forwarded'`. */
  fields?: 'x-forwarded' | 'forwarded'
}

const nobody: readonly string[] = Object.freeze([])

const clientAddressOptions = v.strictObject({
  // Its entries are read where the set is made, which names each wrong one.
  trust: v.optional(v.any()),
  fields: v.optional(oneOf('x-forwarded', 'forwarded'), 'x-forwarded'),
})

/**
 * Says who the client is. Without `trust` that is the socket's other end, and what a request says of itself counts for
 * nothing. With `trust` (CIDR ranges of one's own proxies) the chosen fields are walked from the right, as long as trusted
 * proxies vouch for the next entry, over 10,000 entries at most: X-Forwarded-For with Proto, Host, Port and Prefix of the same
 * hop, or `Forwarded` (RFC 7239). An entry that is `unknown` or obfuscated ends the walk: the last address that is known is the client.
 *
 * Only the chosen kind is ever read. A proxy that writes one lets the other pass as the client sent it, so whoever read both
 * would let clients say who they are. For the same reason one's proxies have to write, or remove, every field of the chosen
 * kind: one that writes X-Forwarded-For and lets X-Forwarded-Host pass lets clients choose `host`. A range from which clients
 * call, taken into `trust`, lets them choose their address, and with it pass every limit and list that goes by it.
 * @throws TypeError for a wrong option, an entry that is no CIDR range among them
 */
export function clientAddress(options: ClientAddressOptions = {}): Middleware<{}, Client> {
  const { fields } = parse(clientAddressOptions, options, 'clientAddress')
  const trust = options.trust ?? []
  const proxies = trust.length === 0 ? undefined : cidrSet(trust, 'clientAddress.trust')
  const trusted = (address: string): boolean => proxies?.has(address) ?? false
  return (next) => (ctx) => {
    const { scheme, peer, out } = ctx
    const { address } = peer
    const added = ctx as typeof ctx & { client: Client['client'] }
    if (proxies === undefined || !trusted(address)) added.client = { address, scheme, believed: nobody }
    else if (fields === 'forwarded') added.client = byForwarded(out.headers, address, scheme, trusted)
    else added.client = { scheme, ...walkXForwarded(out.headers, address, trusted) }
    return next(added)
  }
}

/** What the element of the first trusted proxy says is what the client said to it. */
function byForwarded(
  headers: readonly string[],
  peer: string,
  scheme: 'http' | 'https',
  trusted: (address: string) => boolean,
): Client['client'] {
  const { address, believed, elements } = walkForwarded(getAll(headers, 'forwarded').join(','), peer, trusted)
  const first = elements[0]
  const host = first?.host
  return {
    address,
    scheme: asScheme(first?.proto) ?? scheme,
    believed,
    ...(host === undefined || !isAuthority(host) ? {} : { host }),
    elements,
  }
}
