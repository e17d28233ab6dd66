import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { testCertificate } from './certificate.js'
import { until } from './until.js'

/** A stream as an HTTP/2 origin saw it. */
export interface OriginStream {
  readonly stream: ServerHttp2Stream
  readonly fields: IncomingHttpHeaders
  /** Flat list as it came, pseudo fields included. */
  readonly raw: readonly string[]
  /** The connection it came on: 0 for the origin's first. */
  readonly session: number
  /** Its body, read on the first call. */
  body(): Promise<Buffer>
  readonly rawTrailers: readonly string[]
  /** Resolves with the error code when the stream is over. */
  readonly closed: Promise<number>
}

/** An HTTP/2 server for proxies to talk to, on 127.0.0.1. */
export interface Http2Origin {
  readonly port: number
  readonly url: string
  readonly server: Http2Server | Http2SecureServer
  readonly streams: readonly OriginStream[]
  /** Connections open now. */
  readonly sessions: ReadonlySet<ServerHttp2Session>
  /** Connections accepted in all. */
  readonly connections: number
  /** The stream number `index`, as soon as it is there. */
  stream(index?: number): Promise<OriginStream>
  /** Ends everything at once. */
  close(): Promise<void>
}

export interface Http2OriginOptions {
  readonly tls?: boolean
  /** Answers HTTP/1.1 too, to those that ask for it by ALPN. */
  readonly allowHTTP1?: boolean
  readonly settings?: Settings
  /** Default a free one. */
  readonly port?: number
}

export type Http2OriginHandler = (stream: ServerHttp2Stream, seen: OriginStream) => unknown

/** Reads the request and answers 200 with `ok`. */
async function answerOkHttp2(stream: ServerHttp2Stream, seen: OriginStream): Promise<void> {
  await seen.body()
  if (stream.destroyed) return
  stream.respond({ ':status': 200 })
  stream.end('ok')
}

/** Starts an HTTP/2 origin. */
export async function http2Origin(
  handler: Http2OriginHandler = answerOkHttp2,
  options: Http2OriginOptions = {},
): Promise<Http2Origin> {
  const { tls = false, allowHTTP1 = false, settings = {}, port = 0 } = options
  const streams: OriginStream[] = []
  const sessions = new Set<ServerHttp2Session>()
  const sockets = new Set<Socket>()
  const numbers = new WeakMap<ServerHttp2Session, number>()
  let connections = 0
  const server = tls
    ? createSecureServer({ ...testCertificate(), allowHTTP1, settings })
    : createServer({ settings })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('session', (session: ServerHttp2Session) => {
    numbers.set(session, connections++)
    sessions.add(session)
    session.on('error', () => {})
    session.on('close', () => sessions.delete(session))
  })
  server.on('sessionError', () => {})
  server.on(
    'stream',
    (stream: ServerHttp2Stream, fields: IncomingHttpHeaders, _flags: number, raw?: string[]) => {
      const seen = record(stream, fields, raw ?? [], numbers.get(stream.session as ServerHttp2Session) ?? -1)
      streams.push(seen)
      Promise.resolve()
        .then(() => handler(stream, seen))
        .catch(() => stream.close(2))
    },
  )
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const address = server.address() as AddressInfo
  return {
    port: address.port,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${address.port}`,
    server,
    streams,
    sessions,
    get connections() {
      return connections
    },
    stream: (index = 0) => until(() => streams[index], `stream ${index} at the origin`),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const session of sessions) session.destroy()
        for (const socket of sockets) socket.destroy()
      }),
  }
}

function record(
  stream: ServerHttp2Stream,
  fields: IncomingHttpHeaders,
  raw: readonly string[],
  session: number,
): OriginStream {
  let body: Promise<Buffer> | undefined
  let rawTrailers: readonly string[] = []
  stream.on('error', () => {})
  stream.on('trailers', (_fields: unknown, _flags: unknown, list?: string[]) => {
    rawTrailers = list ?? []
  })
  const closed = new Promise<number>((resolve) => {
    stream.on('close', () => resolve(stream.rstCode ?? 0))
  })
  return {
    stream,
    fields,
    raw,
    session,
    closed,
    get rawTrailers() {
      return rawTrailers
    },
    body() {
      body ??= collect(stream)
      body.catch(() => {})
      return body
    },
  }
}

async function collect(stream: ServerHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  if (stream.aborted) throw new Error('the request ended before it was whole')
  return Buffer.concat(chunks)
}
