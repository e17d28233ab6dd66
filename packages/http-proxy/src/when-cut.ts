import type { ClientRequest, IncomingMessage } from 'node:http'
import { wasReset } from '@sluice/forward'

/** Tells of an answer that ends before it is whole, and why. */
export function whenCut(request: ClientRequest, incoming: IncomingMessage, cut: (why: Error) => void): void {
  const lost = (why = new Error('the target closed the connection')): void => {
    if (!incoming.complete) cut(why)
  }
  incoming.on('error', lost)
  incoming.once('close', lost)
  if (request.shouldKeepAlive) return
  const { socket } = incoming
  // Ahead of Node's listener, to which the end of the connection is that of a body without length, however it has come.
  socket.prependOnceListener('end', () => {
    // While a body is sent a reset may follow a true end.
    if (request.writableFinished && wasReset(socket)) lost()
  })
}
