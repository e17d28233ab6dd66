import { endOfTurn } from './end-of-turn.js'

/** A response, to which a middleware that compresses has given a `flush`: what it holds back goes out with it. */
export interface Holding {
  flush?(): unknown
  readonly writableEnded: boolean
  readonly destroyed: boolean
}

/**
 * Calls `res.flush()` at the end of the turn in which a part of a body has been written. A compressor holds small parts back
 * until it has enough for a block, and nobody but the proxy knows that a target may send nothing more for hours: without it
 * the events of a stream would reach the client when the stream ends. Once a turn, since each flush costs bytes.
 */
export class HeldFlush {
  private due = false

  /** @param fail told what `flush` throws */
  constructor(
    private readonly res: Holding,
    private readonly fail: (error: unknown) => void,
  ) {}

  /** A part has been written. */
  wrote(): void {
    if (this.due) return
    this.due = true
    endOfTurn(flush, this)
  }

  /** The turn is over. */
  flush(): void {
    this.due = false
    const { res } = this
    if (res.writableEnded || res.destroyed) return
    try {
      res.flush?.()
    } catch (error) {
      this.fail(error)
    }
  }
}

function flush(held: HeldFlush): void {
  held.flush()
}
