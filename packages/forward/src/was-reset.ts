import type { Socket } from 'node:net'

/**
 * Whether a socket that has just told its end was reset: asked within that event, by whoever has not asked for its remote
 * address before. A reset that comes with a body's last bytes passes for its end: Node up to 22 tells of an end where a read
 * was short and the connection is gone. A socket that was reset has no other end any more, and Node looks. A Unix socket
 * knows no reset. Of TLS nothing is known: Node doesn't tell a connection that was cut from one that ended with close_notify, so a
 * body that ends with it may be cut short unnoticed (RFC 9112 section 9.8; docs/security.md).
 */
export function wasReset(socket: Socket): boolean {
  return socket.localAddress !== undefined && !('encrypted' in socket) && socket.remoteAddress === undefined
}
