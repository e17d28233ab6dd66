import { type Body, PushBody, type Sink, type Spent } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import type { DictionaryWriter } from './dictionary-store.js'

/** A body whose bytes are kept as a dictionary while somebody takes it, at the taker's pace. Who stops before its end keeps nothing. */
export class KeptDictionary extends PushBody implements Sink {
  private started = false
  private drain: (() => void) | undefined = undefined

  constructor(
    private readonly source: Body,
    private readonly writer: DictionaryWriter,
  ) {
    super()
    if (source.length !== undefined) (this as { length?: number }).length = source.length
    this.waiting = true
  }

  protected resume(): void {
    if (this.started) {
      this.drain?.()
      return
    }
    this.started = true
    this.source.pipe(this)
  }

  protected stop(why: Error): void {
    this.writer.abort()
    this.source.cancel(why)
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    // The client comes first: what it is given is on its way while the bytes are hashed.
    const room = this.push(chunk, this.writer.open ? undefined : spent)
    this.writer.write(chunk)
    return room
  }

  end(trailers?: HeaderList): void {
    this.finish(trailers)
    this.writer.commit()
  }

  abort(error: Error): void {
    this.writer.abort()
    this.fail(error)
  }

  onDrain(fn: () => void): void {
    this.drain = fn
  }
}
