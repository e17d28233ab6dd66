import type { Duplex } from 'node:stream'

/** Bytes that are read and dropped at most. */
export const lingerAtMost = 256 * 1024
/** How long a client may take to read its answer and leave, in ms. */
export const lingerFor = 2_000

/**
 * Closes a connection on which a client may still be sending (RFC 9112 section 9.6): our half ends, what comes is dropped,
 * and only then the connection goes. Closed at once, it would be reset by what comes, and the reset may overtake the answer.
 */
export function lingeringClose(socket: Duplex): void {
  if (socket.destroyed) return
  let bytes = 0
  const timer = setTimeout(() => socket.destroy(), lingerFor).unref()
  socket.once('close', () => clearTimeout(timer))
  const close = (): void => void socket.end(() => socket.destroy())
  if (socket.readableEnded) return close()
  socket.once('end', close)
  socket.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length
    if (bytes > lingerAtMost) socket.pause()
  })
  socket.end()
}
