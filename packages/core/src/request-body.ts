import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { HeaderList } from '@sluice/headers'
import { ProxyError } from './proxy-error.js'
import { PushBody } from './push-body.js'

/**
 * The client's body. It isn't read before somebody takes it, so a failed connect leaves it whole for the next target.
 * Cancelling it doesn't destroy the request, since the reply still has to reach the client: the rest is read and dropped,
 * for an unread rest would block the connection for the next request.
 */
export class RequestBody extends PushBody {
  declare readonly length?: number
  private started = false

  constructor(
    private readonly req: IncomingMessage | Http2ServerRequest,
    length: number | undefined,
  ) {
    super()
    if (length !== undefined) this.length = length
    this.waiting = true
  }

  protected resume(): void {
    const { req } = this
    if (this.started) {
      req.resume()
      return
    }
    this.started = true
    req.on('data', this.onData)
    req.on('end', this.onEnded)
    req.on('error', this.onLost)
    req.on('close', this.onLost)
    if (req.destroyed && !req.readableEnded) this.onLost()
  }

  protected stop(_why: Error): void {
    const { req } = this
    if (this.started) {
      req.off('data', this.onData)
      req.off('end', this.onEnded)
    }
    if (!req.destroyed) req.resume()
  }

  private readonly onData = (chunk: Uint8Array): void => {
    if (!this.push(chunk)) this.req.pause()
  }

  private readonly onEnded = (): void => {
    const trailers = this.req.rawTrailers as HeaderList
    this.finish(trailers.length === 0 ? undefined : trailers)
  }

  private readonly onLost = (cause?: unknown): void => {
    if (this.ended) return
    this.fail(new ProxyError('client_left', { message: 'the client left before its body was whole', cause }))
  }
}
