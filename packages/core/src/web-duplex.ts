import { Duplex } from 'node:stream'
import type {
  ReadableStream,
  ReadableStreamDefaultReader,
  WritableStream,
  WritableStreamDefaultWriter,
} from 'node:stream/web'

/** Both ends of a transform of the web's streams: a `TransformStream`, a `CompressionStream` and their like. */
export interface WebTransform {
  readonly readable: ReadableStream
  readonly writable: WritableStream
}

/** Tells a transform of the web's streams from a Node stream, whose `readable` is a boolean. */
export function isWebTransform(value: unknown): value is WebTransform {
  if (typeof value !== 'object' || value === null) return false
  const { readable, writable } = value as Partial<WebTransform>
  return typeof readable?.getReader === 'function' && typeof writable?.getWriter === 'function'
}

/**
 * A transform of the web's streams as a Node stream. `Duplex.fromWeb` of Node 20 leaves rejections that nobody handles when a
 * stream is destroyed halfway; here each promise has its handler.
 */
export class WebDuplex extends Duplex {
  private readonly reader: ReadableStreamDefaultReader
  private readonly writer: WritableStreamDefaultWriter

  constructor({ readable, writable }: WebTransform) {
    super({ highWaterMark: 0 })
    this.reader = readable.getReader()
    this.writer = writable.getWriter()
    this.reader.closed.catch(ignore)
    this.writer.closed.catch(ignore)
    this.writer.ready.catch(ignore)
  }

  override _write(chunk: Uint8Array, _encoding: unknown, done: (error?: Error | null) => void): void {
    // A copy: what a byte stream of the web's takes it takes away, with all that stands in the same memory.
    const bytes = new Uint8Array(chunk)
    this.writer.write(bytes).then(
      () => done(),
      (cause: unknown) => done(asError(cause)),
    )
    this.writer.ready.catch(ignore)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.writer.close().then(
      () => done(),
      (cause: unknown) => done(asError(cause)),
    )
  }

  override _read(): void {
    this.reader.read().then(
      ({ done, value }) => {
        if (this.destroyed) return
        if (done) this.push(null)
        else if (typeof value === 'string' || value instanceof Uint8Array) {
          // An empty chunk ends a read without a next one.
          if (value.length === 0) this._read()
          else this.push(value)
        } else this.destroy(new TypeError(`a transform gave a chunk that is no bytes, but ${typeof value}`))
      },
      (cause: unknown) => void this.destroy(asError(cause)),
    )
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const why = error ?? new Error('the transform was stopped')
    this.writer.abort(why).catch(ignore)
    this.reader.cancel(why).catch(ignore)
    done(error)
  }
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}

function ignore(): void {}
