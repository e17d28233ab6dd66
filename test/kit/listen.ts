import type { Server } from 'node:http'
import type { Http2Server, ServerHttp2Session } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { type HttpClient, httpClient } from './client.js'

/** A server of the tests, with a client that speaks to it. */
export interface Mounted {
  readonly port: number
  readonly server: Server | Http2Server
  readonly client: HttpClient
  /** Connections that clients have open now. */
  readonly sockets: number
  /** Ends everything at once. */
  close(): Promise<void>
}

/** Puts a server on a free port, with a client for it. */
export async function listen(
  server: Server | Http2Server,
  kind: { http2?: boolean; ca?: Buffer | undefined } = {},
): Promise<Mounted> {
  const sockets = new Set<Socket>()
  const sessions = new Set<ServerHttp2Session>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session)
    session.on('error', () => {})
    session.on('close', () => sessions.delete(session))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const client = httpClient({ port, ca: kind.ca, http2: kind.http2 ?? false })
  return {
    port,
    server,
    client,
    get sockets() {
      return sockets.size
    },
    async close() {
      await client.close()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const session of sessions) session.destroy()
        for (const socket of sockets) socket.destroy()
      })
    },
  }
}
