import {
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { type Linked, LinkedList } from '@sluice/core'
import { Budget } from './budget.js'
import { isGrpcCall } from './is-grpc-call.js'
import { Pace } from './pace.js'
import type { PacedWork } from './paced-work.js'
import type { Refusals } from './refusals.js'
import { SentBodies } from './sent-bodies.js'
import type { ServerGuardSettings } from './server-guard-options.js'
import type { SlowSettings } from './slow-options.js'
import { goneOf, type Lack, newReader, type Reader, StreamReaders } from './stream-readers.js'
import type { Connection } from './watched-connection.js'

/** How long a connection may take to end once it was told to, in ms. */
const lingerFor = 5_000
/** For how long a connection with streams may say nothing before it is asked whether it lives, in ms. */
const quietFor = 30_000

const watched = Symbol('sluice.guard')

/** A stream, as it was at the last look. */
class Watched implements Linked<Watched> {
  next: Watched | undefined = undefined
  previous: Watched | undefined = undefined
  readonly reader: Reader = newReader()
  /** Blocks of fields of its answer that have been counted. */
  blocks = 0
  /** Ours to end: as soon as it is its turn, and then gone by the next look. */
  end: 'due' | 'told' | undefined = undefined
  /** Whoever serves it closes it now. */
  closes = false

  constructor(
    readonly by: WatchedSession,
    readonly stream: WatchedStream,
    /** Calls of gRPC are conversations: there may be nothing to say. */
    readonly talks: boolean,
  ) {}
}

type WatchedStream = ServerHttp2Stream & { [watched]?: Watched | undefined }

/** A connection of HTTP/2: what its client does with it beyond requests, and how slow it is on the streams that it has. */
export class WatchedSession {
  readonly #streams = new LinkedList<Watched>()
  #count = 0
  readonly #resets: Budget
  readonly #controls: Budget
  readonly #sent = new SentBodies()
  #readers: StreamReaders | undefined
  #sends: Pace | undefined
  /** Since when it has no stream. */
  #restsSince: number
  #served = false
  #closedAt: number | undefined
  #read = 0
  /** For how long nothing has come, in ms. */
  #quiet = 0
  /** It has a ping to send, and has had the time for it. */
  #asked = false

  constructor(
    private readonly session: ServerHttp2Session,
    /** What it is spoken over: of a session Node gives no socket that can be ended. */
    private readonly socket: Connection,
    private readonly settings: ServerGuardSettings,
    private readonly refusals: Refusals,
    private readonly now: () => number,
    private readonly work: PacedWork,
  ) {
    const at = now()
    this.#restsSince = at
    this.#resets = new Budget(settings.resets, at)
    this.#controls = new Budget(settings.controlFrames, at)
    session.on('stream', this.#onStream)
    session.on('ping', this.#onControl)
    session.on('remoteSettings', this.#onControl)
    session.on('priority', this.#onControl)
  }

  /** How many streams it has. */
  get streams(): number {
    return this.#count
  }

  /** Hears of nothing more. */
  forget(): void {
    const { session } = this
    session.off('stream', this.#onStream)
    session.off('ping', this.#onControl)
    session.off('remoteSettings', this.#onControl)
    session.off('priority', this.#onControl)
    for (const { stream } of this.#streams) {
      stream[watched] = undefined
      delete (stream as Partial<ServerHttp2Stream>).close
      stream.off('priority', this.#onControl)
    }
  }

  look(now: number, elapsed: number, _: ServerGuardSettings, slow: SlowSettings | undefined): void {
    if (this.socket.destroyed || this.#isDead(elapsed)) return
    if (this.#count === 0) return this.#lookAtRest(now)
    if (slow === undefined) return
    const readers = this.#lookAtReaders(elapsed, slow)
    let owing = false
    for (const seen of this.#streams) {
      const { stream } = seen
      if (seen.end !== undefined) {
        if (seen.end === 'told') this.#endAnyhow(stream)
        continue
      }
      owing ||= owesContent(stream)
      const { bufferSize, writableLength } = stream
      if (readers.isLate(seen.reader, writableLength, bufferSize - writableLength))
        this.#endSoon(stream, 'reader-too-slow', 0)
    }
    this.#lookAtBodies(elapsed, slow, owing)
  }

  /** What all of its readers have in common. */
  #lookAtReaders(elapsed: number, { minRate, readGrace }: SlowSettings): StreamReaders {
    const { session } = this
    // An app may have Node speak over any duplex: that tells neither, and what is seen to go in streams is all that counts.
    const socket: Partial<Connection> = this.socket
    let waits = false
    for (const seen of this.#streams) {
      const { stream } = seen
      seen.blocks = this.#sent.fields(stream, seen.blocks)
      if (seen.end !== undefined || stream.destroyed) continue
      const { bufferSize, writableLength } = stream
      this.#sent.gone(goneOf(seen.reader, writableLength, bufferSize - writableLength))
      waits ||= writableLength > 0
    }
    const sent = this.#sent.sum(
      socket._handle?.bytesWritten ?? 0,
      socket.bytesRead ?? 0,
      session.localSettings.initialWindowSize ?? 0,
    )
    this.#readers ??= new StreamReaders(minRate, readGrace)
    this.#readers.look(waits ? this.#lack() : 'nothing', sent, elapsed)
    return this.#readers
  }

  /** What that which waits in streams lacks. */
  #lack(): Lack {
    if (this.#queued() > 0) return 'system'
    // RFC 9113 section 6.9.1: down to the last byte, whichever stream has it.
    return this.session.state.remoteWindowSize === 0 ? 'connection' : 'stream'
  }

  /**
   * Whether Node has given it up without a word, and ends it then: after an error of the whole connection Node 20 neither reads nor
   * writes, so it doesn't hear of the client's end either. Such a one keeps a ping that any other has sent by the next look.
   */
  #isDead(elapsed: number): boolean {
    const { session, socket } = this
    if (this.#asked) {
      this.#asked = false
      if (this.#queued() === 0 && (session.state.outboundQueueSize ?? 0) > 0) {
        this.refusals.tell('http2-connection-error', 0, socket.remoteAddress)
        session.destroy()
        socket.destroy()
        return true
      }
    }
    const { bytesRead } = socket
    this.#quiet = bytesRead === this.#read && this.#count > 0 ? this.#quiet + elapsed : 0
    this.#read = bytesRead
    if (this.#quiet >= quietFor) this.#ask()
    return false
  }

  #ask(): void {
    const { session, work } = this
    this.#quiet = 0
    if (session.destroyed || !session.ping(ignore)) return
    this.#sent.control()
    // A turn for its write, and one for the end of what is written now. Two looks may have none between them in a process that was held up.
    work.add(() => work.add(() => (this.#asked = true)))
  }

  /** Which stream bytes are of Node doesn't tell: those of the connection count for all that owe some. */
  #lookAtBodies(elapsed: number, { grace, minRate }: SlowSettings, owing: boolean): void {
    const { bytesRead } = this.socket
    if (!owing) {
      this.#sends = undefined
      return
    }
    // It may have begun only now.
    if (this.#sends === undefined) this.#sends = new Pace(minRate, grace, bytesRead)
    else if (this.#sends.isLate(bytesRead, elapsed))
      for (const { stream } of this.#streams)
        if (owesContent(stream)) this.#endSoon(stream, 'body-too-slow', 408)
  }

  /** Without a stream it serves nothing, whatever goes over it: pings, or a head that never ends. */
  #lookAtRest(now: number): void {
    const { head, idle } = this.settings
    const { session } = this
    this.#sends = undefined
    if (this.#closedAt !== undefined) {
      // Node waits for its client's end, which may never come.
      if (now - this.#closedAt >= lingerFor) this.socket.destroy()
      return
    }
    const most = this.#served ? idle : head
    if (most === 0 || now - this.#restsSince < most) return
    this.#closedAt = now
    if (!this.#served) this.refusals.tell('head-timeout', 0, this.socket.remoteAddress)
    session.close()
  }

  /** When it is its turn, which may be a moment later. */
  #endSoon(stream: WatchedStream, reason: string, status: number): void {
    const seen = stream[watched] as Watched
    if (seen.end !== undefined) return
    seen.end = 'due'
    this.work.add(() => {
      const isLate = status === 0 ? stream.writableLength > 0 : owesContent(stream)
      seen.end = isLate ? 'told' : undefined
      if (isLate && !stream.destroyed) this.#end(stream, reason, status)
    })
  }

  /** Its client gives its end no room, or the whole connection is dead. */
  #endAnyhow(stream: ServerHttp2Stream): void {
    stream.destroy()
    this.#ask()
  }

  /** An answer if there may still be one, and the end of the stream. */
  #end(stream: ServerHttp2Stream, reason: string, status: number): void {
    this.refusals.tell(reason, stream.headersSent ? 0 : status, this.socket.remoteAddress)
    if (status === 0 || stream.headersSent || stream.closed || stream.destroyed) {
      stream.close(constants.NGHTTP2_CANCEL)
      return
    }
    // Nothing but a head: a page would wait for room that such a client may never give (RFC 9113 section 5.2), and the answer would lack its end.
    stream.respond(
      { ':status': status, 'cache-control': 'no-store', 'content-length': 0 },
      { endStream: true },
    )
    // Its body ends here and isn't whole: who reads it must hear that before it ends.
    stream.off('aborted', onAborted).emit('aborted')
    // Section 8.1: with NO_ERROR, behind its end, the answer is taken.
    stream.once('finish', () => stream.destroy())
  }

  /** Told why (RFC 9113 section 7), and gone with all streams. */
  #breakOff(reason: string): void {
    const { session } = this
    if (session.destroyed) return
    this.refusals.tell(reason, 0, this.socket.remoteAddress)
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    session.destroy()
  }

  /** Bytes that the system doesn't take at present. */
  #queued(): number {
    const { _handle, _parent } = this.socket
    return (_parent?._handle ?? _handle)?.writeQueueSize ?? 0
  }

  readonly #onStream = (stream: WatchedStream, headers: IncomingHttpHeaders): void => {
    this.#served = true
    const talks = isGrpcCall(headers['content-type'], headers.te, headers['content-length'])
    const seen = new Watched(this, stream, talks)
    stream[watched] = seen
    this.#streams.add(seen)
    this.#count++
    stream.close = closeByUs
    stream.on('aborted', onAborted)
    stream.on('priority', this.#onControl)
    stream.on('drain', onDrain)
    stream.on('close', onClose)
  }

  /** A stream has ended before its answer was whole. */
  aborted(stream: WatchedStream): void {
    // An answer that fails half way is ended so, by whoever serves it.
    if (stream.destroyed || stream[watched]?.closes === true) return
    if (!this.#resets.spend(this.now())) this.#breakOff('http2-resets')
  }

  closed(stream: WatchedStream): void {
    const seen = stream[watched]
    if (seen === undefined) return
    this.#streams.remove(seen)
    this.#count--
    stream[watched] = undefined
    if (this.#readers?.counts === true) {
      this.#sent.fields(stream, seen.blocks)
      this.#sent.ended()
      if (stream.writableFinished) this.#sent.gone(goneOf(seen.reader, 0, 0))
    }
    if (this.#count === 0) this.#restsSince = this.now()
  }

  /** All that waited in a stream has gone. */
  drained({ reader }: Watched): void {
    this.#sent.gone(goneOf(reader, 0, 0))
    // As many bytes may wait at the next look, and be others.
    reader.waiting = Number.POSITIVE_INFINITY
  }

  readonly #onControl = (): void => {
    this.#sent.control()
    if (!this.#controls.spend(this.now())) this.#breakOff('http2-control-frames')
  }
}

function ignore(): void {}

/** In place of Node's: of a stream that has ended nothing else tells by whom, for a client may give any code. */
function closeByUs(this: WatchedStream, ...args: Parameters<ServerHttp2Stream['close']>): void {
  const seen = this[watched]
  if (seen !== undefined) seen.closes = true
  delete (this as Partial<ServerHttp2Stream>).close
  this.close(...args)
  if (seen !== undefined) seen.closes = false
}

function onAborted(this: WatchedStream): void {
  this[watched]?.by.aborted(this)
}

function onDrain(this: WatchedStream): void {
  const seen = this[watched]
  if (seen !== undefined) seen.by.drained(seen)
}

function onClose(this: WatchedStream): void {
  this[watched]?.by.closed(this)
}

/** As of HTTP/1.1: its body isn't whole, it has no answer yet, and we read. */
function owesContent(stream: WatchedStream): boolean {
  if (stream.headersSent || stream.endAfterHeaders || stream.readableEnded) return false
  return stream.readableFlowing === true && stream.readableLength === 0 && stream[watched]?.talks !== true
}
