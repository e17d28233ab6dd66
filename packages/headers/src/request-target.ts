/** A request-target, taken apart (RFC 9112 section 3.2). */
export interface RequestTarget {
  readonly form: 'origin' | 'absolute' | 'authority' | 'asterisk'
  /** Path and query as their bytes came; `*` in asterisk form. */
  readonly path: string
  /** Of the absolute and the authority form. */
  readonly authority?: string
}

/**
 * Takes a request-target apart and changes no byte of its path. The absolute form without path and query means `/`, but of an
 * OPTIONS `*` (RFC 9112 section 3.2.4).
 */
export function parseRequestTarget(target: string, method?: string): RequestTarget {
  if (target.charCodeAt(0) === 47) return { form: 'origin', path: target }
  if (target === '*') return { form: 'asterisk', path: '*' }
  const scheme = /^[a-z][a-z\d+.-]*:\/\//i.exec(target)
  if (scheme === null) return { form: 'authority', path: '/', authority: target }
  const rest = target.slice(scheme[0].length)
  const end = rest.search(/[/?#]/)
  if (end === -1) return { form: 'absolute', authority: rest, path: method === 'OPTIONS' ? '*' : '/' }
  const path = rest.slice(end)
  return { form: 'absolute', authority: rest.slice(0, end), path: path[0] === '/' ? path : `/${path}` }
}

/** A target's base path before a request's: one slash at the seam, and nothing else touched. */
export function joinPath(base: string, path: string): string {
  if (base === '' || base === '/') return path
  if (path === '*') return path
  return (base.endsWith('/') ? base.slice(0, -1) : base) + path
}
