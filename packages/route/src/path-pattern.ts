/** A route's path, ready to be compared. */
export interface PathPattern {
  /** `=/x`: nothing below it. */
  readonly exact: boolean
  /** Literal segments, and `undefined` for a parameter. */
  readonly segments: readonly (string | undefined)[]
  /** Parameters: the name, and the segment that it takes. */
  readonly params: readonly (readonly [name: string, segment: number])[]
}

/** Reads `/x`, `=/x`, `/users/:id`. A slash at the end of a prefix doesn't count. */
export function readPath(path: string): PathPattern {
  const exact = path.startsWith('=')
  let rest = plain(exact ? path.slice(1) : path)
  if (!exact && rest.endsWith('/')) rest = rest.slice(0, -1)
  const parts = rest === '' ? [] : rest.slice(1).split('/')
  const params = parts.flatMap((part, i) => (isParameter(part) ? [[part.slice(1), i] as const] : []))
  return { exact, params, segments: parts.map((part) => (isParameter(part) ? undefined : part)) }
}

function isParameter(part: string): boolean {
  return part.length > 1 && part[0] === ':'
}

/** Segments of a request's path without its query. */
export function segmentsOf(target: string): string[] {
  const end = target.search(/[?#]/)
  const path = plain(end === -1 ? target : target.slice(0, end))
  return path.slice(1).split('/')
}

/** With encoded unreserved characters decoded, which mean the same either way; other bytes as they came. */
export function plain(path: string): string {
  if (!path.includes('%')) return path
  return path.replace(/%([\da-f]{2})/gi, (encoded, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return /[\w.~-]/.test(character) ? character : encoded
  })
}
