import { createRequire } from 'node:module'
import type { HeaderList } from '@sluice/headers'
import type Negotiator from 'negotiator'
import type { Coding } from './coding.js'

/** What a response goes out in: a coding, or as it is. */
export type Chosen = Coding | 'identity'

/** A longer field counts as not sent: nobody needs so much to name a few codings, and it would be read for each request anew. */
const longest = 8_192
/** What is remembered at most: of values, and of characters a value. */
const mostRemembered = 256
const longestRemembered = 256

/** RFC 9110 section 12.4.2: at most three decimals, and nothing above 1. */
const weight = /^[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*$/i

/** Loaded with the first one that is made: to import this package costs nobody some ms who never compresses. */
let negotiator: typeof Negotiator | undefined

/** What the types of `negotiator` don't know: which of those with the same weight comes first. */
interface Preferring {
  encodings(available: string[], options: { preferred: string[] }): string[]
}

/**
 * Chooses a coding by `Accept-Encoding` (RFC 9110 section 12.5.3). The greatest weight counts, then the order of what is offered; as it is
 * a body goes out where the client would rather have that, or takes nothing else.
 *
 * A client that sends no field may take anything by the RFC, but those that send none mostly can't decode: they get the body as it is. Of a
 * coding that is named twice the first counts. One whose weight can't be read isn't sent; members that are none say nothing.
 *
 * Clients send few different values, so what they came to is remembered: at most 256 values of at most 256 characters.
 */
export class Negotiation {
  readonly #offered: readonly string[]
  /** Members that say something here, and what stands behind their semicolon (RFC 9110 section 12.5.3). */
  readonly #members: RegExp
  readonly #remembered = new Map<string, Chosen | null>()

  /** @param offered the server's favourite first */
  constructor(offered: readonly Coding[]) {
    this.#offered = offered
    negotiator ??= createRequire(import.meta.url)('negotiator') as typeof Negotiator
    // RFC 9110 section 8.4.1.3: x-gzip is gzip.
    const names = offered.map((coding) => (coding === 'gzip' ? '(?:x-)?gzip' : coding))
    const name = [...names, 'identity', '\\*'].join('|')
    this.#members = new RegExp(`(?:^|,)[ \\t]*(${name})[ \\t]*(?:;([^,]*))?(?=,|$)`, 'gi')
  }

  /**
   * @param accept the field's value, several lines joined by commas: see {@link acceptEncodingOf}
   * @returns `undefined` where nothing that is offered is acceptable, and neither is the body as it is
   */
  choose(accept: string | undefined): Chosen | undefined {
    if (accept === undefined || accept.length > longest) return 'identity'
    const known = this.#remembered.get(accept)
    if (known !== undefined) return known ?? undefined
    const chosen = this.#negotiate(accept)
    if (accept.length <= longestRemembered) {
      if (this.#remembered.size >= mostRemembered) this.#remembered.clear()
      this.#remembered.set(accept, chosen ?? null)
    }
    return chosen
  }

  #negotiate(accept: string): Chosen | undefined {
    const available = [...this.#offered, 'identity']
    const request = { headers: { 'accept-encoding': this.#readable(accept) } }
    const by: Preferring = new (negotiator as typeof Negotiator)(request)
    return by.encodings(available, { preferred: available })[0] as Chosen | undefined
  }

  /** What of it says something, each name once: to `negotiator` a weight of 2 would be twice as good. */
  #readable(accept: string): string {
    const members = new Map<string, string>()
    for (const [, named = '', rest] of accept.matchAll(this.#members)) {
      const lower = named.toLowerCase()
      const name = lower === 'x-gzip' ? 'gzip' : lower
      if (members.has(name)) continue
      const unread = this.#offered.includes(name) ? '0' : undefined
      const q = rest === undefined ? '1' : (weight.exec(rest)?.[1] ?? unread)
      if (q !== undefined) members.set(name, `${name};q=${q}`)
    }
    return [...members.values()].join(',')
  }
}

/** The value of `Accept-Encoding`, its lines joined by commas (RFC 9110 section 5.3); `undefined` where there is none. */
export function acceptEncodingOf(headers: Readonly<HeaderList>): string | undefined {
  let value: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length !== 15 || name.toLowerCase() !== 'accept-encoding') continue
    value = value === undefined ? headers[i + 1] : `${value},${headers[i + 1]}`
  }
  return value
}
