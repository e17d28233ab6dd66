/** What to do with what two servers read in two ways: pass it on, refuse it, or give it its one form. */
export type PathMode = 'preserve' | 'reject' | 'normalise'

/** A mode for each of the things in which readings of a path differ. What is left out is preserved. */
export interface PathModes {
  /** `%2F`, `%5C` and `\`: data to one server, a slash to the next. */
  readonly encodedSlashes?: PathMode
  /** `//`: an empty segment to one server, one slash to the next. */
  readonly doubleSlashes?: PathMode
  /** `.` and `..`, also as `%2e`, with path parameters (`..;x`, `..%3bx`), or between encoded slashes. */
  readonly dotSegments?: PathMode
}

/** The rule that a path breaks. */
export type PathRule = 'encoding' | 'fragment' | 'encoded-slash' | 'double-slash' | 'dot-segment'

/** A path that may pass on, or the rule that it breaks. */
export type PathJudgement =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly rule: PathRule }

const encodedSlash = /\\|%2f|%5c/i
const anySlash = /\/|\\|%2f|%5c/i
// Servlet containers cut parameters off before they resolve dots, so `..;x` is `..` to them; some decode before they cut.
const dots = /^(?:\.|%2e){1,2}(?:;|%3b|$)/i

/**
 * Judges the path of a request-target by segment. With every mode `preserve` it is an identity. Otherwise a path that
 * doesn't decode is refused whichever rule asked: `%zz`, a bare `%`, bytes that are no UTF-8, raw or escaped (`%c0%ae` is a dot
 * to a careless decoder), and a `#`, which no request-target has (RFC 9112 section 3.2).
 *
 * `normalise` is RFC 3986 section 6.2.2 (capital hex digits, unreserved characters decoded) with section 5.2.4 for dot
 * segments, which never rise above the root; empty segments go before dots are resolved. It doesn't decode a slash, which
 * would make a separator of data: `%2f` becomes `%2F`, and `\` becomes `%5C`. A dot segment between encoded slashes has
 * no safe form and is refused. The result of a second time is that of the first.
 *
 * The query, `*` and a CONNECT's authority are left alone. A segment of parameters alone (`/;x/`) is a name here, though
 * some servers take it for an empty one.
 */
export function judgePath(target: string, modes: PathModes): PathJudgement {
  const { encodedSlashes = 'preserve', doubleSlashes = 'preserve', dotSegments = 'preserve' } = modes
  if (encodedSlashes === 'preserve' && doubleSlashes === 'preserve' && dotSegments === 'preserve')
    return { ok: true, path: target }
  if (target.charCodeAt(0) !== 47) return { ok: true, path: target }
  const end = target.indexOf('?')
  const path = end === -1 ? target : target.slice(0, end)
  if (path.includes('#')) return broken('fragment')
  if (!decodes(path)) return broken('encoding')
  if (encodedSlashes === 'reject' && encodedSlash.test(path)) return broken('encoded-slash')
  if (doubleSlashes === 'reject' && path.includes('//')) return broken('double-slash')
  if (dotSegments === 'reject' && path.split(anySlash).some(isDots)) return broken('dot-segment')
  if (encodedSlashes !== 'normalise' && doubleSlashes !== 'normalise' && dotSegments !== 'normalise')
    return { ok: true, path: target }

  let segments = oneSpelling(path, encodedSlashes === 'normalise')
    .slice(1)
    .split('/')
  if (doubleSlashes === 'normalise')
    segments = segments.filter((segment, i) => segment !== '' || i === segments.length - 1)
  if (dotSegments === 'normalise') {
    if (segments.some(hidesDots)) return broken('dot-segment')
    segments = withoutDots(segments)
  }
  const normal = `/${segments.join('/')}`
  return { ok: true, path: end === -1 ? normal : normal + target.slice(end) }
}

function broken(rule: PathRule): PathJudgement {
  return { ok: false, rule }
}

function decodes(path: string): boolean {
  if (!/[%\x80-\xff]/.test(path)) return true
  try {
    // A raw byte is a character here; beside escapes it may be a part of the same sequence.
    decodeURIComponent(path.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`))
    return true
  } catch {
    return false
  }
}

function isDots(segment: string): boolean {
  return dots.test(segment)
}

/** Dots that only a server sees which decodes slashes. */
function hidesDots(segment: string): boolean {
  return encodedSlash.test(segment) && segment.split(encodedSlash).some(isDots)
}

/**
 * Escapes of unreserved characters decoded, others in capitals (RFC 3986 sections 6.2.2.1 and 6.2.2.2).
 * @param slashes whether those that are encoded get one spelling too
 */
function oneSpelling(path: string, slashes: boolean): string {
  return path.replace(/%([\da-f]{2})|\\/gi, (found, hex: string | undefined) => {
    if (hex === undefined) return slashes ? '%5C' : found
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    if (/[\w.~-]/.test(character)) return character
    return slashes || !encodedSlash.test(found) ? found.toUpperCase() : found
  })
}

/** RFC 3986 section 5.2.4. */
function withoutDots(segments: readonly string[]): string[] {
  const kept: string[] = []
  segments.forEach((segment, i) => {
    if (!isDots(segment)) {
      kept.push(segment)
      return
    }
    if (segment.startsWith('..')) kept.pop()
    // What ends in dots names a directory: /a/.. is / and not the empty path.
    if (i === segments.length - 1) kept.push('')
  })
  return kept
}
