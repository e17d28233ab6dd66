import type { Readable } from 'node:stream'
import { type InboundRequest, type Ingress, ingress, toBody } from '@sluice/core'
import type { ServerOptions } from './server-options.js'

/**
 * Reads a request for `web`. A body that isn't the request's own is left to the caller.
 * @throws ProxyError if it can't be believed
 */
export function readRequest(req: InboundRequest, { buffer }: ServerOptions): Ingress {
  const kept = (req as { rawBody?: unknown }).rawBody instanceof Uint8Array
  const read = req.readableDidRead || req.readableEnded
  const own = buffer === undefined && (!read || kept)
  const found = ingress(req, own)
  if (buffer === undefined) return found
  const body = toBody(buffer as Readable)
  // As the app says; what differs from it never reaches the target as whole.
  const said = req.headers['content-length']
  if (said !== undefined && /^\d{1,15}$/.test(said))
    Object.defineProperty(body, 'length', { value: Number(said) })
  found.out.body = body
  return found
}
