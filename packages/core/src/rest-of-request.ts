import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  constants,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Socket } from 'node:net'
import { onEndSent } from './end-sent.js'
import { lingerAtMost, lingerFor } from './lingering-close.js'

/**
 * What a client still sends of a request that nobody reads any more. A client that writes before it reads would never
 * see the answer if nothing took its bytes, and one that meets a closed connection loses the answer to the reset (RFC 9112
 * section 9.6). So a little is read and dropped, and the client learns by other means that the rest isn't wanted.
 *
 * dropping ──the rest is whole──▶ over: the connection goes on
 *     │ more than 256 KB: nothing more is read
 *     └─answered()──▶ lingering ──whole──▶ over
 *                         ├─ HTTP/1: more than 256 KB ──▶ our half of the connection ends, so that nobody takes it for another request
 *                         ├─ HTTP/1: 2 s ──▶ the connection is destroyed
 *                            HTTP/2: the answer is out ──▶ RST_STREAM NO_ERROR (RFC 9113 section 8.1)
 */
export class RestOfRequest {
  private bytes = 0
  private over = false
  /** The server has ended the connection: it waits for the client alone. */
  private last = false
  private timer: NodeJS.Timeout | undefined = undefined
  /** HTTP/1: the answer is out. */
  private lingering: Socket | undefined = undefined

  constructor(private readonly req: IncomingMessage | Http2ServerRequest) {
    req.on('data', this.onData)
    req.once('end', () => this.end())
    req.once('close', () => this.end())
    req.resume()
  }

  private readonly onData = (chunk: Uint8Array): void => {
    this.bytes += chunk.length
    if (this.bytes <= lingerAtMost) return
    this.req.pause()
    this.endOurs()
  }

  /**
   * The reply has been written as a whole, or is about to be.
   * @param bare it is a head alone
   */
  answered(res: ServerResponse | Http2ServerResponse, bare: boolean): void {
    if (this.over) return
    if ('stream' in res) {
      const { stream } = res
      if (stream === undefined || stream.destroyed) return
      if (stream.writableFinished) this.stopStream(stream, bare)
      else stream.once('finish', () => this.stopStream(stream, bare))
      return
    }
    const socket = this.req.socket as Socket
    // Node's servers end a connection by this method once the last answer on it is out.
    socket.destroySoon = () => {
      this.last = true
      socket.end()
    }
    // Not before: a client may take its time to read a long answer.
    if (res.writableFinished) this.linger(socket)
    else res.once('finish', () => this.linger(socket))
  }

  /** The body of the answer is out; its trailers may not be, and a reset would overtake them. */
  private stopStream(stream: ServerHttp2Stream, bare: boolean): void {
    const close = (): void => {
      if (this.over || stream.destroyed) return
      stream.close(constants.NGHTTP2_NO_ERROR)
      // No more can come. What has come has to be read: else Node would keep the stream, and the exchange with it.
      this.req.off('data', this.onData)
      this.req.resume()
    }
    const later = (): void => onEndSent(stream, close)
    if (bare || stream.sentTrailers !== undefined) later()
    else stream.once('wantTrailers', later)
  }

  private linger(socket: Socket): void {
    if (this.over) return
    this.timer = setTimeout(() => socket.destroy(), lingerFor).unref()
    this.lingering = socket
    this.endOurs()
  }

  /** A client that has written its request sees no end to it here, and may send the next one: its answer said keep-alive while somebody still read. */
  private endOurs(): void {
    if (this.bytes <= lingerAtMost || this.lingering === undefined) return
    this.last = true
    this.lingering.end()
  }

  private end(): void {
    if (this.over) return
    this.over = true
    clearTimeout(this.timer)
    if ('stream' in this.req) return
    const socket = this.req.socket as Socket
    // The prototype's own again.
    Reflect.deleteProperty(socket, 'destroySoon')
    if (this.last && !socket.destroyed) socket.destroySoon()
  }
}
