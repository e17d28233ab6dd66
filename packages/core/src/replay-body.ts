import type { Body, EndSink, Sink, Spent } from './body.js'
import { PushBody } from './push-body.js'

/**
 * A body may come byte by byte, and a part costs some 200 bytes beside its own: parts of less than a 64th of the cap, or than 1 KB, are joined to
 * one of that size. Each byte is copied once or twice then, however large the cap is.
 */
const largeParts = 64
const leastLarge = 1024

type Trailers = Parameters<Sink['end']>[0]

/**
 * A request body that can be sent again: it keeps what it passes on as long as that is no more than `cap` bytes. Each try
 * takes one `attempt()`, a body of its own that begins with what was kept and goes on with the rest of the source; the one
 * before it must be over by then. Past the cap nothing is kept, the bytes just stream on, and there is no further try.
 *
 * A try that stops taking doesn't stop the source: another may follow. `done()` and `giveUp()` tell that none will.
 * The source waits while the try's sink is full, and while there is no try. Parts are kept as they came, where they aren't many.
 */
export class ReplayBody implements EndSink {
  private trailers: Trailers
  private kept: Uint8Array[] | undefined = []
  private keptBytes = 0
  private current: AttemptBody | undefined = undefined
  private begun = false
  private over = false
  private error: Error | undefined = undefined
  private last = false
  private resumeSource: (() => void) | undefined = undefined
  private readonly large: number
  /** Where small parts are joined: as much of it as is full is the last part that is kept. */
  private joined: Uint8Array | undefined = undefined

  constructor(
    readonly source: Body,
    private readonly cap: number,
  ) {
    this.large = Math.max(leastLarge, cap / largeParts)
  }

  /** A further try can have every byte: all that has flowed is kept, and the source hasn't failed. */
  get replayable(): boolean {
    return !this.begun || (this.kept !== undefined && this.error === undefined)
  }

  /** The body for one try, from the first byte on. */
  attempt(): Body {
    const before = this.current
    const attempt = new AttemptBody(this, this.source)
    this.current = attempt
    before?.cancel(new Error('another try has taken over'))
    return attempt
  }

  /** The last try has been answered: nothing is kept any more, and the source stops with that try. */
  done(): void {
    this.last = true
    const { current } = this
    if (current === undefined) return
    if (current.isOver) this.stop()
    else if (current.fed) this.kept = undefined
  }

  /** The last try has failed. A source that no try has begun to read stays whole: somebody further out may send it. */
  giveUp(): void {
    this.done()
    if (this.begun && this.current?.fed !== true) this.stop()
  }

  /** Sends a try what was kept, then the rest. */
  feed(to: AttemptBody): void {
    if (to !== this.current) return
    if (!to.fed) {
      to.fed = true
      // Within the cap, so it's bounded what is given at once.
      for (const chunk of this.kept ?? []) to.give(chunk)
      if (this.last) this.kept = undefined
      if (this.over) return to.close(this.error, this.trailers)
    }
    if (to.isOver) return
    if (this.begun) {
      if (!to.isFull) this.resumeSource?.()
      return
    }
    this.begun = true
    try {
      this.source.pipe(this)
    } catch (error) {
      // Somebody else has had it: no further try would get a byte either.
      this.over = true
      this.error = error as Error
      throw error
    }
  }

  /** A try takes no more. */
  left(attempt: AttemptBody, why: Error): void {
    if (attempt !== this.current) return
    if (this.last || (this.begun && this.kept === undefined)) this.stop(why)
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    const { current } = this
    const taker = current?.fed === true && !current.isOver ? current : undefined
    if (this.kept !== undefined) {
      this.keptBytes += chunk.length
      // Between two tries even what is past the cap is kept, until the source hears that it should wait: it isn't lost.
      if (taker !== undefined && (this.last || this.keptBytes > this.cap)) this.kept = undefined
      else this.keep(chunk, this.kept)
    }
    // What is kept for a further try must outlive this one.
    if (taker !== undefined) return taker.give(chunk, this.kept === undefined ? spent : undefined)
    if (this.kept === undefined) this.stop()
    return false
  }

  end(trailers?: Trailers): void {
    this.finish(undefined, trailers)
  }

  abort(error: Error): void {
    this.finish(error, undefined)
  }

  onDrain(fn: () => void): void {
    this.resumeSource = fn
  }

  private keep(chunk: Uint8Array, kept: Uint8Array[]): void {
    const { joined, large } = this
    const last = kept.at(-1)
    if (last === undefined || last.length >= large || chunk.length >= large) {
      kept.push(chunk)
      return
    }
    const size = last.length + chunk.length
    let to = joined
    if (to === undefined || to.buffer !== last.buffer || to.length < size) {
      to = new Uint8Array(2 * size)
      to.set(last)
      this.joined = to
    }
    // Behind what tries have been given of it, which stays as it is.
    to.set(chunk, last.length)
    kept[kept.length - 1] = to.subarray(0, size)
  }

  /** An error has a stack, and is made only where somebody hears of it. */
  private stop(why?: Error): void {
    if (!this.over) this.source.cancel(why ?? new Error('nobody takes the rest of this body'))
  }

  private finish(error: Error | undefined, trailers: Trailers): void {
    this.over = true
    this.error = error
    this.trailers = trailers
    const { current } = this
    if (current?.fed) current.close(error, trailers)
  }
}

/** What one try gets. */
class AttemptBody extends PushBody {
  /** It has what was kept, and gets what comes. */
  fed = false
  isFull = false
  override readonly passes: Body

  constructor(
    private readonly replay: ReplayBody,
    source: Body,
  ) {
    super()
    this.passes = source
    const { length } = source
    if (length !== undefined) (this as { length?: number }).length = length
    this.waiting = true
  }

  get isOver(): boolean {
    return this.ended
  }

  give(chunk: Uint8Array, spent?: Spent): boolean {
    const room = this.push(chunk, spent)
    this.isFull = !room
    return room
  }

  close(error: Error | undefined, trailers: Trailers): void {
    if (error === undefined) this.finish(trailers)
    else this.fail(error)
  }

  protected resume(): void {
    this.isFull = false
    this.replay.feed(this)
  }

  protected stop(why: Error): void {
    this.replay.left(this, why)
  }
}
