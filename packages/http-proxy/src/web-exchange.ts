import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import {
  asProxyError,
  type Body,
  type BodyInit,
  discard,
  type InboundRequest,
  type InboundResponse,
  type Ingress,
  inform,
  isInPlace,
  type Outbound,
  type Outcome,
  ProxyError,
  type Reply,
  RequestBody,
  type Sink,
  toBody,
  toReadable,
  watchQueued,
} from '@sluice/core'
import type { Attempt, Timeouts, Transport } from '@sluice/forward'
import { groupByName, type HeaderList, withoutHopByHop } from '@sluice/headers'
import type { Target } from '@sluice/upstream'
import debug from 'debug'
import { breakOff } from './break-off.js'
import { endCall } from './call.js'
import { FollowingTransport } from './following-transport.js'
import { nodeError } from './node-error.js'
import { outgoingPath } from './outgoing-path.js'
import { OutgoingRequest } from './outgoing-request.js'
import { ProxyResponse } from './proxy-response.js'
import type { ErrorCallback, ProxyServer } from './proxy-server.js'
import { frame, requestFields } from './request-fields.js'
import { rewriteResponse } from './rewrite-response.js'
import type { ParsedTarget, ServerOptions } from './server-options.js'
import { isShared, shareBody } from './share-body.js'
import { timeoutsOf } from './timeouts-of.js'
import { addTrailers, takesTrailers } from './trailers.js'

const log = debug('sluice:http-proxy')
const current = Symbol('sluice.http-proxy')
type Marked = { [current]?: WebExchange }

/**
 * One call of `web`: judges the request, sends it, and writes the answer to the response as http-proxy does, field by field, so that what
 * an app has set on the response or put around its methods goes on working.
 *
 * new ──sent()──▶ waiting ──answered()──▶ flowing ──end()──▶ over
 *                    └── failed() ──▶ over, the listeners of `error` answer
 * At any time before `over` the response's close cancels what is under way.
 */
export class WebExchange implements Sink, Attempt {
  readonly target: Target
  readonly out: Outbound
  readonly timeouts: Timeouts
  private readonly transport: Transport
  private readonly request: RequestBody | undefined
  private closers: [(end: Outcome, arg: never) => void, unknown] | undefined = undefined
  private outgoing: OutgoingRequest | undefined = undefined
  private body: Body | null = null
  private corked = true
  private first: Uint8Array | undefined = undefined
  private over = false
  private drain: (() => void) | undefined = undefined
  private trailers: Reply['trailers'] = undefined
  private proxyRes: ProxyResponse | undefined = undefined
  /** An app may take it from the request. */
  private readonly socket: InboundRequest['socket']

  /** @throws ProxyError if the request can't be believed */
  constructor(
    private readonly server: ProxyServer,
    private readonly req: InboundRequest,
    private readonly res: InboundResponse,
    private readonly options: ServerOptions,
    private readonly where: ParsedTarget,
    private readonly callback: ErrorCallback | undefined,
    { out, authority }: Ingress,
  ) {
    this.socket = req.socket
    this.target = server.targets.target(where, options)
    const transport = server.targets.transportOf(options, req, res)
    this.transport = options.followRedirects
      ? new FollowingTransport(transport, server.targets, options)
      : transport
    this.timeouts = timeoutsOf(options)
    this.out = {
      method: options.method?.toUpperCase() ?? out.method,
      path: outgoingPath(req.url as string, where, options),
      headers: requestFields(req, out.headers, authority, options, where, false),
      body: out.body,
    }
    this.request = out.body instanceof RequestBody ? out.body : undefined
  }

  /** Calls the listeners of `proxyReq`, and sends. */
  send(): void {
    const { server, req, res, options, out } = this
    const marked = res as Marked
    if (marked[current] === undefined) {
      res.on('close', onClose)
      if (!('stream' in res) && res.socket === null) watchQueued({ res, closed: onLost }, this.socket)
    }
    marked[current] = this
    if (res.destroyed || this.isGone) {
      this.closed()
      return
    }
    let edited = options.headers !== undefined
    if (server.listenerCount('proxyReq') > 0) {
      const outgoing = this.toldOf()
      server.raise('proxyReq', outgoing, req, res, options)
      outgoing.headersSent = true
      edited = true
      if (outgoing.destroyed) {
        this.failed(new ProxyError('connection_terminated', { cause: outgoing.reason }))
        return
      }
      if (outgoing.written.length > 0) out.body = this.written(outgoing.written)
    }
    // A listener has answered by itself.
    if (res.writableEnded) {
      this.over = true
      return
    }
    if (edited) out.headers = withoutHopByHop(out.headers)
    if (this.request !== undefined && out.body === this.request && isShared(req))
      out.body = shareBody(req, this.request.length)
    this.checkBody()
    const body = toBody(out.body)
    frame(out.headers, body === null ? 0 : body.length, out.method)
    this.transport.send(this).then(
      (reply) => this.answered(reply),
      (error: unknown) => this.failed(error),
    )
  }

