import diagnostics from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { HeaderList } from '@sluice/headers'
import { needFunction } from '@sluice/options'
import debug from 'debug'
import type { Handler } from './chain.js'
import { watchClosed } from './closed-streams.js'
import type { Context, Outcome } from './context.js'
import { takeEnd } from './end-of-request.js'
import { endsBefore } from './ending-connection.js'
import { errorReply } from './error-reply.js'
import { Exchange } from './exchange.js'
import { ingress } from './ingress.js'
import { asProxyError, ProxyError } from './proxy-error.js'
import { discard, type Reply, unhandled } from './reply.js'
import { report } from './report.js'
import { RequestBody } from './request-body.js'
import { Responder } from './responder.js'
import { openTunnel } from './tunnel.js'
import type { TunnelEnd } from './tunnel-end.js'
import { unhandledAnswer } from './unhandled-answer.js'
import { watchQueued } from './watch-queued.js'
import { hasWebSocketKey, hasWebSocketVersion } from './websocket-handshake.js'

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
type Marked = { [mounted]?: Responder | undefined }

/**
 * A handler as a request listener for `node:http`, `https`, `http2`, Express and Connect. Every error becomes a reply or
 * the end of the connection; none is thrown. `unhandled` becomes `next()` where there is a `next`, else 404.
 */
export function toListener(
  handler: Handler,
): (req: InboundRequest, res: InboundResponse, next?: Next) => void {
  needFunction(handler, 'toListener', 'a handler')
  return function listener(req, res, next) {
    serve(handler, req, res, next)
  }
}

const expecting: Arrival = { expects: true }

/** A handler as a listener for `checkContinue`: the client hears 100 Continue once somebody takes its body. */
export function toContinueListener(handler: Handler): (req: InboundRequest, res: InboundResponse) => void {
  return function listener(req, res) {
    serve(handler, req, res, undefined, expecting)
  }
}

/** How a request has come, where not as an ordinary one. */
export interface Arrival {
  /** The client waits for 100 Continue before it sends the body. */
  readonly expects?: boolean
  /** The app reads the request itself, and may have done so: the exchange has no body. */
  readonly bodyIsApps?: boolean
  /** Told what writes the answer. */
  readonly heard?: (responder: Responder) => void
  /** The protocol that the client wants to go over to. */
  readonly upgrade?: string | undefined
  /** The target judges the key of a WebSocket handshake. */
  readonly keyless?: boolean | undefined
  /** The client's end of what may become a tunnel. */
  readonly end?: TunnelEnd
}

/** Serves one request, however it has come. Never throws. */
export function serve(
  handler: Handler,
  req: InboundRequest,
  res: InboundResponse,
  next?: Next,
  arrival?: Arrival,
): void {
  if (res.headersSent || res.writableEnded) {
    late(req, res, next)
    return
  }
  const exchange = open(req, res, arrival)
  const responder = new Responder(exchange, res, endsUnheard(exchange, req, next, arrival))
  arrival?.heard?.(responder)
  // A mount further out has it, and its end hears the same event.
  const within = (res as Marked)[mounted] !== undefined
  if (within) res.on('close', () => responder.closed())
  else {
    ;(res as Marked)[mounted] = responder
    res.on('close', onClose)
  }
  if (started.hasSubscribers) started.publish({ ctx: exchange })
  if (ended.hasSubscribers) exchange.onClose(publishEnd, exchange)
  // The client may have left while something before the proxy was at work: its close was told then, and never again.
  if (within ? (res as { destroyed?: boolean }).destroyed === true : hasClosed(req, res)) {
    responder.closed()
    return
  }
  if (within) {
    // Whoever has it watches it.
  } else if ('stream' in res) watchClosed(res.stream)
  else if (res.socket === null) watchQueued(responder, req.socket)
  if (exchange.failure !== undefined)
    return answer(errorReply(exchange.failure), exchange, responder, next, arrival)
  let reply: Reply | Promise<Reply>
  try {
    reply = handler(exchange)
  } catch (error) {
    reply = Promise.reject(error)
  }
  // No async function: with its own state it would be the largest object of a request.
  Promise.resolve(reply).then(
    (given) => answer(given, exchange, responder, next, arrival),
    (error) => answer(failed(error, exchange), exchange, responder, next, arrival),
  )
}

/** What a client sees of a handler that has thrown. */
function failed(error: unknown, exchange: Exchange): Reply {
  const failure = asProxyError(error)
  report(failure, exchange)
  exchange.failed(failure)
  return errorReply(failure)
}

