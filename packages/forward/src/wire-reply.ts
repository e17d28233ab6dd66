import type { PushBody, Reply } from '@sluice/core'
import { withoutHopByHop } from '@sluice/headers'
import { trailersOf } from './reply-trailers.js'
import type { ResponseHead } from './wire-response-parser.js'

/** The reply that begins with this head, and goes on with `body` where there is one. */
export function replyOf(head: ResponseHead, body: PushBody): Reply {
  const { status, reason, headers, length, framing } = head
  const none = framing === 'none'
  const reply: Reply = {
    status,
    headers: withoutHopByHop(headers, { response: true }),
    body: none ? null : body,
  }
  if (!head.minor1) reply.version = '1.0'
  if (reason !== undefined) reply.reason = reason
  if (framing === 'length') (body as { length?: number }).length = length as number
  else if (!none) reply.trailers = trailersOf(body)
  return reply
}
