import type { HeaderList } from './header-list.js'

/** How to read the list. */
export interface HopByHopOptions {
  /** The fields are an answer's: `Alt-Svc` goes too, since it names the one who sent it. */
  readonly response?: boolean
  /** Join HTTP/2 `cookie` crumbs to one field, as HTTP/1.1 wants it (RFC 9113 section 8.2.3). */
  readonly joinCookies?: boolean
}

/** Fields of one connection or one hop, in either direction. */
const ofHop = new Set([
  'te',
  'close',
  'upgrade',
  'keep-alive',
  'connection',
  'http2-settings',
  'proxy-features',
  'security-scheme',
  'proxy-connection',
  'proxy-instruction',
  'transfer-encoding',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'alpn',
])

/** 1 where a field of that length and first letter may be of a hop: most are passed on by one look. */
const suspects = new Uint8Array(32 * 32)
for (const name of [...ofHop, 'alt-svc', 'cookie']) suspects[suspect(name)] = 1

function suspect(name: string): number {
  return (name.length << 5) | (name.charCodeAt(0) & 31)
}

/**
 * Fields that `Connection` can't take away. A message without them would be another one: its framing, its host and its
 * path to us are not options of a connection (RFC 9110 section 7.6.1 forbids to name fields meant for all recipients).
 */
const kept = new Set([
  'host',
  'content-length',
  'via',
  'forwarded',
  'date',
  'content-type',
  'content-encoding',
  // Without them a client would be taken for the proxy that speaks of it (CVE-2024-45410).
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-client-cert',
  'client-cert',
  'client-cert-chain',
])

/**
 * The end-to-end fields of a message: those of this hop are left out (RFC 9110 section 7.6.1), those that any
 * `Connection` line names included, and HTTP/2 pseudo fields. `TE` stays as `TE: trailers` if that was in it.
 * `raw` isn't edited. `Upgrade-Insecure-Requests` is end-to-end, whatever its name, and stays.
 */
export function withoutHopByHop(raw: readonly string[], options: HopByHopOptions = {}): HeaderList {
  const { response = false, joinCookies = false } = options
  const out: HeaderList = []
  let named: Set<string> | undefined
  let cookieAt = -1
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    if (name.charCodeAt(0) === 58) continue
    if (suspects[suspect(name)] === 1) {
      const lower = name.toLowerCase()
      if (lower === 'connection') {
        named = nominate(value, named)
        continue
      }
      if (lower === 'te') {
        if (!response && /(^|[,\s])trailers([\s,;]|$)/i.test(value)) out.push('TE', 'trailers')
        continue
      }
      if (ofHop.has(lower) || (response && lower === 'alt-svc')) continue
      if (joinCookies && lower === 'cookie') {
        if (cookieAt !== -1) {
          out[cookieAt] += `; ${value}`
          continue
        }
        cookieAt = out.length + 1
      }
    }
    out.push(name, value)
  }
  return named === undefined ? out : without(out, named)
}

/** Fields that a Connection value names; `undefined` if it names none, which is nearly always so. */
function nominate(value: string, named: Set<string> | undefined): Set<string> | undefined {
  const { length } = value
  if ((length === 10 || length === 5) && /^(keep-alive|close)$/i.test(value)) return named
  for (const part of value.split(',')) {
    const lower = part.trim().toLowerCase()
    if (lower === '' || lower === 'close' || ofHop.has(lower) || kept.has(lower)) continue
    named ??= new Set()
    named.add(lower)
  }
  return named
}

function without(list: HeaderList, named: ReadonlySet<string>): HeaderList {
  const out: HeaderList = []
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string
    if (!named.has(name.toLowerCase())) out.push(name, list[i + 1] as string)
  }
  return out
}
