import { append, type HeaderList } from './header-list.js'

/** Why a request was forwarded (RFC 9211 section 2.2). */
export type Forwarded =
  | 'bypass'
  | 'method'
  | 'uri-miss'
  | 'vary-miss'
  | 'miss'
  | 'request'
  | 'stale'
  | 'partial'

/** What a cache says of how it handled a request (RFC 9211 section 2). */
export interface CacheStatus {
  /** Which cache speaks: a name for this proxy, or its host. */
  readonly name: string
  /** The response is the cache's, and the request wasn't forwarded. */
  readonly hit?: boolean | undefined
  readonly fwd?: Forwarded | undefined
  /** What the next server answered, where that isn't what the client gets. */
  readonly fwdStatus?: number | undefined
  /** The response to the forwarded request was stored. */
  readonly stored?: boolean | undefined
  /** The request shared another one's. */
  readonly collapsed?: boolean | undefined
  /** Freshness left, in seconds; below 0 for a stale response. */
  readonly ttl?: number | undefined
  readonly key?: string | undefined
  /** More on it: a name of a reason, for instance. */
  readonly detail?: string | undefined
}

/** Writes one member of `Cache-Status` (RFC 9211 section 2). */
export function formatCacheStatus(status: CacheStatus): string {
  let out = word(status.name)
  if (status.hit === true) out += '; hit'
  if (status.fwd !== undefined) out += `; fwd=${status.fwd}`
  if (status.fwdStatus !== undefined) out += `; fwd-status=${status.fwdStatus}`
  if (status.stored === true) out += '; stored'
  if (status.collapsed === true) out += '; collapsed'
  if (status.ttl !== undefined) out += `; ttl=${Math.trunc(status.ttl)}`
  if (status.key !== undefined) out += `; key=${string(status.key)}`
  if (status.detail !== undefined) out += `; detail=${word(status.detail)}`
  return out
}

/**
 * Adds a member to `Cache-Status`. The first is the cache nearest to the origin, so ours comes after what came from there. Edits
 * `list` and returns it.
 */
export function appendCacheStatus(list: HeaderList, status: CacheStatus): HeaderList {
  return append(list, 'Cache-Status', formatCacheStatus(status))
}

/** As a token where it can be one (RFC 9651 section 3.3.4). */
function word(text: string): string {
  return /^[A-Za-z*][\w!#$%&'*+.^`|~:/-]*$/.test(text) ? text : string(text)
}

/** As a string (RFC 9651 section 3.3.3), which takes ASCII alone: the rest is written as in URLs. */
function string(text: string): string {
  const plain = /[^\x20-\x7e]/.test(text)
    ? text.replace(/[^\x20-\x7e]+/gu, (part) => encodeURIComponent(part.replace(/\p{Cs}/gu, '\ufffd')))
    : text
  return `"${plain.replace(/["\\]/g, String.raw`\$&`)}"`
}
