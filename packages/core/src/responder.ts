import { OutgoingMessage, type ServerResponse } from 'node:http'
import { constants, type Http2ServerResponse } from 'node:http2'
import { get, groupByName, type HeaderList, isFieldName } from '@sluice/headers'
import { toBody } from './bodies.js'
import type { Body, Sink } from './body.js'
import { BytesBody } from './bytes-body.js'
import { withoutConnectionFields } from './connection-fields.js'
import { errorReply } from './error-reply.js'
import type { Exchange } from './exchange.js'
import { asProxyError, ProxyError } from './proxy-error.js'
import { discard, type Reply } from './reply.js'

/** A first chunk up to this size is joined with the head as one string, hence one write. */
const joinAtMost = 16 * 1024

/** Statuses whose response has no body (RFC 9110 sections 15.3.5 and 15.4.5). */
function bodiless(status: number): boolean {
  return status === 204 || status === 304
}

/**
 * Writes one reply to one response and is the sink of its body. The head waits until the body's first bytes are there or
 * turn out not to be: a small answer is then one write, and a body that fails at once can still become an error page.
 *
 * new ──start()──▶ corked ──flush()──▶ flowing ──end()──▶ ended
 *                    └──────────── abort() ─────────────▶ aborted
 */
export class Responder implements Sink {
  private body: Body | null = null
  private corked = true
  private first: Uint8Array | undefined = undefined
  private ended = false
  private aborted: Error | undefined = undefined
  private bytes = 0
  private drain: (() => void) | undefined = undefined
  private readonly h1: boolean
  private reply: Reply | undefined = undefined

