import { Readable } from 'node:stream'
import type { HeaderList } from '@sluice/headers'
import type { Body, EndSink, Sink, Spent } from './body.js'

/** Bytes held for a body that nobody took yet, before its source is asked to wait. */
const holdAtMost = 64 * 1024

type EndListener = (error: Error | undefined, arg: unknown) => void

/**
 * A body whose source pushes: transports, captured responses, Node streams.
 *
 * open ──finish()──▶ ended        push() delivers to the sink, or holds until one comes
 *   ├────fail()────▶ failed       what is held is still delivered, then the sink hears abort
 *   └────cancel()──▶ cancelled    what is held is dropped, the source stops, the sink hears abort
 *
 * A subclass implements `resume` and `stop`, and calls `push`, `finish` and `fail`. A source that should not start
 * before somebody takes the body sets `waiting = true` and begins at its first `resume`.
 */
export abstract class PushBody implements Body {
  declare readonly length?: number
  /** The body whose bytes this one passes on, all and unchanged, if it does: who looks for the client's finds it behind this one. */
  declare readonly passes?: Body
  /** Somebody has taken the bytes. */
  taken = false
  /** Fields after the body; set when it has ended. */
  trailers: HeaderList | undefined = undefined
  /** The source waits for `resume`. */
  protected waiting = false
  private sink: EndSink | undefined = undefined
  private held: Uint8Array[] | undefined = undefined
  private heldBytes = 0
  private over = false
  private cancelled = false
  private error: Error | undefined = undefined
  private listeners: unknown[] | undefined = undefined

  /** The source may go on: called after `push` returned `false` and the sink has room, and to begin a waiting source. */
  protected abstract resume(): void
  /** The source must stop: nobody wants the rest. */
  protected abstract stop(why: Error): void

  /** The body has a sink now and isn't over: where a source starts to watch the pace. */
  protected flowing(): void {}

  /**
   * Delivers bytes. `false`: wait for `resume`.
   * @param spent where nobody else has had the part: see {@link EndSink}
   */
  protected push(chunk: Uint8Array, spent?: Spent): boolean {
    if (this.over) return false
    let room: boolean
    if (this.sink !== undefined) {
      room = this.sink.write(chunk, spent)
    } else {
      if (this.held === undefined) this.held = [chunk]
      else this.held.push(chunk)
      this.heldBytes += chunk.length
      room = this.heldBytes < holdAtMost
    }
    if (!room) this.waiting = true
    return room
  }

  /** The last byte has been pushed. */
  protected finish(trailers?: HeaderList): void {
    if (this.over) return
    this.over = true
    this.trailers = trailers
    this.tell()
    if (this.sink !== undefined) this.sink.end(trailers)
  }

  /** There will be no more, and it isn't whole. */
  protected fail(error: Error): void {
    if (this.over) return
    this.over = true
    this.error = error
    this.tell()
    if (this.sink !== undefined) this.sink.abort(error)
  }

  /** Bytes that the next part should have at most: what its sink says; 0 until there is one, since nobody knows yet. */
  get partAtMost(): number {
    return this.sink === undefined ? 0 : (this.sink.partAtMost ?? Number.POSITIVE_INFINITY)
  }

  /** The source has ended, failed or been cancelled. */
  protected get ended(): boolean {
    return this.over
  }

  pipe(to: Sink): void {
    this.take()
    this.flow(to)
  }

  readable(): Readable {
    this.take()
    let begun = false
    let drained: (() => void) | undefined
    const sink: Sink = {
      write: (chunk) => readable.push(chunk),
      end: () => void readable.push(null),
      abort: (error) => void readable.destroy(error),
      onDrain: (fn) => {
        drained = fn
      },
    }
    const readable = new Readable({
      read: () => {
        if (begun) return drained?.()
        begun = true
        this.flow(sink)
      },
      destroy: (error, done) => {
        this.cancel(error ?? undefined)
        done(error)
      },
    })
    // Whoever asked for it may not listen yet when it fails, or never: that must not end the process.
    readable.on('error', () => {})
    return readable
  }

  cancel(why?: Error): void {
    this.taken = true
    this.held = undefined
    if (this.over) return
    this.over = true
    this.cancelled = true
    this.error = why ?? new Error('the body was cancelled')
    this.stop(this.error)
    this.tell()
    if (this.sink !== undefined) this.sink.abort(this.error)
  }

  onEnd<T>(fn: (error: Error | undefined, arg: T) => void, arg: T): void {
    if (this.over) return fn(this.error, arg)
    if (this.listeners === undefined) this.listeners = [fn, arg]
    else this.listeners.push(fn, arg)
  }

  /** Marks the bytes as taken; a second taker gets an error, since bytes flow once. */
  protected take(): void {
    if (this.taken) throw new TypeError('this body was taken before: its bytes flow once')
    this.taken = true
  }

  private flow(to: Sink): void {
    if (this.cancelled) {
      to.abort(this.error as Error)
      return
    }
    const held = this.held
    this.held = undefined
    this.sink = to
    // Bound, and no arrow: with that, all of a request outlived it until a major collection (Node 20).
    if (!this.over) to.onDrain(this.drained.bind(this))
    let room = true
    if (held !== undefined) for (const chunk of held) room = to.write(chunk)
    if (this.over) {
      // What a sink does may cancel the body, and then it has heard so.
      if (this.cancelled) return
      if (this.error === undefined) to.end(this.trailers)
      else to.abort(this.error)
      return
    }
    this.flowing()
    if (!room) this.waiting = true
    else if (this.waiting) this.drained()
  }

  private drained(): void {
    if (!this.waiting || this.over) return
    this.waiting = false
    this.resume()
  }

  private tell(): void {
    const listeners = this.listeners
    if (listeners === undefined) return
    this.listeners = undefined
    for (let i = 0; i < listeners.length; i += 2) (listeners[i] as EndListener)(this.error, listeners[i + 1])
  }
}
