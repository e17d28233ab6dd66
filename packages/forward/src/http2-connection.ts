import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionRequestOptions,
  constants,
  type OutgoingHttpHeaders,
  type Settings,
} from 'node:http2'
import type { Socket } from 'node:net'
import { ProxyError } from '@sluice/core'
import { Deadline, type Deadlines } from './deadlines.js'
import { checkSize } from './http2-fields.js'
import { type GoAway, watchEnd } from './http2-stream-end.js'
import { wireLimits } from './wire-limits.js'

/** Who keeps connections. */
export interface Http2ConnectionOwner {
  readonly deadlines: Deadlines
  /** It may take another stream. */
  hasRoom(): void
  /** It has closed, or takes no more streams. */
  gone(connection: Http2Connection): void
}

/** What holds for each connection. Times in ms; 0: no limit, no pings. */
export interface Http2ConnectionLimits {
  /** Streams at once at most, beyond the peer's own limit. */
  readonly streams: number
  readonly idle: number
  readonly ping: number
}

/** How long a connection that is done with may take to close: a target that doesn't end its half would keep it for ever. */
const closeWithin = 1_000

/** A client that leaves after so long without an answer may have waited for a connection that is dead, in ms. */
const longWait = 5_000
/** What a request fails by that has waited for the target itself. */
const targetsTimeouts: readonly string[] = [
  'http_response_timeout',
  'connection_write_timeout',
  'total_timeout',
]

const held = Symbol('sluice.connection')
const begun = Symbol('sluice.begun')
const before = Symbol('sluice.before')
type Held = ClientHttp2Stream & {
  [held]?: Http2Connection
  /** When it was. */
  [begun]?: number
  /** What had been answered on its connection by then. */
  [before]?: number
}

/**
 * One HTTP/2 connection to a target, with the streams on it.
 *
 * open ──GOAWAY, drain(), stream ids used up, nothing but silence──▶ draining ──last stream over──▶ closed
 *   └─── error, connection lost, ping unanswered, idle for too long ──────────▶ closed
 *
 * A draining one takes no more streams. Without a stream it holds no process open, and its deadline is that of idleness;
 * with streams it is that of the next ping. A ping that the next one finds unanswered ends it.
 */
export class Http2Connection {
  /** Streams now. */
  active = 0
  /** Exchanges that were answered on it. */
  served = 0
  /** When a stream was last begun: a count, not a time. */
  lastUsed = 0
  /** What the target's GOAWAY said: streams above `last` were not processed (RFC 9113 section 6.8). */
  goaway: GoAway | undefined = undefined
  /** The connection broke, which nobody has decided. */
  lost = false
  /** Bytes that a head, or trailers, may have (RFC 9113 section 6.5.2). */
  headAtMost: number
  private limit: number
  private draining = false
  private pinged = false
  private readonly deadline: Deadline

  constructor(
    private readonly session: ClientHttp2Session,
    private readonly socket: Socket,
    private readonly owner: Http2ConnectionOwner,
    private readonly limits: Http2ConnectionLimits,
  ) {
    this.limit = limitOf(session.remoteSettings, limits.streams)
    this.headAtMost = headOf(session.remoteSettings)
    this.deadline = new Deadline(() => this.expired())
    // Ahead of the session's own listeners: the streams fail after this is known.
    socket.prependListener('close', () => {
      this.lost = true
    })
    socket.prependListener('error', () => {
      this.lost = true
    })
    session.on('remoteSettings', (settings) => {
      this.limit = limitOf(settings, limits.streams)
      this.headAtMost = headOf(settings)
      if (this.room) owner.hasRoom()
    })
    session.on('goaway', (code, last) => {
      this.goaway = { code, last }
      this.drain()
    })
    session.on('close', () => {
      this.drain()
      owner.deadlines.drop(this.deadline)
    })
    this.rest()
  }

