import type { Socket } from 'node:net'
import { type EndSink, endOfTurn, ProxyError, type Spent, writeSpent } from '@sluice/core'
import { fieldLine, type HeaderList, withoutHopByHop } from '@sluice/headers'
import { bodyFailure } from './body-failure.js'

/**
 * Bytes that may wait for the target to read, or for the end of the event loop's turn. By itself a socket asks to wait after
 * each part beyond its 16 KB, also when the system would take it on the spot, and then the client's connection is stopped and
 * started for each. With 128 KB a body of 1 MB takes eight turns and eight writes, lives long enough for V8 to age it, and
 * costs a third more.
 */
const queueAtMost = 512 * 1024

/** Who hears of an upload. */
export interface UploadOwner {
  /** The body has been written as a whole. */
  uploaded(): void
  /** It never will be. */
  uploadFailed(error: ProxyError): void
  /** Bytes have moved. */
  uploadMoved(): void
  /** What `socket` has held back up to the end of the event loop's turn has left. */
  uploadLeft?(socket: Socket): void
}

/**
 * A request's body on its way to a socket. With a length it has to be as long as that, else the target would take the next
 * request's bytes for it; without one it is written in chunks (RFC 9112 section 7.1).
 */
export class WireUpload implements EndSink {
  /** The target, and not the client, is who is waited for. */
  waitsForTarget = false
  /** Bytes that have come. */
  written = 0
  private drained: (() => void) | undefined = undefined
  private over = false
  private corked = false

  constructor(
    private readonly socket: Socket,
    private readonly length: number | undefined,
    private readonly owner: UploadOwner,
    /** Trailers that the body itself doesn't bring. */
    private readonly later?: (() => HeaderList | undefined) | undefined,
  ) {}

  write(chunk: Uint8Array, spent?: Spent): boolean {
    if (this.over) return false
    const { socket } = this
    let room: boolean
    this.written += chunk.length
    if (this.length !== undefined) {
      if (this.written > this.length) {
        this.fail(`more than the ${this.length} bytes announced`)
        return false
      }
      this.gather()
      room = writeSpent(socket, chunk, spent)
    } else {
      if (chunk.length === 0) return true
      this.gather()
      socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
      writeSpent(socket, chunk, spent)
      room = socket.write('\r\n', 'latin1')
    }
    // A socket that has room by its own measure doesn't tell when it is drained.
    room ||= socket.writableLength < queueAtMost
    this.waitsForTarget = !room
    this.owner.uploadMoved()
    return room
  }

  /** What one turn of the event loop brings goes out as one write, the end of the body included. */
  private gather(): void {
    if (this.corked) return
    this.corked = true
    this.socket.cork()
    endOfTurn(letGo, this)
  }

  /** The turn is over. */
  letGo(): void {
    const { owner, socket } = this
    this.corked = false
    socket.uncork()
    owner.uploadLeft?.(socket)
  }

  end(trailers?: HeaderList): void {
    if (this.over) return
    if (this.length === undefined) {
      const fields = trailers ?? this.later?.()
      this.socket.write(`0\r\n${fields === undefined ? '' : trailerLines(fields)}\r\n`, 'latin1')
    } else if (this.written !== this.length) {
      this.fail(`${this.written} of ${this.length} bytes`)
      return
    }
    this.over = true
    this.owner.uploaded()
  }

  abort(error: Error): void {
    if (this.over) return
    this.over = true
    this.owner.uploadFailed(bodyFailure(error))
  }

  /** All that has come from the client has left. */
  get waitsForClient(): boolean {
    return !this.over && !this.waitsForTarget && this.socket.writableLength === 0
  }

  onDrain(fn: () => void): void {
    this.drained = fn
  }

  /** The socket has room again. */
  drain(): void {
    this.waitsForTarget = false
    if (this.over) return
    this.owner.uploadMoved()
    this.drained?.()
  }

  /** Nobody wants the rest. */
  stop(): void {
    this.over = true
  }

  private fail(message: string): void {
    this.abort(new ProxyError('http_request_error', { message: `the body of the request: ${message}` }))
  }
}

/** Fields that mean something only before a body (RFC 9110 section 6.5.1). */
const forbidden = new Set([
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
  'host',
  'trailer',
  'authorization',
  'set-cookie',
  'www-authenticate',
  'cookie',
  'cache-control',
  'expect',
  'max-forwards',
  'te',
  'range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'age',
  'date',
  'expires',
  'location',
  'retry-after',
  'vary',
  'via',
  'forwarded',
  'x-real-ip',
  'x-request-id',
  'client-cert',
  'client-cert-chain',
])

/** Trailers without fields that have no business there: a target may merge what is left with the head's. */
export function cleanTrailers(trailers: HeaderList, response: boolean): HeaderList {
  const fields = withoutHopByHop(trailers, { response })
  const out: HeaderList = []
  for (let i = 0; i < fields.length; i += 2)
    if (!isForbidden((fields[i] as string).toLowerCase()))
      out.push(fields[i] as string, fields[i + 1] as string)
  return out
}

/**
 * Who a client is, a trusted proxy says before the body: behind it anybody could. To servers of CGI's kind `_` is the same as `-`
 * (RFC 3875 section 4.1.18), to some any other mark too.
 */
function isForbidden(given: string): boolean {
  const name = given.replaceAll(/[^\da-z]/g, '-')
  return forbidden.has(name) || name.startsWith('x-forwarded-')
}

function trailerLines(trailers: HeaderList): string {
  const fields = cleanTrailers(trailers, false)
  let lines = ''
  for (let i = 0; i < fields.length; i += 2) {
    // A field that a layer has made may hold anything, and what it would end is the request.
    lines += fieldLine(fields[i] as string, fields[i + 1]) ?? ''
  }
  return lines
}

function letGo(upload: WireUpload): void {
  upload.letGo()
}
