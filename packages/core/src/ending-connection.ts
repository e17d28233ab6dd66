import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Connections with an answer on them that says it is the last. */
const ending = new WeakSet<Socket>()

/** Node notes here that the head it has made says `Connection: close`. */
type Noted = ServerResponse & { readonly _last?: boolean }

/** The head of `res` has been made: what comes behind its request may be nobody's business any more. */
export function noteEnd(res: ServerResponse): void {
  if ((res as Noted)._last === true) ending.add(res.req.socket)
}

/**
 * Whether the connection ends with an answer to an earlier request. Such a request must not be processed (RFC 9112 section
 * 9.6): its answer would never arrive, and behind a request that was refused for its framing nobody knows whether it is one.
 * Node's parser tells it all the same where it comes in one packet with what is ahead.
 */
export function endsBefore(req: IncomingMessage, res: ServerResponse): boolean {
  const { socket } = req
  return socket.writableEnded || (res.socket === null && ending.has(socket))
}
