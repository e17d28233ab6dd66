import type { ClientHttp2Stream } from 'node:http2'
import { type Body, type Outcome, ProxyError, PushBody, type Reply } from '@sluice/core'
import { get, type HeaderList, withoutHopByHop } from '@sluice/headers'
import { Deadline } from './deadlines.js'
import { flowingBody } from './flowing-body.js'
import { followSignal } from './follow-signal.js'
import { sendAgain, wasKept } from './http2-again.js'
import { withTotal } from './http2-attempt.js'
import type { Http2Connection } from './http2-connection.js'
import { checkLength, http2RequestFields, isTooLarge, restsLong } from './http2-fields.js'
import type { Http2Pool } from './http2-pool.js'
import { cancelStream, hasEnded, isUnprocessed, streamError } from './http2-stream-end.js'
import { listen, type StreamOwner, unlisten } from './http2-stream-events.js'
import { upgradeReply } from './http2-tunnel.js'
import { Http2Upload } from './http2-upload.js'
import { addInformational } from './informational.js'
import type { Waiting } from './leaving-line.js'
import { continueWithin } from './timeouts.js'
import type { Attempt, Transport } from './transport.js'
import { type Progress, transportError } from './transport-error.js'
import { wireLimits } from './wire-limits.js'
import { cleanTrailers, type UploadOwner } from './wire-upload.js'

/**
 * One request as a stream of HTTP/2, and the body of its reply.
 *
 * waiting ──start()──▶ sent ──responseCame()──▶ answered ──END_STREAM──▶ over
 *    ▲                  │ └─ refused, or above a GOAWAY's last id ─┐    ▲
 *    └──────────────────┴────── where it can be sent again ────────┘    │
 *    └──────────── failed(), or nobody waits any more ──────────────────┘
 */
export class Http2Exchange extends PushBody implements UploadOwner, StreamOwner, Waiting {
  /** A connection that has refused it: others are tried first. */
  avoid: Http2Connection | undefined = undefined
  declare waitsSince?: number
  private progress: Progress = 'connecting'
  private connection: Http2Connection | undefined = undefined
  private stream: ClientHttp2Stream | undefined = undefined
  private upload: Http2Upload | undefined = undefined
  /** The request's body, while it waits for the target to say 100. */
  private withheld: Body | undefined = undefined
  private source: Body | undefined = undefined
  /** Bytes of the request's body have flowed, which they do once. */
  private bodyTaken = false
  private deadline: Deadline
  private total: Deadline | undefined = undefined
  private unfollow: (() => void) | undefined = undefined
  private idle = 0
  private again = 0
  private informational = 0
  /** Bytes of informational responses. */
  private hinted = 0
  private bodiless = false
  /** Bytes of the reply's body so far. */
  private received = 0
  private rawTrailers: HeaderList | undefined = undefined
  private cause: Error | undefined = undefined
  private done = false

  constructor(
    readonly attempt: Attempt,
    private readonly pool: Http2Pool,
    private readonly settle: (reply: Reply) => void,
    private readonly refuse: (error: ProxyError) => void,
  ) {
    super()
    this.deadline = new Deadline(() => this.expired())
    const { total } = attempt.timeouts
    if (total > 0) {
      this.total = new Deadline(() => this.leave(new ProxyError('total_timeout')))
      pool.deadlines.set(this.total, total)
    }
    if (attempt.onClose !== undefined) attempt.onClose(attemptClosed, this)
    else if (attempt.signal !== undefined)
      this.unfollow = followSignal(attempt.signal, (error) => process.nextTick(() => this.leave(error)))
  }

  /** Nobody waits for it any more, or it has failed. */
  get gone(): boolean {
    return this.done
  }

  /** Sends the request as a stream of this connection. */
  start(connection: Http2Connection): void {
    const { attempt, pool } = this
    const { out, timeouts, upgrade } = attempt
    if (upgrade !== undefined && !connection.connectProtocol) return pool.cannotUpgrade(this)
    const { body } = out
    const bytes = typeof body === 'string' ? Buffer.from(body) : body instanceof Uint8Array ? body : null
    let source: Body | null
    let stream: ClientHttp2Stream
    try {
      source = flowingBody(body)
      const fields = http2RequestFields(out, pool.origin, upgrade)
      checkLength(fields, source === null ? (bytes?.length ?? 0) : source.length)
      if (bytes !== null && upgrade === undefined) fields['content-length'] = bytes.length
      stream = connection.open(fields, {
        endStream: body === null && upgrade === undefined,
        waitForTrailers: source !== null || upgrade !== undefined,
      })
    } catch (error) {
      const unsent =
        error instanceof ProxyError ? error : new ProxyError('http_request_error', { cause: error })
      return this.failed(unsent)
    }
    this.connection = connection
    this.stream = stream
    this.progress = 'sent'
    this.cause = undefined
    listen(stream, this)
    if (source === null || upgrade !== undefined) {
      if (bytes !== null && upgrade === undefined) stream.end(bytes)
      pool.deadlines.set(this.deadline, timeouts.head)
    } else if (get(out.headers, 'expect') !== undefined) {
      this.withheld = source
      pool.deadlines.set(this.deadline, continueWithin)
    } else {
      this.send(source)
    }
  }

