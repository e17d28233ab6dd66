import { type ClientHttp2Stream, constants } from 'node:http2'
import type { GoAway } from './http2-stream-end.js'
import { isSafe } from './safe-method.js'

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_HTTP_1_1_REQUIRED } = constants

/** How often a request that the target has not processed is sent again to it. Then another target may have it. */
const againAtMost = 2

/** What is known of a request whose stream has ended without an answer. Its body can be sent again. */
export interface Unanswered {
  /** How often it was sent again before. */
  readonly again: number
  readonly method: string
  /** The target has said that it did nothing with it. */
  readonly unprocessed: boolean
  /** Not even an informational response has come. */
  readonly untouched: boolean
}

/** Whether the connection was lost that had served others before, with no word of the target's on this request. */
export function wasKept(
  { lost, served }: { readonly lost: boolean; readonly served: number },
  untouched: boolean,
): boolean {
  return lost && served > 0 && untouched
}

/** Whether to send a request once more to the target that has not answered it, and how. */
export function sendAgain(
  { again, method, unprocessed, untouched }: Unanswered,
  stream: Pick<ClientHttp2Stream, 'rstCode'>,
  connection: { readonly lost: boolean; readonly served: number; readonly goaway: GoAway | undefined },
): 'over HTTP/1.1' | 'over HTTP/2' | 'not' {
  // RFC 9113 section 7: the target wants HTTP/1.1 for this one.
  if (stream.rstCode === NGHTTP2_HTTP_1_1_REQUIRED) return 'over HTTP/1.1'
  // Who asks for calm doesn't get it again at once; another target may take it.
  const calm = connection.goaway?.code === NGHTTP2_ENHANCE_YOUR_CALM
  if (unprocessed && !calm && again < againAtMost) return 'over HTTP/2'
  // The connection was lost while it was idle, and nobody has seen the request; what is safe may have been seen.
  return wasKept(connection, untouched) && again === 0 && isSafe(method) ? 'over HTTP/2' : 'not'
}
