import { randomBytes } from 'node:crypto'
import { type BodyInit, isBody, type Reply } from '@sluice/core'
import { formatHttpDate, has, isNamed, remove, varyNames } from '@sluice/headers'
import type { CacheSettings } from './cache-options.js'
import type { CacheRequest } from './cache-request.js'
import { pathConfusion } from './deception.js'
import type { CacheKey } from './key.js'
import { withAge } from './policy/age.js'
import { keepUntil, type Life, life } from './policy/life.js'
import { isWhole, partOf, shortPartOf } from './policy/partial.js'
import { responseDirectives } from './policy/response-directives.js'
import { storable, storedFields } from './policy/storable.js'
import { tagsOf } from './policy/tags.js'
import type { Preparable } from './prepared.js'
import { withoutCookies } from './private-cookies.js'
import type { EntryHead, StoredPart } from './store.js'
import { variantKey } from './variant-key.js'

/** An answer that may be stored: where, and with what head. */
export interface Kept extends Preparable {
  readonly key: string
  /** Names of the request fields that choose it, sorted. */
  readonly vary: readonly string[]
  readonly life: Life
}

/** When a request was sent and when the head of its answer came, in ms since 1970. */
export interface Times {
  readonly requestTime: number
  readonly responseTime: number
}

/** More request fields than that to choose by: whoever sends them would fill the cache alone. */
export const varyAtMost = 32

const mine = randomBytes(9).toString('base64url')
let count = 0

/** A name that no other body has, in any process. */
export function newId(): string {
  return `${mine}${(count++).toString(36)}`
}

/**
 * What to keep of an answer, or the name of why not.
 * @param known names that responses there are known to vary on
 */
export function keep(
  settings: CacheSettings,
  request: CacheRequest & { readonly url?: string },
  came: Reply,
  { primary, url }: CacheKey,
  times: Times,
  known: readonly string[] | undefined,
): Kept | string {
  const fields = withoutCookies(came.headers, settings.privateCookies)
  const reply = fields === came.headers ? came : { status: came.status, headers: fields, body: came.body }
  const said = responseDirectives(reply, settings)
  const why = storable(request, reply, settings, times.responseTime, said)
  if (why !== undefined) return why
  if (settings.pathGuard) {
    const confused = pathConfusion(request.path, reply.headers)
    if (confused !== undefined) return confused
  }
  let part: StoredPart | undefined
  if (reply.status === 206) {
    part = partOf(reply) ?? shortPartOf(reply)
    if (part === undefined) return 'partial'
  }
  // What comes without a length has that of its range: another number of bytes is no such part.
  const length = lengthOf(reply) ?? (part && part.last - part.first + 1)
  if (Number.isNaN(length)) return 'length'
  if (length !== undefined && length > settings.maxEntry) return 'too-large'
  const vary = together(known, varyNames(reply.headers) as readonly string[])

  const headers = storedFields(reply, settings, said)
  // RFC 9110 section 6.6.1: what comes without a date has that of its arrival.
  if (!has(headers, 'date')) headers.push('Date', formatHttpDate(times.responseTime))
  // RFC 9111 section 3.4: a part that is all of it is no part.
  const whole = part !== undefined && isWhole(part)
  if (whole) remove(headers, 'content-range')
  const key = vary.length === 0 ? primary : variantKey(primary, vary, request.headers, request.caller)
  const head: Writable<EntryHead> = {
    id: newId(),
    primary,
    url,
    tags: tagsOf(reply.headers) ?? [],
    status: whole ? 200 : reply.status,
    headers,
    requestTime: withAge(times.requestTime, reply.headers),
    responseTime: times.responseTime,
    keepUntil: 0,
  }
  if (length !== undefined) head.length = length
  if (part !== undefined && !whole) head.part = part
  const lived = life(head, settings)
  head.keepUntil = keepUntil(lived)
  return { key, head, prepared: undefined, vary, life: lived }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** Bytes of the body, where they are known. NaN: its fields say something else, or nothing that can be read. */
function lengthOf({ body, headers }: Reply): number | undefined {
  const known = knownLength(body)
  let said: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    if (!isNamed(headers[i] as string, 'content-length')) continue
    if (said !== undefined) return Number.NaN
    said = headers[i + 1] as string
  }
  if (said === undefined) return known
  const length = /^\d+$/.test(said) ? Number(said) : Number.NaN
  return known === undefined || known === length ? length : Number.NaN
}

function knownLength(body: BodyInit): number | undefined {
  if (body === null) return 0
  if (typeof body === 'string') return Buffer.byteLength(body)
  if (body instanceof Uint8Array) return body.length
  return isBody(body) ? body.length : undefined
}

/**
 * Names grow together: a response that varies on less is found under all the same, and the key of none changes with the next one. A
 * target that names ever others begins anew, or nothing of it would be kept.
 */
function together(before: readonly string[] | undefined, now: readonly string[]): readonly string[] {
  if (before === undefined) return now
  const all = new Set([...before, ...now])
  return all.size > varyAtMost ? now : [...all].sort()
}
