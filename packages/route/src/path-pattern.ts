/** A route's path, ready to be compared. */
export interface PathPattern {
  /** `=/x`: nothing below it. */
  readonly exact: boolean
  /** Literal segments in their one spelling, and `undefined` for a parameter. */
  readonly segments: readonly (string | undefined)[]
  /** Parameters: the name, and the segment that it takes. */
  readonly params: readonly (readonly [name: string, segment: number])[]
}

/** Reads `/x`, `=/x`, `/users/:id`. A slash at the end of a prefix doesn't count. */
export function readPath(path: string): PathPattern {
  const exact = path.startsWith('=')
  let rest = exact ? path.slice(1) : path
  if (!exact && rest.endsWith('/')) rest = rest.slice(0, -1)
  const parts = rest === '' ? [] : rest.slice(1).split('/')
  const params = parts.flatMap((part, i) => (isParameter(part) ? [[part.slice(1), i] as const] : []))
  return { exact, params, segments: parts.map((part) => (isParameter(part) ? undefined : literal(part))) }
}

function isParameter(part: string): boolean {
  return part.length > 1 && part[0] === ':'
}

/** Node hands a path over byte by byte, so what is beyond ASCII is compared as its bytes in UTF-8. */
function literal(part: string): string {
  return oneSpelling(Buffer.from(part).toString('latin1'))
}

/** Segments of a request's path without its query, as they came. */
export function segmentsOf(target: string): string[] {
  const end = target.search(/[?#]/)
  return (end === -1 ? target : target.slice(0, end)).slice(1).split('/')
}

const respelt = /[%\0-\x20\x7f-\xff]/

/**
 * A path in the spelling in which paths are compared. Nearly every target decodes a segment, so one who is asked for `/%24x` where a
 * rule guards `/$x` would be asked around it: visible characters stand for themselves, all other bytes as escapes in capitals (RFC
 * 3986 section 6.2.2.1). `%2F` stays, for a slash would be a border of segments, and so does `%25`, which would make escapes of data.
 */
export function oneSpelling(path: string): string {
  if (!respelt.test(path)) return path
  return path.replace(/%([\dA-Fa-f]{2})|[\0-\x20\x7f-\xff]/g, (found, hex: string | undefined) => {
    const character = hex === undefined ? found : String.fromCharCode(Number.parseInt(hex, 16))
    if (/[!-~]/.test(character) && character !== '/' && character !== '%') return character
    return `%${character.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`
  })
}
