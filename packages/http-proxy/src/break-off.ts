import type { ServerResponse } from 'node:http'
import { constants } from 'node:http2'
import { type InboundResponse, resetSocket } from '@sluice/core'

/**
 * Ends an answer that has begun: what was sent must not pass for a whole one. A stream of HTTP/2 says so by its error code; on
 * HTTP/1 a body that ends with its connection needs a reset.
 */
export function breakOff(res: InboundResponse): void {
  if ('stream' in res) {
    if (res.stream === undefined) res.destroy()
    else res.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    return
  }
  const { socket } = res
  if (socket === null || isFramed(res) || !resetSocket(socket)) res.destroy()
}

function isFramed(res: ServerResponse): boolean {
  return res.chunkedEncoding || res.hasHeader('content-length')
}
