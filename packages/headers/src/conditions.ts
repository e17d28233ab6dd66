import { parseEntityTag, parseEntityTags, strongMatch, weakMatch } from './entity-tag.js'
import { parseHttpDate } from './http-date.js'

/** The conditions of a request (RFC 9110 section 13.1), as they came; several lines joined by commas. */
export interface Conditions {
  readonly ifMatch?: string | undefined
  readonly ifUnmodifiedSince?: string | undefined
  readonly ifNoneMatch?: string | undefined
  readonly ifModifiedSince?: string | undefined
}

/** What conditions are held against: fields of the stored response, as they came. */
export interface ValidatorFields {
  readonly etag?: string | undefined
  readonly lastModified?: string | undefined
  /** Stands in for `lastModified` where there is none, for `If-Modified-Since` alone (RFC 9111 section 4.3.2). */
  readonly date?: string | undefined
}

/** 1 where a field of that length may be a condition: most requests have none, and that takes one look a field. */
const lengths = new Uint8Array(32)
for (const name of ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'])
  lengths[name.length] = 1

/** The conditions that a request makes; `undefined` where it makes none. `If-Range` isn't among them: it goes with `Range`. */
export function conditionsOf(headers: readonly string[]): Conditions | undefined {
  let found: { -readonly [K in keyof Conditions]: string | undefined } | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (lengths[name.length] !== 1 || (name.charCodeAt(0) | 32) !== 105) continue
    const key = keyOf(name.toLowerCase())
    if (key === undefined) continue
    found ??= {
      ifMatch: undefined,
      ifUnmodifiedSince: undefined,
      ifNoneMatch: undefined,
      ifModifiedSince: undefined,
    }
    const before = found[key]
    found[key] = before === undefined ? headers[i + 1] : `${before}, ${headers[i + 1]}`
  }
  return found
}

function keyOf(name: string): keyof Conditions | undefined {
  if (name === 'if-none-match') return 'ifNoneMatch'
  if (name === 'if-modified-since') return 'ifModifiedSince'
  if (name === 'if-match') return 'ifMatch'
  return name === 'if-unmodified-since' ? 'ifUnmodifiedSince' : undefined
}

/**
 * What to answer to a conditional GET or HEAD in place of the stored response, in the order of RFC 9110 section 13.2.2. A date that
 * can't be read, or came twice, is no condition, nor is `If-Unmodified-Since` of what has no `lastModified` (section 13.1.4). Only for responses of 200 and 206: others are answered as they are (section 13.2.1).
 *
 * A 412 speaks of the stored response alone. `If-Match` and `If-Unmodified-Since` are meant for the origin (RFC 9111 section 4.3.2),
 * which may hold what the client asks for: who can ask it does so in place of saying 412.
 * @returns `undefined`: the response itself
 */
export function judgeConditions(asked: Conditions, stored: ValidatorFields): 304 | 412 | undefined {
  const { ifMatch, ifUnmodifiedSince, ifNoneMatch, ifModifiedSince } = asked
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, stored.etag, true)) return 412
  } else if (ifUnmodifiedSince !== undefined) {
    if (isModified(ifUnmodifiedSince, stored.lastModified)) return 412
  }
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, stored.etag, false) ? 304 : undefined
  if (ifModifiedSince === undefined) return undefined
  // Clients say again what they were told.
  if (ifModifiedSince === stored.lastModified) return 304
  return isModified(ifModifiedSince, stored.lastModified ?? stored.date) === false ? 304 : undefined
}

/** The two in one, for who hasn't looked at the fields yet. */
export function conditions(headers: readonly string[], stored: ValidatorFields): 304 | 412 | undefined {
  const asked = conditionsOf(headers)
  return asked === undefined ? undefined : judgeConditions(asked, stored)
}

function matches(list: string, etag: string | undefined, strong: boolean): boolean {
  if (list === '*') return true
  if (etag === undefined) return false
  // What most clients send; and what is no entity tag is at least the same text.
  if (list === etag) return !strong || parseEntityTag(etag)?.weak === false
  const held = parseEntityTag(etag)
  const tags = parseEntityTags(list)
  if (tags === '*') return true
  if (held === undefined) return false
  const same = strong ? strongMatch : weakMatch
  return tags.some((tag) => same(tag, held))
}

/**
 * Whether it has changed since then (RFC 9110 sections 13.1.3 and 13.1.4). `undefined`: a date isn't there or can't be read, and
 * there is no telling.
 */
function isModified(since: string, changed: string | undefined): boolean | undefined {
  const from = parseHttpDate(since)
  const at = changed === undefined ? undefined : parseHttpDate(changed)
  return from === undefined || at === undefined ? undefined : at > from
}
