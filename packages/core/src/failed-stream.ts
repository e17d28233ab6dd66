import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'

/** Whether the stream of an HTTP/2 response has ended before all of it was out, or by an error. */
export function failedStream(res: ServerResponse | Http2ServerResponse): boolean {
  const { stream } = res as Http2ServerResponse
  return stream !== undefined && (stream.rstCode !== 0 || !stream.writableFinished)
}
