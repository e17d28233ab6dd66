import type { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { fault, integer, parse, positiveDuration, quote, v } from '@sluice/options'
import type { Discovery } from '@sluice/upstream'
import { Addresses } from './addresses.js'
import { type DiscoverySeams, needHost, seamsOf, urlOf } from './discovery-options.js'
import { checkLookup, earlyOf, type LookupOptions, lifeOf, lookupEntries, tlsFor } from './dns-options.js'
import { Feed } from './feed.js'
import { lookups, resolverOf } from './lookups.js'
import { PartFailure } from './rounds.js'

/** Options of {@link dnsTargets}. */
export interface DnsOptions extends LookupOptions {
  /** Default the scheme's own: 80 or 443. */
  port?: number
}

const dnsOptions = v.strictObject({
  ...lookupEntries,
  maxTtl: v.optional(positiveDuration(), 300_000),
  port: v.optional(integer(1, 65_535)),
})

/**
 * A target for each address that a name has in the DNS: its A and AAAA records (RFC 1035, RFC 3596). They are asked for again when
 * the smallest time to live is over. When a lookup fails the last addresses stay, and it is tried again; a name that is not there,
 * or has no addresses, is an empty set. Where one kind of addresses is long in coming, those of the other are targets after
 * `resolutionDelay`, and the rest join them.
 *
 * It asks name servers and nothing else: no hosts file, no search domains, so the name is written in full. Until the first answer
 * there are no targets, and requests get 503.
 * @throws TypeError for a wrong name or option
 */
export function dnsTargets(name: string, options: DnsOptions = {}, seams: DiscoverySeams = {}): Discovery {
  const where = 'dnsTargets'
  needHost(name, where, 'api.example.com')
  if (isIP(name) !== 0) {
    const url = urlOf('http', name, 80, '')
    const takes = `a name such as 'api.example.com'; an address is a target as it is: '${url}'`
    throw new TypeError(fault(where, quote(name), takes))
  }
  const settings = parse(dnsOptions, options, where)
  checkLookup(settings, where)
  const { scheme, path, port = scheme === 'https' ? 443 : 80 } = settings
  resolverOf(settings, where)
  const all = seamsOf(seams)
  const tls = tlsFor(name, settings)
  return {
    watch(fn) {
      const feed = new Feed(`dns ${name}`, settings.empty, fn)
      const book = new Addresses(name, settings.family)
      const deliver = (): void =>
        feed.deliverFit(
          book.known.flatMap((address) => {
            const url = urlOf(scheme, address, port, path)
            return url === undefined ? [] : { url, weight: 1, priority: 0, ...tls }
          }),
        )
      const round = async (resolver: Resolver): Promise<number | undefined> => {
        const { ttl, failure } = await book.find(resolver, all.now, earlyOf(settings, all, deliver))
        if (book.known.length === 0 && failure !== undefined) throw failure
        deliver()
        const life = lifeOf(ttl, settings, all.random)
        if (failure !== undefined) throw new PartFailure(failure, life)
        return book.known.length === 0 ? undefined : life
      }
      return lookups(round, settings, where, feed, all)
    },
  }
}
