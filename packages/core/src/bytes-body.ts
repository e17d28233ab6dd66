import { Readable } from 'node:stream'
import type { Body, Sink } from './body.js'

/** A body that is in memory as a whole. */
export class BytesBody implements Body {
  readonly length: number
  private readonly bytes: Uint8Array
  private taken = false

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.length = bytes.length
  }

  pipe(to: Sink): void {
    const bytes = this.take()
    if (bytes.length > 0) to.write(bytes)
    to.end()
  }

  readable(): Readable {
    return Readable.from([this.take()], { objectMode: false })
  }

  cancel(): void {
    this.taken = true
  }

  onEnd<T>(fn: (error: Error | undefined, arg: T) => void, arg: T): void {
    fn(undefined, arg)
  }

  private take(): Uint8Array {
    if (this.taken) throw new TypeError('this body was taken before: its bytes flow once')
    this.taken = true
    return this.bytes
  }
}
