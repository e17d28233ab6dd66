import { editQuery, joinPath } from '@sluice/headers'
import { longestMatched } from '@sluice/options'
import { oneSpelling } from './path-pattern.js'
import type { RewritePathOptions } from './rewrite-options.js'

/** What became of a path. */
export interface Rewritten {
  readonly path: string
  /** What was taken off, as the options write it; empty if nothing. */
  readonly stripped: string
}

/** Makes the function that rewrites origin-form request-targets: `undefined` for a path too long to be matched. It never throws. */
export function pathRewriter(options: RewritePathOptions): (target: string) => Rewritten | undefined {
  const { prefix = '', replace, query = {} } = options
  const strip = (options.strip ?? '').replace(/\/+$/, '')
  const compared = oneSpelling(strip)
  const depth = strip.split('/').length
  const pattern = replace === undefined ? undefined : new RegExp(replace[0])
  const replacement = replace?.[1] ?? ''
  const edit = editQuery(query as Parameters<typeof editQuery>[0])

  return (target) => {
    const end = target.search(/[?#]/)
    let path = end === -1 ? target : target.slice(0, end)
    let rest = end === -1 ? '' : target.slice(end)
    let stripped = ''
    if (strip !== '') {
      const border = borderOf(path, depth)
      if (oneSpelling(path.slice(0, border)) !== compared) return { path: edit(target), stripped }
      path = oneSlash(path.slice(border))
      stripped = strip
    }
    if (pattern !== undefined) {
      if (path.length > longestMatched) return undefined
      // With a sticky expression the next call would begin where this one has ended.
      pattern.lastIndex = 0
      const replaced = path.replace(pattern, replacement)
      if (replaced !== path) {
        const own = replaced.indexOf('?')
        path = oneSlash(own === -1 ? replaced : replaced.slice(0, own))
        if (own !== -1) rest = merged(replaced.slice(own), rest)
      }
    }
    return { path: edit(joinPath(prefix, path) + rest), stripped }
  }
}

/** Where so many segments end: the index of the next slash, or the end. */
function borderOf(path: string, depth: number): number {
  let at = 0
  for (let i = 1; i < depth; i++) {
    at = path.indexOf('/', at + 1)
    if (at === -1) return path.length
  }
  return at
}

/**
 * A path of two slashes would name a host to those who resolve it (RFC 3986 section 4.2), and so would a backslash for the second
 * to those who do it as browsers do.
 */
function oneSlash(path: string): string {
  return `/${path.replace(/^[/\\]+/, '')}`
}

/** Two queries as one; one alone keeps its bytes. A fragment, which no request-target has, is no query. */
function merged(own: string, came: string): string {
  if (own === '?') return came
  return came === '' || came === '?' || came[0] === '#' ? own : `${own}&${came.slice(1)}`
}
