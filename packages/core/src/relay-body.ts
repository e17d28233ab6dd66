import type { HeaderList } from '@sluice/headers'
import type { Body, EndSink, Spent } from './body.js'
import { PushBody } from './push-body.js'

/**
 * A body that is made of another one's bytes as they come, at its taker's pace. Nothing of that one is read before somebody takes this one, and
 * it is cancelled with it. A subclass is what the other flows into: it pushes what it makes of each part.
 */
export abstract class RelayBody extends PushBody implements EndSink {
  private started = false
  /** Who hears that there is room: the source, as long as there is one. */
  protected drain: (() => void) | undefined = undefined

  /** @param length bytes of this one, where known; default those of `source` */
  constructor(
    protected source: Body,
    length: number | undefined = source.length,
  ) {
    super()
    if (length !== undefined) (this as { length?: number }).length = length
    this.waiting = true
  }

  abstract write(chunk: Uint8Array, spent?: Spent): boolean
  abstract end(trailers?: HeaderList): void

  abort(error: Error): void {
    this.fail(error)
  }

  onDrain(fn: () => void): void {
    this.drain = fn
  }

  /** Somebody has taken this one. */
  protected begin(): void {
    this.source.pipe(this)
  }

  protected resume(): void {
    if (this.started) {
      this.drain?.()
      return
    }
    this.started = true
    this.begin()
  }

  protected stop(why: Error): void {
    this.source.cancel(why)
  }
}