  /** The request as listeners see it, of `proxyReq` or of the answer alone. */
  private toldOf(): OutgoingRequest {
    this.outgoing ??= new OutgoingRequest(this.out, this.where, (why) => this.cancel(why))
    return this.outgoing
  }

  /** What a listener has written: in place of a body that was read before, else ahead of it. */
  private written(chunks: readonly Buffer[]): BodyInit {
    const bytes = Buffer.concat(chunks)
    const { body } = this.out
    if (body === null || body instanceof Uint8Array || typeof body === 'string') return bytes
    return Readable.from(joined(bytes, toReadable(body)), { objectMode: false })
  }

  /** @throws ProxyError body_consumed: the target would wait for what never comes */
  private checkBody(): void {
    const { out, req } = this
    if (out.body !== null || !req.readableDidRead) return
    const length = req.headers['content-length']
    if (req.headers['transfer-encoding'] === undefined && (length === undefined || length === '0')) return
    throw new ProxyError('body_consumed', {
      message:
        'the request body was read before the proxy saw it: give it as options.buffer, or write it in proxyReq',
    })
  }

  inform(status: number, headers: HeaderList): void {
    if (!this.over) inform(this.res, status, headers)
  }

  onClose<T>(fn: (end: Outcome, arg: T) => void, arg: T): void {
    this.closers = [fn as (end: Outcome, arg: never) => void, arg]
  }

  private cancel(error: Error): void {
    const { closers } = this
    if (this.over || closers === undefined) return
    closers[0](
      { kind: 'error', error: new ProxyError('connection_terminated', { cause: error }), bytes: 0 },
      closers[1] as never,
    )
  }

  private answered(reply: Reply): void {
    if (this.over) {
      discard(reply)
      return
    }
    try {
      this.respond(reply)
    } catch (error) {
      discard(reply)
      this.failed(error)
    }
  }

  private respond(reply: Reply): void {
    const { server, req, res, options } = this
    let { status, headers } = reply
    let message = reply.reason
    const watched =
      options.selfHandleResponse || server.listenerCount('proxyRes') > 0 || server.listenerCount('end') > 0
    if (watched) {
      const outgoing = this.toldOf()
      outgoing.headersSent = true
      const proxyRes = new ProxyResponse(reply, outgoing)
      this.proxyRes = proxyRes
      outgoing.emit('response', proxyRes)
      server.raise('proxyRes', proxyRes, req, res)
      status = proxyRes.statusCode
      message = proxyRes.statusMessage
      headers = proxyRes.fields
    }
    const { proxyRes } = this
    if (!res.headersSent && !options.selfHandleResponse) {
      // As the target has framed it: Node would say the length of an answer that it sees whole.
      if (reply.body !== null && !('stream' in res)) res.removeHeader('content-length')
      const bare = reply.body === null || req.method === 'HEAD'
      this.writeHead(status, message, headers, bare)
      if (this.request?.isUnread(bare) === true && !('stream' in res))
        (res as ServerResponse).shouldKeepAlive = false
    }
    if (res.writableEnded) {
      // A listener has answered by itself.
      if (proxyRes === undefined) discard(reply)
      else if (!proxyRes.isRead) proxyRes.destroy()
      this.finish()
      server.tell('end', req, res, proxyRes)
      return
    }
    if (proxyRes !== undefined) {
      proxyRes.on('end', () => {
        this.finish()
        server.tell('end', req, res, proxyRes)
      })
      if (options.selfHandleResponse) return
      proxyRes.on('error', () => this.tear())
      // Ahead of the pipe's own listener, which ends the response.
      proxyRes.on('end', () => {
        this.request?.answered(res, false)
        if (proxyRes.rawTrailers.length > 0) addTrailers(res, proxyRes.rawTrailers)
      })
      proxyRes.pipe(res as ServerResponse)
      return
    }
    this.trailers = reply.trailers
    const body = toBody(reply.body)
    this.body = body
    if (body === null) {
      this.finish()
      this.request?.answered(res, true)
      res.end()
      return
    }
    body.pipe(this)
    // Nothing came with the head: the client learns at once what there is to know.
    if (this.corked && !this.over) this.flush()
  }

