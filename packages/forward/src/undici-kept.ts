import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'

const ofKept = new WeakSet<Error>()

/** A connector of undici's whose sockets' errors {@link wasKept} knows: undici hands them on without saying which connection it was. */
export function telling(connect: buildConnector.connector): buildConnector.connector {
  return (given, callback) => {
    connect(given, (...result) => {
      result[1]?.on('error', note)
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

function note(this: Socket, error: Error): void {
  if (this.bytesRead > 0) ofKept.add(error)
}