  headersCame(status: number | undefined, raw: HeaderList): void {
    // Trailers without the end of the stream: nghttp2 has refused them already.
    if (status === undefined || this.done) return
    if (++this.informational > wireLimits.informational) {
      const message = `more than ${wireLimits.informational} informational responses`
      return this.breakOff(new ProxyError('http_protocol_error', { message }))
    }
    try {
      this.hinted = addInformational(this.hinted, raw)
    } catch (error) {
      return this.breakOff(error as ProxyError)
    }
    if (status !== 100) this.attempt.inform(status, withoutHopByHop(raw, { response: true }))
    // What was asked for; a 100 that nobody asked for means nothing.
    else if (this.withheld !== undefined) this.sendWithheld()
  }

  responseCame(status: number, raw: HeaderList, ended: boolean): void {
    const { attempt, connection, stream } = this
    if (this.done || connection === undefined || stream === undefined) return
    if (!(status >= 200 && status <= 599)) {
      const message = `the target answered with status ${status}`
      return this.breakOff(new ProxyError('http_protocol_error', { message }))
    }
    if (isTooLarge(raw)) return this.breakOff(new ProxyError('http_response_header_section_size'))
    const headers = withoutHopByHop(raw, { response: true })
    this.progress = 'answered'
    connection.served++
    if (attempt.upgrade !== undefined) {
      if (status < 300) return this.upgraded(stream, attempt.upgrade, headers)
      // A refusal is an ordinary response, and there is no more to send.
      stream.end()
    }
    const { timeouts } = attempt
    this.idle = restsLong(get(headers, 'content-type')) ? timeouts.stream : timeouts.body
    this.pool.deadlines.set(this.deadline, this.idle)
    if (ended || attempt.out.method === 'HEAD' || status === 204 || status === 304) {
      this.bodiless = true
      this.settle({ status, version: '2.0', headers, body: null })
    } else {
      const length = get(headers, 'content-length')
      if (length !== undefined) (this as { length?: number }).length = Number(length)
      this.settle({ status, version: '2.0', headers, body: this, trailers: () => this.trailers })
    }
    stream.on('data', (chunk: Buffer) => this.onData(chunk))
  }

  private onData(chunk: Buffer): void {
    if (this.done || this.bodiless) return
    this.received += chunk.length
    if (!this.push(chunk)) this.stream?.pause()
    this.moved()
  }

  trailersCame(raw: HeaderList): void {
    if (isTooLarge(raw))
      this.breakOff(new ProxyError('http_response_incomplete', { message: 'too many trailers' }))
    else this.rawTrailers = raw
  }

  /** All that came has been read; whether it is whole the stream knows. */
  readToEnd(): void {
    const { stream } = this
    if (this.done || stream === undefined) return
    const whole = this.bodiless || this.length === undefined || this.length === this.received
    if (this.progress === 'answered' && hasEnded(stream) && whole) this.complete(stream)
    else if (stream.closed) cancelStream(stream)
  }

  streamFailed(error: Error): void {
    this.cause ??= error
  }

  streamClosed(): void {
    if (this.done) this.pool.deadlines.drop(this.deadline)
    else this.failed(this.cause)
  }

  /** The stream has closed while the request was still going out. */
  streamAborted(): void {
    this.upload?.stop()
  }

  streamDrained(): void {
    this.upload?.drain()
  }

  wantsTrailers(stream: ClientHttp2Stream): void {
    if (this.upload === undefined) stream.sendTrailers({})
    else this.upload.sendTrailers()
  }

  uploaded(): void {
    this.source = undefined
    if (this.progress === 'sent') this.pool.deadlines.set(this.deadline, this.attempt.timeouts.head)
  }

  uploadFailed(error: Error): void {
    this.breakOff(error)
  }

  uploadMoved(): void {
    if (this.progress !== 'sent') return this.moved()
    this.pool.deadlines.set(this.deadline, this.attempt.timeouts.requestBody)
  }

  /** There is no stream for it, or it has ended before its time. */
  failed(cause: Error | undefined): void {
    if (this.done) return
    const { attempt, connection, progress, stream, source } = this
    const { id } = attempt.target
    const silent = progress === 'sent' && this.informational === 0
    const targetsTurn = silent && (source === undefined || this.upload?.waitsForTarget === true)
    this.upload?.stop()
    this.upload = undefined
    this.stream = undefined
    this.connection = undefined
    if (targetsTurn && stream !== undefined) connection?.unanswered(stream, cause)
    let error: ProxyError
    if (stream === undefined || connection === undefined) {
      error = transportError(cause, progress, id)
    } else {
      unlisten(stream)
      const unprocessed = progress === 'sent' && isUnprocessed(stream, connection, cause)
      const broke = progress === 'sent' && !(cause instanceof ProxyError)
      if (broke && this.sentAgain(stream, connection, unprocessed)) return
      const kept = wasKept(connection, this.informational === 0)
      error = streamError(stream, cause, progress, unprocessed, id, kept)
    }
    this.end()
    source?.cancel(error)
    if (progress === 'answered') this.fail(error)
    else this.refuse(error)
  }

