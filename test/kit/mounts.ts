import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  createServer as createHttp2Server,
  createSecureServer,
  type Http2Server,
  type ServerHttp2Session,
} from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { InboundRequest, InboundResponse, Next } from '@sluice/core'
import connect from 'connect'
import express from 'express'
import { testCertificate } from './certificate.js'
import { type HttpClient, httpClient } from './client.js'
import { skipUnless } from './skip.js'

/** What a mount serves. */
export interface Served {
  listener(req: InboundRequest, res: InboundResponse, next?: Next): void
  upgrade?(req: IncomingMessage, socket: Duplex, head: Buffer): void
}

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

/** One kind of server that a listener can stand in. */
export interface Mount {
  readonly name: string
  readonly http2: boolean
  readonly tls: boolean
  /** It stands in a framework, which sets fields of its own and has a `next`. */
  readonly framework: boolean
  serve(served: Served): Promise<Mounted>
}

type Listener = (req: IncomingMessage, res: ServerResponse) => void

function mount(
  name: string,
  kind: { http2?: boolean; tls?: boolean; framework?: boolean },
  make: (served: Served) => Server | Http2Server,
): Mount {
  const { http2 = false, tls = false, framework = false } = kind
  return {
    name,
    http2,
    tls,
    framework,
    serve: async (served) => {
      const server = make(served)
      if (served.upgrade !== undefined && !http2) (server as Server).on('upgrade', served.upgrade)
      return listen(server, { http2, ca: tls ? testCertificate()?.cert : undefined })
    },
  }
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

const certificate = testCertificate()

const plain: Mount[] = [
  mount('node:http', {}, ({ listener }) => createServer(listener)),
  mount('node:http2 without TLS', { http2: true }, ({ listener }) => createHttp2Server(listener)),
  mount('Express 5', { framework: true }, ({ listener }) => {
    const app = express()
    app.use('/', listener)
    return createServer(app)
  }),
  mount('Connect', { framework: true }, ({ listener }) => {
    const app = connect()
    app.use(listener as never)
    return createServer(app as Listener)
  }),
]

const secure: Mount[] = [
  mount('node:https', { tls: true }, ({ listener }) => createHttpsServer({ ...certificate }, listener)),
  mount('node:http2 with TLS', { http2: true, tls: true }, ({ listener }) =>
    createSecureServer({ ...certificate, allowHTTP1: true }, listener),
  ),
]

/** Every kind of server that this machine can start: those with TLS need `openssl`. */
export const mounts: readonly Mount[] = skipUnless(certificate, 'mounts with TLS: there is no openssl')
  ? plain
  : [...plain, ...secure]

/** A mount by its name. */
export function mountNamed(name: string): Mount {
  const found = mounts.find((each) => each.name === name)
  if (found === undefined) throw new Error(`no mount is named ${name}`)
  return found
}
