import type { Socket } from 'node:net'
import { afterReads } from './after-reads.js'

/**
 * A target that refuses an upload answers and closes, and the write that fails for it must not hide the answer: Node
 * destroys a socket on the spot when a write fails, with bytes still to be read in it. This puts that off until they have
 * been read (RFC 9112 section 9.5: a client watches for an answer while it sends).
 */
export function readBeforeDestroy(socket: Socket): void {
  const destroy = socket.destroy
  let waits = false
  socket.destroy = function destroyLater(error?: Error): Socket {
    if ((error as NodeJS.ErrnoException | undefined)?.syscall !== 'write') return destroy.call(socket, error)
    // Further writes may fail meanwhile.
    if (!waits) afterReads(() => destroy.call(socket, error))
    waits = true
    return socket
  }
}
