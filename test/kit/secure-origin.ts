import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type SecureServerOptions,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/** A server of TLS that speaks HTTP/1.1 and HTTP/2, with what its clients have asked it for. */
export interface SecureOrigin {
  readonly server: Http2SecureServer
  readonly port: number
  /** The server names of its connections, `''` for none. */
  readonly names: string[]
  /** Whether each of its connections took up an earlier session. */
  readonly resumed: boolean[]
  /** The subjects of the certificates that its connections have shown. */
  readonly shown: (string | undefined)[]
  /** Of each request: `Host`, and issuer and subject of the certificate of its connection. */
  readonly hosts: (string | undefined)[]
  readonly issuers: (string | undefined)[]
  readonly subjects: (string | undefined)[]
  /** Connections that are open now. */
  readonly open: number
  /** Ends the connections that are open now. */
  cut(): void
  close(): Promise<void>
}

export type SecureHandler = (req: IncomingMessage, res: ServerResponse) => void

/** Starts one; it answers `secure` unless told otherwise. */
export async function secureOrigin(
  options: SecureServerOptions,
  host = '127.0.0.1',
  handler: SecureHandler = (_req, res) => void res.end('secure'),
): Promise<SecureOrigin> {
  const names: string[] = []
  const resumed: boolean[] = []
  const shown: (string | undefined)[] = []
  const hosts: (string | undefined)[] = []
  const issuers: (string | undefined)[] = []
  const subjects: (string | undefined)[] = []
  const sockets = new Set<Socket>()
  const server = createSecureServer({ ...options, allowHTTP1: true }, (req, res) => {
    const socket = (req as Http2ServerRequest).stream?.session?.socket ?? req.socket
    const certificate = (socket as TLSSocket).getPeerX509Certificate()
    hosts.push(req.headers.host ?? (req.headers[':authority'] as string | undefined))
    issuers.push(certificate?.issuer)
    subjects.push(certificate?.subject)
    handler(req as unknown as IncomingMessage, res as unknown as ServerResponse)
  })
  server.on('secureConnection', (socket: TLSSocket & { servername?: string | false }) => {
    names.push(socket.servername || '')
    resumed.push(socket.isSessionReused())
    shown.push(socket.getPeerX509Certificate()?.subject)
  })
  server.on('tlsClientError', () => {})
  server.on('sessionError', () => {})
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, resolve)
  })
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    server,
    port: (server.address() as AddressInfo).port,
    names,
    resumed,
    shown,
    hosts,
    issuers,
    subjects,
    get open() {
      return sockets.size
    },
    cut,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        cut()
      }),
  }
}
