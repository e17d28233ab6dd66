import { type LocationMap, mapLocation } from './map-location.js'

/**
 * A `Link` value (RFC 8288 section 3) with each URL between `<` and `>`, and each quoted `anchor`, as {@link mapLocation} has it. It
 * may hold several links; commas in URLs and in quoted parameters divide none. All else stays byte for byte, and so does
 * what follows a place where it isn't a list of links any more.
 */
export function mapLinks(value: string, map: LocationMap): string {
  const { length } = value
  let out = ''
  /** Up to here it has been copied. */
  let done = 0
  let at = 0
  while (at < length) {
    while (isBlank(value.charCodeAt(at)) || value.charCodeAt(at) === comma) at++
    if (value.charCodeAt(at) !== 60) break
    const end = value.indexOf('>', at)
    if (end === -1) break
    out += value.slice(done, at + 1) + mapped(value.slice(at + 1, end), map, /[<>\s]/)
    done = end
    at = end + 1
    /** Where the parameter begins that `at` stands in, or one before it. */
    let since = at
    // The parameters, up to the next link.
    while (at < length && value.charCodeAt(at) !== comma) {
      if (value.charCodeAt(at) !== quote) {
        at++
        continue
      }
      const close = endOfQuoted(value, at)
      if (close === -1) return out + value.slice(done)
      if (/;[ \t]*anchor[ \t]*=[ \t]*$/i.test(value.slice(since, at))) {
        out += value.slice(done, at + 1) + mapped(value.slice(at + 1, close), map, /["\\]/)
        done = close
      }
      at = close + 1
      since = at
    }
  }
  return done === 0 ? value : out + value.slice(done)
}

const comma = 44
const quote = 34
const backslash = 92

/** @param breaks what would end the place that the URL stands in */
function mapped(url: string, map: LocationMap, breaks: RegExp): string {
  const other = mapLocation(url, map)
  return other === url || breaks.test(other) ? url : other
}

/** Index of the quote that closes the one at `at`, or -1. */
function endOfQuoted(value: string, at: number): number {
  for (let i = at + 1; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code === quote) return i
    if (code === backslash) i++
  }
  return -1
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}
