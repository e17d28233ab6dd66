import { get } from '@sluice/headers'
import type { PolicyResponse } from './types.js'

/** Methods that change nothing (RFC 9110 section 9.2.1, and the registry). One that isn't known may change anything. */
const safe = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY', 'REPORT', 'SEARCH', 'PRI'])

/** Whether a method changes nothing, as far as anybody knows. */
export function isSafe(method: string): boolean {
  return safe.has(method)
}

const nothing: readonly string[] = Object.freeze([])

/**
 * What is no longer right after a request (RFC 9111 section 4.4): of an unsafe one that succeeded its own URL, and those in `Location`
 * and `Content-Location` where they are of the same origin: no site may empty the store of another.
 * @param request with its absolute URL
 * @returns absolute URLs without fragments, each once
 */
export function invalidates(
  request: { readonly method: string; readonly url: string },
  response: PolicyResponse,
): readonly string[] {
  if (safe.has(request.method) || response.status < 200 || response.status >= 400) return nothing
  // A host such as `09` is none to URL, though clients may send it.
  if (!URL.canParse(request.url)) return [request.url]
  const own = new URL(request.url)
  own.hash = ''
  const urls = new Set([own.href])
  for (const name of ['location', 'content-location']) {
    const value = get(response.headers, name)
    if (value === undefined || !URL.canParse(value, own.href)) continue
    const url = new URL(value, own)
    url.hash = ''
    if (url.origin === own.origin && url.origin !== 'null') urls.add(url.href)
  }
  return [...urls]
}
