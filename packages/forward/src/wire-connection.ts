import type { Socket } from 'node:net'
import { freeMemory, ProxyError, type Spent } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { Deadline, type Deadlines } from './deadlines.js'
import { readBeforeDestroy } from './read-before-destroy.js'
import { type Reader, readTurns } from './read-turns.js'
import { wasReset } from './was-reset.js'
import type { WireExchange } from './wire-exchange.js'
import { type ResponseEvents, type ResponseHead, ResponseParser } from './wire-response-parser.js'
import type { Holder } from './yielding.js'

/** What a connection is read into at first, and once that was not enough for a read. */
const smallBuffer = 16 * 1024
const largeBuffer = 64 * 1024
/**
 * What all connections without TLS are read into at first: the system fills it in the same call that hands it on, and before that returns all of it is parsed and
 * what goes on is copied. TLS may decrypt while another connection is read.
 */
const shared = Buffer.allocUnsafeSlow(smallBuffer)
/**
 * A part of a body from this size on is handed on with its buffer; a smaller one is copied out of it, which costs less than
 * a new buffer.
 */
const copyBelow = 32 * 1024
/** What TLS gives at once, at most (RFC 8446 section 5.1): such a read is one of many, however large the buffer. */
const fullRecord = 16 * 1024

/** What was gathered has a buffer of its own, and is freed, where it may have so many bytes. */
const freeFrom = 16 * 1024

/** Gives back the memory of a read that went on with its buffer. */
const freeRead: Spent = ({ buffer }) => freeMemory(buffer)

/** Who keeps a connection between its exchanges. */
export interface ConnectionOwner {
  readonly deadlines: Deadlines
  /** It is free for another exchange. */
  released(connection: WireConnection): void
  /** It has closed, or is another's. */
  gone(connection: WireConnection): void
}

/** How a socket gives its bytes: into a buffer of ours, so that none is made for each read. */
export interface ReadInto {
  buffer(): Buffer
  callback(size: number): boolean
}

/**
 * One HTTP/1.1 connection to a target, and the exchange on it, one at a time.
 *
 * idle ──send()──▶ busy ──reply and request both whole──▶ idle
 *   │                └─ error, abort, an end that doesn't allow another ─▶ closed
 *   └─ the target's end, any byte, its idle limit ──▶ closed
 */
export class WireConnection implements ResponseEvents, Holder, Reader {
  /** The exchange that it serves now. */
  exchange: WireExchange | undefined = undefined
  /** Exchanges before this one. */
  private served = 0
  /** When it became free, by the owner's clock; -1: it never was. */
  idleSince = -1
  readonly deadline: Deadline
  socket!: Socket
  private buffer: Buffer
  private given = false
  private paused = false
  /** For the next turn of the event loop, since others want some of this one. */
  private waits = false
  /** Bytes of the read that is parsed now. */
  private size = 0
  /** Small parts of a body that came in one read: what was chunks on this connection is one part on the next. */
  private gathered: Buffer | undefined = undefined
  private gatheredSize = 0
  private plain = false
  private resting = false
  private failure: Error | undefined = undefined
  private readonly parser = new ResponseParser(this)

  /** @param secure its socket is one of TLS */
  constructor(
    private readonly owner: ConnectionOwner,
    private readonly secure: boolean,
  ) {
    this.buffer = this.small()
    this.deadline = new Deadline(() => this.expired())
  }

  /** For the socket's `onread`. */
  readonly into: ReadInto = {
    buffer: () => {
      if (this.given) {
        this.given = false
        this.buffer = this.isLarge ? Buffer.allocUnsafeSlow(largeBuffer) : this.small()
      }
      return this.buffer
    },
    callback: (size) => this.receive(size),
  }

  private small(): Buffer {
    return this.secure ? Buffer.allocUnsafeSlow(smallBuffer) : shared
  }

  /** Whether whoever gets the answer wants large parts. */
  private get isLarge(): boolean {
    return this.exchange === undefined || this.exchange.partAtMost >= largeBuffer
  }

  /** The socket is connected. */
  open(socket: Socket): void {
    this.socket = socket
    readBeforeDestroy(socket)
    socket.on('error', (error) => {
      this.failure ??= error
    })
    socket.on('end', () => this.half())
    socket.on('close', () => this.closed())
    socket.on('drain', () => this.exchange?.hasRoom())
  }

  /** For a connection that may become a tunnel: its socket stays an ordinary stream. */
  openPlain(socket: Socket): void {
    this.plain = true
    this.open(socket)
    socket.on('data', (chunk: Buffer) => {
      this.buffer = chunk
      if (!this.receive(chunk.length)) socket.pause()
    })
  }

  /** No exchange, and the socket lives, as far as is known. */
  get usable(): boolean {
    return (
      this.exchange === undefined && !this.socket.destroyed && this.socket.readable && this.socket.writable
    )
  }

  /** It holds no process open until its next exchange. */
  rest(): void {
    if (this.resting) return
    this.resting = true
    this.socket.unref()
  }

  /** It has served another exchange, or rested: the target may have closed it meanwhile. */
  get kept(): boolean {
    return this.served > 0 || this.idleSince >= 0
  }

  /** Begins an exchange. */
  send(exchange: WireExchange): void {
    if (this.resting) {
      this.resting = false
      this.socket.ref()
    }
    this.exchange = exchange
    this.parser.begin(exchange)
    exchange.start(this)
  }

  get uploads(): boolean {
    return this.exchange?.uploads === true
  }

  slowFor(now: number): number {
    return this.exchange?.slowFor(now) ?? 0
  }

  /** Not a byte of an answer has come. */
  get untouched(): boolean {
    return this.parser.untouched
  }

