import { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { get, groupByName, type HeaderList, has, remove, set } from '@sluice/headers'
import { toBody } from './bodies.js'
import { bodiless } from './bodiless.js'
import type { Body, EndSink, Spent } from './body.js'
import { BytesBody } from './bytes-body.js'
import { replyFault } from './check-reply.js'
import { endInOneWrite, endsInOneWrite } from './end-in-one-write.js'
import { tellEnd } from './end-of-request.js'
import { endOfTurn } from './end-of-turn.js'
import { noteEnd } from './ending-connection.js'
import { errorReplyInstead } from './error-reply.js'
import type { Exchange } from './exchange.js'
import { failedStream } from './failed-stream.js'
import { HeldFlush, type Holding } from './flush-held.js'
import { checkHttp2Head, putHttp2Fields } from './http2-head.js'
import { needSendable } from './http2-head-size.js'
import { isInPlace } from './in-place.js'
import { mergeField } from './merge-field.js'
import { asProxyError, ProxyError } from './proxy-error.js'
import { ReaderPace } from './reader-pace.js'
import { discard, type Reply } from './reply.js'
import { report } from './report.js'
import { RequestBody } from './request-body.js'
import { resetSocket } from './reset-socket.js'
import { storeHead } from './store-head.js'
import { trailerFields } from './trailer-fields.js'

/**
 * Writes one reply to one response and is the sink of its body. The head waits until the body's first bytes are there or
 * turn out not to be: a small answer is then one write, and a body that fails at once can still become an error page.
 *
 * new ──start()──▶ corked ──flush()──▶ flowing ──end()──▶ ended
 *                    └──────────── abort() ─────────────▶ aborted
 */
export class Responder implements EndSink {
  private body: Body | null = null
  private corked = true
  private first: Uint8Array | undefined = undefined
  private firstSpent: Spent | undefined = undefined
  private ended = false
  private aborted: Error | undefined = undefined
  private bytes = 0
  /** Bytes that the head announces. */
  private length: number | undefined = undefined
  private drain: (() => void) | undefined = undefined
  /** Whose answer it is: what an app hears of its end finds its own `AsyncLocalStorage`, and not that of the turn's first. */
  private context: AsyncResource | undefined = undefined
  private held: HeldFlush | undefined = undefined
  private pace: ReaderPace | undefined = undefined
  private readonly h1: boolean
  /** The response is an app's side of another one: its connection isn't ours to end, and how its end goes out isn't ours to hear. */
  private readonly within: boolean
  /** The body of the request, while it may not be whole. */
  private readonly request: RequestBody | undefined
  private reply: Reply | undefined = undefined

  constructor(
    private readonly exchange: Exchange,
    /** What it writes to: `toConnect` puts the client's side of it in its place, once the app has the other one. */
    public res: ServerResponse | Http2ServerResponse,
    /** Nobody has heard the end of the request. */
    private readonly endTaken = false,
  ) {
    this.within = isInPlace(res)
    this.h1 = this.within || !('stream' in res)
    const { body } = exchange.out
    this.request = body instanceof RequestBody ? body : undefined
  }

  /** Sends `reply`. Never throws: what can't be sent becomes an error page, or the end of the connection. */
  send(reply: Reply): void {
    const { res } = this
    if (res.headersSent || res.writableEnded || this.exchange.outcome !== undefined) {
      discard(reply)
      return
    }
    try {
      this.start(reply)
    } catch (error) {
      this.abort(asProxyError(error))
    }
  }

  private start(reply: Reply): void {
    check(reply)
    this.reply = reply
    if (!this.h1) checkHttp2Head(this.res as Http2ServerResponse, reply)
    const { body } = reply
    const isHead = this.exchange.req.method === 'HEAD'
    if (body === null || isHead || bodiless(reply.status)) {
      if (body !== null && !bodiless(reply.status)) this.announce(toBody(body) as Body, isHead)
      else this.announceNothing(isHead)
      if (body !== null) discard(reply)
      this.writeHead(this.reply, true, true)
      this.corked = false
      this.ended = true
      this.request?.answered(this.res, true)
      this.finish()
      return
    }
    this.body = toBody(body) as Body
    this.announce(this.body, isHead)
    this.take(this.body)
    // Nothing came with the head: the client learns at once what there is to know.
    if (this.corked && !this.ended && this.aborted === undefined) this.flush()
  }

  /** @throws ProxyError if the head says another length than the body has: the client would wait, or read on too far */
  private announce(body: Body, isHead: boolean): void {
    const { headers } = this.reply as Reply
    const announced = get(headers, 'content-length')
    if (announced === undefined) {
      this.length = body.length
      if (body instanceof BytesBody) this.edit([...headers, 'content-length', String(body.length)])
      return
    }
    this.length = Number(announced)
    if (isHead || (body.length ?? this.length) === this.length) return
    body.cancel()
    this.body = null
    throw noReply(`a reply has ${body.length} bytes and says Content-Length: ${announced}`)
  }

  private announceNothing(isHead: boolean): void {
    const { headers, status } = this.reply as Reply
    // Of HEAD and 304 it is the length of another answer; of 204 there is none (RFC 9110 section 8.6).
    if (status === 304 || (isHead && status !== 204)) return
    const announced = get(headers, 'content-length')
    if (announced === undefined) return
    if (status === 204) this.edit(remove(headers.slice(), 'content-length'))
    else if (status === 205) this.edit(set(headers.slice(), 'Content-Length', '0'))
    else if (announced !== '0') throw noReply(`a reply has no body and says Content-Length: ${announced}`)
  }

  /** Other fields for the same reply; a handler may give one reply many times, so its own list is left alone. */
  private edit(headers: HeaderList): void {
    this.reply = { ...(this.reply as Reply), headers }
  }

  private take(body: Body): void {
    try {
      body.pipe(this)
    } catch (error) {
      // A body that somebody else has taken is not ours to cancel.
      this.body = null
      throw error
    }
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    // Code of the host app may have ended the response meanwhile: its close is about to tell.
    if (this.aborted !== undefined || this.ended || this.res.writableEnded) return false
    this.bytes += chunk.length
    if (this.corked && this.first === undefined) {
      this.first = chunk
      this.firstSpent = spent
      return true
    }
    if (this.corked && !this.flush()) return false
    return this.put(chunk, spent)
  }

  end(trailers?: HeaderList): void {
    const { first, length, res } = this
    if (this.aborted !== undefined || this.ended || res.writableEnded) return
    const reply = this.reply as Reply
    if (length !== undefined && length !== this.bytes) {
      return this.abort(
        new ProxyError('http_response_incomplete', { message: `${this.bytes} of ${length} bytes` }),
      )
    }
    let fields: HeaderList | undefined
    try {
      fields = trailers ?? reply.trailers?.()
      if (!this.h1 && fields !== undefined) needSendable((res as Http2ServerResponse).stream, fields)
    } catch (error) {
      return this.abort(asProxyError(error))
    }
    if (this.corked) this.writeHead(reply, true)
    this.corked = false
    this.ended = true
    this.request?.answered(res, false)
    if (fields !== undefined && fields.length > 0) this.addTrailers(fields)
    if (first !== undefined && this.h1 && endsInOneWrite(res as ServerResponse, first)) {
      this.context = new AsyncResource('sluice:answer')
      endOfTurn(endSmall, this)
    } else this.finish(first)
  }

  /**
   * Code of the host app may throw as the response ends: a listener, or an `end` that it has put in place. What has gone out
   * whole stays so; else the client must not wait for ever for what was kept from it.
   */
  private finish(last?: Uint8Array): void {
    const { context, res } = this
    try {
      if (last === undefined) res.end()
      else if (context === undefined) res.end(last)
      else context.runInAsyncScope(endInOneWrite, undefined, res as ServerResponse, last)
    } catch (thrown) {
      const error = asProxyError(thrown)
      if (res.writableEnded) return report(error, this.exchange)
      this.ended = false
      this.abort(error)
    }
  }

  /** The whole body is one small piece, and the turn is over. */
  endSmall(): void {
    const res = this.res as ServerResponse
    // Code of the host app has ended it meanwhile: the client would take the next answer for the bytes that are missing.
    if (res.writableEnded) res.req.socket.destroy()
    else if (!res.destroyed) this.finish(this.first)
  }

  abort(error: Error): void {
    if (this.aborted !== undefined || this.ended) return
    this.aborted = error
    const { res } = this
    const failure = asProxyError(error)
    report(failure, this.exchange)
    this.exchange.failed(failure)
    if (this.corked && !res.headersSent) {
      const { body, reply } = this
      this.first = undefined
      this.body = null
      body?.cancel(error)
      this.aborted = undefined
      this.bytes = 0
      try {
        this.forget()
        this.start(errorReplyInstead(reply, failure))
        return
      } catch {
        // What the app has set can't be sent either.
        this.aborted = error
      }
    }
    // What was sent must not pass for a whole answer; a body that ends with its connection needs a reset to show it.
    const { socket } = res
    if (this.within) res.destroy()
    else if (
      this.h1 &&
      socket !== null &&
      !(res as ServerResponse).chunkedEncoding &&
      this.length === undefined
    ) {
      if (!resetSocket(socket as Socket)) res.destroy()
    } else if ('stream' in res && res.stream !== undefined) res.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    else res.destroy()
  }

  /** Takes back the fields of the reply that failed, which say nothing of the error page, and its phrase: Node sets that ahead of the fields, by which it then fails. */
  private forget(): void {
    const { res, reply } = this
    if (this.h1) (res as { statusMessage?: string | undefined }).statusMessage = undefined
    for (let i = 0; i < (reply?.headers.length ?? 0); i += 2) res.removeHeader(String(reply?.headers[i]))
  }

  onDrain(fn: () => void): void {
    this.drain = fn
    // Bodies in a row come to it one after the other.
    if (this.pace !== undefined) this.pace.drain = fn
  }

  get partAtMost(): number {
    return this.paced().partAtMost(this.bytes)
  }

  /** The response has closed: the rest of the body isn't wanted, and the exchange is over. */
  closed(): void {
    const { bytes, exchange, res } = this
    const status = res.headersSent ? res.statusCode : undefined
    this.pace?.closed()
    if (this.endTaken) tellEnd(exchange.req as IncomingMessage)
    const done =
      this.ended && (this.within || (this.h1 ? (res as ServerResponse).writableFinished : !failedStream(res)))
    const failed = exchange.failure ?? this.aborted
    if (failed !== undefined) exchange.endBy(asProxyError(failed), bytes, status)
    else if (done) exchange.end({ kind: 'done', bytes, status })
    else {
      const error = new ProxyError('client_left')
      this.aborted = error
      this.body?.cancel(error)
      exchange.end({ kind: 'client-left', error, bytes, status })
    }
  }

  /** @returns whether the head could be sent: where it can't, an error page takes its place */
  private flush(): boolean {
    const { first, res } = this
    try {
      this.writeHead(this.reply as Reply, false)
    } catch (error) {
      this.abort(asProxyError(error))
      return false
    }
    this.corked = false
    this.first = undefined
    if (first !== undefined) this.put(first, this.firstSpent)
    else if (this.h1) (res as ServerResponse).flushHeaders()
    // On HTTP/2 the head goes out as it is written.
    return true
  }

  private put(chunk: Uint8Array, spent: Spent | undefined): boolean {
    const { length } = this
    if (length !== undefined && this.bytes > length) {
      const error = new ProxyError('http_response_incomplete', {
        message: `more than the ${length} bytes announced`,
      })
      this.body?.cancel(error)
      this.abort(error)
      return false
    }
    const { res } = this
    const room = this.paced().write(chunk, spent, this.bytes)
    if (length === undefined && (res as Holding).flush !== undefined) {
      this.held ??= new HeldFlush(res as Holding, (error) => this.abort(asProxyError(error)))
      this.held.wrote()
    }
    return room
  }

  private paced(): ReaderPace {
    this.pace ??= new ReaderPace(this.res, !this.h1, this.drain)
    return this.pace
  }

  /**
   * @param whole the reply's body is known to its end
   * @param bare there is none
   */
  private writeHead(reply: Reply, whole: boolean, bare = false): void {
    const { exchange, request, res } = this
    const { status } = reply
    let { headers } = reply
    if (this.h1) {
      const http1 = res as ServerResponse
      // RFC 9112 section 9.6: what is left of the request would have to be read before another one; or none is taken any more.
      if (request?.isUnread(whole) || exchange.isLast) http1.shouldKeepAlive = false
      const untouched = http1.getHeaderNames().length === 0
      if (untouched && storeHead(http1, status, headers)) {
        noteEnd(http1)
        return
      }
      // How the bytes are framed is for the client's connection to say, which may know no chunks.
      if (has(headers, 'transfer-encoding')) headers = remove(headers.slice(), 'transfer-encoding')
      // Without chunks nothing can follow the body, and Node throws at a field that promises it.
      if (
        has(headers, 'trailer') &&
        (bare || has(headers, 'content-length') || !http1.useChunkedEncodingByDefault)
      )
        headers = remove(headers.slice(), 'trailer')
      if (untouched) http1.writeHead(status, headers)
      else {
        // Under a host app that has set fields, writeHead would keep only the last of repeated ones (Node 20).
        for (const [name, value] of groupByName(headers)) mergeField(http1, name, value)
        http1.writeHead(status)
      }
      noteEnd(http1)
      return
    }
    putHttp2Fields(res as Http2ServerResponse, headers)
    // With its end the head is one frame, which is how gRPC tells an answer that is nothing but trailers.
    if (bare) res.statusCode = status
    else res.writeHead(status)
  }

  private addTrailers(fields: HeaderList): void {
    if (this.h1 && !this.within && !(this.res as ServerResponse).chunkedEncoding) return
    this.res.addTrailers(trailerFields(fields, this.h1))
  }
}

function endSmall(responder: Responder): void {
  responder.endSmall()
}

/** @throws ProxyError proxy_internal_error if a handler gave something that is no reply */
function check(reply: Reply): void {
  const wrong = reply?.status === 101 ? 'a reply with the status 101' : replyFault(reply)
  if (wrong === undefined) return
  // Its body or socket would stay open.
  discard(reply)
  throw noReply(`a handler gave ${wrong}`)
}

function noReply(message: string): ProxyError {
  return new ProxyError('proxy_internal_error', { message })
}
