import type { RecordWithTtl } from 'node:dns'
import type { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'

/** Which addresses are asked for. */
export type Family = 4 | 6 | 'both'

/** What a lookup has brought. */
export interface Found {
  /** What is left of the times to live of those that have been answered, of the one that is over first, in seconds; infinite without any. */
  readonly ttl: number
  /** Why a family of addresses is not known, or no better than before. */
  readonly failure?: Error
}

/** Who doesn't wait for both kinds of addresses. */
export interface Early {
  /** Calls `fn` after as long as the second kind is waited for; returns the undo. */
  readonly after: (fn: () => void) => () => void
  /** Hears that this time is over, and some addresses are known. */
  readonly tell: () => void
}

/**
 * The addresses of one name. A family whose query fails keeps the addresses of its last answer, so that a name server
 * that answers A and chokes on AAAA costs nothing; nor does one that drops AAAA queries, since nobody waits for it for long (RFC 8305
 * section 3: the resolution delay).
 */
export class Addresses {
  private readonly records = new Map<4 | 6, readonly RecordWithTtl[]>()

  constructor(
    private readonly name: string,
    private readonly family: Family,
  ) {}

  /** As they are known. */
  get known(): readonly string[] {
    return ([4, 6] as const).flatMap((family) =>
      (this.records.get(family) ?? []).map(({ address }) => address),
    )
  }

  /** Asks for them. By then, or where one kind is long in coming as soon as `early` tells, they are in `known`. */
  async find(resolver: Resolver, now: () => number, early?: Early): Promise<Found> {
    const families = this.family === 'both' ? ([4, 6] as const) : [this.family]
    let failure: Error | undefined
    let over = Number.POSITIVE_INFINITY
    let asked = families.length
    let cancel: (() => void) | undefined
    await Promise.all(
      families.map(async (family) => {
        let answered = false
        try {
          const records = await this.ask(resolver, family)
          this.records.set(family, records)
          over = Math.min(over, ...records.map(({ ttl }) => now() + ttl * 1_000))
          answered = true
        } catch (error) {
          failure = error as Error
        }
        if (--asked === 0) cancel?.()
        // Nothing of one kind, and nothing yet of the other, is no empty set.
        else if (answered && this.known.length > 0) cancel = early?.after(early.tell)
      }),
    )
    // One may have waited for the other for long.
    return { ttl: (over - now()) / 1_000, ...(failure === undefined ? {} : { failure }) }
  }

  private async ask(resolver: Resolver, family: 4 | 6): Promise<readonly RecordWithTtl[]> {
    const { name } = this
    // A record may name an address where RFC 2782 has a host; no name server knows it by that name.
    const own = isIP(name)
    if (own !== 0) return own === family ? [{ address: name, ttl: Number.POSITIVE_INFINITY }] : []
    return (
      family === 4 ? resolver.resolve4(name, { ttl: true }) : resolver.resolve6(name, { ttl: true })
    ).catch(noneIfMissing)
  }
}

/** No such name and no such record (RFC 2308) are answers; whatever else goes wrong is none. */
export function noneIfMissing(error: NodeJS.ErrnoException): never[] {
  if (error.code === 'ENOTFOUND' || error.code === 'ENODATA') return []
  throw error
}
