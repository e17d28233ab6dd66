import { has } from '@sluice/headers'
import { bornAt } from './age.js'
import { type FreshBy, freshness } from './freshness.js'
import { type ResponseDirectives, responseDirectives } from './response-directives.js'
import type { PolicyOptions, StoredResponse } from './types.js'

/** All that deciding on the use of a stored response looks at. Made once a head. Times in ms. */
export interface Life {
  /** When it was made, in ms since 1970: its age is what has passed since. */
  readonly bornAt: number
  readonly freshFor: number
  /** For how long after that it may be served while it is asked for again. */
  readonly staleWhileRevalidate: number
  /** For how long after that it may be served in place of an error. */
  readonly staleIfError: number
  /** For how long after that it may be served while the origin can't be reached. */
  readonly staleIfDisconnected: number
  /** `always`: before each use (`no-cache`). `when-stale`: never to be served stale. `no`: stale where something allows it. */
  readonly revalidate: 'always' | 'when-stale' | 'no'
  /** While it is fresh there is no newer one (RFC 8246). */
  readonly immutable: boolean
  readonly by: FreshBy
  /** The origin can say whether it is still right without sending it again. */
  readonly hasValidator: boolean
  /** Purged softly: stale, however young. */
  readonly purged: boolean
}

/** What reuse looks at of a stored response. */
export function life(stored: StoredResponse, options: PolicyOptions): Life {
  const said = responseDirectives(stored, options)
  const { lifetime, by } = freshness(stored, options, said)
  const revalidate = revalidation(said, by)
  // Where stale responses are forbidden no window opens (RFC 9111 section 4.2.4).
  const windows = revalidate === 'no'
  return {
    bornAt: bornAt(stored),
    freshFor: lifetime,
    staleWhileRevalidate: windows ? window(said.staleWhileRevalidate, options.staleWhileRevalidate) : 0,
    staleIfError: windows ? window(said.staleIfError, options.staleIfError) : 0,
    staleIfDisconnected: windows ? options.staleIfDisconnected : 0,
    revalidate,
    immutable: said.immutable,
    by,
    hasValidator: has(stored.headers, 'etag') || has(stored.headers, 'last-modified'),
    purged: stored.purged === true,
  }
}

/**
 * `s-maxage` says what `proxy-revalidate` says (RFC 9111 section 5.2.2.10). What was never fresh is there for its validator alone: an app
 * that puts an `ETag` on each page, as Express does, has not said that one user's page may go to others.
 */
function revalidation(said: ResponseDirectives, by: FreshBy): Life['revalidate'] {
  if (said.noCache) return 'always'
  if (by === 'none') return 'when-stale'
  return said.mustRevalidate || said.proxyRevalidate || said.sMaxAge !== undefined ? 'when-stale' : 'no'
}

function window(seconds: number | undefined, otherwise: number): number {
  return seconds === undefined ? otherwise : seconds * 1000
}

/** How long a stale response is kept for its validator. */
const keptForValidation = 60 * 60 * 1000

/** Until when a response may be of any use, in ms since 1970. */
export function keepUntil(life: Life): number {
  const { bornAt, freshFor, hasValidator, staleIfDisconnected, staleIfError, staleWhileRevalidate } = life
  const validation = hasValidator ? keptForValidation : 0
  return bornAt + freshFor + Math.max(staleWhileRevalidate, staleIfError, staleIfDisconnected, validation)
}
