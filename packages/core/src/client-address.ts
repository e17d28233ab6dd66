import { get, getAll, walkForwardedFor } from '@sluice/headers'
import { cidrSet } from '@sluice/options'
import type { Middleware } from './chain.js'

/** What `clientAddress` adds: who called, as far as it can be believed. */
export interface Client {
  client: {
    /** IP address, without port and zone; an IPv4-mapped one as IPv4. */
    readonly address: string
    /** What the client spoke to the first trusted proxy. */
    readonly scheme: 'http' | 'https'
    /** Believed entries of X-Forwarded-For, the client's first; empty unless the peer is a trusted proxy. */
    readonly believed: readonly string[]
  }
}

const nobody: readonly string[] = Object.freeze([])

/**
 * Says who the client is. Without `trust` that is the socket's other end, and what a request says of itself counts for
 * nothing. With `trust` (CIDR ranges of one's own proxies) X-Forwarded-For is walked from the right, as long as trusted
 * proxies vouch for the next entry. Trusting a range from which clients call lets them choose their address, and with
 * it pass every limit and list that goes by address.
 * @throws TypeError for an entry that is no CIDR range
 */
export function clientAddress(options: { trust?: readonly string[] } = {}): Middleware<{}, Client> {
  const trust = options.trust ?? []
  const proxies = trust.length === 0 ? undefined : cidrSet(trust, 'trust')
  const trusted = (address: string): boolean => proxies?.has(address) ?? false
  return (next) => (ctx) => {
    const peer = ctx.peer.address
    const added = ctx as typeof ctx & { client: Client['client'] }
    if (proxies === undefined || !trusted(peer)) {
      added.client = { address: peer, scheme: ctx.scheme, believed: nobody }
      return next(added)
    }
    const { headers } = ctx.out
    const { address, believed } = walkForwardedFor(
      getAll(headers, 'x-forwarded-for').join(','),
      peer,
      trusted,
    )
    const proto = believed.length > 0 ? get(headers, 'x-forwarded-proto') : undefined
    const scheme = proto === 'https' || proto === 'http' ? proto : ctx.scheme
    added.client = { address, scheme, believed }
    return next(added)
  }
}
