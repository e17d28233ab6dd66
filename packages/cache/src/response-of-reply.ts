import { STATUS_CODES } from 'node:http'
import { type Body, discard, type Reply, toBody } from '@sluice/core'

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

/** The bytes at the pace of whoever reads; each part is a copy, since whoever gets it may write to it or transfer it. */
function streamOf(body: Body, signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
  let drained: (() => void) | undefined
  let over = false
  let abort: (() => void) | undefined
  const end = (): void => {
    over = true
    if (abort !== undefined) signal?.removeEventListener('abort', abort)
  }
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const lose = (error: unknown): void => {
          if (over) return
          end()
          controller.error(error)
        }
        body.pipe({
          write(chunk) {
            if (over) return false
            controller.enqueue(Uint8Array.from(chunk))
            return (controller.desiredSize ?? 0) > 0
          },
          end() {
            if (over) return
            end()
            controller.close()
          },
          abort: (error) => lose(new TypeError('terminated', { cause: error })),
          onDrain(fn) {
            drained = fn
          },
        })
        if (over || signal === undefined) return
        abort = () => {
          lose(signal.reason)
          body.cancel()
        }
        if (signal.aborted) abort()
        else signal.addEventListener('abort', abort, { once: true })
      },
      pull() {
        drained?.()
      },
      cancel() {
        end()
        body.cancel()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: heldAtMost }),
  )
}
