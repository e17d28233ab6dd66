import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createSecureServer, type Http2SecureServer, type Http2Session } from 'node:http2'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { ServerOptions } from './server-options.js'

/** What a server calls. */
export interface Listeners {
  request(req: IncomingMessage, res: ServerResponse): void
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** The server that `listen` makes. */
export class ListeningServer {
  readonly server: Server
  private readonly sessions = new Set<Http2Session>()

  /** @throws TypeError for HTTP/2 without `ssl`: no browser speaks it in the clear */
  constructor({ ssl, ws, http2 }: ServerOptions, { request, upgrade }: Listeners) {
    if (http2 && !ssl) throw new TypeError('http2: it needs ssl, a certificate and its key')
    if (ssl && http2 !== false) {
      const server = createSecureServer({ ...ssl, allowHTTP1: true })
      held(server, 'session', this.sessions)
      // Connections that were accepted may still be shaking hands when it closes.
      server.on('session', (session) => {
        if (!server.listening) session.close()
      })
      const sockets = new Set<Duplex>()
      held(server, 'connection', sockets)
      // What apps call on a server of HTTP/1.1 that they want to be rid of.
      const closeAllConnections = (): void => {
        for (const socket of sockets) socket.destroy()
      }
      this.server = Object.assign(server as unknown as Server, { closeAllConnections })
    } else this.server = ssl ? (createTlsServer(ssl) as Server) : createServer()
    this.server.on('request', request)
    if (ws) this.server.on('upgrade', upgrade)
  }

  /** Takes no more connections. Sessions of HTTP/2 end with their last stream: Node would wait until their clients leave. */
  close(done: (error?: Error) => void): void {
    this.server.close(done)
    for (const session of this.sessions) session.close()
  }
}

/** Keeps in a set what a server tells of, until it has closed. */
function held<T extends Http2Session | Duplex>(server: Http2SecureServer, event: string, set: Set<T>): void {
  server.on(event, (one: T) => {
    set.add(one)
    one.on('close', () => set.delete(one))
  })
}
