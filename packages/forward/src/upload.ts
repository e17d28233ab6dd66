import { Readable } from 'node:stream'
import { type Body, ProxyError, type Sink } from '@sluice/core'
import { bodyFailure } from './body-failure.js'

/**
 * A request body on its way into a client that reads Node streams. The body is taken at the first read: if the connect
 * fails before, it is whole for another target. Who let the idle time pass is told by who kept whom waiting.
 */
export class Upload extends Readable implements Sink {
  private begun = false
  private timer: NodeJS.Timeout | undefined = undefined
  private full = false
  private drained: (() => void) | undefined = undefined

  constructor(
    private readonly body: Body,
    private readonly idle: number,
  ) {
    super({ highWaterMark: 64 * 1024 })
    // undici stops listening when a request is over; an error that comes later must not end the process.
    this.on('error', () => {})
  }

  override _read(): void {
    if (this.begun) {
      this.full = false
      this.timer?.refresh()
      this.drained?.()
      return
    }
    this.begun = true
    if (this.idle > 0) this.timer = setTimeout(expired, this.idle, this).unref()
    this.body.pipe(this)
  }

  write(chunk: Uint8Array): boolean {
    this.timer?.refresh()
    this.full = !this.push(chunk)
    return !this.full
  }

  end(): void {
    clearTimeout(this.timer)
    this.push(null)
  }

  abort(error: Error): void {
    clearTimeout(this.timer)
    this.destroy(bodyFailure(error))
  }

  onDrain(fn: () => void): void {
    this.drained = fn
  }

  /** Nobody has read from it: the body is whole. */
  get untouched(): boolean {
    return !this.begun
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.timer)
    if (this.begun) this.body.cancel(error ?? undefined)
    done(error)
  }

  /** Whether the next byte waits for the target and not for the client. */
  get waitsForTarget(): boolean {
    return this.full
  }
}

function expired(upload: Upload): void {
  upload.destroy(new ProxyError(upload.waitsForTarget ? 'connection_write_timeout' : 'request_timeout'))
}
