import type { RecordWithTtl } from 'node:dns'
import type { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'

/** Which addresses are asked for. */
export type Family = 4 | 6 | 'both'

/** The addresses of a name, as they are known. */
export interface Found {
  readonly addresses: readonly string[]
  /** The smallest time to live of those that have just been answered, in seconds; infinite without any. */
  readonly ttl: number
  /** Why a family of addresses is not known, or no better than before. */
  readonly failure?: Error
}

/**
 * The addresses of one name. A family whose query fails keeps the addresses of its last answer, so that a name server
 * that answers A and chokes on AAAA costs nothing.
 */
export class Addresses {
  private readonly known = new Map<4 | 6, readonly RecordWithTtl[]>()

  constructor(
    private readonly name: string,
    private readonly family: Family,
  ) {}

  async find(resolver: Resolver): Promise<Found> {
    const families = this.family === 'both' ? ([4, 6] as const) : [this.family]
    let failure: Error | undefined
    let ttl = Number.POSITIVE_INFINITY
    await Promise.all(
      families.map(async (family) => {
        try {
          const records = await this.ask(resolver, family)
          this.known.set(family, records)
          ttl = Math.min(ttl, ...records.map((record) => record.ttl))
        } catch (error) {
          failure = error as Error
        }
      }),
    )
    const records = families.flatMap((family) => this.known.get(family) ?? [])
    return {
      addresses: records.map(({ address }) => address),
      ttl,
      ...(failure === undefined ? {} : { failure }),
    }
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