  /** The target takes extended CONNECT (RFC 8441 section 3). */
  get connectProtocol(): boolean {
    return !this.session.destroyed && this.session.remoteSettings.enableConnectProtocol === true
  }

  /** It isn't draining or closed, as far as is known. A session may be closed and not yet destroyed, and the reverse. */
  get usable(): boolean {
    return !this.draining && !this.session.closed && !this.session.destroyed
  }

  /** It may take another stream now. */
  get room(): boolean {
    return this.active < this.limit && this.usable
  }

  /**
   * A new stream, which counts until it has closed.
   * @throws ProxyError http_request_header_section_size if its head is too large
   */
  open(fields: OutgoingHttpHeaders, options: ClientSessionRequestOptions): ClientHttp2Stream {
    checkSize(fields, this.headAtMost)
    const stream: Held = this.session.request(fields, options)
    watchEnd(stream)
    stream[held] = this
    stream[begun] = this.owner.deadlines.now()
    stream[before] = this.served
    stream.on('close', streamClosed)
    if (this.active++ === 0) this.wake()
    return stream
  }

  /** A stream is over. */
  closed(): void {
    this.active--
    if (this.active === 0) this.rest()
    if (this.room) this.owner.hasRoom()
  }

  /**
   * A request of ours has ended and nothing of an answer has come, when it was for the target to say something. Where no other was answered since it was sent the
   * connection may be dead, and nobody has told: the target has lost power, something on the way has forgotten it, or Node hasn't noticed its end (nodejs/node#61304).
   * The system finds out after a quarter of an hour, and until then it would be the first choice for each request. Over HTTP/1.1 a connection closes with such a
   * request, too.
   */
  unanswered(stream: Held, cause: Error | undefined): void {
    if (stream[before] !== this.served || !(cause instanceof ProxyError)) return
    const { code } = cause
    const waited = this.owner.deadlines.now() - (stream[begun] ?? 0)
    if (targetsTimeouts.includes(code) || (code === 'client_left' && waited >= longWait)) this.drain()
  }

  /** Closes it now, with all its streams. */
  destroy(error?: Error): void {
    this.session.destroy(error, error === undefined ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL)
    this.socket.destroy()
  }

  /**
   * Takes no more streams, and closes after the last one: it has run out of ids, the target has said so, or nobody needs it. Not before:
   * a stream that was opened a moment ago would go out behind the GOAWAY, and be refused.
   */
  drain(): void {
    if (this.draining) return
    this.draining = true
    if (this.active === 0) this.rest()
    this.owner.gone(this)
  }

  private rest(): void {
    const { draining, session } = this
    if (!session.destroyed) session.unref()
    if (draining && !session.closed) session.close()
    this.owner.deadlines.set(this.deadline, draining ? closeWithin : this.limits.idle)
  }

  private wake(): void {
    this.session.ref()
    this.pinged = false
    this.owner.deadlines.set(this.deadline, this.limits.ping)
  }

  private expired(): void {
    if (this.session.destroyed || (this.draining && this.active === 0)) return void this.socket.destroy()
    if (this.active === 0) return this.drain()
    if (this.pinged) {
      const message = `a ping was not answered within ${this.limits.ping} ms`
      this.drain()
      this.destroy(new ProxyError('connection_terminated', { message }))
      return
    }
    this.pinged = true
    this.session.ping(() => {
      this.pinged = false
    })
    this.owner.deadlines.set(this.deadline, this.limits.ping)
  }
}

function streamClosed(this: Held): void {
  this[held]?.closed()
}

function limitOf({ maxConcurrentStreams = Number.POSITIVE_INFINITY }: Settings, own: number): number {
  return own === 0 ? maxConcurrentStreams : Math.min(maxConcurrentStreams, own)
}

/** Node and nghttp2 take as much by default that have said nothing of it. */
function headOf({ maxHeaderListSize = Number.POSITIVE_INFINITY }: Settings): number {
  return Math.min(maxHeaderListSize, wireLimits.head)
}
