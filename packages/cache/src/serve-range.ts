import type { BodyInit } from '@sluice/core'
import {
  type ByteRange,
  contentRangeUnsatisfied,
  formatContentRange,
  get,
  getAll,
  type HeaderList,
  has,
  parseByteRanges,
  resolveRanges,
} from '@sluice/headers'
import { multipartRanges } from './multipart-ranges.js'
import { ofOneMessage } from './policy/partial.js'
import { strongDate, strongTag } from './policy/strong-validator.js'
import type { StoredPart } from './store.js'

/** A stored response, as far as its ranges are concerned. */
export interface RangeSource {
  readonly status: number
  readonly headers: HeaderList
  /** Bytes of the body that is stored; NaN while it comes and nobody knows yet. */
  readonly size: number
  /** Which bytes of the representation those are, where it is a part. */
  readonly part?: StoredPart | undefined
  /** Bytes of the stored body from `from` to before `to`. */
  body(from: number, to: number): BodyInit
}

/** An answer to a request for ranges. */
export interface RangeReply {
  readonly status: 206 | 416
  readonly headers: HeaderList
  readonly body: BodyInit
}

/**
 * The answer to a request from what is stored, as far as `Range` and `If-Range` decide (RFC 9110 sections 14.2 and 13.1.5). Other
 * conditions come first, and are the caller's.
 *
 * `whole`: serve the stored response as it is. `fetch`: only a part is stored, and not all that the request asks for.
 * @param boundary a text that is in no body, made for each multipart answer: 1 to 70 letters and digits
 */
export function serveRange(
  method: string,
  headers: HeaderList,
  stored: RangeSource,
  boundary: () => string,
): RangeReply | 'whole' | 'fetch' {
  const { part } = stored
  const otherwise = part === undefined ? 'whole' : 'fetch'
  // Range is defined for GET alone, and for a response that is 200 without it.
  if (method !== 'GET' || (stored.status !== 200 && part === undefined)) return otherwise
  const fields = getAll(headers, 'range')
  const specs = fields.length === 1 ? parseByteRanges(fields[0] as string) : undefined
  if (specs === undefined || !ifRange(headers, stored.headers)) return otherwise

  // The field would say of the multipart itself that it is coded, and clients would decode that.
  const coded = specs.length > 1 && has(stored.headers, 'content-encoding')
  if (part === undefined) {
    // Whoever doesn't know the end may ignore Range; the client can take the whole.
    if (Number.isNaN(stored.size)) return 'whole'
    const ranges = resolveRanges(specs, stored.size)
    if (ranges === undefined) return 'whole'
    if (ranges === 'unsatisfiable') return unsatisfiable(stored)
    if (ranges.length > 1 && coded) return 'whole'
    return partial(ranges, stored, 0, stored.size, boundary)
  }
  // A body of another length isn't the part that its head tells of.
  if (stored.size !== part.last - part.first + 1) return 'fetch'
  // Without the size an end that isn't named lies past every part.
  const ranges = resolveRanges(specs, part.size ?? Number.MAX_SAFE_INTEGER)
  if (ranges === undefined || ranges === 'unsatisfiable') return 'fetch'
  if (ranges.length > 1 && coded) return 'fetch'
  for (const range of ranges) if (range.first < part.first || range.last > part.last) return 'fetch'
  return partial(ranges, stored, part.first, part.size, boundary)
}

/** Whether the range asked for is still one of what is stored. Without the field it is. */
function ifRange(request: HeaderList, stored: HeaderList): boolean {
  const fields = getAll(request, 'if-range')
  if (fields.length === 0) return true
  if (fields.length > 1) return false
  const value = fields[0] as string
  // A weak tag never matches; a date does where it is the very one that is stored, and strong.
  return value === strongTag(stored) || value === strongDate(stored)
}

function partial(
  ranges: readonly ByteRange[],
  stored: RangeSource,
  offset: number,
  size: number | undefined,
  boundary: () => string,
): RangeReply {
  const bytes = (range: ByteRange): BodyInit => stored.body(range.first - offset, range.last + 1 - offset)
  // All fields that a 200 has, also where If-Range would let some go (RFC 9110 section 15.3.7): they may be newer than the client's.
  const headers: HeaderList = []
  const several = ranges.length > 1
  for (let i = 0; i < stored.headers.length; i += 2) {
    const name = stored.headers[i] as string
    const lower = name.toLowerCase()
    if (ofOneMessage.has(lower) || (several && lower === 'content-type')) continue
    headers.push(name, stored.headers[i + 1] as string)
  }
  if (!several) {
    // A single range never goes as multipart (RFC 9110 section 15.3.7.2).
    const range = ranges[0] as ByteRange
    headers.push('Content-Range', formatContentRange(range.first, range.last, size))
    headers.push('Content-Length', String(range.last - range.first + 1))
    return { status: 206, headers, body: bytes(range) }
  }
  const between = boundary()
  const type = get(stored.headers, 'content-type')
  const { body, length } = multipartRanges(ranges, between, { type, size, bytes })
  headers.push('Content-Type', `multipart/byteranges; boundary=${between}`)
  headers.push('Content-Length', String(length))
  return { status: 206, headers, body }
}

/** None of the stored fields: they are of a representation, and this isn't one. */
function unsatisfiable(stored: RangeSource): RangeReply {
  const headers = ['Content-Range', contentRangeUnsatisfied(stored.size), 'Content-Length', '0']
  return { status: 416, headers, body: null }
}
