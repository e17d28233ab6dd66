import { contentCodings, type HeaderList, parseEntityTag } from '@sluice/headers'
import { withSuffix } from './tag-suffix.js'

/**
 * What becomes of a strong `ETag` when a body is coded, since it would name bytes that aren't sent (RFC 9110 section 8.8.3.3): `weak` makes it
 * a weak one, `suffix` a strong one of its own: `"x--gzip"`.
 *
 * Weak ones mean the same in all codings. A target that tells versions apart by weak tags in `If-Match`, which by the RFC never match, needs
 * `suffix`: it gets its own back. Then a target whose own tags end in `--gzip` isn't asked with them.
 */
export type EtagMode = 'weak' | 'suffix'

type Does = 'coding' | 'vary' | 'etag' | 'drop'

/** What becomes of fields that tell of the bytes (RFC 9110 sections 8.4, 8.6, 8.8.3, 12.5.5 and 14.3, RFC 9530, RFC 3230, RFC 1864). */
const does: ReadonlyMap<string, Does> = new Map([
  ['content-encoding', 'coding'],
  ['vary', 'vary'],
  ['etag', 'etag'],
  ['content-length', 'drop'],
  // The coded form gives no parts.
  ['accept-ranges', 'drop'],
  ['content-md5', 'drop'],
  ['digest', 'drop'],
  ['content-digest', 'drop'],
  ['repr-digest', 'drop'],
])

/** 1 where a field of that length and first letter may be one of them: most are passed on by one look. */
const suspects = new Uint8Array(32 * 32)
for (const name of does.keys()) suspects[suspect(name)] = 1

function suspect(name: string): number {
  return (name.length << 5) | (name.charCodeAt(0) & 31)
}

/** Whether a field tells of the bytes of one form of a body, so that it is wrong beside any other. */
export function tellsOfBytes(name: string): boolean {
  return suspects[suspect(name)] === 1 && does.get(name.toLowerCase()) === 'drop'
}

/**
 * The fields of a response whose body is coded: `Content-Encoding` says so, `Vary` names `Accept-Encoding`, and what tells of the bytes
 * before is changed or gone. `headers` isn't edited.
 * @param coding applied after those that `headers` tell of
 * @param length bytes of the coded body, where known
 */
export function codedFields(
  headers: Readonly<HeaderList>,
  coding: string,
  etag: EtagMode,
  length?: number,
): HeaderList {
  const out: HeaderList = []
  let varyAt = -1
  let varies = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    let value = headers[i + 1] as string
    if (suspects[suspect(name)] === 1) {
      const what = does.get(name.toLowerCase())
      if (what === 'drop') continue
      if (what === 'coding' && contentCodings([name, value]).length === 0) continue
      if (what === 'etag') value = codedTag(value, coding, etag)
      else if (what === 'vary') {
        varies ||= mentions(value, 'accept-encoding')
        if (varyAt === -1) varyAt = out.length + 1
      }
    }
    out.push(name, value)
  }
  if (!varies) addVary(out, varyAt, 'Accept-Encoding')
  out.push('Content-Encoding', coding)
  if (length !== undefined) out.push('Content-Length', String(length))
  return out
}

/**
 * The fields of a response that depends on a field of the request, whose name `Vary` gets where it hasn't got it.
 * @returns the same list where `Vary` says so already, or `*`
 */
export function varyFields(headers: HeaderList, name = 'Accept-Encoding'): HeaderList {
  const lower = name.toLowerCase()
  let varyAt = -1
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i] as string
    if (field.length !== 4 || field.toLowerCase() !== 'vary') continue
    if (mentions(headers[i + 1] as string, lower)) return headers
    if (varyAt === -1) varyAt = i + 1
  }
  const out = headers.slice()
  addVary(out, varyAt, name)
  return out
}

/**
 * The fields of a response that doesn't depend on a field of the request any more.
 * @returns the same list where `Vary` doesn't name it
 */
export function withoutVary(headers: HeaderList, name = 'Accept-Encoding'): HeaderList {
  const lower = name.toLowerCase()
  let out: HeaderList | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i] as string
    let value = headers[i + 1] as string
    if (field.length === 4 && field.toLowerCase() === 'vary' && mentions(value, lower)) {
      out ??= headers.slice(0, i)
      const members = value.split(',').map((member) => member.trim())
      value = members.filter((member) => member.toLowerCase() !== lower).join(', ')
      if (value === '') continue
    }
    out?.push(field, value)
  }
  return out ?? headers
}

/** @param at where the value of the first `Vary` stands, or -1 */
function addVary(out: HeaderList, at: number, name: string): void {
  if (at === -1) out.push('Vary', name)
  else out[at] = (out[at] as string).trim() === '' ? name : `${out[at]}, ${name}`
}

/** @param name in lower case */
function mentions(vary: string, name: string): boolean {
  const lower = vary.toLowerCase()
  if (lower === name) return true
  for (const member of lower.split(',')) {
    const one = member.trim()
    if (one === name || one === '*') return true
  }
  return false
}

/** The `ETag` of a coded body. A weak tag may stay, since it never said that bytes are the same. What is no entity tag says nothing that could be changed. */
export function codedTag(value: string, coding: string, mode: EtagMode): string {
  if (value.charCodeAt(0) !== 34 || parseEntityTag(value) === undefined) return value
  return mode === 'weak' ? `W/${value}` : withSuffix(value, coding)
}
