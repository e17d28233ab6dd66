import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { wasReset } from './was-reset.js'

const ofKept = new WeakSet<Error>()

/** How the connection was lost whose loss is told now. */
let loss: 'error' | 'reset' | 'end' = 'end'

/**
 * A connector of undici's whose sockets are listened to ahead of undici: it hands their errors on without saying which
 * connection it was ({@link wasKept}), and takes a reset for the end of a body ({@link lossNow}).
 */
export function telling(connect: buildConnector.connector): buildConnector.connector {
  return (given, callback) => {
    connect(given, (...result) => {
      const socket = result[1]
      socket?.on('error', failed)
      socket?.on('end', ended)
      callback(...result)
    })
  }
}

/** Whether a connection had brought something before it was lost. TLS counts no bytes of its handshake. */
export function wasKept(cause: Error): boolean {
  // Of an end undici tells by an error of its own.
  const { socket } = cause as { readonly socket?: { readonly bytesRead?: unknown } | null }
  return ofKept.has(cause) || Number(socket?.bytesRead) > 0
}

/** How a connection of {@link telling} was lost, asked where undici ends a body with it: that is within the same event. */
export function lossNow(): typeof loss {
  return loss
}

function failed(this: Socket, error: Error): void {
  loss = 'error'
  if (this.bytesRead > 0) ofKept.add(error)
}

function ended(this: Socket): void {
  loss = wasReset(this) ? 'reset' : 'end'
}
