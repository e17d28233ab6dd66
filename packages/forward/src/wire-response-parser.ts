import { ProxyError } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { hasToken, upgrades } from './connection-tokens.js'
import { ChunkedDecoder } from './wire-chunked.js'
import { isFraming, malformed, readFieldLines } from './wire-field-lines.js'
import { wireLimits } from './wire-limits.js'
import { endOfStatusLine, readReason, statusAt } from './wire-status-line.js'

/** Node's buffers have it, its types don't: the quickest way to text, a character a byte. */
type Latin1Buffer = Buffer & { latin1Slice(from: number, to: number): string }

/** What a {@link ResponseParser} tells of, in this order: `informed` any number of times, `answered`, `data`, `ended`. */
export interface ResponseEvents {
  /** An informational response, 100 to 199 but for 101. */
  informed(status: number, headers: HeaderList): void
  /** The head of the reply: it stands in the parser. */
  answered(head: ResponseHead): void
  /** Bytes `from` to `to` of what the parser was given are of the body. */
  data(from: number, to: number): void
  /** The reply is whole. */
  ended(trailers: HeaderList | undefined): void
}

/** A reply's head, and how its body is framed. */
export interface ResponseHead {
  /** It came by HTTP/1.1, and not by 1.0. */
  readonly minor1: boolean
  readonly status: number
  /** What the target calls the status, where that isn't the usual name. */
  readonly reason: string | undefined
  /** As they came, those of this hop too. */
  readonly headers: HeaderList
  readonly framing: 'none' | 'length' | 'chunked' | 'close' | 'tunnel'
  /** The Content-Length, if there was one, also where no body follows. */
  readonly length: number | undefined
  /** The connection may be used again when the reply has ended. */
  readonly keepAlive: boolean
}

/** What was asked decides how the answer is framed. */
export interface Asked {
  readonly method: string
  /** An upgrade was asked for: 101 may come. */
  readonly upgrade: boolean
}

const nothing: Asked = { method: 'GET', upgrade: false }
const noHeaders: HeaderList = []

type State = 'idle' | 'head' | 'length' | 'chunked' | 'trailers' | 'blank' | 'close' | 'ended'

/** A head is nearly always shorter: only when it isn't, the whole of what came is looked at. */
const usualHead = 1024

/**
 * Reads replies of HTTP/1.1 and 1.0 (RFC 9112), over any split of their bytes.
 *
 * idle ──begin()──▶ head ─┬─ 1xx ─▶ head
 *                         ├─ no body, or 101 ───────────────────────▶ ended
 *                         ├─ length ────────── its last byte ───────▶ ended
 *                         ├─ chunked ─ last chunk ─▶ trailers ──────▶ ended
 *                         └─ close ─────────── finish() ────────────▶ ended
 *
 * What two parsers could read in two ways is an error: Content-Length with Transfer-Encoding, either of them twice, a
 * coding other than one `chunked`, bytes behind the end of a reply on a connection that would be kept (RFC 9112 section
 * 6.3; an intermediary that passes it on is how responses get split).
 */
export class ResponseParser implements ResponseHead {
  minor1 = true
  status = 0
  reason: string | undefined = undefined
  headers = noHeaders
  framing: ResponseHead['framing'] = 'none'
  length: number | undefined = undefined
  keepAlive = false
  /** For how many seconds the target keeps the connection, where Keep-Alive says so: a hint (RFC 2068 section 19.7.1.1). */
  keptFor: number | undefined = undefined
  private state: State = 'idle'
  private asked: Asked = nothing
  /** What has come of a head or of trailers that aren't whole. */
  private held = ''
  private left = 0
  private informational = 0
  private readonly chunks = new ChunkedDecoder()

  constructor(private readonly events: ResponseEvents) {}

  /** A request is sent: its reply comes next. */
  begin(asked: Asked): void {
    this.asked = asked
    this.state = 'head'
    this.informational = 0
    this.held = ''
  }

  /**
   * Its connection rests now, perhaps for hours: a request that it still knew would stay in memory, with its client's socket and its body, and so would
   * a head with all its text.
   */
  forget(): void {
    this.asked = nothing
    this.headers = noHeaders
    this.reason = undefined
  }

  /** No byte of a reply has come, informational ones included. */
  get untouched(): boolean {
    return this.state === 'head' && this.informational === 0 && this.held === ''
  }

  /** The reply has ended, or none was asked for. */
  get ended(): boolean {
    return this.state === 'ended' || this.state === 'idle'
  }

