import { Resolver } from 'node:dns/promises'
import { fault, quote } from '@sluice/options'
import type { Seams } from './discovery-options.js'
import type { Feed } from './feed.js'
import { type RetrySettings, Rounds } from './rounds.js'

/** How a name server is asked. */
export interface ResolverSettings {
  readonly servers?: readonly string[] | undefined
  readonly timeout: number
  readonly tries: number
}

/**
 * A resolver of its own, so that what it has in flight can be cancelled by itself.
 * @throws TypeError for wrong servers
 */
export function resolverOf({ servers, timeout, tries }: ResolverSettings, where: string): Resolver {
  const resolver = new Resolver({ timeout: Math.ceil(timeout), tries })
  if (servers === undefined) return resolver
  try {
    if (servers.length === 0) throw new RangeError()
    resolver.setServers(servers)
  } catch {
    throw new TypeError(
      fault(`${where}.servers`, quote(servers), "addresses such as '127.0.0.1:53' or '[::1]:53'"),
    )
  }
  return resolver
}

/**
 * Rounds of lookups, until disposed. After a failure the resolver is made anew: it has read the system's name servers once, and
 * these may be others by now.
 */
export function lookups(
  round: (resolver: Resolver) => Promise<number | undefined>,
  settings: ResolverSettings & { readonly retry: RetrySettings },
  where: string,
  feed: Feed,
  seams: Seams,
): Disposable {
  let resolver = resolverOf(settings, where)
  const look = async (): Promise<number | undefined> => {
    try {
      return await round(resolver)
    } catch (error) {
      resolver = resolverOf(settings, where)
      throw error
    }
  }
  const rounds = new Rounds(look, feed, settings.retry, seams).start()
  return {
    [Symbol.dispose]() {
      rounds[Symbol.dispose]()
      resolver.cancel()
    },
  }
}
