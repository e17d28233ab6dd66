import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { until } from './until.js'

/** A request as an origin saw it. */
export interface OriginRequest {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The connection it came on: 0 for the origin's first. */
  readonly connection: number
  /** Its body, read on the first call. Rejects if it never becomes whole. */
  body(): Promise<Buffer>
  /** Fields after the body, once that is whole. */
  readonly rawTrailers: readonly string[]
  /** Resolves when the exchange is over: the answer was sent, or the connection has closed. */
  readonly closed: Promise<void>
  /** Whether the connection has closed before the answer was whole. */
  readonly aborted: boolean
}

/** An HTTP/1.1 server for proxies to talk to, on a free port of 127.0.0.1. */
export interface Origin {
  readonly port: number
  readonly url: string
  readonly requests: readonly OriginRequest[]
  /** Connections open now. */
  readonly sockets: number
  /** Connections accepted in all. */
  readonly connections: number
  readonly server: Server
  /** The request number `index`, as soon as it is there. */
  request(index?: number): Promise<OriginRequest>
  /** Ends everything at once. */
  close(): Promise<void>
}

export type OriginHandler = (req: IncomingMessage, res: ServerResponse, seen: OriginRequest) => unknown

/** Reads the request and answers 200 with `ok`. */
export async function answerOk(
  _req: IncomingMessage,
  res: ServerResponse,
  seen: OriginRequest,
): Promise<void> {
  await seen.body()
  res.end('ok')
}

/** Sends the request's body back as it comes, with the length if there was one. */
export function echo(req: IncomingMessage, res: ServerResponse): void {
  const length = req.headers['content-length']
  if (length !== undefined) res.setHeader('Content-Length', length)
  req.pipe(res)
}

/** Starts an origin. What `handler` throws ends the connection. */
export async function originServer(handler: OriginHandler = answerOk): Promise<Origin> {
  const requests: OriginRequest[] = []
  const sockets = new Set<Socket>()
  const numbers = new WeakMap<Socket, number>()
  let connections = 0
  const server = createServer((req, res) => {
    const seen = record(req, res, numbers.get(req.socket) ?? -1)
    requests.push(seen)
    Promise.resolve()
      .then(() => handler(req, res, seen))
      .catch(() => req.socket.destroy())
  })
  server.keepAliveTimeout = 60_000
  server.requestTimeout = 0
  server.on('connection', (socket) => {
    numbers.set(socket, connections++)
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    requests,
    server,
    get sockets() {
      return sockets.size
    },
    get connections() {
      return connections
    },
    request: (index = 0) => until(() => requests[index], `request ${index} at the origin`),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

function record(req: IncomingMessage, res: ServerResponse, connection: number): OriginRequest {
  let body: Promise<Buffer> | undefined
  let aborted = false
  const closed = new Promise<void>((resolve) => {
    res.on('close', () => {
      aborted = !res.writableFinished
      resolve()
    })
  })
  return {
    method: req.method ?? '',
    url: req.url ?? '',
    rawHeaders: req.rawHeaders,
    req,
    res,
    connection,
    closed,
    get aborted() {
      return aborted
    },
    get rawTrailers() {
      return req.rawTrailers
    },
    body() {
      body ??= collect(req)
      body.catch(() => {})
      return body
    },
  }
}

async function collect(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  if (!req.complete) throw new Error('the request ended before it was whole')
  return Buffer.concat(chunks)
}
