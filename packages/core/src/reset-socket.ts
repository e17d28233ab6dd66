import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * Ends a connection so that the other end can tell it from an orderly end.
 * @returns false where that can't be: a socket of TLS and one in the file system know no reset, and throw if asked for one
 */
export function resetSocket(socket: Duplex): boolean {
  const { remoteAddress, resetAndDestroy } = socket as Partial<Socket>
  if (remoteAddress === undefined || resetAndDestroy === undefined || 'encrypted' in socket) return false
  // While its half is being ended libuv refuses the reset, and Node then leaves the handle open.
  if (socket.writableEnded && !socket.writableFinished) return false
  try {
    ;(socket as Socket).resetAndDestroy()
    return true
  } catch {
    // It is in the file system, and a PROXY header has named a client with an address.
    return false
  }
}
