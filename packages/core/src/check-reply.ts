import type { Readable } from 'node:stream'
import { type HeaderList, isFieldName, isFieldValue } from '@sluice/headers'
import type { Outbound } from './context.js'
import { asProxyError, ProxyError } from './proxy-error.js'
import type { Reply } from './reply.js'

/** What keeps a value from being a reply, in words for whoever made it; nothing for one that is right. */
export function replyFault(reply: Reply): string | undefined {
  if (typeof reply !== 'object' || reply === null) return `${inWords(reply)} and no reply`
  const { status, headers } = reply
  const tunnels = status === 101 && reply.socket !== undefined
  if (!tunnels && (!Number.isInteger(status) || status < 200 || status > 599))
    return `a reply with the status ${inWords(status)}`
  return isFlat(headers) ? undefined : `a reply whose headers are ${notFlat}`
}

/**
 * What in a list HTTP forbids. Node looks at fields of HTTP/1 only when they are written, and at values on HTTP/2 not at all:
 * a line break would be a field of its own at the next hop, or a second message (RFC 9110 section 5.5, RFC 9113 section 8.2.1).
 */
export function fieldFault(headers: HeaderList): string | undefined {
  if (!isFlat(headers)) return `headers that are ${notFlat}`
  let length: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name: unknown = headers[i]
    const value: unknown = headers[i + 1]
    if (typeof name !== 'string' || !isFieldName(name)) return `a field with the name ${inWords(name)}`
    if (typeof value !== 'string' || !isFieldValue(value)) return `the value ${inWords(value)} of ${name}`
    if (name.length !== 14 || name.toLowerCase() !== 'content-length') continue
    // Whoever reads the other one takes what follows for a message (RFC 9112 section 6.3).
    if (length !== undefined && length !== value) return `Content-Length ${length} and ${value}`
    if (!/^\d+$/.test(value)) return `Content-Length ${inWords(value)}`
    length = value
  }
  return undefined
}

/** Fields that a transport writes: it decides how the bytes are framed and what becomes of the connection (RFC 9110 section 7.6.1). */
const ofTransport = /^(?:transfer-encoding|connection|keep-alive|proxy-connection|upgrade|http2-settings)$/i

/**
 * What keeps a request from going out after a function of the app's own has had it. Method and path as they came were looked at
 * by the parser.
 */
export function outFault(
  { headers, method, path }: Outbound,
  hadMethod: string,
  hadPath: string,
): string | undefined {
  if (method !== hadMethod && !(typeof method === 'string' && isFieldName(method)))
    return 'a method that is none'
  // What ends a request-target would begin a field, or another request (RFC 9112 section 3).
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to refuse
  if (path !== hadPath && !(typeof path === 'string' && /^[^\x00-\x20\x7f\u0100-\uffff]+$/.test(path)))
    return 'a path that is none'
  const wrong = fieldFault(headers)
  if (wrong !== undefined) return wrong
  for (let i = 0; i < headers.length; i += 2)
    if (ofTransport.test(headers[i] as string)) return `${headers[i]}, which is for the transport to say`
  return undefined
}

/** What a function of the app's own has done wrong, as the error that it is. It is for the log: no client sees the words. */
export function appFault(who: string, what: string): ProxyError {
  return new ProxyError('proxy_internal_error', { message: `${who} gave ${what}` })
}

/** What a function of the app's own has thrown. A {@link ProxyError} is thrown on purpose, and stays what it is. */
export function appError(who: string, cause: unknown): ProxyError {
  return asProxyError(cause, `${who} failed`)
}

const notFlat = "no flat list such as ['Content-Type', 'text/plain']"

function isFlat(headers: unknown): boolean {
  return Array.isArray(headers) && headers.length % 2 === 0
}

/** @throws ProxyError for what is no body, in words for whoever made it */
export function needStream(init: unknown): Readable {
  if (typeof (init as Readable | null | undefined)?.on === 'function') return init as Readable
  const how = init instanceof ReadableStream ? '; Readable.fromWeb(it) is one' : ''
  const message = `${inWords(init)} is no body: that is text, bytes, a Node stream, null or a Body${how}`
  throw new ProxyError('proxy_internal_error', { message })
}

/** Anything in a few words: String() itself throws for an object without a prototype. */
function inWords(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 60))
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
