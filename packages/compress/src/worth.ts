import { createRequire } from 'node:module'
import { type Reply, unhandled } from '@sluice/core'
import { contentCodings, get, type HeaderList, parseCacheControl } from '@sluice/headers'
import type compressible from 'compressible'
import { saidLength } from './body-length.js'
import { jsonLines } from './event-stream.js'

/** What a response must be to be worth a codec. */
export interface Worth {
  /** Bytes that a body must have, where its length is known. */
  readonly threshold: number
  /** Whether bodies of a media type get smaller. It is given in lower case, without parameters. */
  readonly types: (type: string) => boolean
}

/** Why a response goes out as it is, whatever its client accepts. */
export type WhyNot =
  | 'unhandled'
  | 'socket'
  | 'no-content'
  | 'not-modified'
  | 'coded'
  | 'no-transform'
  | 'type'
  | 'part'
  | 'no-body'
  | 'small'
  | 'asked-as-is'

/**
 * Why a response isn't compressed; `undefined` where it is worth it. HEAD is judged as GET would be, since its fields are the same (RFC 9110
 * section 9.3.2).
 * @param request the client's fields
 */
export function whyNot(
  method: string,
  request: Readonly<HeaderList>,
  reply: Reply,
  worth: Worth,
): WhyNot | undefined {
  // Nobody has answered yet: it is one shared value, and the host app's answer isn't here.
  if (reply === unhandled) return 'unhandled'
  const { status, headers, socket } = reply
  // The bytes are another protocol's: a client of WebSocket would get what it can't read.
  if (socket !== undefined || status < 200) return 'socket'
  // RFC 9110 sections 15.3.5 and 15.3.6: there never are bytes, and a codec would make some of nothing.
  if (status === 204 || status === 205) return 'no-content'
  // Coded twice it gets larger, and what somebody has coded is theirs to choose.
  if (contentCodings(headers).length > 0) return 'coded'
  // RFC 9110 section 7.7: a proxy must not.
  if (saysNoTransform(headers)) return 'no-transform'
  // Images and archives cost a codec's time and get no smaller. Of what doesn't say what it is nobody knows.
  if (!isWorthType(status, get(headers, 'content-type'), worth)) return 'type'
  // There are no bytes, and its fields are those of a response that the client has in whatever form.
  if (status === 304) return 'not-modified'
  // Coded it would be a part of nothing: its range counts bytes of the plain form (RFC 9110 section 15.3.7).
  if (status === 206 || get(headers, 'content-range') !== undefined) return 'part'
  const length = saidLength(method, reply)
  // A codec makes 20 bytes of none.
  if (length === 0) return 'no-body'
  // It would get larger, or save less than it costs.
  if (length !== undefined && length < worth.threshold) return 'small'
  // RFC 9111 section 5.2.1.6: the client wants the bytes that the target sends.
  if (saysNoTransform(request)) return 'asked-as-is'
  return undefined
}

/** Reasons that are the request's, not the response's. */
const ofRequest: ReadonlySet<WhyNot> = new Set(['not-modified', 'part', 'asked-as-is'])

/**
 * Whether another request may get the same response compressed, so that `Vary` must say so here too (RFC 9110 section 12.5.5; of 206 and
 * 304 sections 15.3.7 and 15.4.5).
 */
export function isOfRequest(why: WhyNot): boolean {
  return ofRequest.has(why)
}

/** Whether it could be compressed all the same: for a client that won't have the plain body. */
export function isNotWorthIt(why: WhyNot, method: string, reply: Reply): boolean {
  if (why === 'small') return true
  // The type is asked first: of nothing there is no coded form, and a part is one of the plain form.
  if (why !== 'type' || reply.status === 206 || reply.status === 304) return false
  return get(reply.headers, 'content-range') === undefined && saidLength(method, reply) !== 0
}

/** Texts, and streams of messages that are mostly text, of which the data base of types says nothing. */
const alsoText = new RegExp(`^application/(?:${jsonLines}|grpc-web.*|yaml|x-yaml|.+\\+yaml)$`)

let known: typeof compressible | undefined

/** What is remembered at most: of types, and of characters a type. */
const mostRemembered = 256
const longestRemembered = 128
const remembered = new Map<string, boolean>()

/**
 * Whether bodies of a media type get smaller: by the package `compressible`, and lines of JSON and the like. Its data base is loaded with the
 * first call: it takes 1.5 MB, which those do without who never ask. Answers are of few types, so what they came to is remembered: of at most
 * 256 types of at most 128 characters.
 */
export function isCompressible(type: string): boolean {
  const before = remembered.get(type)
  if (before !== undefined) return before
  known ??= createRequire(import.meta.url)('compressible') as typeof compressible
  const is = known(type) === true || alsoText.test(type)
  if (type.length <= longestRemembered) {
    if (remembered.size >= mostRemembered) remembered.clear()
    remembered.set(type, is)
  }
  return is
}

function isWorthType(status: number, contentType: string | undefined, worth: Worth): boolean {
  // RFC 9110 section 15.4.5: a 304 seldom tells it.
  if (contentType === undefined) return status === 304
  const end = contentType.indexOf(';')
  const type = (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase()
  // Of the parts of a part it says nothing of the whole (RFC 9110 section 14.6).
  if (status === 206 && type === 'multipart/byteranges') return true
  return type !== '' && worth.types(type)
}

/** Whether the bytes must be left as they are (RFC 9110 section 7.7). */
export function saysNoTransform(headers: Readonly<HeaderList>): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length !== 13 || name.toLowerCase() !== 'cache-control') continue
    // Few say the word: of those alone it is read whether it's a directive, or stands in quotes.
    if (/no-transform/i.test(headers[i + 1] as string)) return parseCacheControl(headers).has('no-transform')
  }
  return false
}
