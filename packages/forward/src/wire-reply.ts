import type { BodyInit, PushBody, Reply } from '@sluice/core'
import { type HeaderList, withoutHopByHop } from '@sluice/headers'
import { trailersOf } from './reply-trailers.js'
import type { ResponseHead } from './wire-response-parser.js'

/** A class, since it leads to all of an exchange: see docs/decisions/059. */
class WireReply implements Reply {
  declare reason?: string
  declare version?: '1.0' | '2.0'
  declare trailers?: NonNullable<Reply['trailers']>

  constructor(
    readonly status: number,
    readonly headers: HeaderList,
    readonly body: BodyInit,
  ) {}
}

/** The reply that begins with this head, and goes on with `body` where there is one. */
export function replyOf(head: ResponseHead, body: PushBody): Reply {
  const { status, reason, headers, length, framing } = head
  const none = framing === 'none'
  const reply = new WireReply(status, withoutHopByHop(headers, { response: true }), none ? null : body)
  if (!head.minor1) reply.version = '1.0'
  if (reason !== undefined) reply.reason = reason
  if (framing === 'length') (body as { length?: number }).length = length as number
  else if (!none) reply.trailers = trailersOf(body)
  return reply
}
