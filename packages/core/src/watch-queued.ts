import type { Socket } from 'node:net'
import type { InboundResponse } from './mount.js'

/** Who writes a response, and has to hear of its close. */
export interface Responding {
  readonly res: InboundResponse
  closed(): void
}

const queues = new WeakMap<Socket, Set<Responding>>()

/**
 * Watches the connection of a response that is queued behind another one of a pipelining client. Node tells a lost
 * connection only to the response whose turn it is: without this a queued exchange would never end, nor its target's.
 */
export function watchQueued(responder: Responding, socket: Socket): void {
  let queue = queues.get(socket)
  if (queue === undefined) {
    queue = new Set()
    queues.set(socket, queue)
    socket.once('close', lost)
  }
  queue.add(responder)
  responder.res.once('socket', () => queues.get(socket)?.delete(responder))
}

/** Whether others wait behind a response. */
export function isWaitedBehind(res: unknown, socket: Socket): boolean {
  let last: Responding | undefined
  for (const each of queues.get(socket) ?? []) last = each
  return last !== undefined && last.res !== res
}

function lost(this: Socket): void {
  for (const responder of queues.get(this) ?? []) responder.closed()
}
