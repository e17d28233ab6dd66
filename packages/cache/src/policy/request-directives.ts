import { parseDeltaSeconds, readDirectives } from '@sluice/headers'

/** What a request asks of caches (RFC 9111 section 5.2.1, RFC 5861 section 4). Times in seconds. */
export interface RequestDirectives {
  /** A stored response is to be validated first. */
  readonly noCache: boolean
  /** Neither the request nor its response is to be stored. */
  readonly noStore: boolean
  /** To be answered from the store, or with 504. */
  readonly onlyIfCached: boolean
  /** The oldest response that is welcome. */
  readonly maxAge: number | undefined
  /** For how long it is still to be fresh. */
  readonly minFresh: number | undefined
  /** For how long it may have been stale; `Infinity` where none is said. */
  readonly maxStale: number | undefined
  /** For how long it may have been stale where there would be an error else. */
  readonly staleIfError: number | undefined
}

/** Of a request that asks for nothing. */
export const noDirectives: RequestDirectives = Object.freeze({
  noCache: false,
  noStore: false,
  onlyIfCached: false,
  maxAge: undefined,
  minFresh: undefined,
  maxStale: undefined,
  staleIfError: undefined,
})

/** What browsers send where a page is loaded again. */
const reload: RequestDirectives = Object.freeze({ ...noDirectives, noCache: true })
const softReload: RequestDirectives = Object.freeze({ ...noDirectives, maxAge: 0 })

/** What a request asks of caches. {@link noDirectives} itself where that is nothing. */
export function requestDirectives(headers: readonly string[]): RequestDirectives {
  let cacheControl: string | undefined
  let pragma: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    if (name.length === 13 && name.toLowerCase() === 'cache-control')
      cacheControl = cacheControl === undefined ? value : `${cacheControl},${value}`
    else if (name.length === 6 && name.toLowerCase() === 'pragma')
      pragma = pragma === undefined ? value : `${pragma},${value}`
  }
  return parseRequestDirectives(cacheControl, pragma)
}

/**
 * The same of values that were found already.
 * @param cacheControl every `Cache-Control` line, joined by commas
 * @param pragma counts only without `Cache-Control` (RFC 9111 section 5.4)
 */
export function parseRequestDirectives(
  cacheControl: string | undefined,
  pragma: string | undefined,
): RequestDirectives {
  if (cacheControl === undefined) {
    if (pragma === undefined) return noDirectives
    return pragma === 'no-cache' || hasNoCache(pragma) ? reload : noDirectives
  }
  if (cacheControl === 'max-age=0') return softReload
  if (cacheControl === 'no-cache') return reload
  const found = new Map<string, string | true>()
  readDirectives(cacheControl, found)
  if (found.size === 0) return noDirectives
  const maxStale = found.get('max-stale')
  return {
    noCache: found.has('no-cache'),
    noStore: found.has('no-store'),
    onlyIfCached: found.has('only-if-cached'),
    maxAge: parseDeltaSeconds(found.get('max-age')),
    minFresh: parseDeltaSeconds(found.get('min-fresh')),
    maxStale: maxStale === true ? Number.POSITIVE_INFINITY : parseDeltaSeconds(maxStale),
    staleIfError: parseDeltaSeconds(found.get('stale-if-error')),
  }
}

function hasNoCache(pragma: string): boolean {
  const found = new Map<string, string | true>()
  readDirectives(pragma, found)
  return found.has('no-cache')
}
