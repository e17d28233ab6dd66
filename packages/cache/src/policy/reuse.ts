import type { Life } from './life.js'
import type { RequestDirectives } from './request-directives.js'

/**
 * How a stored response may be used: `fresh` and `stale`, which the request allows, as it is; `stale-while-revalidate` as it is, while it
 * is asked for again; `validate` once the origin has said that it is still right.
 */
export type Use = 'fresh' | 'stale' | 'stale-while-revalidate' | 'validate'

/** How a stored response may be used, and where that isn't `fresh` why. */
export interface Reuse {
  readonly use: Use
  /** `stale`: by its age. `request`: the request wants better. `no-cache`: the response wants it. `purged`: softly. */
  readonly why?: 'stale' | 'request' | 'no-cache' | 'purged'
}

const fresh: Reuse = Object.freeze({ use: 'fresh' })
const stale: Reuse = Object.freeze({ use: 'stale', why: 'stale' })
const staleWhileRevalidate: Reuse = Object.freeze({ use: 'stale-while-revalidate', why: 'stale' })
const purgedWhileRevalidate: Reuse = Object.freeze({ use: 'stale-while-revalidate', why: 'purged' })
const isStale: Reuse = Object.freeze({ use: 'validate', why: 'stale' })
const isPurged: Reuse = Object.freeze({ use: 'validate', why: 'purged' })
const asked: Reuse = Object.freeze({ use: 'validate', why: 'request' })
const noCache: Reuse = Object.freeze({ use: 'validate', why: 'no-cache' })

/**
 * How a stored response may be used for a request (RFC 9111 section 4). Makes no object: it runs on every hit.
 * @param now ms since 1970
 */
export function reuse(life: Life, ask: RequestDirectives, now: number): Reuse {
  if (life.revalidate === 'always') return noCache
  if (ask.noCache) return asked
  const age = Math.max(0, now - life.bornAt)
  const isFresh = age < life.freshFor && !life.purged
  // A reload doesn't make a response newer that never changes while it is fresh (RFC 8246 section 2.1).
  if (ask.maxAge !== undefined && !(life.immutable && isFresh) && isOlder(age, ask.maxAge)) return asked
  if (ask.minFresh !== undefined && life.freshFor - age < ask.minFresh * 1000) return asked
  if (isFresh) return fresh
  const staleFor = Math.max(0, age - life.freshFor)
  if (life.revalidate === 'no') {
    if (!life.purged && ask.maxStale !== undefined && staleFor <= ask.maxStale * 1000) return stale
    // Who says how old or how fresh it may be wants none that is stale (RFC 9111 sections 5.2.1.1 and 5.2.1.3).
    if (staleFor < life.staleWhileRevalidate && ask.maxAge === undefined && ask.minFresh === undefined)
      return life.purged ? purgedWhileRevalidate : staleWhileRevalidate
  }
  return life.purged ? isPurged : isStale
}

/** `max-age=0` asks for one that was just validated: not even one of this millisecond will do. */
function isOlder(age: number, seconds: number): boolean {
  return seconds === 0 || age > seconds * 1000
}

/** Whether an answer of this status is an error that a stored response may be served in place of (RFC 5861 section 4). */
export function isFailure(status: number): boolean {
  return status === 500 || (status >= 502 && status <= 504)
}

/**
 * Whether a stored response may be served in place of an error, whatever its age and what ages the request wants (RFC 5861 section 4).
 * Never where it is forbidden to serve it stale, nor to a request that wants it validated (RFC 9111 section 4.2.4).
 * @param disconnected the origin can't be reached: then a stale response needs no more than that (RFC 9111 section 4.2.4)
 */
export function mayServeOnError(
  life: Life,
  ask: RequestDirectives,
  now: number,
  disconnected = false,
): boolean {
  if (life.revalidate === 'always' || ask.noCache) return false
  const staleFor = Math.max(0, now - life.bornAt) - life.freshFor
  if (staleFor < 0 && !life.purged) return true
  if (life.revalidate !== 'no') return false
  const said = Math.max(life.staleIfError, (ask.staleIfError ?? 0) * 1000)
  const window = disconnected ? Math.max(said, life.staleIfDisconnected) : said
  return Math.max(0, staleFor) < window
}
