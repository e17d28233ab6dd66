import { type Reply, unhandled } from '@sluice/core'

/**
 * A reply whose fields may be edited: a handler may give one reply many times, so neither it nor its list is ours. `undefined` for one that passes
 * as it is: it isn't handled, or is none.
 */
export function ownList(reply: Reply): Reply | undefined {
  if (reply === unhandled || typeof reply !== 'object' || reply === null) return undefined
  return { ...reply, headers: reply.headers.slice() }
}
