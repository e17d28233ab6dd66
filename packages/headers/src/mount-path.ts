/** What servers and frameworks say of where a request goes. */
export interface MountedRequest {
  readonly url?: string | undefined
  readonly originalUrl?: unknown
  readonly baseUrl?: unknown
}

/**
 * The path that a framework has stripped from `req.url`, `''` for none. Express tells it as `req.baseUrl`; Connect keeps
 * `req.originalUrl` alone, and the path follows from the two. Where the one URL is not the end of the other, as after an app has
 * put another URL there, nothing is known.
 */
export function mountPath({ url, originalUrl, baseUrl }: MountedRequest): string {
  if (baseUrl !== undefined) return typeof baseUrl === 'string' ? baseUrl : ''
  if (typeof originalUrl !== 'string' || url === undefined || originalUrl === url) return ''
  const [whole, rest] = [pathOf(originalUrl), pathOf(url)]
  if (whole[0] !== '/' || rest[0] !== '/') return ''
  if (whole.endsWith(rest)) return whole.slice(0, -rest.length)
  // Of `/api` nothing is left, and Connect puts a slash there.
  return rest === '/' ? whole : ''
}

/** Without the query, and without the origin of the absolute form (RFC 9112 section 3.2.2). */
function pathOf(url: string): string {
  const path = url[0] === '/' ? url : url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '')
  const query = path.indexOf('?')
  return query === -1 ? path : path.slice(0, query)
}
