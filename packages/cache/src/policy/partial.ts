import {
  type ByteRangeSpec,
  formatContentRange,
  get,
  getAll,
  type HeaderList,
  has,
  parseContentRange,
} from '@sluice/headers'
import type { StoredPart } from '../store.js'
import { strongDate, strongTag } from './strong-validator.js'

/** A response as far as its part is concerned. */
export interface PartialResponse {
  readonly status: number
  readonly headers: HeaderList
}

/** Bytes of a combined body: those of one of the two from `from` to before `to`, counted from its own first byte. */
export interface PartPiece {
  readonly of: 'stored' | 'came'
  readonly from: number
  readonly to: number
}

/** What a stored part and one that came are together. */
export interface CombinedPart {
  readonly part: StoredPart
  /** The bytes, in order. A single piece of `stored`: nothing new came. */
  readonly take: readonly PartPiece[]
}

/** What to ask the target for, to complete what is stored. */
export interface MissingRange {
  /** For `Range`. */
  readonly range: string
  /**
   * For `If-Range`: the target then sends all of a representation that has changed. Without it the stored bytes have no strong
   * validator, and what comes can't be combined with them (RFC 9111 section 3.4): asking for it only pays off where the target sends all.
   */
  readonly ifRange?: string
}

/**
 * The part that a 206 holds: of one range, whose bytes are as many as its `Content-Length` says. `undefined`: it isn't to be stored, since it
 * is multipart, of another unit, or contradicts itself.
 */
export function partOf({ status, headers }: PartialResponse): StoredPart | undefined {
  if (status !== 206) return undefined
  const fields = getAll(headers, 'content-range')
  const range = fields.length === 1 ? parseContentRange(fields[0] as string) : undefined
  if (range === undefined || range.first === undefined) return undefined
  const type = get(headers, 'content-type')
  if (type !== undefined && /^\s*multipart\/byteranges\s*(?:;|$)/i.test(type)) return undefined
  const length = contentLength(headers)
  if (length === null) return undefined
  return length === undefined || length === range.last - range.first + 1 ? range : undefined
}

/**
 * The part of a 206 whose `Content-Length` gives fewer bytes than its `Content-Range`, which reaches the end. Its framing is what
 * the message stands by, so it is read as written by a target that counts its end too high: the bytes begin where it says, and the last
 * that came is the last there is. `undefined` for any other one, and for one from the first byte on: cut off it would pass for the
 * whole. No such part is ever combined: see {@link mayCombine}.
 */
export function shortPartOf({ status, headers }: PartialResponse): StoredPart | undefined {
  if (status !== 206) return undefined
  const fields = getAll(headers, 'content-range')
  const range = fields.length === 1 ? parseContentRange(fields[0] as string) : undefined
  if (range?.first === undefined || range.first === 0 || range.size !== range.last + 1) return undefined
  const length = contentLength(headers)
  if (length === undefined || length === null || length === 0) return undefined
  if (length > range.last - range.first) return undefined
  const last = range.first + length - 1
  return { first: range.first, last, size: last + 1 }
}

/** Whether a part is the whole: it then becomes a 200 (RFC 9111 section 3.4). */
export function isWhole(part: StoredPart): boolean {
  return part.first === 0 && part.size === part.last + 1
}

/**
 * Whether the bytes of two responses for one key may be put together: both carry the same strong validator (RFC 9111 section 3.4,
 * RFC 9110 section 15.3.7.3), and each one's `Content-Range` fits its length.
 */
export function mayCombine(stored: PartialResponse, came: PartialResponse): boolean {
  if (!fits(stored) || !fits(came)) return false
  if (coding(stored.headers) !== coding(came.headers)) return false
  if (getAll(stored.headers, 'etag').length > 0 || getAll(came.headers, 'etag').length > 0) {
    const tag = strongTag(stored.headers)
    return tag !== undefined && tag === strongTag(came.headers)
  }
  const date = strongDate(stored.headers)
  return date !== undefined && date === strongDate(came.headers)
}

/**
 * What two parts that `mayCombine` are together. `undefined`: there is a gap between them, or they tell of two sizes. Of bytes in both those
 * that came are taken, unless there is none else among them.
 */
