import type { SrvRecord } from 'node:dns'
import type { Resolver } from 'node:dns/promises'
import { parse, positiveDuration, v } from '@sluice/options'
import type { Discovery } from '@sluice/upstream'
import { Addresses, noneIfMissing } from './addresses.js'
import { type DiscoverySeams, needHost, seamsOf, urlOf } from './discovery-options.js'
import { checkLookup, earlyOf, type LookupOptions, lifeOf, lookupEntries, tlsFor } from './dns-options.js'
import { Feed, type FoundTarget } from './feed.js'
import { lookups, resolverOf } from './lookups.js'
import { PartFailure } from './rounds.js'

/** Options of {@link srvTargets}. */
export interface SrvOptions extends LookupOptions {
  /**
   * Whether the hosts of the records are looked up here, which makes a target of each address (default), or kept as names, which
   * makes a target of each record and leaves the lookup to each connect.
   */
  resolve?: boolean
}

const srvOptions = v.strictObject({
  ...lookupEntries,
  maxTtl: v.optional(positiveDuration(), 30_000),
  resolve: v.optional(v.boolean(), true),
})

/** A weight of 0 beside others: such a record has "a very small chance" (RFC 2782), and a target none below that. */
const verySmall = 0.01

/**
 * Targets from the SRV records of a name such as `_http._tcp.example.com` (RFC 2782), with their ports. A record's priority is the
 * target's: the lowest is used first. Its weight is shared evenly by the addresses of its host. Weight 0 counts as 0.01 beside
 * records with a weight, and as 1 where no record of the same priority has any. A single record for `.` says that there is no such
 * service: an empty set.
 *
 * Node tells no time to live of SRV records, so they are asked for again every `maxTtl`, and before that when the smallest TTL of
 * the addresses is over. A lookup that fails keeps the last targets, as does a host that can't be looked up.
 * @throws TypeError for a wrong name or option
 */
export function srvTargets(name: string, options: SrvOptions = {}, seams: DiscoverySeams = {}): Discovery {
  const where = 'srvTargets'
  needHost(name, where, '_http._tcp.example.com')
  const settings = parse(srvOptions, options, where)
  checkLookup(settings, where)
  resolverOf(settings, where)
  const all = seamsOf(seams)
  return {
    watch(fn) {
      const feed = new Feed(`srv ${name}`, settings.empty, fn)
      let books = new Map<string, Addresses>()
      const round = async (resolver: Resolver): Promise<number | undefined> => {
        const records = usable(await resolver.resolveSrv(name).catch(noneIfMissing))
        const hosts = [...new Set(records.map((record) => record.name))]
        // Hosts that have gone are forgotten, addresses and all.
        books = new Map(hosts.map((host) => [host, books.get(host) ?? new Addresses(host, settings.family)]))
        if (records.length === 0) {
          feed.deliverFit([])
          return undefined
        }
        if (!settings.resolve) {
          feed.deliverFit(records.flatMap((record) => targetOf(record, record.name, 1)))
          return lifeOf(Number.POSITIVE_INFINITY, settings, all.random)
        }
        const targets = (): FoundTarget[] =>
          records.flatMap((record) => {
            const { known = [] } = books.get(record.name) ?? {}
            return known.flatMap((address) => targetOf(record, address, known.length))
          })
        // Each host has what it waits for no more: one kind of addresses at least, or all that came of it.
        const late = new Set(hosts)
        const settled = (host: string): void => {
          if (late.delete(host) && late.size === 0) deliver()
        }
        const deliver = (): void => {
          const known = targets()
          // Nothing known of any host is no empty set, as long as one may be there.
          if (known.length > 0) feed.deliverFit(known)
        }
        const found = await Promise.all(
          [...books].map(async ([host, book]) => {
            const one = await book.find(
              resolver,
              all.now,
              earlyOf(settings, all, () => settled(host)),
            )
            settled(host)
            return one
          }),
        )
        const failure = found.find((each) => each.failure !== undefined)?.failure
        const last = targets()
        if (last.length > 0 || failure === undefined) feed.deliverFit(last)
        const life = lifeOf(Math.min(...found.map(({ ttl }) => ttl)), settings, all.random)
        if (failure !== undefined) throw new PartFailure(failure, life)
        return last.length === 0 ? undefined : life
      }
      const targetOf = (record: SrvRecord, host: string, share: number): FoundTarget[] => {
        const url = urlOf(settings.scheme, host.replace(/\.$/, ''), record.port, settings.path)
        if (url === undefined) {
          feed.note(`left out ${JSON.stringify(host)}, port ${record.port}`)
          return []
        }
        const { priority, weight } = record
        return [{ url, weight: weight / share, priority, ...tlsFor(record.name, settings) }]
      }
      return lookups(round, settings, where, feed, all)
    },
  }
}

/** Without the one for `.`, and with weights that a target can have. */
function usable(records: readonly SrvRecord[]): SrvRecord[] {
  const weighted = new Set(records.filter(({ weight }) => weight > 0).map(({ priority }) => priority))
  return records
    .filter(({ name }) => name !== '' && name !== '.')
    .map((record) => ({
      ...record,
      weight: record.weight > 0 ? record.weight : weighted.has(record.priority) ? verySmall : 1,
    }))
}
