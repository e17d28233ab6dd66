import { get, getAll, type HeaderList, parseHttpDate } from '@sluice/headers'
import { type ResponseDirectives, responseDirectives } from './response-directives.js'
import { isHeuristic } from './status-codes.js'
import type { PolicyOptions, StoredResponse } from './types.js'

/** What a response's freshness comes from. */
export type FreshBy = 's-maxage' | 'max-age' | 'expires' | 'heuristic' | 'negative' | 'none'

/** For how long a response is fresh from when it was made. */
export interface Freshness {
  /** In ms. */
  readonly lifetime: number
  readonly by: FreshBy
}

/** The part of its age at which a response that says nothing is still fresh, and at most a day of it (RFC 9111 section 4.2.2). */
const share = 0.1
const mostHeuristic = 24 * 60 * 60 * 1000

const unknown: Freshness = Object.freeze({ lifetime: 0, by: 'none' })

/** For how long a response is fresh (RFC 9111 section 4.2.1), and by what. */
export function freshness(
  response: StoredResponse,
  options: PolicyOptions,
  said: ResponseDirectives = responseDirectives(response, options),
): Freshness {
  const { sMaxAge, maxAge, targeted } = said
  if (sMaxAge !== undefined) return { lifetime: sMaxAge * 1000, by: 's-maxage' }
  if (maxAge !== undefined) return { lifetime: maxAge * 1000, by: 'max-age' }
  if (!targeted) {
    const expires = getAll(response.headers, 'expires')
    if (expires.length > 0) return { lifetime: untilExpired(expires, response), by: 'expires' }
  }
  const negative = options.negative[response.status]
  if (negative !== undefined) return { lifetime: negative, by: 'negative' }
  if (!options.heuristic || !(isHeuristic(response.status) || said.public)) return unknown
  const modified = dateOf(response.headers, 'last-modified', response.responseTime)
  if (modified === undefined) return unknown
  const age = madeAt(response) - modified
  return age <= 0 ? unknown : { lifetime: Math.min(age * share, mostHeuristic), by: 'heuristic' }
}

/** What isn't one date, `0` say, means that it is over (RFC 9111 section 5.3). */
function untilExpired(expires: readonly string[], response: StoredResponse): number {
  if (expires.length > 1) return 0
  const at = parseHttpDate(expires[0] as string, response.responseTime)
  return at === undefined ? 0 : Math.max(0, at - madeAt(response))
}

/** What freshness is counted from: `Date`, or where that is none when the response came (RFC 9110 section 6.6.1). */
function madeAt({ headers, responseTime }: StoredResponse): number {
  return dateOf(headers, 'date', responseTime) ?? responseTime
}

function dateOf(headers: Readonly<HeaderList>, name: string, now: number): number | undefined {
  const value = get(headers, name)
  return value === undefined ? undefined : parseHttpDate(value, now)
}
