import type { ClientHttp2Stream } from 'node:http2'
import { ProxyError, type Sink } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { bodyFailure } from './body-failure.js'
import { http2TrailerFields, isTooLarge, tooLarge } from './http2-fields.js'
import type { UploadOwner } from './wire-upload.js'

/**
 * A request's body on its way into a stream, which has to be opened with `waitForTrailers`: then Node doesn't end the request
 * by itself when the stream is reset in the middle of the body, whereby half a body would pass for a whole one.
 *
 * flowing ──end()──▶ over, the trailers follow when the target's window has taken the rest
 *    └──── abort(), stop(), another length than announced ────▶ over
 */
export class Http2Upload implements Sink {
  /** The target, and not the client, is who is waited for. */
  waitsForTarget = false
  private written = 0
  private drained: (() => void) | undefined = undefined
  private over = false
  private trailers: HeaderList | undefined = undefined

  constructor(
    private readonly stream: ClientHttp2Stream,
    private readonly length: number | undefined,
    private readonly owner: UploadOwner,
    /** Trailers that the body itself doesn't bring. */
    private readonly later: (() => HeaderList | undefined) | undefined,
    /** Bytes that trailers may have. */
    private readonly trailersAtMost: number,
  ) {}

  write(chunk: Uint8Array): boolean {
    if (this.over) return false
    this.written += chunk.length
    if (this.length !== undefined && this.written > this.length) {
      this.fail(`more than the ${this.length} bytes announced`)
      return false
    }
    const room = this.stream.write(chunk)
    this.waitsForTarget = !room
    this.owner.uploadMoved()
    return room
  }

  end(trailers?: HeaderList): void {
    if (this.over) return
    if (this.length !== undefined && this.written !== this.length) {
      this.fail(`${this.written} of ${this.length} bytes`)
      return
    }
    this.trailers = trailers ?? this.later?.()
    if (this.trailers !== undefined && isTooLarge(this.trailers, this.trailersAtMost))
      return this.abort(tooLarge('the trailers'))
    this.over = true
    this.stream.end()
    this.owner.uploaded()
  }

  abort(error: Error): void {
    if (this.over) return
    this.over = true
    this.owner.uploadFailed(bodyFailure(error))
  }

  onDrain(fn: () => void): void {
    this.drained = fn
  }

  /** The stream has room again. */
  drain(): void {
    this.waitsForTarget = false
    if (this.over) return
    this.owner.uploadMoved()
    this.drained?.()
  }

  /** The stream has taken all, and ends with these. */
  sendTrailers(): void {
    this.stream.sendTrailers(this.trailers === undefined ? {} : http2TrailerFields(this.trailers))
  }

  /** Nobody wants the rest. */
  stop(): void {
    this.over = true
  }

  private fail(message: string): void {
    this.abort(new ProxyError('http_request_error', { message: `the body of the request: ${message}` }))
  }
}
