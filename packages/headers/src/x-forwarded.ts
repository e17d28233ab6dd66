import { isAuthority } from './authority.js'
import { walkEntries } from './forwarded-for.js'

/** Who called and what it asked for, as far as trusted proxies say it in `X-Forwarded-*`. */
export interface XForwarded {
  readonly address: string
  /** Believed addresses: the client's first, then each trusted proxy but the peer. */
  readonly believed: string[]
  /** What the client spoke to the proxy that is the first of one's own. */
  readonly scheme?: 'http' | 'https'
  /** The authority that it asked that proxy for. */
  readonly host?: string
  /** The port that it spoke to. */
  readonly port?: number
  /** The path that was stripped on the way: visible ASCII, begins with one `/`. */
  readonly prefix?: string
}

/**
 * Walks X-Forwarded-For as `walkForwardedFor` does, and takes Proto, Host, Port and Prefix of the same hop: that of the leftmost entry
 * which a trusted proxy vouches for. Each of these lists has one value, which then counts, or as many as For, and then the one
 * in the entry's place counts; of any other number nobody knows which belongs to whom, and none does. An entry `unknown`
 * or obfuscated (`_x`) names nobody and ends the walk, but is a hop: a trusted proxy has said what was spoken to it.
 * @param limit entries of X-Forwarded-For looked at, at most
 */
export function walkXForwarded(
  headers: readonly string[],
  peer: string,
  trusted: (address: string) => boolean,
  limit = 10_000,
): XForwarded {
  const chain = joined(headers, 'x-forwarded-for') ?? ''
  const { address, believed, hops } = walkEntries(chain, peer, trusted, limit)
  if (hops === 0) return { address, believed }
  const of = (name: string): string | undefined => inStep(joined(headers, name), chain, hops)
  const scheme = asScheme(of('x-forwarded-proto'))
  const host = of('x-forwarded-host')
  const port = asPort(of('x-forwarded-port'))
  const prefix = of('x-forwarded-prefix')
  return {
    address,
    believed,
    ...(scheme === undefined ? {} : { scheme }),
    ...(host === undefined || !isAuthority(host) ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(prefix === undefined || !isPrefix(prefix) ? {} : { prefix }),
  }
}

/**
 * `http` or `https`, whatever the case; some proxies say `ws` and `wss` of an upgrade, and mean these. `undefined` for any other scheme.
 */
export function asScheme(proto: string | undefined): 'http' | 'https' | undefined {
  const scheme = proto?.toLowerCase()
  if (scheme === 'https' || scheme === 'wss') return 'https'
  return scheme === 'http' || scheme === 'ws' ? 'http' : undefined
}

/** All lines of a field as one list. */
function joined(headers: readonly string[], name: string): string | undefined {
  let text: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i] as string
    if (field.length !== name.length || field.toLowerCase() !== name) continue
    text = text === undefined ? headers[i + 1] : `${text},${headers[i + 1]}`
  }
  return text
}

/** The one value of a list, or that of the hop where it has as many as `chain`. */
function inStep(list: string | undefined, chain: string, hops: number): string | undefined {
  if (list === undefined) return undefined
  if (!list.includes(',')) return list.trim()
  if (commas(list) !== commas(chain)) return undefined
  let end = list.length
  for (let hop = 1; hop < hops; hop++) end = list.lastIndexOf(',', end - 1)
  return list.slice(list.lastIndexOf(',', end - 1) + 1, end).trim()
}

function commas(text: string): number {
  let count = 0
  for (let at = text.indexOf(','); at !== -1; at = text.indexOf(',', at + 1)) count++
  return count
}

function asPort(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,5}$/.test(text)) return undefined
  const port = Number(text)
  return port > 0 && port <= 65_535 ? port : undefined
}

/** `//host` and `/\host` would be another site in a Location, `?` and `#` the end of the path. */
function isPrefix(text: string): boolean {
  return /^\/(?!\/)[\x21-\x7e]*$/.test(text) && !/[?#\\"<>]/.test(text)
}
