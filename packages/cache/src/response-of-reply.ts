import { STATUS_CODES } from 'node:http'
import { type Body, discard, type Reply, toBody } from '@sluice/core'
import { BodySource } from './body-source.js'

/** Bytes that wait for whoever reads a response. */
const heldAtMost = 64 * 1024

/** Statuses that `Response` takes no body with. */
const bare: ReadonlySet<number> = new Set([204, 205, 304])

/** How a response came about. */
export interface ResponseOptions {
  /** Where it is from, after all redirects. */
  readonly url: string
  readonly redirected: boolean
  readonly method: string
  readonly signal: AbortSignal | undefined
}

/** What a stream came from, when nobody has it any more. */
const dropped = new FinalizationRegistry<Body>((body) => body.cancel())

/** A reply as `fetch` gives it. */
export function responseOfReply(
  reply: Reply,
  { method, redirected, signal, url }: ResponseOptions,
): Response {
  const { reason, status } = reply
  const headers = new Headers()
  for (let i = 0; i < reply.headers.length; i += 2)
    headers.append(reply.headers[i] as string, reply.headers[i + 1] as string)
  let body: ReadableStream<Uint8Array> | Uint8Array | null = null
  if (method === 'HEAD' || bare.has(status) || reply.body === null) discard(reply)
  // `Response` makes a copy of it: others get these bytes too.
  else if (reply.body instanceof Uint8Array) body = reply.body
  else body = streamOf(toBody(reply.body) as Body, signal)
  const response = new Response(body, {
    status,
    statusText: reason ?? STATUS_CODES[status] ?? '',
    headers,
  })
  Object.defineProperties(response, {
    url: { value: url, configurable: true },
    redirected: { value: redirected, configurable: true },
  })
  return response
}

/** The bytes at the pace of whoever reads. */
function streamOf(body: Body, signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
  const source = new BodySource(body, signal)
  const stream = new ReadableStream<Uint8Array>(
    source,
    new ByteLengthQueuingStrategy({ highWaterMark: heldAtMost }),
  )
  dropped.register(stream, body)
  return stream
}