  private writeHead(status: number, message: string | undefined, list: HeaderList, bare: boolean): void {
    const { req, res, options, where } = this
    const host = (req.headers.host ?? req.headers[':authority'] ?? '') as string
    const fields = rewriteResponse(list, status, options, where, host)
    const asIs = options.preserveHeaderKeyCase
    const h2 = 'stream' in res
    const trailers = takesTrailers(res, fields, bare)
    res.statusCode = status
    if (!h2 && message !== undefined && message !== '') (res as ServerResponse).statusMessage = message
    for (const [name, value] of groupByName(fields)) {
      const lower = name.toLowerCase()
      if (lower === 'transfer-encoding' || (h2 && lower === 'connection')) continue
      if (lower === 'trailer' && !trailers) continue
      ;(res as ServerResponse).setHeader(asIs ? name : lower, value)
    }
  }

  write(chunk: Uint8Array): boolean {
    if (this.over || this.res.writableEnded) return false
    if (this.corked && this.first === undefined) {
      this.first = chunk
      return true
    }
    if (this.corked) this.flush()
    return this.put(chunk)
  }

  end(trailers?: HeaderList): void {
    const { res, first } = this
    if (this.over || res.writableEnded) return
    this.finish()
    this.request?.answered(res, false)
    const fields = trailers ?? this.trailers?.()
    const some = fields !== undefined && fields.length > 0
    // An app may have put its own `write` there, and `end` goes past it.
    if (this.corked && (some || Object.hasOwn(res, 'write'))) this.flush()
    if (some) addTrailers(res, fields)
    if (this.corked && first !== undefined) res.end(first)
    else res.end()
  }

  abort(): void {
    if (!this.over) this.tear()
  }

  onDrain(fn: () => void): void {
    this.drain = fn
  }

  private flush(): void {
    const { first, res } = this
    this.corked = false
    this.first = undefined
    if (first !== undefined) this.put(first)
    else (res as ServerResponse).flushHeaders()
  }

  private put(chunk: Uint8Array): boolean {
    const { res } = this
    // What an app has put there may return nothing, and then no drain comes either.
    const room = ((res as ServerResponse).write(chunk) as unknown) !== false
    if (!room && this.drain !== undefined) {
      res.on('drain', this.drain)
      this.drain = undefined
    }
    return room
  }

  private tear(): void {
    this.finish()
    breakOff(this.res)
  }

  /** What is left of an upload that has failed would have to be read before another request, whoever answers this one. */
  private endUpload(): void {
    const { request, res } = this
    if (request?.isUnread(false) !== true) return
    if (!('stream' in res)) (res as ServerResponse).shouldKeepAlive = false
    request.answered(res, false)
  }

  /** The client has left. What `connectCache` waits for may be wanted by others then, and is told of by the response alone. */
  private get isGone(): boolean {
    return this.socket.destroyed && !isInPlace(this.res)
  }

  /** Nothing is under way any more. */
  private finish(): void {
    this.over = true
    this.closers = undefined
    this.outgoing?.over()
  }

  /** The response has closed. What is under way isn't wanted any more. */
  closed(): void {
    const { closers, over, server, req, res, proxyRes } = this
    // An app that has answered may read on; what nobody reads would keep the target's connection.
    if (proxyRes !== undefined && !(res.writableFinished && proxyRes.isRead)) proxyRes.destroy()
    if (over) return
    if (proxyRes !== undefined && !proxyRes.destroyed) return
    const waiting = this.body === null && proxyRes === undefined
    this.finish()
    const error = new ProxyError('client_left')
    closers?.[0]({ kind: 'client-left', error, bytes: 0 }, closers[1] as never)
    this.body?.cancel(error)
    if (log.enabled) log('%s %s: the client left', req.method, req.url)
    if (waiting && server.listenerCount('econnreset') > 0)
      server.tell('econnreset', nodeError(error), req, res, this.where)
  }

  /** No answer will come. */
  failed(error: unknown): void {
    if (this.over) return
    const { server, req, res, where, callback, outgoing } = this
    const failure = asProxyError(error)
    if (failure.code === 'client_left' || this.isGone) {
      this.closed()
      return
    }
    const told = nodeError(failure, this.options)
    this.finish()
    outgoing?.emit('error', told)
    if (log.enabled) log('%s %s: %s: %s', req.method, req.url, failure.code, failure.message)
    this.endUpload()
    server.fault(told, failure, req, res, where, callback)
  }
}

async function* joined(bytes: Buffer, rest: Readable): AsyncGenerator<Buffer> {
  yield bytes
  for await (const chunk of rest) yield chunk as Buffer
}

function onClose(this: InboundResponse): void {
  ;(this as Marked)[current]?.closed()
}

/** The same of a response whose turn has not come: it tells nothing, to those either who await the call. */
function onLost(this: { readonly res: InboundResponse }): void {
  onClose.call(this.res)
  endCall(this.res)
}
