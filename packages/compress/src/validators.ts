import {
  type EntityTag,
  entityTagMembers,
  type HeaderList,
  parseEntityTag,
  parseHttpDate,
  weakMatch,
} from '@sluice/headers'
import { codedTag, type EtagMode, tellsOfBytes } from './coded-fields.js'
import { withoutSuffix } from './tag-suffix.js'

/**
 * The conditions of a request as its target knows them: clients send back the tags that `codedFields` has made.
 *
 * Weak: `If-Match: W/"x"` is `"x"`, since no weak tag ever matches there (RFC 9110 section 13.1.1), and our weakening would refuse every
 * conditional write. `If-None-Match` compares weakly anyway.
 *
 * Suffix: `"x--gzip"` is `"x"` in both; in `If-None-Match` only where the answer would be in gzip, since a cache that holds the form in
 * br must not hear that it is good for a client that takes gzip alone.
 *
 * The target has no coded bytes, so a part that goes on from some would be one of other bytes: where a condition tells of them, or may,
 * `Range` goes, and the whole is sent (section 14.2). `If-Range` goes with it (section 13.1.5).
 * @param chosen what the answer will be in if it's worth it: a coding or `identity`; left out, any
 * @param alone nobody else may choose otherwise once the answer is there
 * @returns the same list where nothing changes
 */
export function asTarget(headers: HeaderList, etag: EtagMode, chosen?: string, alone = true): HeaderList {
  let out = headers
  let whole = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    // Most requests have none, and that takes one look a field.
    if (name.charCodeAt(2) !== 45 || (name.charCodeAt(0) | 32) !== 105) continue
    const value = headers[i + 1] as string
    const lower = name.toLowerCase()
    if (lower === 'if-range') {
      whole ||= !holds(value, etag, alone && chosen === 'identity')
      continue
    }
    const match = lower === 'if-match'
    if (!match && (lower !== 'if-none-match' || etag === 'weak')) continue
    const mapped = mapTags(value, etag, match ? undefined : chosen)
    if (mapped === value) continue
    if (out === headers) out = headers.slice()
    out[i + 1] = mapped
    whole ||= match
  }
  return whole ? withoutRange(out) : out
}

/**
 * The fields of a 304 as the client knows them: where its `ETag` is what one of the client's tags stands for, it is that one, as
 * the client wrote it. Without that a cache wouldn't find what it has to refresh (RFC 9111 section 4.3.4). Of several it is the one
 * that the answer in full would have. Then the client has another form than the target, and what tells of the target's bytes goes:
 * a cache would take it over (section 3.2).
 *
 * `Vary` is for `varyFields` to merge.
 * @param ifNoneMatch the client's, before `asTarget`; several lines joined by commas
 * @param chosen as in `asTarget`
 * @returns the same list where nothing changes
 */
export function asClient(
  headers: HeaderList,
  ifNoneMatch: string | undefined,
  etag: EtagMode,
  chosen?: string,
): HeaderList {
  if (ifNoneMatch === undefined) return headers
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length !== 4 || name.toLowerCase() !== 'etag') continue
    const value = headers[i + 1] as string
    const sent = sentFor(value, ifNoneMatch, etag, chosen)
    if (sent === undefined || sent === value) return headers
    return ofOtherForm(headers, i, sent)
  }
  return headers
}

/** @param at where the `ETag` stands that becomes `tag` */
function ofOtherForm(headers: HeaderList, at: number, tag: string): HeaderList {
  const out: HeaderList = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (!tellsOfBytes(name)) out.push(name, i === at ? tag : (headers[i + 1] as string))
  }
  return out
}

/** The client's tag that stands for the target's. */
function sentFor(
  value: string,
  ifNoneMatch: string,
  etag: EtagMode,
  chosen: string | undefined,
): string | undefined {
  const tag = parseEntityTag(value)
  if (tag === undefined) return undefined
  const best = chosen === undefined || chosen === 'identity' ? value : codedTag(value, chosen, etag)
  let first: string | undefined
  for (const member of entityTagMembers(ifNoneMatch)) {
    if (member === best) return member
    if (first === undefined && standsFor(member, tag, etag, chosen)) first = member
  }
  return first
}

function standsFor(member: string, tag: EntityTag, etag: EtagMode, chosen: string | undefined): boolean {
  const sent = parseEntityTag(member)
  if (sent === undefined) return false
  return weakMatch(sent, tag) || (etag === 'suffix' && withoutSuffix(sent.tag, chosen) === tag.tag)
}

/** What is no entity tag stays as it is, `*` too. */
function mapTags(value: string, etag: EtagMode, coding: string | undefined): string {
  const members = entityTagMembers(value)
  let changed = false
  for (const [i, member] of members.entries()) {
    const mapped = mapTag(member, etag, coding)
    if (mapped === undefined) continue
    members[i] = mapped
    changed = true
  }
  return changed ? members.join(', ') : value
}

function mapTag(member: string, etag: EtagMode, coding: string | undefined): string | undefined {
  const tag = parseEntityTag(member)
  if (tag === undefined) return undefined
  if (etag === 'weak') return tag.weak ? member.slice(2) : undefined
  const plain = withoutSuffix(tag.tag, coding)
  return plain === undefined ? undefined : `${tag.weak ? 'W/' : ''}"${plain}"`
}

/** Whether an `If-Range` can tell of nothing but bytes that the target has. */
function holds(value: string, etag: EtagMode, plainAlone: boolean): boolean {
  const text = value.trim()
  const tag = parseEntityTag(text)
  if (tag !== undefined) return !tag.weak && (etag === 'weak' || withoutSuffix(tag.tag) === undefined)
  // The plain form was last modified when the coded one was: where both exist a date is no strong validator (RFC 9110 section 8.8.1).
  return plainAlone && parseHttpDate(text) !== undefined
}

function withoutRange(headers: HeaderList): HeaderList {
  const out: HeaderList = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if ((name.length === 5 || name.length === 8) && /^(?:if-)?range$/i.test(name)) continue
    out.push(name, headers[i + 1] as string)
  }
  return out
}
