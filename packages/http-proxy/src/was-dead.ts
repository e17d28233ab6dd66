import type { ClientRequest } from 'node:http'
import type { Outbound } from '@sluice/core'
import { isSafe } from '@sluice/forward'

/**
 * Whether a request that was sent and not answered met a kept connection that its target had closed, and may be sent again: it
 * changes nothing, and its body is still there (RFC 9112 section 9.3.1).
 */
export function wasDead(out: Outbound, cause: unknown, request: ClientRequest | undefined): boolean {
  const inMemory = out.body === null || typeof out.body === 'string' || out.body instanceof Uint8Array
  const { code } = cause as { code?: unknown }
  return (
    request?.reusedSocket === true &&
    (code === 'ECONNRESET' || code === 'EPIPE') &&
    isSafe(out.method) &&
    inMemory
  )
}
