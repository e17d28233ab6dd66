import { createServer, type Server } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket, TlsOptions } from 'node:tls'
import { attach, type Handler } from '@sluice/core'
import { Http2Sessions } from './http2-sessions.js'
import { hardenBy, type ListenGuard, type ServerLimits, serverLimits } from './server-limits.js'

/** A server of HTTPS, and what it does beyond one of Node's. */
export interface SecureServer {
  readonly server: Server
  /** Ends what serves nothing: connections of HTTP/1.1 at once, sessions of HTTP/2 when their last stream has ended. */
  closeIdleConnections(): void
  closeAllConnections(): void
}

/**
 * HTTP/1.1 and, if wanted, HTTP/2 over TLS on one port, as each client has chosen in its handshake (RFC 7301). Each of the two is served
 * by Node's own server for it: one of HTTP/2 with `allowHTTP1` would lack what `node:https` has for HTTP/1.1, such as an end to idle
 * connections.
 */
export function createSecureServer(
  options: TlsOptions,
  handler: Handler,
  http2: boolean,
  { quiet, linger, http2: http2Options, ...limits }: ServerLimits = serverLimits,
  guard: ListenGuard = { server: false, slow: false },
): SecureServer {
  const server = createServer({
    ...options,
    ...limits,
    ALPNProtocols: http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
  })
  attach(server, handler)
  // Node's server knows those that have finished their handshake: others would hold up its end.
  const connections = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  const sessions = http2
    ? new Http2Sessions(
        handler,
        { quiet, linger, ...(http2Options === undefined ? {} : { http2: http2Options }) },
        guard,
      )
    : undefined
  if (sessions !== undefined) byProtocol(server, sessions)
  hardenBy(server, guard)
  return {
    server,
    closeIdleConnections() {
      server.closeIdleConnections()
      sessions?.end()
    },
    closeAllConnections() {
      sessions?.destroy()
      server.closeAllConnections()
      for (const socket of connections) socket.destroy()
    },
  }
}

/** Hands the connections of HTTP/2 to `sessions`, and leaves the others to the server's own listeners. */
function byProtocol(server: Server, sessions: Http2Sessions): void {
  const own = server.listeners('secureConnection')
  server.removeAllListeners('secureConnection')
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol === 'h2') sessions.serve(socket)
    else for (const listener of own) listener.call(server, socket)
  })
}
