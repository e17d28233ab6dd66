import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { HeaderList } from '@sluice/headers'
import { ProxyError } from './proxy-error.js'

/** Bytes that Node lets a head have, and trailers, unless the server was given `maxSendHeaderBlockLength`. */
const byDefault = 64 * 1024
/** Bytes of a name or value, whatever the server lets heads have: nghttp2 takes a longer one for a broken connection. */
const ofText = 65_535
/** Bytes of a field beside its name and value, by nghttp2's estimate of a head before it packs it. */
const ofField = 12
/** The same for all of it, with what is added behind us: `:status`, `date`, `content-length`. */
const ofHead = 128

/** By server. */
const limits = new WeakMap<object, number>()

/**
 * Whether a stream can carry these fields as a head or as trailers. Of those that it can't Node hears when the head is packed, a turn after it has taken
 * it: it resets the stream, and ends the connection for all others behind a GOAWAY.
 */
export function isSendable(stream: ServerHttp2Stream | undefined, fields: HeaderList): boolean {
  let size = ofHead + (fields.length / 2) * ofField
  for (const text of fields) {
    const { length } = String(text)
    if (length > ofText) return false
    size += length
  }
  return size <= byDefault || size <= limitOf((stream?.session as ServerHttp2Session | undefined)?.server)
}

/** @throws ProxyError http_response_header_section_size if a stream can't carry these fields */
export function needSendable(stream: ServerHttp2Stream | undefined, fields: HeaderList): void {
  if (!isSendable(stream, fields)) throw notSendable()
}

/** More fields than a stream can carry. */
export function notSendable(): ProxyError {
  return new ProxyError('http_response_header_section_size', {
    reason: 'http2-head-size',
    message: 'the fields of the answer are more than HTTP/2 to this client can carry',
  })
}

/** Node keeps what a server was made with under a symbol of its own. Where that is found no more, its default holds. */
function limitOf(server: object | undefined): number {
  if (server === undefined) return byDefault
  let limit = limits.get(server)
  if (limit === undefined) {
    const key = Object.getOwnPropertySymbols(server).find(({ description }) => description === 'options')
    const options = key === undefined ? undefined : (server as Record<symbol, unknown>)[key]
    const given = (options as { maxSendHeaderBlockLength?: unknown } | undefined)?.maxSendHeaderBlockLength
    limit = typeof given === 'number' ? given : byDefault
    limits.set(server, limit)
  }
  return limit
}
