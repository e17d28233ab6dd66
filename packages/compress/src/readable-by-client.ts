import { get, type HeaderList } from '@sluice/headers'

/**
 * Whether a page may read the response to its request (RFC 9842 section 9.3.3). Sizes tell of what is in a response and in a dictionary, and must tell
 * a page of no response that it couldn't read: one from another origin, without CORS. A client that says nothing of it is no browser, or an old one.
 */
export function readableByClient(request: HeaderList, response: HeaderList): boolean {
  const site = get(request, 'sec-fetch-site')
  if (site === undefined || site === 'same-origin') return true
  const mode = get(request, 'sec-fetch-mode')
  if (mode === undefined || mode === 'navigate' || mode === 'same-origin') return true
  if (mode !== 'cors') return false
  const allowed = get(response, 'access-control-allow-origin')
  const origin = get(request, 'origin')
  return origin !== undefined && (allowed === '*' || allowed === origin)
}