  /**
   * Reads `bytes` from `at` to `end`.
   * @returns the index behind the last byte that was read: before `end` only where the reply has ended, and what follows is
   * a tunnel's, or nobody's on a connection that is to end
   * @throws ProxyError http_protocol_error, http_response_header_section_size
   */
  execute(bytes: Buffer, at: number, end: number): number {
    while (at < end) {
      switch (this.state) {
        case 'head':
          at = this.readHead(bytes, at, end)
          break
        case 'length': {
          const stop = Math.min(end, at + this.left)
          this.left -= stop - at
          if (this.left === 0) this.checkEnd(stop, end)
          this.events.data(at, stop)
          at = stop
          if (this.left === 0) this.end(undefined)
          break
        }
        case 'chunked':
          at = this.chunks.decode(bytes, at, end, this.events)
          if (this.chunks.done) this.state = 'trailers'
          break
        case 'trailers':
          at = this.readTrailers(bytes, at, end)
          break
        case 'blank':
          if (bytes[at] !== 10) throw malformed('a carriage return alone before the trailers')
          at++
          this.checkEnd(at, end)
          this.end(undefined)
          break
        case 'close':
          this.events.data(at, end)
          return end
        case 'idle':
          throw malformed('bytes came before a request was sent')
        case 'ended':
          if (this.framing !== 'tunnel') this.checkEnd(at, end)
          return at
      }
    }
    return at
  }

  /**
   * The connection has ended.
   * @throws ProxyError connection_terminated, http_response_incomplete
   */
  finish(): void {
    if (this.state === 'close') this.end(undefined)
    else if (this.state === 'head') throw new ProxyError('connection_terminated')
    else if (!this.ended) throw new ProxyError('http_response_incomplete')
  }

  private readHead(bytes: Buffer, at: number, end: number): number {
    const text = this.section(bytes, at, end)
    if (text === undefined) return end
    const stop = this.stop
    const next = this.next
    const source = this.joined ?? bytes
    const from = this.joined === undefined ? at : 0
    const line = endOfStatusLine(source, from, text)
    const status = statusAt(source, from)
    const headers: HeaderList = []
    readFieldLines(source, line, from + stop, text, from, headers)
    if (headers.length > wireLimits.fields * 2) throw tooLarge(`more than ${wireLimits.fields} fields`)
    const minor1 = source[from + 7] === 49
    if (status < 200 && status !== 101) {
      // It has no body (RFC 9112 section 6.3); fields that say so in two ways are refused all the same.
      readFraming(headers, minor1)
      if (++this.informational > wireLimits.informational)
        throw malformed(`more than ${wireLimits.informational} informational responses`)
      this.events.informed(status, headers)
      return next
    }
    this.minor1 = minor1
    this.status = status
    this.reason = readReason(text, status, line - from - 2)
    this.headers = headers
    this.frame()
    this.left = this.length ?? 0
    switch (this.framing) {
      case 'none':
        this.checkEnd(next, end)
        break
      case 'length':
        // Said before the head is told: a reply with more behind it than it announces is no reply.
        if (this.left <= end - next) this.checkEnd(next + this.left, end)
        this.state = 'length'
        break
      case 'chunked':
        this.chunks.reset()
        this.state = 'chunked'
        break
      case 'close':
        this.state = 'close'
        break
      case 'tunnel':
        break
    }
    this.events.answered(this)
    if (
      this.framing === 'none' ||
      this.framing === 'tunnel' ||
      (this.framing === 'length' && this.left === 0)
    )
      this.end(undefined)
    return next
  }

