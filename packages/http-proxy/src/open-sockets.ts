import type { Duplex } from 'node:stream'

let open = 0

/** Counts a socket of an upgrade until it has closed. */
export function countSocket(socket: Duplex): void {
  if (socket.destroyed) return
  open++
  socket.once('close', closed)
}

/**
 * How many sockets upgrades hold now, in all proxies of this process: the client's of each call of `ws`, and the target's of each tunnel. A name of
 * http-proxy-3, for those who watch for leaks.
 */
export function numOpenSockets(): number {
  return open
}

function closed(): void {
  open--
}
