import { get, type HeaderList, has, remove, varyNames, withoutHopByHop } from '@sluice/headers'
import { freshness } from './freshness.js'
import { requestDirectives } from './request-directives.js'
import { type ResponseDirectives, responseDirectives } from './response-directives.js'
import { isHeuristic, isStorable, isUnderstood } from './status-codes.js'
import { tagsOf } from './tags.js'
import type { PolicyOptions, PolicyRequest, PolicyResponse } from './types.js'

/** Why a response isn't stored. */
export type Unstorable =
  | 'method'
  | 'status'
  | 'partial'
  | 'not-understood'
  | 'no-store'
  | 'request-no-store'
  | 'private'
  | 'authorization'
  | 'vary-all'
  | 'vary-many'
  | 'set-cookie'
  | 'tags-many'
  | 'no-lifetime'
  | 'no-validator'

/** The most names in `Vary`: each is looked for in each request. */
const mostNames = 32

/**
 * Whether a response may be stored (RFC 9111 section 3), and is of any use then.
 * @param now ms since 1970, when it came: counts where its `Date` can't be read
 * @param said what the response says, for who has read it already
 * @returns `undefined`: store it
 */
export function storable(
  request: PolicyRequest,
  response: PolicyResponse,
  options: PolicyOptions,
  now: number = Date.now(),
  said: ResponseDirectives = responseDirectives(response, options),
): Unstorable | undefined {
  const vary = varyNames(response.headers)
  if (!isForGet(request, response, said)) return 'method'
  if (!isStorable(response.status)) return 'status'
  if (response.status === 206 && !isOnePart(response)) return 'partial'
  if (said.mustUnderstand && !isUnderstood(response.status)) return 'not-understood'
  // Where it is understood, no-store is for caches that don't know must-understand (RFC 9111 section 5.2.2.3).
  if (said.noStore && !said.mustUnderstand) return 'no-store'
  if (requestDirectives(request.headers).noStore) return 'request-no-store'
  if (said.private) return 'private'
  if ((request.authorized || has(request.headers, 'authorization')) && !isForAnyone(said))
    return 'authorization'
  if (vary === '*') return 'vary-all'
  if (vary.length > mostNames) return 'vary-many'
  if (tagsOf(response.headers) === undefined) return 'tags-many'

  const { status, headers } = response
  const { lifetime, by } = freshness({ status, headers, requestTime: now, responseTime: now }, options, said)
  const explicit = by === 's-maxage' || by === 'max-age' || by === 'expires'
  const mayHold = explicit && options.setCookie !== 'never'
  if (handsOutCookies(response, said, options) && !(mayHold && lifetime > 0)) return 'set-cookie'
  // What isn't said to be stored is where its status lets it be.
  if (!explicit && by !== 'negative' && !said.public && !isHeuristic(response.status)) return 'no-lifetime'
  if (hasValidator(response)) return undefined
  // Nobody could be asked whether it is still right.
  if (said.noCache) return 'no-validator'
  if (lifetime === 0 && (by === 'none' || !hasWindow(said, options))) return 'no-lifetime'
  return undefined
}

/**
 * A GET, or a POST whose answer says that it is what a GET would get and for how long (RFC 9110 section 9.3.3). To a HEAD there is no
 * body to store.
 */
function isForGet(request: PolicyRequest, response: PolicyResponse, said: ResponseDirectives): boolean {
  if (request.method === 'GET') return true
  if (request.method !== 'POST' || request.url === undefined || response.status !== 200) return false
  const location = get(response.headers, 'content-location')
  if (location === undefined || !URL.canParse(location, request.url)) return false
  if (new URL(location, request.url).href !== new URL(request.url).href) return false
  return (
    said.sMaxAge !== undefined ||
    said.maxAge !== undefined ||
    (!said.targeted && has(response.headers, 'expires'))
  )
}

/** One range of bytes, and not several in one body. */
function isOnePart({ headers }: PolicyResponse): boolean {
  const range = get(headers, 'content-range')
  return range !== undefined && /^bytes \d+-\d+\/(?:\d+|\*)$/i.test(range)
}

/** Whether others may get the answer to a request that said who asks (RFC 9111 section 3.5). */
function isForAnyone(said: ResponseDirectives): boolean {
  return said.public || said.mustRevalidate || said.sMaxAge !== undefined
}

/** Whether the stored response would have `Set-Cookie` in it that isn't allowed without more. */
function handsOutCookies(
  response: PolicyResponse,
  said: ResponseDirectives,
  options: PolicyOptions,
): boolean {
  if (options.setCookie === 'strip' || !has(response.headers, 'set-cookie')) return false
  return !said.withheld.includes('set-cookie')
}

function hasValidator({ headers }: PolicyResponse): boolean {
  return has(headers, 'etag') || has(headers, 'last-modified')
}

function hasWindow(said: ResponseDirectives, options: PolicyOptions): boolean {
  const whileRevalidate = said.staleWhileRevalidate ?? options.staleWhileRevalidate
  const ifError = said.staleIfError ?? options.staleIfError
  return whileRevalidate > 0 || ifError > 0
}

/**
 * What of a response's fields is kept: neither those of one hop (RFC 9111 section 3.1), nor those that `private` and `no-cache` name,
 * nor `Age`, which is in the times of a head (see `withAge`), nor under `strip` cookies. Makes a new list.
 * @param said what the response says, for who has read it already
 */
export function storedFields(
  response: PolicyResponse,
  options: PolicyOptions,
  { withheld }: ResponseDirectives = responseDirectives(response, options),
): HeaderList {
  const kept = withoutHopByHop(response.headers, { response: true })
  if (has(kept, 'age')) remove(kept, 'age')
  if (withheld.length > 0) removeAll(kept, new Set(withheld))
  if (options.setCookie === 'strip') remove(kept, 'set-cookie')
  return kept
}

/** In one pass: a hostile target may name some ten thousand fields, and send a thousand. */
function removeAll(list: HeaderList, names: ReadonlySet<string>): void {
  let to = 0
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string
    if (names.has(name.toLowerCase())) continue
    list[to++] = name
    list[to++] = list[i + 1] as string
  }
  list.length = to
}