export function combine(stored: StoredPart, came: StoredPart): CombinedPart | undefined {
  const size = stored.size ?? came.size
  if (came.size !== undefined && came.size !== size) return undefined
  const first = Math.min(stored.first, came.first)
  const last = Math.max(stored.last, came.last)
  if (size !== undefined && last >= size) return undefined
  if (came.first > stored.last + 1 || stored.first > came.last + 1) return undefined
  const part: StoredPart = size === undefined ? { first, last } : { first, last, size }
  const storedLength = stored.last - stored.first + 1
  if (stored.first === first && stored.last === last)
    return { part, take: [{ of: 'stored', from: 0, to: storedLength }] }
  const take: PartPiece[] = []
  if (stored.first < came.first) take.push({ of: 'stored', from: 0, to: came.first - stored.first })
  take.push({ of: 'came', from: 0, to: came.last - came.first + 1 })
  if (stored.last > came.last)
    take.push({ of: 'stored', from: came.last + 1 - stored.first, to: storedLength })
  return { part, take }
}

/**
 * Status and fields of what two responses are together. Fields that came take the place of those of their name (RFC 9111 section
 * 3.4); what tells of the bytes of one message is written anew or left out.
 */
export function combinedHead(
  stored: PartialResponse,
  came: PartialResponse,
  part: StoredPart,
): { status: 200 | 206; headers: HeaderList } {
  const fresh = new Set<string>()
  for (let i = 0; i < came.headers.length; i += 2) fresh.add((came.headers[i] as string).toLowerCase())
  const headers: HeaderList = []
  for (let i = 0; i < stored.headers.length; i += 2) {
    const name = stored.headers[i] as string
    const lower = name.toLowerCase()
    if (!ofOneMessage.has(lower) && !fresh.has(lower)) headers.push(name, stored.headers[i + 1] as string)
  }
  for (let i = 0; i < came.headers.length; i += 2) {
    const name = came.headers[i] as string
    if (!ofOneMessage.has(name.toLowerCase())) headers.push(name, came.headers[i + 1] as string)
  }
  const whole = isWhole(part)
  if (!whole) headers.push('Content-Range', formatContentRange(part.first, part.last, part.size))
  headers.push('Content-Length', String(part.last - part.first + 1))
  return { status: whole ? 200 : 206, headers }
}

/**
 * The rest that a request needs beyond the part that is stored. Without `wanted` that is all of the representation, of which the
 * part must be the beginning. `undefined`: the part is of no help, or has all of it.
 * @param wanted the single range that the request asks for
 */
export function missingFor(
  part: StoredPart,
  headers: HeaderList,
  wanted?: ByteRangeSpec,
): MissingRange | undefined {
  let last: number | undefined
  if (wanted === undefined) {
    if (part.first !== 0) return undefined
  } else {
    if ('suffix' in wanted) return undefined
    if (wanted.first < part.first || wanted.first > part.last) return undefined
    last = wanted.last
  }
  const next = part.last + 1
  if (part.size === next || (last !== undefined && last < next)) return undefined
  const range = `bytes=${next}-${last ?? ''}`
  const tag = strongTag(headers) ?? (has(headers, 'etag') ? undefined : strongDate(headers))
  return tag === undefined ? { range } : { range, ifRange: tag }
}

/** Fields that tell of the bytes of one message, and not of the representation. */
export const ofOneMessage: ReadonlySet<string> = new Set([
  'content-length',
  'content-range',
  // RFC 9530: of the content of this message. Repr-Digest is of the representation, and stays.
  'content-digest',
  'content-md5',
  'trailer',
])

function fits(response: PartialResponse): boolean {
  return response.status === 200 || partOf(response) !== undefined
}

/** `undefined`: there is none; `null`: it can't be read. */
function contentLength(headers: HeaderList): number | undefined | null {
  const fields = getAll(headers, 'content-length')
  if (fields.length === 0) return undefined
  return fields.length === 1 && /^\d+$/.test(fields[0] as string) ? Number(fields[0]) : null
}

function coding(headers: HeaderList): string {
  return getAll(headers, 'content-encoding').join(',').replaceAll(/\s/g, '').toLowerCase()
}