/** Hands on what the handler gave: to the client, to the app's next handler, or to the tunnel that it opens. */
function answer(
  given: Reply,
  exchange: Exchange,
  responder: Responder,
  next: Next | undefined,
  arrival: Arrival | undefined,
): void {
  const { res } = responder
  if (given === unhandled && next !== undefined) {
    // A mount that follows has it all to itself; one further out keeps it.
    if ((res as Marked)[mounted] === responder) {
      res.off('close', onClose)
      delete (res as Marked)[mounted]
    }
    exchange.end({ kind: 'done', bytes: 0 })
    next()
    return
  }
  if (given === unhandled && (exchange.unhandledPage ?? exchange.unhandledEdits) !== undefined) {
    unhandledAnswer(exchange).then(
      (page) =>
        page === unhandled ? responder.send(page) : answer(page, exchange, responder, next, arrival),
      (error) => responder.send(failed(error, exchange)),
    )
    return
  }
  let reply = given
  const end = arrival?.end
  if (reply?.socket !== undefined && end !== undefined && opens(reply.status, end)) {
    if (end.duplex.destroyed || exchange.outcome !== undefined) {
      discard(reply)
      return
    }
    // The target may have left between its answer and now: a tunnel to it would never end.
    const wrong = reply.socket.destroyed ? new ProxyError('http_upgrade_failed') : end.judge(exchange, reply)
    if (wrong === undefined) {
      // From here on the end of the tunnel is the exchange's.
      res.off('close', onClose)
      openTunnel(exchange, end, reply)
      return
    }
    discard(reply)
    reply = failed(wrong, exchange)
  } else if (reply?.socket !== undefined) {
    // A layer has made another answer of one with a socket.
    reply.socket.destroy()
  }
  if (end?.opensBySuccess === true && isSuccess(reply?.status)) {
    // The target takes no part in it, as it may (RFC 9110 section 7.8): the client would read its page as the tunnel's bytes.
    discard(reply)
    reply = failed(new ProxyError('http_upgrade_failed', { message: 'an answer without a tunnel' }), exchange)
  }
  responder.send(reply)
}

/** Whether a request ends without anybody's hearing it: one with no body, where nobody follows who may listen. */
function endsUnheard(
  { failure, out }: Exchange,
  req: InboundRequest,
  next: Next | undefined,
  arrival: Arrival | undefined,
): boolean {
  if ('stream' in req || out.body !== null || failure !== undefined) return false
  return next === undefined && arrival === undefined && takeEnd(req)
}

/** Whether an answer of this status makes a tunnel of what the client has asked with. */
function opens(status: number, end: TunnelEnd): boolean {
  return end.connect ? isSuccess(status) : status === 101
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

function hasClosed(req: InboundRequest, res: InboundResponse): boolean {
  if ('stream' in res) return res.stream === undefined || res.stream.destroyed
  return res.destroyed || req.socket.destroyed || endsBefore(req as IncomingMessage, res)
}

/** The exchange of a request. One that can't be judged carries its failure and has nothing to send on. */
function open(req: InboundRequest, res: InboundResponse, arrival: Arrival | undefined): Exchange {
  const scheme = (req.socket as { encrypted?: boolean }).encrypted === true ? 'https' : 'http'
  try {
    const { out, authority, protocol } = ingress(req, arrival?.bodyIsApps !== true)
    const exchange = new Exchange(req, scheme, authority, out, res)
    if (arrival === undefined) return exchange
    const { body } = out
    // Node takes the bytes behind such a head for the new protocol's: what is content in them can't be told.
    if (arrival.end !== undefined && body !== null)
      refuse('upgrade-with-body', 'an upgrade with a request body')
    if (arrival.expects === true && body instanceof RequestBody) body.expect(res)
    const upgrade = protocol ?? arrival.upgrade
    if (upgrade === undefined) return exchange
    if (upgrade === 'websocket' && arrival.keyless !== true) judgeWebSocket(out.headers)
    ;(exchange as { upgrade?: string }).upgrade = upgrade
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

function judgeWebSocket(headers: HeaderList): void {
  if (!hasWebSocketKey(headers)) refuse('websocket-key', 'the Sec-WebSocket-Key is not 16 bytes of base64')
  if (hasWebSocketVersion(headers)) return
  // RFC 6455 section 4.4: the answer says which version there is. RFC 9110 section 15.5.22: and the protocol.
  throw new ProxyError('http_request_upgrade_version', {
    reason: 'websocket-version',
    headers: ['Connection', 'close, Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Version', '13'],
  })
}

function refuse(reason: string, message: string): never {
  throw new ProxyError('http_request_error', { reason, message })
}

/** What Node keeps of a stream of HTTP/2 that has ended, some till the next full collection, shall not keep all that has served it. */
function onClose(this: InboundResponse): void {
  const marked = this as Marked
  const responder = marked[mounted]
  marked[mounted] = undefined
  responder?.closed()
}

function publishEnd(outcome: Outcome, ctx: Context): void {
  ended.publish({ ctx, outcome })
}

/** Somebody has answered already: all that is left is to tell the app. */
function late(req: InboundRequest, res: InboundResponse, next: Next | undefined): void {
  const message = 'the proxy was called after the response had begun: let either the app or the proxy answer'
  const error = new ProxyError('proxy_internal_error', { message })
  if (log.enabled) log('%s %s: %s', req.method, req.url, message)
  if (next === undefined) return
  // An app ends the connection for it, and would cut what is still to go out of an answer that is whole.
  if (res.writableEnded && !res.writableFinished) res.once('finish', () => next(error))
  else next(error)
}
