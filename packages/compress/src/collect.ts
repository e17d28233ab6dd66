import { type Body, PushBody, type Sink } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { onceAtMost } from './encode-once.js'
import { patience, type Timers, unheldTimers } from './timers.js'
import { tooLong, tooShort } from './wrong-length.js'

/**
 * The bytes of a short body without trailers: at once where they are there. Else a promise: of the bytes if they come within 2 ms, or of
 * a body that gives what has come and goes on as more comes, so that nobody waits long for a first byte because the last one is late.
 *
 * It rejects, and such a body fails, with what `body` fails with; with `http_response_incomplete` where it ends too early and
 * `http_protocol_error` where it is longer than it said. Nothing is held then. Who doesn't wait any longer cancels `body`.
 * @param length bytes in all, where known: as many are held meanwhile. Else {@link onceAtMost} are, and with more it goes on as a body
 */
export function collect(
  body: Body,
  length: number | undefined,
  timers: Timers = unheldTimers,
): Uint8Array | Promise<Uint8Array | Body> {
  const collector = new Collector(body, length, timers)
  body.pipe(collector)
  return collector.result()
}

/**
 * collecting ──end()──▶ collected                   resolves with the bytes
 *    ├──── 2 ms, too much, trailers ────▶ late    resolves with itself: a body from the first byte on
 *    └──── abort(), or another length than it said ────▶ failed
 */
class Collector extends PushBody implements Sink {
  private parts: Uint8Array[] = []
  private has = 0
  private late = false
  private why: Error | undefined = undefined
  private timer: unknown = undefined
  private resolve: ((got: Uint8Array | Body) => void) | undefined = undefined
  private reject: ((error: Error) => void) | undefined = undefined
  private drain: (() => void) | undefined = undefined

  constructor(
    private readonly source: Body,
    private readonly size: number | undefined,
    private readonly timers: Timers,
  ) {
    super()
  }

  result(): Uint8Array | Promise<Uint8Array | Body> {
    if (this.why !== undefined) return Promise.reject(this.why)
    if (this.late) return Promise.resolve(this)
    if (this.ended) return this.whole()
    return new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
      this.timer = this.timers.set(this.isLate, patience)
    })
  }

  write(chunk: Uint8Array): boolean {
    if (this.ended) return false
    const { size } = this
    this.has += chunk.length
    if (size !== undefined && this.has > size) {
      const error = tooLong(size)
      this.abort(error)
      this.source.cancel(error)
      return false
    }
    if (this.late) return this.push(chunk)
    this.parts.push(chunk)
    if (size === undefined && this.has > onceAtMost) this.isLate()
    return true
  }

  end(trailers?: HeaderList): void {
    const { has, size } = this
    if (size !== undefined && has < size) {
      this.abort(tooShort(has, size))
      return
    }
    this.stopTimer()
    // Fields after the body go with a body of no said length.
    if (trailers !== undefined && trailers.length > 0 && !this.late) this.isLate()
    this.finish(trailers)
    if (!this.late) this.resolve?.(this.whole())
  }

  abort(error: Error): void {
    if (this.ended) return
    this.stopTimer()
    this.parts = []
    this.why = error
    this.fail(error)
    this.reject?.(error)
  }

  onDrain(fn: () => void): void {
    this.drain = fn
  }

  protected resume(): void {
    this.drain?.()
  }

  protected stop(why: Error): void {
    this.source.cancel(why)
  }

  private whole(): Uint8Array {
    const { has, parts } = this
    if (has === 0) return new Uint8Array(0)
    return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, has)
  }

  private readonly isLate = (): void => {
    this.stopTimer()
    this.late = true
    const { parts } = this
    this.parts = []
    for (const part of parts) this.push(part)
    this.resolve?.(this)
  }

  private stopTimer(): void {
    if (this.timer !== undefined) this.timers.clear(this.timer)
    this.timer = undefined
  }
}
