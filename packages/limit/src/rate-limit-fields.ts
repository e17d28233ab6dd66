import type { Limiter, Verdict } from './limiter.js'

/**
 * A member of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10): what a limiter allows, in units for a window of seconds. Without
 * a window of one that tells only the limit of its verdicts.
 */
export function limitMember(name: string, { policy }: Limiter, limit: number): string {
  if (policy === undefined) return `"${name}";q=${whole(limit)}`
  return `"${name}";q=${whole(policy.quota)};w=${whole(policy.window)}`
}

/**
 * A member of `RateLimit` of the same draft: what is left, and for how many seconds. Of a request that may not pass it is the time that `Retry-After` tells,
 * and never 0: both say when to come back.
 */
export function stateMember(name: string, { ok, remaining, resetMs, retryAfterMs }: Verdict): string {
  const ms = ok || !(Number(retryAfterMs) < Number.POSITIVE_INFINITY) ? resetMs : Number(retryAfterMs)
  return `"${name}";r=${whole(remaining)};t=${whole(Math.max(ok ? 0 : 1, Math.ceil(ms / 1_000)))}`
}

/** A whole number as a structured field can hold it (RFC 9651 section 3.3.1). What is no number, of a limiter of somebody's own, is 0. */
function whole(value: number): number {
  return Math.min(999_999_999_999_999, Math.max(0, Math.floor(value) || 0))
}
