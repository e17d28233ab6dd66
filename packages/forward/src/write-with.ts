import type { Socket } from 'node:net'

/** A body up to this size is joined with the head as one text, hence one write. */
const joinAtMost = 16 * 1024

/** Writes the head of a request with its body, which is in memory: as one write while it is small. */
export function writeWith(socket: Socket, head: string, body: Uint8Array): void {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
  if (bytes.length <= joinAtMost) {
    socket.write(head + bytes.toString('latin1'), 'latin1')
    return
  }
  socket.cork()
  socket.write(head, 'latin1')
  socket.write(bytes)
  socket.uncork()
}