  constructor(
    private readonly exchange: Exchange,
    readonly res: ServerResponse | Http2ServerResponse,
  ) {
    this.h1 = !('stream' in res)
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
    const { body } = reply
    if (body === null || bodiless(reply.status)) {
      if (body !== null) discard(reply)
      this.writeHead(reply)
      this.corked = false
      this.ended = true
      this.res.end()
      return
    }
    this.body = toBody(body)
    if (this.body instanceof BytesBody && get(reply.headers, 'content-length') === undefined) {
      this.reply = { ...reply, headers: [...reply.headers, 'content-length', String(this.body.length)] }
    }
    this.take(this.body as Body)
    // Nothing came with the head: the client learns at once what there is to know.
    if (this.corked && !this.ended) this.flush()
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

  write(chunk: Uint8Array): boolean {
    if (this.aborted !== undefined) return false
    this.bytes += chunk.length
    if (this.corked && this.first === undefined) {
      this.first = chunk
      return true
    }
    if (this.corked) this.flush()
    return this.put(chunk)
  }

  end(trailers?: HeaderList): void {
    if (this.aborted !== undefined || this.ended) return
    const { res, body } = this
    const reply = this.reply as Reply
    const length = body?.length
    if (length !== undefined && length !== this.bytes && this.exchange.req.method !== 'HEAD') {
      return this.abort(
        new ProxyError('http_response_incomplete', { message: `${this.bytes} of ${length} bytes` }),
      )
    }
    const fields = trailers ?? reply.trailers?.()
    const { first } = this
    if (this.corked) this.writeHead(reply)
    this.corked = false
    this.ended = true
    if (fields !== undefined && fields.length > 0) this.addTrailers(fields)
    if (first === undefined) res.end()
    else if (this.h1 && first.length <= joinAtMost) endInOneWrite(res as Joining, latin1(first))
    else res.end(first)
  }

  abort(error: Error): void {
    if (this.aborted !== undefined || this.ended) return
    this.aborted = error
    const { res } = this
    if (this.corked && !res.headersSent) {
      const { body } = this
      this.aborted = undefined
      this.first = undefined
      this.body = null
      body?.cancel(error)
      this.bytes = 0
      this.exchange.failed(asProxyError(error))
      return this.start(errorReply(asProxyError(error)))
    }
    const failure = asProxyError(error)
    this.exchange.failed(failure)
    // What was sent must not pass for a whole answer; a body that ends with its connection needs a reset to show it.
    const { socket } = res
    if (
      this.h1 &&
      socket !== null &&
      'resetAndDestroy' in socket &&
      typeof socket.resetAndDestroy === 'function'
    ) {
      if ((res as ServerResponse).chunkedEncoding || this.body?.length !== undefined) res.destroy()
      else socket.resetAndDestroy()
    } else if ('stream' in res && res.stream !== undefined) {
      res.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    } else {
      res.destroy()
    }
  }

  onDrain(fn: () => void): void {
    this.drain = fn
  }

  /** The response has closed: the rest of the body isn't wanted, and the exchange is over. */
  closed(): void {
    const { exchange, res } = this
    const done = this.ended && (this.h1 ? (res as ServerResponse).writableFinished : !failedStream(res))
    if (this.aborted !== undefined || exchange.failure !== undefined) {
      const error = exchange.failure ?? asProxyError(this.aborted)
      exchange.end({ kind: 'error', error, bytes: this.bytes })
    } else if (done) {
      exchange.end({ kind: 'done', bytes: this.bytes })
    } else {
      const error = new ProxyError('client_left')
      this.aborted = error
      this.body?.cancel(error)
      exchange.end({ kind: 'client-left', error, bytes: this.bytes })
    }
  }

  private flush(): void {
    const { first, res } = this
    this.corked = false
    this.first = undefined
    this.writeHead(this.reply as Reply)
    if (first !== undefined) this.put(first)
    else if (this.h1) (res as ServerResponse).flushHeaders()
    // On HTTP/2 the head goes out as it is written.
  }

  private put(chunk: Uint8Array): boolean {
    const length = this.body?.length
    if (length !== undefined && this.bytes > length) {
      const error = new ProxyError('http_response_incomplete', {
        message: `more than the ${length} bytes announced`,
      })
      this.body?.cancel(error)
      this.abort(error)
      return false
    }
    const { res } = this
    const room = (res as ServerResponse).write(chunk)
    if (!room && this.drain !== undefined) {
      res.on('drain', this.drain)
      // Once for the body: it hears each time.
      this.drain = undefined
    }
    return room
  }

  private writeHead(reply: Reply): void {
    const { res } = this
    const { status } = reply
    let { headers } = reply
    if (this.h1) {
      const http1 = res as ServerResponse
      if (http1.getHeaderNames().length === 0) {
        http1.writeHead(status, headers)
        return
      }
      // Under a host app that has set fields, writeHead would keep only the last of repeated ones (Node 20).
      for (const [name, value] of groupByName(headers)) mergeField(http1, name, value)
      http1.writeHead(status)
      return
    }
    headers = withoutConnectionFields(headers)
    for (const [name, value] of groupByName(headers)) mergeField(res, name, value)
    res.writeHead(status)
  }

  private addTrailers(fields: HeaderList): void {
    const { res } = this
    if (this.h1 && !(res as ServerResponse).chunkedEncoding) return
    const trailers: Record<string, string | string[]> = {}
    for (const [name, value] of groupByName(fields)) {
      if (isFieldName(name) && !/^(content-length|transfer-encoding|host|trailer)$/i.test(name))
        trailers[name] = value
    }
    res.addTrailers(trailers as Record<string, string>)
  }
}

const plain = OutgoingMessage.prototype

/** What of `ServerResponse` joins the head with a first text. `write` and `end` cork the socket around it. */
type Joining = ServerResponse & {
  _send?(data: string, encoding: 'latin1'): boolean
  readonly _hasBody?: boolean
}

/**
 * Ends a response whose whole body is one small piece. `end(text)` makes two chunks of it, the head with the text and an
 * empty one, and with them a vectored write; joined by `_send`, which every write of `ServerResponse` goes through, they are
 * one plain write, which costs less (docs/decisions/005). Where it can't be so the public way serves.
 */
function endInOneWrite(res: Joining, text: string): void {
  // Middlewares of a host app that replaced `write` and `end` must see the bytes.
  const patched = res.write !== plain.write || res.end !== plain.end
  if (
    patched ||
    res._send === undefined ||
    res._hasBody !== true ||
    res.chunkedEncoding ||
    res.socket === null
  ) {
    res.end(text, 'latin1')
    return
  }
  res._send(text, 'latin1')
  res.end()
}

/** Fields of the app stay unless the reply has them; cookies of both stay, since each is its own. */
export function mergeField(
  res: ServerResponse | Http2ServerResponse,
  name: string,
  value: string | string[],
): void {
  const http1 = res as ServerResponse
  const present =
    name.length === 10 && name.toLowerCase() === 'set-cookie' ? http1.getHeader(name) : undefined
  if (present === undefined) http1.setHeader(name, value)
  else http1.setHeader(name, [present as string | string[], value].flat())
}

/** @throws ProxyError proxy_internal_error if a handler gave something that is no reply */
function check(reply: Reply): void {
  if (typeof reply !== 'object' || reply === null)
    throw noReply(`a handler gave ${String(reply)} and no reply`)
  const { status, headers } = reply
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw noReply(`a reply has the status ${String(status)}`)
  if (!Array.isArray(headers) || headers.length % 2 !== 0)
    throw noReply('the headers of a reply are not a flat list')
}

function noReply(message: string): ProxyError {
  return new ProxyError('proxy_internal_error', { message })
}

function latin1(bytes: Uint8Array): string {
  return (
    bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  ).toString('latin1')
}

function failedStream(res: ServerResponse | Http2ServerResponse): boolean {
  const { stream } = res as Http2ServerResponse
  return stream !== undefined && stream.rstCode !== 0
}
