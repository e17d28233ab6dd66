import type { Readable } from 'node:stream'
import { PushBody } from './push-body.js'

/** A Node stream as a body. The stream isn't read before somebody takes the body. */
export class ReadableBody extends PushBody {
  private started = false

  constructor(protected readonly stream: Readable) {
    super()
    this.waiting = true
    // Without a listener an error that comes before the body is taken would end the process.
    stream.on('error', (error) => this.fail(error))
    stream.on('close', () => {
      if (!stream.readableEnded) this.fail(new Error('the stream closed before its end'))
    })
    if (stream.errored) this.fail(stream.errored)
    else if (stream.destroyed && !stream.readableEnded) this.fail(new Error('the stream is closed'))
    else if (stream.readableEnded)
      this.fail(new TypeError('this stream was read before: its bytes flow once'))
  }

  override readable(): Readable {
    this.take()
    this.stream.once('end', () => this.finish())
    return this.stream
  }

  protected resume(): void {
    if (this.started) {
      this.stream.resume()
      return
    }
    this.started = true
    this.stream.on('data', (chunk: unknown) => {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      if (!(bytes instanceof Uint8Array)) {
        this.cancel(new TypeError(`a body stream gave a chunk that is no bytes, but ${typeof chunk}`))
      } else if (!this.push(bytes)) this.stream.pause()
    })
    this.stream.on('end', () => this.finish())
  }

  protected stop(_why: Error): void {
    this.stream.destroy()
  }
}
