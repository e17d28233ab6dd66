import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { attach, type Handler } from '@sluice/core'
import { openWindow, serverOptions } from '@sluice/guard'
import { hardenBy, type ListenGuard, type ServerLimits } from './server-limits.js'

/** Streams that a client may have open on one connection: what browsers ask for, and Go's server gives. Node's default is all. */
const mostStreams = 250
/** They need these also where the guard is off. */
const {
  maxSendHeaderBlockLength,
  maxSessionMemory,
  settings: { initialWindowSize },
} = serverOptions({ streams: mostStreams })

/**
 * Bytes that say nothing of whether there is a client: it has taken none of them as far as anybody knows. The guard's pings and what keeps event streams
 * alive are no more in a minute; an answer that a slow client reads is.
 */
const asGoodAsNone = 256

/** A connection, as it was at the last look. */
interface Seen {
  read: number
  written: number
  /** It was sent a ping. */
  asked: boolean
}

/**
 * Connections of HTTP/2 that somebody else has accepted.
 *
 * open ──no byte from look to look──▶ asked by a ping ──an answer──▶ GOAWAY: ends with its last stream
 *   │                                                 └─no byte until the next look──▶ ended with all streams
 *   └────none from the client, few from us──▶ asked by a ping ──an answer──▶ open; else the same
 */
export class Http2Sessions {
  readonly #server: Http2Server
  readonly #open = new Map<ServerHttp2Session, Seen>()
  readonly #linger: number
  /** One for all: that of `session.setTimeout` goes on after the session's end, and holds it. */
  #looks: NodeJS.Timeout | undefined
  #isEnding = false

  constructor(
    handler: Handler,
    { http2, linger, quiet }: Pick<ServerLimits, 'http2' | 'linger' | 'quiet'>,
    guard: ListenGuard,
  ) {
    this.#server = createServer({
      settings: { maxConcurrentStreams: mostStreams, initialWindowSize },
      maxSendHeaderBlockLength,
      maxSessionMemory,
      ...http2,
    })
    this.#linger = linger
    attach(this.#server, handler)
    // What it is given was accepted by another server, which has the limits of connections.
    hardenBy(this.#server, guard)
    this.#server.on('session', (session: ServerHttp2Session) => {
      if (guard.server === false) openWindow(session, initialWindowSize)
      this.#open.set(session, { read: -1, written: -1, asked: false })
      session.once('close', () => this.#forget(session))
      this.#looks ??= setInterval(() => this.#look(), quiet).unref()
      // It was in its handshake when the others were told.
      if (this.#isEnding) session.close()
    })
  }

  serve(socket: TLSSocket): void {
    // Node then waits for the client's end, which may never come. To close at once would reset the connection if a frame is still on
    // its way here, and with it what the client hasn't read.
    socket.once('finish', () => {
      const late = setTimeout(() => socket.destroy(), this.#linger).unref()
      socket.once('close', () => clearTimeout(late))
    })
    this.#server.emit('connection', socket)
  }

  /** GOAWAY: no new streams, and an end after those that there are (RFC 9113 section 6.8). */
  end(): void {
    this.#isEnding = true
    for (const session of this.#open.keys()) session.close()
  }

  destroy(): void {
    for (const session of this.#open.keys()) session.destroy()
  }

  /** Of those on which nothing has moved since the last look: is there still a client? */
  #look(): void {
    for (const [session, seen] of this.#open) {
      if (session.closed || session.destroyed) continue
      const { bytesRead: read, bytesWritten: written } = session.socket
      const isQuiet = read === seen.read
      // Of Node 20 one that has broken the protocol is read no more, and nobody is told.
      if (seen.asked && isQuiet) session.destroy()
      else if (!seen.asked && isQuiet && written - seen.written <= asGoodAsNone) {
        seen.asked = true
        const rests = written === seen.written
        session.ping(() => {
          seen.asked = false
          // Behind the ping, since there are none behind a GOAWAY.
          if (rests) session.close()
        })
      }
      Object.assign(seen, { read, written })
    }
  }

  #forget(session: ServerHttp2Session): void {
    this.#open.delete(session)
    if (this.#open.size > 0) return
    clearInterval(this.#looks)
    this.#looks = undefined
  }
}
