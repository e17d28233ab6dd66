import { type ClientHttp2Stream, constants } from 'node:http2'
import { ProxyError } from '@sluice/core'
import { isLarge, tooLarge } from './http2-fields.js'
import { type Progress, transportError } from './transport-error.js'

const {
  NGHTTP2_CANCEL,
  NGHTTP2_COMPRESSION_ERROR,
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_FLOW_CONTROL_ERROR,
  NGHTTP2_FRAME_SIZE_ERROR,
  NGHTTP2_NO_ERROR,
  NGHTTP2_PROTOCOL_ERROR,
  NGHTTP2_REFUSED_STREAM,
} = constants

/** The real one: fake timers in an app's tests are there to stop its clock, and not its proxy's streams. */
const immediately = setImmediate

/** What a GOAWAY says: streams above `last` were not processed. */
export interface GoAway {
  readonly code: number
  readonly last: number
}

/**
 * Watches how a stream's incoming half ends. Node gives `end` for a stream that was reset or whose connection is lost just as
 * for one that is whole, and a body cut off would pass for a whole one. Whole is what ends while the stream is open
 * (END_STREAM, RFC 9113 section 5.1), and what is reset with NO_ERROR: a server of Node's that doesn't read the request ends
 * large bodies so, though section 8.1 wants END_STREAM first. Where the length is known it has to be right as well.
 */
export function watchEnd(stream: ClientHttp2Stream): void {
  stream.push = pushWatched
}

/** Whether the incoming half of a watched stream is whole. */
export function hasEnded(stream: ClientHttp2Stream): boolean {
  return (stream as Watched)[ended] === true
}

const ended = Symbol('sluice.ended')
type Watched = ClientHttp2Stream & { [ended]?: boolean }

function pushWatched(this: Watched, chunk: unknown, encoding?: BufferEncoding): boolean {
  const whole = !this.closed || this.rstCode === NGHTTP2_NO_ERROR
  if (chunk === null && !this.destroyed && whole) this[ended] = true
  return Object.getPrototypeOf(this).push.call(this, chunk, encoding)
}

/**
 * Resets a stream that nobody wants any more. Not at once: inside a callback of its session's, with a request that isn't
 * whole, Node 22 would ask the destroyed stream for trailers and end the process.
 */
export function cancelStream(stream: ClientHttp2Stream): void {
  immediately(cancelNow, stream)
}

function cancelNow(stream: ClientHttp2Stream): void {
  // One that the peer has reset with NO_ERROR stays for ever where Node still waits for a write of ours to be taken.
  if (stream.closed) stream.destroy()
  else stream.close(NGHTTP2_CANCEL)
}

/**
 * What the end of a stream before its time means for the exchange (RFC 9113 section 7).
 * @param unprocessed the target has said that it did nothing with the request
 * @param kept the connection was lost that had served others before, and not a byte of an answer has come
 */
export function streamError(
  stream: ClientHttp2Stream,
  cause: Error | undefined,
  progress: Progress,
  unprocessed: boolean,
  target: string,
  kept: boolean,
): ProxyError {
  if (cause instanceof ProxyError) return cause
  const code = stream.rstCode ?? 0
  const options = { target, ...(cause === undefined ? {} : { cause }) }
  if (unprocessed) {
    const message = `the target processed nothing of the request (error code ${code}) [${target}]`
    return new ProxyError('http_request_refused', { ...options, message })
  }
  const message = `the target ended the stream with error code ${code} [${target}]`
  if (progress === 'sent') {
    switch (code) {
      case NGHTTP2_PROTOCOL_ERROR:
      case NGHTTP2_FLOW_CONTROL_ERROR:
      case NGHTTP2_FRAME_SIZE_ERROR:
      case NGHTTP2_COMPRESSION_ERROR:
        return new ProxyError('http_protocol_error', { ...options, message })
      case NGHTTP2_ENHANCE_YOUR_CALM:
        // So servers end a stream (Node, Tomcat) or its connection (nginx) whose request has too large a head for them, or trailers.
        if (isLarge(stream.sentHeaders) || isLarge(stream.sentTrailers)) return tooLarge(message)
        // Node resets a stream so whose head passes the limits; a target that asks for calm does it for the connection.
        if (cause === undefined || (cause as { code?: string }).code === 'ERR_HTTP2_STREAM_ERROR')
          return new ProxyError('http_response_header_section_size', { ...options, message })
    }
  }
  if (cause !== undefined) return transportError(cause, progress, target, kept)
  return new ProxyError(progress === 'answered' ? 'http_response_incomplete' : 'connection_terminated', {
    ...options,
    message,
    reused: kept && progress === 'sent',
  })
}

/** Whether the target did nothing with the request (RFC 9113 sections 6.8 and 8.7), or never got it. */
export function isUnprocessed(
  stream: ClientHttp2Stream,
  { goaway }: { readonly goaway: GoAway | undefined },
  cause: Error | undefined,
): boolean {
  if (cause instanceof ProxyError) return false
  if ((cause as { code?: string } | undefined)?.code === 'ERR_HTTP2_OUT_OF_STREAMS') return true
  if (stream.rstCode === NGHTTP2_REFUSED_STREAM) return true
  return goaway !== undefined && stream.id !== undefined && stream.id > goaway.last
}