  /** How the body is framed (RFC 9112 section 6.3), and whether the connection lasts (section 9.3). */
  private frame(): void {
    const { headers, minor1, status } = this
    let close = false
    let keep = minor1
    let framed = false
    this.keptFor = undefined
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      switch (name.length) {
        case 10: {
          const lower = name === 'Connection' ? 'connection' : name.toLowerCase()
          if (lower === 'keep-alive') this.keptFor = timeoutIn(headers[i + 1] as string)
          else if (lower === 'connection') {
            const value = headers[i + 1] as string
            if (value === 'keep-alive') keep = true
            else if (hasToken(value, 'close')) close = true
            else if (hasToken(value, 'keep-alive')) keep = true
          }
          break
        }
        case 14:
        case 17:
          framed = true
          break
      }
    }
    const length = framed ? readFraming(headers, minor1) : undefined
    const chunked = length === -1
    this.length = length === undefined || chunked ? undefined : length
    this.keepAlive = keep && !close
    const { method, upgrade } = this.asked
    if (status === 101) {
      if (!upgrade) throw malformed('101 without a request for an upgrade')
      // RFC 9110 section 15.2.2. Without them it is no change of protocol to other parsers.
      if (!upgrades(headers)) throw malformed('101 that does not say what to change to')
      this.framing = 'tunnel'
    } else if (method === 'CONNECT' && status < 300) {
      this.framing = 'tunnel'
    } else if (method === 'HEAD' || status === 204 || status === 304) {
      this.framing = 'none'
    } else if (chunked) {
      this.framing = 'chunked'
    } else if (length !== undefined) {
      this.framing = 'length'
    } else {
      this.framing = 'close'
      this.keepAlive = false
    }
  }

  private readTrailers(bytes: Buffer, at: number, end: number): number {
    if (this.held === '' && bytes[at] === 13) {
      this.state = 'blank'
      return at + 1
    }
    const text = this.section(bytes, at, end)
    if (text === undefined) return end
    const trailers: HeaderList = []
    const source = this.joined ?? bytes
    const from = this.joined === undefined ? at : 0
    readFieldLines(source, from, from + this.stop, text, from, trailers)
    if (trailers.length > wireLimits.fields * 2) throw tooLarge(`more than ${wireLimits.fields} trailers`)
    for (let i = 0; i < trailers.length; i += 2)
      // RFC 9110 section 6.5.1: never in trailers. Whoever merges them with the head would frame the body anew.
      if (isFraming(trailers[i] as string)) throw malformed(`${trailers[i]} in the trailers`)
    this.checkEnd(this.next, end)
    this.end(trailers)
    return this.next
  }

  /** Where the last section ends in its text, behind its last line. */
  private stop = 0
  /** Where the next bytes begin. */
  private next = 0
  /** The bytes of the last section, if they came in several reads. */
  private joined: Uint8Array | undefined = undefined

  /** The text of a section that ends with a blank line, once that has come; it sets `stop`, `next` and `joined`. */
  private section(bytes: Buffer, at: number, end: number): string | undefined {
    const { held } = this
    const room = wireLimits.head - held.length
    let text = held + (bytes as Latin1Buffer).latin1Slice(at, Math.min(end, at + Math.min(usualHead, room)))
    const from = Math.max(held.length - 3, 0)
    let blank = text.indexOf('\r\n\r\n', from)
    if (blank === -1 && end - at > usualHead && room > usualHead) {
      text = held + (bytes as Latin1Buffer).latin1Slice(at, Math.min(end, at + room))
      blank = text.indexOf('\r\n\r\n', from)
    }
    if (blank !== -1) {
      this.held = ''
      this.stop = blank + 2
      this.next = at + blank + 4 - held.length
      this.joined = held === '' ? undefined : Buffer.from(text, 'latin1')
      return text
    }
    if (text.length >= wireLimits.head) throw tooLarge(`more than ${wireLimits.head} bytes`)
    this.held = text
    refuseEarly(text, Math.max(held.length - 1, 0), this.state === 'head')
    return undefined
  }

  /** Bytes behind the end of a reply: whose they are can't be told. Where the connection ends anyway nobody reads them. */
  private checkEnd(at: number, end: number): void {
    if (at < end && this.keepAlive) throw malformed('bytes behind the end of the reply')
  }

  private end(trailers: HeaderList | undefined): void {
    this.state = 'ended'
    this.events.ended(trailers)
  }
}

/** What can't become a head is refused before its time is over. */
function refuseEarly(text: string, from: number, head: boolean): void {
  const start = 'HTTP/1.'
  if (head && text.slice(0, start.length) !== start.slice(0, text.length))
    throw malformed(`this is not HTTP/1: ${JSON.stringify(text.slice(0, 20))}`)
  for (let at = text.indexOf('\r', from); at !== -1 && at + 1 < text.length; at = text.indexOf('\r', at + 1))
    if (text.charCodeAt(at + 1) !== 10) throw malformed('a carriage return that ends no line')
  for (let at = text.indexOf('\n', from); at !== -1; at = text.indexOf('\n', at + 1))
    if (at === 0 || text.charCodeAt(at - 1) !== 13) throw malformed('a line that ends with a line feed alone')
}

function timeoutIn(keepAlive: string): number | undefined {
  const hint = /(?:^|[,;\s])timeout=(\d{1,9})/i.exec(keepAlive)
  return hint === null ? undefined : Number(hint[1])
}

/**
 * What Content-Length or Transfer-Encoding say of a body: its length, -1 for chunks, `undefined` for neither (RFC 9112
 * section 6.3).
 * @throws ProxyError http_protocol_error where they could be read in two ways
 */
function readFraming(headers: HeaderList, minor1: boolean): number | undefined {
  let length: string | undefined
  let coding: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (!isFraming(name)) continue
    const value = headers[i + 1] as string
    if (name.length === 14) {
      if (length !== undefined) throw malformed('more than one Content-Length')
      if (!/^\d{1,15}$/.test(value)) throw malformed('a Content-Length that is no number')
      length = value
    } else {
      if (coding !== undefined) throw malformed('more than one Transfer-Encoding')
      coding = value
    }
  }
  if (coding === undefined) return length === undefined ? undefined : Number(length)
  if (length !== undefined) throw malformed('Content-Length with Transfer-Encoding')
  if (!minor1) throw malformed('Transfer-Encoding in HTTP/1.0')
  if (coding.length !== 7 || coding.toLowerCase() !== 'chunked')
    throw malformed('a Transfer-Encoding other than chunked')
  return -1
}

function tooLarge(message: string): ProxyError {
  return new ProxyError('http_response_header_section_size', {
    message: `the head of the answer has ${message}`,
  })
}
