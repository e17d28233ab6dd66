import type { Duplex } from 'node:stream'
import type { HeaderList } from '@sluice/headers'
import type { Body, Sink } from './body.js'
import type { Context } from './context.js'
import { hasEnded } from './has-ended.js'
import { ProxyError } from './proxy-error.js'
import { PushBody } from './push-body.js'
import { report } from './report.js'

/** Bytes that may wait for the transform, before the source is asked to wait. */
const queueAtMost = 64 * 1024

/**
 * A body that flows through a stream. Nothing of the source is read before somebody takes this one.
 *
 * waiting ──resume()──▶ flowing ──both ends──▶ ended        its trailers are the source's
 *    │                    ├─ the stream ends before its source: ended, and the source is cancelled
 *    │                    ├─ the stream fails: failed, and the source is cancelled
 *    │                    └─ the source fails: failed, and the stream is destroyed, never ended
 *    └──cancel()──▶ cancelled: the source is cancelled, the stream destroyed
 */
export class TransformedBody extends PushBody implements Sink {
  private started = false
  private queue: Uint8Array[] = []
  private queued = 0
  /** The stream is at work on a chunk. It gets one at a time, so that what it throws is thrown here, and not in its timers. */
  private busy = false
  private sourceEnded = false
  private fields: HeaderList | undefined = undefined
  private drain: (() => void) | undefined = undefined

  /**
   * @param maker what has put it in place, by which it is known
   */
  constructor(
    private readonly source: Body,
    private readonly stream: Duplex,
    private readonly ctx: Context,
    private readonly maker: object,
  ) {
    super()
    this.waiting = true
    stream.on('error', (error) => this.broken(error))
    stream.on('close', () => {
      if (!stream.readableEnded) this.broken(new Error('the stream closed before its end'))
    })
    if (stream.destroyed) this.broken(stream.errored ?? new Error('the stream was closed before'))
  }

  /** Whether this body, or one that it is made of, was put in place by `maker`. */
  isOf(maker: object): boolean {
    return this.maker === maker || (this.source instanceof TransformedBody && this.source.isOf(maker))
  }

  protected resume(): void {
    const { stream } = this
    if (this.started) {
      stream.resume()
      return
    }
    this.started = true
    stream.on('data', (chunk: unknown) => {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      if (!(bytes instanceof Uint8Array))
        this.broken(new TypeError(`it gave a chunk that is no bytes, but ${typeof chunk}`))
      else if (!this.push(bytes)) stream.pause()
    })
    stream.on('end', () => this.done())
    this.source.pipe(this)
  }

  protected stop(why: Error): void {
    this.queue = []
    this.source.cancel(why)
    this.stream.destroy()
  }

  write(chunk: Uint8Array): boolean {
    if (this.ended) return false
    if (chunk.length === 0) return true
    if (!this.busy) this.feed(chunk)
    else {
      this.queue.push(chunk)
      this.queued += chunk.length
    }
    return this.queued < queueAtMost
  }

  end(trailers?: HeaderList): void {
    this.sourceEnded = true
    this.fields = trailers
    if (!this.busy) this.close()
  }

  /** The source has failed: the stream must not take what it has for all. */
  abort(error: Error): void {
    this.queue = []
    this.fail(error)
    this.stream.destroy()
  }

  onDrain(fn: () => void): void {
    this.drain = fn
  }

  private feed(chunk: Uint8Array): void {
    this.busy = true
    try {
      this.stream.write(chunk, this.written)
    } catch (error) {
      this.broken(error)
    }
  }

  private readonly written = (error?: Error | null): void => {
    this.busy = false
    // Of an error the stream's own event tells.
    if (this.ended || error) return
    const next = this.queue.shift()
    if (next !== undefined) {
      const wasFull = this.queued >= queueAtMost
      this.queued -= next.length
      this.feed(next)
      if (wasFull && this.queued < queueAtMost) this.drain?.()
    } else if (this.sourceEnded) this.close()
  }

  private close(): void {
    if (this.ended) return
    try {
      this.stream.end()
    } catch (error) {
      this.broken(error)
    }
  }

  private done(): void {
    if (this.ended) return
    const whole = this.sourceEnded
    this.finish(this.fields)
    if (whole) return
    // It has said all without having heard all: the rest isn't wanted.
    this.queue = []
    this.source.cancel(new Error('the transform ended before its source'))
    this.stream.destroy()
  }

  /** The stream has failed. That is the app's own fault, and its developer's to hear. */
  private broken(cause: unknown): void {
    if (this.ended) return
    const said = cause instanceof Error ? cause.message : String(cause)
    const error = new ProxyError('proxy_internal_error', {
      message: `a body transform failed: ${said}`,
      cause,
    })
    if (!hasEnded(this.ctx)) report(error, this.ctx)
    this.queue = []
    this.fail(error)
    this.source.cancel(error)
    this.stream.destroy()
  }
}
