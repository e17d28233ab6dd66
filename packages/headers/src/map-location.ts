import { isFieldValue } from './field.js'

/** How URLs of a target become those that a client can use. */
export interface LocationMap {
  /** What the target is known by, each as `URL.origin` writes it: `http://10.0.0.1:3000`. */
  readonly from: readonly string[]
  /** The target's base path, without a slash at its end: `/app`, or `''`. */
  readonly base: string
  /** What the client speaks: `http` or `https`. */
  readonly scheme: string
  /** Host and port that the client asked for. It has to be looked at before: it is taken as it is. */
  readonly authority: string
  /** The path below which the client finds the target, without a slash at its end: `/api`, or `''`. */
  readonly prefix: string
  /** Paths without an authority (`/x`) are mapped too. */
  readonly all: boolean
}

/**
 * A URL of `Location` or `Content-Location` (RFC 9110 sections 10.2.2 and 8.7) as the client can use it, if it names the target
 * itself: its scheme, host, port, and base path at the border of a segment. Any other one comes back byte for byte: those
 * of other sites, those outside the base path, relative ones. The form stays: `//host/x` stays without its scheme. User and
 * password go.
 *
 * What is built leads to the client's own authority and nowhere else. A path that begins with two slashes would be another
 * host's name to a browser; it is written with scheme and authority.
 */
export function mapLocation(url: string, map: LocationMap): string {
  const mapped = mappedUrl(url, map)
  return mapped === undefined || !isFieldValue(mapped) ? url : mapped
}

/** What looks like a path and names a host: browsers drop tabs, and take a backslash for a slash. */
const namesHost = /^\/\t*[/\\]/

function mappedUrl(url: string, map: LocationMap): string | undefined {
  if (url.charCodeAt(0) !== 47) {
    const start = /^(https?):\/\//i.exec(url)
    if (start === null) return undefined
    const scheme = (start[1] as string).toLowerCase()
    const rest = ownPath(scheme, url, start[0].length, map)
    return rest === undefined ? undefined : `${map.scheme}://${map.authority}${map.prefix}${rest}`
  }
  if (url.charCodeAt(1) === 47) {
    // Which scheme is meant is that of the page; the target's page came by the target's scheme.
    for (const origin of map.from) {
      const rest = ownPath(origin.slice(0, origin.indexOf(':')), url, 2, map)
      if (rest !== undefined) return `//${map.authority}${map.prefix}${rest}`
    }
    return undefined
  }
  if (!map.all || namesHost.test(url)) return undefined
  const rest = belowBase(url, map)
  if (rest === undefined) return undefined
  const path = map.prefix + rest
  if (namesHost.test(path))
    return map.authority === '' ? undefined : `${map.scheme}://${map.authority}${path}`
  return path.charCodeAt(0) === 47 ? path : `/${path}`
}

/** What stands behind the target's base path in a URL whose authority begins at `at`; `undefined` if it isn't the target's. */
function ownPath(scheme: string, url: string, at: number, map: LocationMap): string | undefined {
  const { from, authority } = map
  if (authority === '') return undefined
  let end = at
  while (end < url.length && !isDelimiter(url.charCodeAt(end))) end++
  // A browser would take it for a slash, other parsers for a part of the name: it isn't known whom it names.
  if (url.charCodeAt(end) === 92) return undefined
  const named = url.slice(at, end)
  const host = named.slice(named.lastIndexOf('@') + 1)
  if (host === '') return undefined
  if (!from.includes(`${scheme}://${host}`) && !from.includes(originOf(scheme, host))) return undefined
  return belowBase(url.slice(end), map)
}

/** The end of an authority: `/`, `?`, `#`, or a backslash. */
function isDelimiter(code: number): boolean {
  return code === 47 || code === 63 || code === 35 || code === 92
}

/** A scheme, host and port in the one form that equal ones have: case, default port, ways to write an address. */
function originOf(scheme: string, host: string): string {
  if (host === '' || /[\s%]/.test(host)) return ''
  try {
    return new URL(`${scheme}://${host.replace(/\.(?=:\d*$|$)/, '')}`).origin
  } catch {
    return ''
  }
}

/** The path behind a base path, with query and fragment; `undefined` if it isn't below it. */
function belowBase(path: string, { base, prefix }: LocationMap): string | undefined {
  if (!path.startsWith(base)) return undefined
  const rest = path.slice(base.length)
  const code = rest.charCodeAt(0)
  if (rest !== '' && code !== 47 && code !== 63 && code !== 35) return undefined
  // At the root of a site there is nothing above.
  return (base !== '' || prefix !== '') && leavesAbove(rest) ? undefined : rest
}

/** Whether dot segments lead out of the place where the path begins, as a browser resolves it. */
function leavesAbove(path: string): boolean {
  if (!path.includes('.') && !/%2e/i.test(path)) return false
  let depth = 0
  const end = path.search(/[?#]/)
  for (const segment of (end === -1 ? path.trimEnd() : path.slice(0, end)).slice(1).split(/[/\\]/)) {
    const plain = segment.replaceAll('\t', '').replaceAll(/%2e/gi, '.')
    if (plain === '..') depth--
    else if (plain !== '.') depth++
    if (depth < 0) return true
  }
  return false
}
