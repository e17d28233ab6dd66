import diagnostics from 'node:diagnostics_channel'
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import debug from 'debug'
import type { Handler } from './chain.js'
import type { Context, Outcome } from './context.js'
import { errorReply } from './error-reply.js'
import { Exchange } from './exchange.js'
import { ingress } from './ingress.js'
import { asProxyError, ProxyError } from './proxy-error.js'
import { discard, type Reply, unhandled } from './reply.js'
import { report } from './report.js'
import { Responder } from './responder.js'
import { openTunnel } from './tunnel.js'
import { watchQueued } from './watch-queued.js'

const log = debug('sluice:core')
const started = diagnostics.channel('sluice:request:start')
const ended = diagnostics.channel('sluice:request:end')

/** What servers and frameworks hand to a listener. */
export type InboundRequest = IncomingMessage | Http2ServerRequest
/** What servers and frameworks hand to a listener. */
export type InboundResponse = ServerResponse | Http2ServerResponse
/** A `next` of Express or Connect. */
export type Next = (error?: unknown) => void

const mounted = Symbol('sluice.responder')
type Marked = { [mounted]?: Responder }

/**
 * A handler as a request listener for `node:http`, `https`, `http2`, Express and Connect. Every error becomes a reply or
 * the end of the connection; none is thrown. `unhandled` becomes `next()` where there is a `next`, else 404.
 */
export function toListener(
  handler: Handler,
): (req: InboundRequest, res: InboundResponse, next?: Next) => void {
  return function listener(req, res, next) {
    void serve(handler, req, res, next)
  }
}

/**
 * A handler as a listener for the `upgrade` event. A reply with 101 and a socket becomes a tunnel; any other reply is
 * written to the socket as the response that it is, and the connection ends.
 */
export function toUpgradeListener(
  handler: Handler,
): (req: IncomingMessage, socket: Duplex, head: Buffer) => void {
  return function listener(req, socket, head) {
    // The socket has lost its server's listeners: without one of ours a reset would end the process.
    socket.on('error', ignore)
    const ahead = (socket as Occupied)._httpMessage
    if (ahead) {
      // A client that pipelines: the socket is free, and no longer watched for idleness, when what is ahead has gone out.
      ahead.once('close', () => {
        if ('setTimeout' in socket) (socket as Socket).setTimeout(0)
        listener(req, socket, head)
      })
      return
    }
    const res = new ServerResponse(req)
    res.shouldKeepAlive = false
    res.assignSocket(socket as never)
    res.on('finish', () => {
      // Not end(): a client that keeps its half open would keep the socket.
      if (!res.destroyed) destroySoon(socket)
    })
    // Only a server tells its responses that their socket has room again.
    socket.on('drain', () => res.emit('drain'))
    // assignSocket listens for the socket's close, but only a server tells its response.
    socket.once('close', () => {
      if (!res.destroyed) res.destroy()
      res.emit('close')
    })
    // Bytes behind the head belong to the new protocol; they go back where a tunnel will read them.
    if (head.length > 0) socket.unshift(head)
    // RFC 9110 section 7.8: a server may ignore Upgrade. An h2c tunnel would carry requests past every rule of the proxy.
    const protocol = req.headers.upgrade?.trim().toLowerCase()
    void serve(handler, req, res, undefined, protocol === 'h2c' ? undefined : protocol, socket)
  }
}

/** Node keeps here the response that a socket carries now. */
type Occupied = Duplex & { _httpMessage?: ServerResponse | null }

function ignore(): void {}

/** Destroys a socket once what was written is out. */
function destroySoon(socket: Duplex): void {
  socket.end(() => socket.destroy())
}

async function serve(
  handler: Handler,
  req: InboundRequest,
  res: InboundResponse,
  next: Next | undefined,
  upgrade?: string,
  socket?: Duplex,
): Promise<void> {
  if (res.headersSent || res.writableEnded) {
    late(req, next)
    return
  }
  const exchange = open(req, res, upgrade, socket !== undefined)
  const responder = new Responder(exchange, res)
  ;(res as Marked)[mounted] = responder
  res.on('close', onClose)
  if (started.hasSubscribers) started.publish({ ctx: exchange })
  if (ended.hasSubscribers) exchange.onClose(publishEnd, exchange)
  // The client may have left while something before the proxy was at work: its close was told then, and never again.
  if (hasClosed(req, res)) {
    responder.closed()
    return
  }
  if (!('stream' in res) && res.socket === null) watchQueued(responder, req.socket)
  let reply: Reply
  try {
    reply = exchange.failure === undefined ? await handler(exchange) : errorReply(exchange.failure)
  } catch (error) {
    const failure = asProxyError(error)
    report(failure, exchange)
    exchange.failed(failure)
    reply = errorReply(failure)
  }
  if (reply === unhandled && next !== undefined) {
    res.off('close', onClose)
    exchange.end({ kind: 'done', bytes: 0 })
    next()
    return
  }
  if (reply?.status === 101 && reply.socket !== undefined && socket !== undefined) {
    if (socket.destroyed || exchange.outcome !== undefined) {
      discard(reply)
      return
    }
    if (reply.socket.destroyed) {
      // The target left between its 101 and now: a tunnel to it would never end.
      responder.send(errorReply(new ProxyError('http_upgrade_failed')))
      return
    }
    // From here on the end of the tunnel is the exchange's.
    res.off('close', onClose)
    openTunnel(exchange, socket, res as ServerResponse, reply)
    return
  }
  responder.send(reply)
}

function hasClosed(req: InboundRequest, res: InboundResponse): boolean {
  if ('stream' in res) return res.stream === undefined || res.stream.destroyed
  return res.destroyed || req.socket.destroyed
}

/** The exchange of a request. One that can't be judged carries its failure and has nothing to send on. */
function open(
  req: InboundRequest,
  res: InboundResponse,
  upgrade: string | undefined,
  upgrading: boolean,
): Exchange {
  const scheme = (req.socket as { encrypted?: boolean }).encrypted === true ? 'https' : 'http'
  try {
    const { out, authority } = ingress(req)
    // Node takes the bytes behind such a head for the new protocol's: what is content in them can't be told.
    if (upgrading && out.body !== null)
      throw new ProxyError('http_request_error', { message: 'an upgrade with a request body' })
    const exchange = new Exchange(req, scheme, authority, out, res)
    if (upgrade !== undefined) (exchange as { upgrade?: string }).upgrade = upgrade
    return exchange
  } catch (error) {
    const exchange = new Exchange(req, scheme, '', {
      method: req.method ?? '',
      path: '/',
      headers: [],
      body: null,
    })
    const failure = asProxyError(error)
    report(failure, exchange)
    exchange.failed(failure)
    return exchange
  }
}

function onClose(this: InboundResponse): void {
  ;(this as Marked)[mounted]?.closed()
}

function publishEnd(outcome: Outcome, ctx: Context): void {
  ended.publish({ ctx, outcome })
}

/** Somebody has answered already: all that is left is to tell the app. */
function late(req: InboundRequest, next: Next | undefined): void {
  const message = 'the proxy was called after the response had begun: let either the app or the proxy answer'
  const error = new ProxyError('proxy_internal_error', { message })
  if (log.enabled) log('%s %s: %s', req.method, req.url, message)
  if (next !== undefined) next(error)
}