  /** Leaves the request to a transport for HTTP/1.1. */
  handOver(to: Transport): void {
    if (this.done) return
    const { attempt, pool, total } = this
    const left = total === undefined ? 0 : Math.max(total.at - pool.deadlines.now(), 1)
    this.end()
    to.send(withTotal(attempt, left)).then(this.settle, this.refuse)
  }

  /** The attempt is over. Nearly always the answer is too, and no error is made for it. */
  close(end: Outcome): void {
    if (!this.done) this.leave(end.error ?? new ProxyError('client_left'))
  }

  protected override flowing(): void {
    this.moved()
  }

  protected resume(): void {
    this.stream?.resume()
    this.moved()
  }

  protected stop(why: Error): void {
    this.leave(why)
  }

  /** The reply is whole. */
  private complete(stream: ClientHttp2Stream): void {
    const { attempt, pool, rawTrailers, source, upload, withheld } = this
    const rest = source ?? withheld
    this.end()
    if (rest !== undefined) {
      // The target has said all without having read all: the rest isn't wanted (RFC 9113 section 8.1).
      upload?.stop()
      rest.cancel(
        new ProxyError('client_left', { message: 'the target has answered before the body was whole' }),
      )
      cancelStream(stream)
    } else if (!stream.writableFinished) {
      // The last of the request is on its way, for as long as the target reads it.
      this.deadline = new Deadline(() => cancelStream(stream))
      pool.deadlines.set(this.deadline, attempt.timeouts.requestBody)
    }
    this.finish(rawTrailers === undefined ? undefined : cleanTrailers(rawTrailers, true))
  }

  /** The stream is the tunnel's. */
  private upgraded(stream: ClientHttp2Stream, protocol: string, headers: HeaderList): void {
    const { attempt, pool } = this
    this.end()
    unlisten(stream)
    const key = get(attempt.out.headers, 'sec-websocket-key')
    this.settle(upgradeReply(stream, headers, protocol, key, pool.deadlines, attempt.timeouts.tunnel))
  }

  /** Sends it once more, if that can do no harm. */
  private sentAgain(stream: ClientHttp2Stream, connection: Http2Connection, unprocessed: boolean): boolean {
    const { again, attempt, bodyTaken, informational, pool } = this
    const { method } = attempt.out
    const how = bodyTaken
      ? 'not'
      : sendAgain({ again, method, unprocessed, untouched: informational === 0 }, stream, connection)
    if (how === 'not') return false
    this.withheld = undefined
    pool.deadlines.clear(this.deadline)
    if (how === 'over HTTP/1.1') return pool.handOver(this)
    this.again++
    this.avoid = connection
    this.progress = 'connecting'
    pool.send(this)
    return true
  }

  /** Something has come, and more is to come. */
  private moved(): void {
    const { deadline, pool } = this
    if (this.done || this.progress !== 'answered') return
    // While the client can't take more it isn't the target that is idle.
    if (this.waiting) pool.deadlines.clear(deadline)
    else pool.deadlines.set(deadline, this.idle)
  }

  private expired(): void {
    const { source, upload } = this
    if (this.withheld !== undefined && this.progress === 'sent') this.sendWithheld()
    else if (this.progress === 'answered') this.breakOff(new ProxyError('connection_read_timeout'))
    else if (source === undefined || upload === undefined)
      this.breakOff(new ProxyError('http_response_timeout'))
    else this.breakOff(new ProxyError(upload.waitsForTarget ? 'connection_write_timeout' : 'request_timeout'))
  }

  /** Nobody waits for it any more. */
  private leave(error: Error): void {
    if (this.stream === undefined) this.pool.forget(this)
    if (!this.done) this.breakOff(error)
  }

  /** Ends it with an error of our own, and tells the target. */
  private breakOff(error: Error): void {
    const { stream } = this
    this.upload?.stop()
    this.failed(error instanceof ProxyError ? error : new ProxyError('client_left', { cause: error }))
    if (stream !== undefined) cancelStream(stream)
  }

  private send(source: Body): void {
    const { attempt, connection, pool, stream } = this
    if (stream === undefined || connection === undefined) return
    this.source = source
    this.bodyTaken = true
    const upload = new Http2Upload(stream, source.length, this, attempt.out.trailers, connection.headAtMost)
    this.upload = upload
    pool.deadlines.set(this.deadline, attempt.timeouts.requestBody)
    try {
      source.pipe(upload)
    } catch (error) {
      this.source = undefined
      this.breakOff(error as Error)
    }
  }

  private sendWithheld(): void {
    const { withheld } = this
    this.withheld = undefined
    if (withheld !== undefined) this.send(withheld)
  }

  private end(): void {
    this.done = true
    this.stream = undefined
    this.connection = undefined
    this.pool.deadlines.drop(this.deadline)
    if (this.total !== undefined) this.pool.deadlines.drop(this.total)
    this.unfollow?.()
  }
}

function attemptClosed(end: Outcome, exchange: Http2Exchange): void {
  exchange.close(end)
}