  private receive(size: number): boolean {
    const { exchange, parser } = this
    if (exchange === undefined || exchange.unsent) {
      // Whatever it is, nobody has asked for it.
      this.fail(new ProxyError('connection_terminated'))
      return false
    }
    this.size = size
    const isFull = this.secure ? size >= fullRecord : size >= smallBuffer && size === this.buffer.length
    const began = isFull ? readTurns.now() : 0
    try {
      const read = parser.execute(this.buffer, 0, size)
      this.pass()
      if (this.exchange !== undefined && parser.framing === 'tunnel') {
        this.handOver(exchange, read, size)
        return true
      }
    } catch (error) {
      this.gathered = undefined
      this.fail(error as Error)
      return false
    }
    // A read that has filled the small buffer is one of many: the next ones get a larger one.
    if (size === smallBuffer && this.buffer.length === smallBuffer && this.isLarge) this.given = true
    if (this.exchange === exchange) {
      exchange.moved()
      // TLS gives all records of what it has read, though it was stopped at the first.
      if (isFull && !this.waits) this.waits = !readTurns.mayReadOn(this, began)
    }
    return !this.paused && !this.waits
  }

  informed(status: number, headers: HeaderList): void {
    this.exchange?.informed(status, headers)
  }

  answered(head: ResponseHead): void {
    this.exchange?.answered(head)
  }

  data(from: number, to: number): void {
    const { buffer } = this
    if (to - from >= copyBelow) {
      this.pass()
      this.given = true
      this.hand(buffer.subarray(from, to), this.plain ? undefined : freeRead)
      return
    }
    if (this.gathered === undefined) {
      const most = this.size - from
      // Out of Node's pool, of up to 64 KB by version, others have parts: that is nobody's to free.
      this.gathered = most < freeFrom ? Buffer.allocUnsafe(most) : Buffer.allocUnsafeSlow(most)
      this.gatheredSize = 0
    }
    this.gatheredSize += buffer.copy(this.gathered, this.gatheredSize, from, to)
  }

  ended(trailers: HeaderList | undefined): void {
    this.pass()
    if (this.parser.framing !== 'tunnel') this.exchange?.complete(trailers)
  }

  /** Hands on what was gathered. */
  private pass(): void {
    const { gathered, gatheredSize } = this
    if (gathered === undefined) return
    this.gathered = undefined
    if (gatheredSize === 0) return
    const part = gatheredSize === gathered.length ? gathered : gathered.subarray(0, gatheredSize)
    this.hand(part, gathered.length >= freeFrom ? freeRead : undefined)
  }

  private hand(chunk: Buffer, spent?: Spent): void {
    if (this.exchange?.received(chunk, spent) === false) this.paused = true
  }

  /** The target has ended its half: only a body without length may end so. */
  private half(): void {
    const { exchange, parser } = this
    if (exchange === undefined) return
    try {
      // While a body is sent a reset may follow a true end.
      if (parser.framing === 'close' && !exchange.uploads && wasReset(this.socket))
        throw new ProxyError('http_response_incomplete', { message: 'the connection was reset' })
      parser.finish()
    } catch (error) {
      this.fail(this.failure ?? (error as Error))
    }
  }

  /** The socket belongs to the new protocol from here on, with the bytes of it that have come. */
  private handOver(exchange: WireExchange, from: number, to: number): void {
    const { socket } = this
    this.exchange = undefined
    this.owner.deadlines.clear(this.deadline)
    this.owner.gone(this)
    socket.removeAllListeners('data')
    socket.pause()
    if (from < to) socket.unshift(this.buffer.subarray(from, to))
    exchange.upgraded(socket, this.parser)
  }

  /** The reply and the request are whole: the connection is free. */
  release(): void {
    // The last part may have found no room; the next reply has a sink of its own.
    this.resume()
    this.leave()
    // One whose write has failed is still open, since its answer is read first.
    if (this.parser.keepAlive && !this.plain && this.usable) this.owner.released(this)
    else this.socket.destroy()
  }

  /** Its exchange was given up with nothing of it written: the connection is free. */
  giveBack(): void {
    this.leave()
    if (!this.plain && this.usable) this.owner.released(this)
    else this.socket.destroy()
  }

  private leave(): void {
    this.exchange = undefined
    this.parser.forget()
    this.served++
  }

  /** The reply is whole, but the connection can't carry another. */
  discard(): void {
    this.exchange = undefined
    this.socket.destroy()
  }

  /** How long it may rest, in ms: `limit`, or less if the target has said so; below 0 for not at all. 0: no limit. */
  idleLimit(limit: number): number {
    const { keptFor } = this.parser
    if (keptFor === undefined) return limit
    // A second before the target ends it, so that no request meets that end on its way.
    const most = (keptFor - 1) * 1_000
    return most <= 0 ? -1 : limit === 0 ? most : Math.min(limit, most)
  }

  /** The reply's body may flow again. */
  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (!this.waits) this.socket.resume()
  }

  readOn(): void {
    this.waits = false
    if (!this.paused && !this.socket.destroyed) this.socket.resume()
  }

  /** Ends it, and with it the exchange. */
  fail(error: Error): void {
    const { exchange } = this
    this.exchange = undefined
    this.socket.destroy()
    exchange?.failed(error)
  }

  private closed(): void {
    this.owner.deadlines.drop(this.deadline)
    // First the exchange, which may ask the owner for another connection: an owner that has none left is closed.
    if (this.exchange !== undefined) this.fail(this.failure ?? this.atEnd())
    this.owner.gone(this)
  }

  private atEnd(): Error {
    return new ProxyError(this.parser.untouched ? 'connection_terminated' : 'http_response_incomplete')
  }

  private expired(): void {
    if (this.exchange === undefined) this.socket.destroy()
    else this.exchange.expired()
  }
}
