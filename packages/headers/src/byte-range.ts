/** A range of bytes, both ends included, counted from 0. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

/** A range as a client asks for it, while nobody knows how long the representation is. */
export type ByteRangeSpec =
  | { readonly first: number /** Without it: to the end. */; readonly last?: number }
  | { /** So many bytes at the end. */ readonly suffix: number }

/** What a `Content-Range` field says. */
export type ContentRange =
  | {
      readonly first: number
      readonly last: number /** Bytes of the whole, where known. */
      readonly size?: number
    }
  | {
      /** Bytes of the whole, in an answer to ranges of which it has none. */ readonly size: number
      readonly first?: undefined
    }

/** More ranges than a player or a document viewer asks for at once: each costs a part with fields of its own. */
const rangesAtMost = 16

const spec = /^(\d*)-(\d*)$/
const contentRange = /^bytes[ \t]+(?:(\d+)-(\d+)\/(\d+|\*)|\*\/(\d+))$/i

/**
 * The ranges of a `Range` field, unresolved (RFC 9110 section 14.1.2). `undefined`: the field is to be ignored, since it is of
 * another unit or malformed, or asks for more than 16 ranges (section 14.2 allows to ignore such floods).
 */
export function parseByteRanges(value: string): ByteRangeSpec[] | undefined {
  const equals = value.indexOf('=')
  if (equals !== 5 || value.slice(0, 5).toLowerCase() !== 'bytes') return undefined
  const specs: ByteRangeSpec[] = []
  let start = 6
  for (let members = 0; start <= value.length; members++) {
    // Empty members count too: a field of commas alone must not be walked to its end.
    if (members === 2 * rangesAtMost) return undefined
    let comma = value.indexOf(',', start)
    if (comma === -1) comma = value.length
    const member = trimmed(value, start, comma)
    start = comma + 1
    if (member === '') continue
    const found = spec.exec(member)
    if (found === null || specs.length === rangesAtMost) return undefined
    const [, from = '', to = ''] = found
    if (from !== '') {
      const first = position(from)
      if (to === '') specs.push({ first })
      else {
        const last = position(to)
        if (last < first || (last === first && longer(from, to))) return undefined
        specs.push({ first, last })
      }
    } else if (to !== '') specs.push({ suffix: position(to) })
    else return undefined
  }
  return specs.length === 0 ? undefined : specs
}

/**
 * Ranges as the client asked for them, clipped to a representation of `size` bytes. Those outside it are left out; those that
 * overlap or touch become one, in the place of the first of them (RFC 9110 section 15.3.7.2), so that no answer is longer than the
 * representation. `undefined`: ignore the field, since no `Content-Range` can tell of the end of an empty representation.
 */
export function resolveRanges(
  specs: readonly ByteRangeSpec[],
  size: number,
): ByteRange[] | 'unsatisfiable' | undefined {
  const ranges: { first: number; last: number }[] = []
  for (const asked of specs) {
    let first: number
    let last = size - 1
    if ('suffix' in asked) {
      if (asked.suffix === 0) continue
      if (size === 0) return undefined
      first = Math.max(0, size - asked.suffix)
    } else {
      first = asked.first
      if (first >= size) continue
      if (asked.last !== undefined && asked.last < last) last = asked.last
    }
    join(ranges, first, last)
  }
  return ranges.length === 0 ? 'unsatisfiable' : ranges
}

/**
 * The ranges that a `Range` field asks for of a representation of `size` bytes, disjoint, in the order asked for. `undefined`:
 * ignore the field; `unsatisfiable`: none of them has a byte in it (416).
 */
export function parseRange(value: string, size: number): ByteRange[] | 'unsatisfiable' | undefined {
  const specs = parseByteRanges(value)
  return specs === undefined ? undefined : resolveRanges(specs, size)
}

/**
 * What a `Content-Range` field of bytes says (RFC 9110 section 14.4). `undefined` for another unit, a malformed one, and one that can't be:
 * a last byte before the first or past the end.
 */
export function parseContentRange(value: string): ContentRange | undefined {
  const found = contentRange.exec(value)
  if (found === null) return undefined
  const [, from, to, whole, only] = found
  if (only !== undefined) return exact(only) ? { size: Number(only) } : undefined
  if (!exact(from as string) || !exact(to as string)) return undefined
  const first = Number(from)
  const last = Number(to)
  if (last < first) return undefined
  if (whole === '*') return { first, last }
  if (!exact(whole as string) || Number(whole) <= last) return undefined
  return { first, last, size: Number(whole) }
}

/** A `Content-Range` for a part of a representation. `size` in bytes, where known. */
export function formatContentRange(first: number, last: number, size?: number): string {
  return `bytes ${first}-${last}/${size ?? '*'}`
}

/** The `Content-Range` of a 416 (RFC 9110 section 15.5.17). */
export function contentRangeUnsatisfied(size: number): string {
  return `bytes */${size}`
}

/** Adds a range, and makes one of all that overlap or touch then. */
function join(ranges: { first: number; last: number }[], first: number, last: number): void {
  const into = ranges.find((range) => first <= range.last + 1 && range.first <= last + 1)
  if (into === undefined) {
    ranges.push({ first, last })
    return
  }
  into.first = Math.min(into.first, first)
  into.last = Math.max(into.last, last)
  // It may reach others now: those behind it, since none before it touches the new one, and they don't touch each other.
  for (let i = ranges.length - 1; ranges[i] !== into; i--) {
    const other = ranges[i] as ByteRange
    if (other.first > last + 1 || first > other.last + 1) continue
    into.first = Math.min(into.first, other.first)
    into.last = Math.max(into.last, other.last)
    ranges.splice(i, 1)
  }
}

/** Numbers past what a double holds exactly: no representation is that long. */
function position(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER)
}

function exact(digits: string): boolean {
  return Number(digits) <= Number.MAX_SAFE_INTEGER
}

/** Whether of two numbers that are both too large the first is the larger one. */
function longer(from: string, to: string): boolean {
  return BigInt(from) > BigInt(to)
}

function trimmed(value: string, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && isBlank(value.charCodeAt(from))) from++
  while (to > from && isBlank(value.charCodeAt(to - 1))) to--
  return value.slice(from, to)
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}
