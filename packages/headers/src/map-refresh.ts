import { type LocationMap, mapLocation } from './map-location.js'

/** Seconds, what divides, `url=` or nothing, a quote or none: as browsers read it (HTML, "shared declarative refresh steps"). */
const start = /^[ \t]*[\d.]+[ \t]*[;,]?[ \t]*(?:url[ \t]*=[ \t]*)?(['"]?)/i

/** A `Refresh` value with its URL as {@link mapLocation} has it. All else stays byte for byte, and so does what is no `Refresh`. */
export function mapRefresh(value: string, map: LocationMap): string {
  const match = start.exec(value)
  if (match === null) return value
  const quote = match[1] as string
  const from = match[0].length
  const close = quote === '' ? -1 : value.indexOf(quote, from)
  const to = close === -1 ? value.length : close
  const url = value.slice(from, to)
  const mapped = mapLocation(url, map)
  // A quote in a host's name or a path would end the URL before its end.
  if (mapped === url || (quote !== '' && mapped.includes(quote))) return value
  return value.slice(0, from) + mapped + value.slice(to)
}
