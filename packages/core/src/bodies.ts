import type { Readable } from 'node:stream'
import { type Body, type BodyInit, isBody } from './body.js'
import { BytesBody } from './bytes-body.js'
import { needStream } from './check-reply.js'
import { ReadableBody } from './readable-body.js'

/**
 * Any kind of body as a {@link Body}; `null` stays `null`. Strings are UTF-8.
 * @throws ProxyError proxy_internal_error for what is none, such as an object or a web stream
 */
export function toBody(init: BodyInit): Body | null {
  if (init === null) return null
  if (typeof init === 'string') return new BytesBody(Buffer.from(init))
  if (init instanceof Uint8Array) return new BytesBody(init)
  return isBody(init) ? init : new ReadableBody(needStream(init))
}

/** Any kind of body as a Node stream; `null` is an empty one. It takes the body. */
export function toReadable(init: BodyInit): Readable {
  return (toBody(init) ?? new BytesBody(new Uint8Array(0))).readable()
}
