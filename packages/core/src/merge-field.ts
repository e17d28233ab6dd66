import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import { union } from './union.js'

/**
 * Fields of the app stay unless the reply has them. Cookies of both stay, since each is its own, and members of Vary, since
 * a cache has to look at all that either has looked at (RFC 9110 section 12.5.5).
 */
export function mergeField(
  res: ServerResponse | Http2ServerResponse,
  name: string,
  value: string | string[],
): void {
  const http1 = res as ServerResponse
  const both = (name.length === 10 || name.length === 4) && /^(set-cookie|vary)$/i.test(name)
  const present = both ? http1.getHeader(name) : undefined
  if (present === undefined) http1.setHeader(name, value)
  else if (name.length === 4) http1.setHeader(name, union([present, value].flat().map(String)))
  else http1.setHeader(name, [present as string | string[], value].flat())
}
