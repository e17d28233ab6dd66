import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { needFunction } from '@sluice/options'
import type { Handler } from './chain.js'
import { lingeringClose } from './lingering-close.js'
import { serve } from './mount.js'
import { offeredProtocols } from './offered-protocols.js'
import { SocketEnd, StreamEnd } from './tunnel-end.js'

/** How {@link toUpgradeListener} looks at requests. */
export interface UpgradeOptions {
  /** A WebSocket handshake without a proper key is left to the target to judge; by default it is answered 400. */
  readonly keyless?: boolean
}

/**
 * A handler as a listener for the `upgrade` event. A reply with 101 and a socket becomes a tunnel; any other reply is
 * written to the socket as the response that it is, and the connection ends.
 */
export function toUpgradeListener(
  handler: Handler,
  { keyless }: UpgradeOptions = {},
): (req: IncomingMessage, socket: Duplex, head: Buffer) => void {
  needFunction(handler, 'toUpgradeListener', 'a handler')
  return function listener(req, socket, head) {
    onSocket(handler, req, socket, head, false, keyless)
  }
}

/** A listener for the `connect` event: of a server of HTTP/1.1, or with a response of one of HTTP/2. */
export type ConnectListener = (
  req: IncomingMessage | Http2ServerRequest,
  socket: Duplex | Http2ServerResponse,
  head?: Buffer,
) => void

/**
 * A handler as a listener for `connect`. On HTTP/1.1 that is a CONNECT, and a 2xx with a socket opens the tunnel. On HTTP/2
 * it may also be what an upgrade is on HTTP/1.1 (RFC 8441): the handler sees an upgrade, and its 101 becomes 200.
 */
export function toConnectListener(handler: Handler): ConnectListener {
  return function listener(req, socket, head) {
    if (!('stream' in req)) {
      onSocket(handler, req, socket as Duplex, head as Buffer, true)
      return
    }
    const { stream } = req
    // It may be lost while the target is asked.
    stream.on('error', ignore)
    const end = new StreamEnd(stream, req.headers[':protocol'] === undefined)
    serve(handler, req, socket as Http2ServerResponse, undefined, { end })
  }
}

function onSocket(
  handler: Handler,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  connect: boolean,
  keyless?: boolean,
): void {
  // The socket has lost its server's listeners: without one of ours a reset would end the process.
  socket.on('error', ignore)
  // Only a server tells its responses that their socket has room again, those ahead of this request too.
  socket.on('drain', hasRoom)
  whenFree(handler, req, socket, head, connect, keyless)
}

function whenFree(
  handler: Handler,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  connect: boolean,
  keyless?: boolean,
): void {
  const ahead = (socket as Occupied)._httpMessage
  if (ahead) {
    // A client that pipelines: the socket is free, and no longer watched for idleness, when what is ahead has gone out.
    ahead.once('close', () => {
      if ('setTimeout' in socket) (socket as Socket).setTimeout(0)
      whenFree(handler, req, socket, head, connect, keyless)
    })
    return
  }
  const res = new ServerResponse(req)
  res.shouldKeepAlive = false
  res.assignSocket(socket as never)
  res.on('finish', () => {
    if (!res.destroyed) lingeringClose(socket)
  })
  // assignSocket listens for the socket's close, but only a server tells its response.
  socket.once('close', () => {
    if (!res.destroyed) res.destroy()
    res.emit('close')
  })
  // Bytes behind the head belong to the new protocol; they go back where a tunnel will read them.
  if (head.length > 0) socket.unshift(head)
  serve(handler, req, res, undefined, {
    upgrade: connect ? undefined : offeredProtocols(req),
    end: new SocketEnd(socket, res, connect),
    keyless,
  })
}

/** Node keeps here the response that a socket carries now. */
type Occupied = Duplex & { _httpMessage?: ServerResponse | null }

function hasRoom(this: Duplex): void {
  ;(this as Occupied)._httpMessage?.emit('drain')
}

function ignore(): void {}
