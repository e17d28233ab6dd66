import type { Reply } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { isCompressible, type WhyNot, type Worth, whyNot } from './worth.js'

const worth: Worth = {
  // What is shorter has little to win: the hash alone takes 40 bytes, and the head of an answer several hundred.
  threshold: 512,
  // Events are no versions of anything.
  types: (type) => type !== 'text/event-stream' && isCompressible(type),
}

/** Why a response isn't coded by a dictionary, whoever has one. */
export function whyNoDelta(
  method: string,
  requested: HeaderList,
  reply: Reply,
): WhyNot | 'status' | undefined {
  // An error's page has no versions.
  if (reply.status !== 200 && reply.status !== 206 && reply.status !== 304) return 'status'
  return whyNot(method, requested, reply, worth)
}
