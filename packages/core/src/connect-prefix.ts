/** What frameworks add to a request. */
export interface MountedRequest {
  readonly url?: string | undefined
  originalUrl?: string
  baseUrl?: string
}

/**
 * The path that Connect has stripped from `req.url`. Express tells it as `req.baseUrl`; Connect keeps `req.originalUrl` alone,
 * and the path follows from the two. Nothing where there is a `baseUrl`, where nothing was stripped, or where the one URL is not
 * the end of the other, as after an app has put another URL there.
 */
export function connectPrefix({ url, originalUrl, baseUrl }: MountedRequest): string | undefined {
  if (typeof originalUrl !== 'string' || baseUrl !== undefined || url === undefined || originalUrl === url)
    return undefined
  const [whole, rest] = [pathOf(originalUrl), pathOf(url)]
  if (whole[0] !== '/' || rest[0] !== '/') return undefined
  if (whole.endsWith(rest)) return whole.slice(0, -rest.length) || undefined
  // Of `/api` nothing is left, and Connect puts a slash there.
  return rest === '/' ? whole : undefined
}

/** Without the query, and without the origin of the absolute form (RFC 9112 section 3.2.2). */
function pathOf(url: string): string {
  const path = url[0] === '/' ? url : url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '')
  const query = path.indexOf('?')
  return query === -1 ? path : path.slice(0, query)
}
