import { PushBody } from '@sluice/core'
import type { Fill } from './fill.js'
import type { Part } from './shared-parts.js'

/**
 * What one of those who share a {@link Fill} gets: the bytes from `at` on, at its own pace. It stands in the fill's list until it
 * has had all of its bytes, or is cancelled.
 */
export class FillReader extends PushBody {
  /** Its place in the fill's list. */
  index = 0
  private feeding = false

  /**
   * @param part where the bytes that it wants begin, or one before
   * @param at position of the next byte that it wants
   * @param to position of the first byte that it doesn't want; `Infinity`: all there are
   * @param length bytes that it will get in all, where known
   */
  constructor(
    private readonly fill: Fill,
    private part: Part,
    public at: number,
    private readonly to: number,
    length: number | undefined,
  ) {
    super()
    if (length !== undefined) (this as { length?: number }).length = length
    this.waiting = true
  }

  /** It takes nothing now: nobody has begun to read, or its sink is full. */
  get isFull(): boolean {
    return this.waiting
  }

  /** It is in the midst of taking: what it hasn't had yet isn't for want of room. */
  get isFeeding(): boolean {
    return this.feeding
  }

  /** Gives its sink what is there and it has room for, and the end after the last byte. A sink that throws has no more. */
  feed(): void {
    // From within its own sink: the loop further out goes on.
    if (this.feeding) return
    this.feeding = true
    try {
      if (!this.waiting) while (this.pass());
      this.close()
    } catch (error) {
      this.drop(error as Error)
    }
    this.feeding = false
  }

  /** Steps over what it has had, so that it can be dropped. */
  advance(): void {
    let { part } = this
    while (part.end <= this.at && part.next !== undefined) part = part.next
    this.part = part
  }

  /** Reads on from a part that has all of the body. */
  moveTo(part: Part): void {
    this.part = part
  }

  /** It gets no more. */
  cut(error: Error): void {
    try {
      this.fail(error)
    } catch {
      // What its sink throws is nobody else's affair.
    }
    this.leave()
  }

  protected resume(): void {
    this.feed()
    if (!this.waiting && !this.ended) this.fill.drained()
  }

  protected stop(): void {
    this.leave()
  }

  private pass(): boolean {
    this.advance()
    const { part, at } = this
    const end = Math.min(part.end, this.to)
    if (end <= at) return false
    this.at = end
    const { bytes, start } = part
    return this.push(
      at === start && end - start === bytes.length ? bytes : bytes.subarray(at - start, end - start),
    )
  }

  private close(): void {
    if (this.ended) return
    const { fill } = this
    if (this.at < this.to) {
      if (!fill.isOver || this.at < fill.received) return
      const error = fill.shortfall(this.to)
      if (error !== undefined) return this.cut(error)
    }
    this.leave()
    this.finish(this.to === Number.POSITIVE_INFINITY ? fill.trailers : undefined)
  }

  /** It needs no part any more: whoever still has this body doesn't keep one. */
  private leave(): void {
    this.part = nowhere
    this.fill.left(this)
  }

  private drop(error: Error): void {
    try {
      this.cancel(error)
    } catch {
      // It throws when it hears of its end, too: that is all it could be told.
    }
  }
}

const nowhere: Part = { bytes: new Uint8Array(0), start: 0, end: 0, next: undefined }
