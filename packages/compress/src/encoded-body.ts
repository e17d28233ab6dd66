import type { Writable } from 'node:stream'
import {
  asProxyError,
  type Body,
  type BodyInit,
  type EndSink,
  endOfTurn,
  PushBody,
  type Spent,
  toBody,
} from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import type { Codec, Coding } from './coding.js'
import { withoutDigests } from './decoded-fields.js'
import { createEncoder, type EncoderOptions, flushOf } from './encoder.js'
import { pause, steady, type Timers, unheldTimers } from './timers.js'
import { tooLong, tooShort } from './wrong-length.js'

/** How a body is coded. */
export interface EncodeOptions extends EncoderOptions {
  /**
   * When what was written so far is given to the taker, though the coding would be denser if it waited for more. `event`: at the end of
   * each turn of the event loop in which something came, so that an event of a stream is never held. `pause`: the first bytes as soon as
   * the codec has taken them, up to 64 KB, and later ones when nothing has come for 4 ms, or 25 ms after the first of them.
   */
  readonly flush: 'event' | 'pause'
  /** Bytes before the coded ones: the header of a coding with a dictionary (RFC 9842 sections 4 and 5). */
  readonly prefix?: Uint8Array | undefined
  /**
   * Gets the same bytes: ended when they are whole, destroyed when they won't be, or when it is more than 256 KB behind. Its pace never
   * keeps the taker waiting.
   */
  readonly tee?: Writable | undefined
  /** Bytes that `body` was said to have in a response. With others it fails: coded it would have no length that tells that it is cut. */
  readonly length?: number | undefined
  /** Default: Node's, without holding the process open. */
  readonly timers?: Timers | undefined
}

/** Bytes that may wait for the codec before the source is asked to wait; small parts among them are joined to one write. */
const queueAtMost = 64 * 1024
/** Coders give their header by itself, some bytes long: it goes with what follows. */
const headerAtMost = 64
const teeAtMost = 256 * 1024

/**
 * `body` in `coding`. Nothing of it is read before somebody takes the result, and there is no codec before its first byte. The codec
 * is freed when the body has ended or failed, or its taker has left, also while the thread pool is at work for it. Trailers are those
 * of `body`; its failure is one of the result, which then isn't whole. An error of the codec is a `proxy_internal_error`.
 *
 * When some 64 KB wait for the codec, `body` is asked to wait; as many are with it at most, parts of `body` that are larger aside. What
 * the codec holds itself stands at `createEncoder`.
 */
export function encodeBody(body: BodyInit, coding: Coding, options: EncodeOptions): Body {
  return new EncodedBody(toBody(body ?? '') as Body, coding, options)
}

/**
 * waiting ──resume()──▶ taken ──first bytes──▶ coding ──both ends──▶ ended
 *    │                    ├─ the source fails: failed, and the codec is destroyed, never ended
 *    │                    └─ the codec fails: failed, and the source is cancelled
 *    └──cancel()──▶ cancelled: the source is cancelled, the codec and the tee destroyed
 */
export class EncodedBody extends PushBody implements EndSink {
  private codec: Codec | undefined = undefined
  private started = false
  private queue: Uint8Array[] = []
  private queued = 0
  /** Bytes that have come. */
  private has = 0
  /** Parts of the queue that may be freed once the codec has had them, each with who frees it. */
  private toFree: unknown[] = []
  /** Those that the codec is at work on. */
  private inWork: unknown[] = []
  /** The source was asked to wait. */
  private full = false
  /** The codec is at work on bytes or on a flush. It gets one at a time. */
  private busy = false
  /** The end of this turn is waited for. */
  private turn = false
  /** Bytes that the codec may hold. */
  private unflushed = false
  private flushing = false
  /** The taker has got something. */
  private begun = false
  /** What the codec holds is to be given, whether there is a pause or not. */
  private isDue = true
  /** Waits for a pause. */
  private timer: unknown = undefined
  /** Runs from the first byte that the codec may hold. */
  private limit: unknown = undefined
  private sourceEnded = false
  private fields: HeaderList | undefined = undefined
  private drain: (() => void) | undefined = undefined
  /** Goes before what comes next. */
  private before: Uint8Array | undefined
  private tee: Writable | undefined
  private readonly timers: Timers

  constructor(
    private readonly source: Body,
    private readonly coding: Coding,
    private readonly options: EncodeOptions,
    private readonly make = createEncoder,
  ) {
    super()
    this.waiting = true
    this.before = options.prefix
    this.timers = options.timers ?? unheldTimers
    this.tee = options.tee
    this.tee?.on('error', () => this.dropTee()).on('close', () => this.dropTee())
  }

  protected resume(): void {
    if (this.started) this.codec?.resume()
    else {
      this.started = true
      this.source.pipe(this)
    }
  }

  protected stop(why: Error): void {
    this.free()
    this.source.cancel(why)
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    if (this.ended) return false
    if (chunk.length === 0) return true
    const { length } = this.options
    this.has += chunk.length
    if (length !== undefined && this.has > length) {
      this.broken(tooLong(length))
      return false
    }
    this.stopTimer()
    if (spent !== undefined) this.toFree.push(chunk, spent)
    this.queue.push(chunk)
    this.queued += chunk.length
    if (!this.busy) {
      if (this.queued >= queueAtMost) this.next()
      else if (!this.turn) {
        this.turn = true
        endOfTurn(turnOver, this)
      }
    }
    this.full = this.queued >= queueAtMost
    return !this.full
  }

  end(trailers?: HeaderList): void {
    const { length } = this.options
    if (length !== undefined && this.has < length) {
      this.abort(tooShort(this.has, length))
      return
    }
    this.sourceEnded = true
    // A digest in them is of the plain bytes.
    this.fields = trailers === undefined ? undefined : withoutDigests(trailers)
    this.stopTimer()
    this.stopLimit()
    if (!this.busy) this.next()
  }

  /** The source has failed: the codec must not take what it has for all. */
  abort(error: Error): void {
    this.free()
    this.fail(error)
  }

  onDrain(fn: () => void): void {
    this.drain = fn
  }

  /** The turn is over in which bytes came that the codec hasn't got yet. */
  turnIsOver(): void {
    this.turn = false
    if (!this.busy) this.next()
  }

  private next(): void {
    if (this.ended) return
    try {
      const rest = this.queued > 0
      if (this.unflushed && this.isDue && (rest || !this.sourceEnded)) this.flush()
      else if (rest) this.feed()
      else if (this.sourceEnded) this.close()
      else if (this.unflushed) this.timer ??= this.timers.set(this.paused, pause)
    } catch (error) {
      this.broken(error)
    }
  }

  private feed(): void {
    const bytes = this.batch()
    const codec = this.open()
    this.busy = true
    this.unflushed = this.options.flush === 'pause'
    if (this.unflushed && !this.isDue && !this.sourceEnded) this.limit ??= this.timers.set(this.late, steady)
    codec.write(bytes, this.written)
    if (!this.full || this.queued >= queueAtMost) return
    this.full = false
    this.drain?.()
  }

  private close(): void {
    this.busy = true
    this.open().end()
  }

  /** What the codec gets at once: of much that is there the first bytes alone, so that they are soon flushed. */
  private batch(): Uint8Array {
    const { queue, queued } = this
    const all = queue.length === 1 ? (queue[0] as Uint8Array) : Buffer.concat(queue, queued)
    const some = this.codec === undefined ? all.subarray(0, queueAtMost) : all
    this.queued = queued - some.length
    this.queue = this.queued === 0 ? [] : [all.subarray(some.length)]
    if (this.queued === 0 && this.toFree.length > 0) {
      this.inWork = this.toFree
      this.toFree = []
    }
    return some
  }

  private readonly written = (error?: Error | null): void => {
    this.busy = false
    this.flushing = false
    // Of an error the codec's own event tells.
    if (error) return
    if (this.inWork.length > 0) this.freeParts()
    this.next()
  }

  private freeParts(): void {
    const parts = this.inWork
    this.inWork = []
    for (let i = 0; i < parts.length; i += 2) (parts[i + 1] as Spent)(parts[i] as Uint8Array)
  }

  private readonly paused = (): void => {
    this.timer = undefined
    this.flush()
  }

  private readonly late = (): void => {
    this.limit = undefined
    // To neither would it be there any sooner: a taker who is behind, and one whose codec is, that soon gives it with much more.
    if (this.waiting || this.full) return
    this.isDue = true
    if (!this.busy) this.next()
  }

  private flush(): void {
    this.stopTimer()
    this.stopLimit()
    this.isDue = false
    this.busy = true
    this.flushing = true
    this.unflushed = false
    this.codec?.flush(flushOf[this.coding], this.written)
  }

  private open(): Codec {
    if (this.codec !== undefined) return this.codec
    const codec = this.make(this.coding, this.options, this.options.flush === 'event')
    this.codec = codec
    codec.on('data', (chunk: Buffer) => this.give(chunk))
    codec.on('end', () => this.done())
    codec.on('error', (error) => this.broken(error))
    return codec
  }

  private give(chunk: Uint8Array): void {
    if (this.ended) return
    const bytes = this.before === undefined ? chunk : Buffer.concat([this.before, chunk])
    const header = !this.begun && !this.flushing && this.options.flush === 'pause'
    if (header && bytes.length <= headerAtMost) this.before = bytes
    else this.pass(bytes)
  }

  private pass(bytes: Uint8Array): void {
    this.begun = true
    this.before = undefined
    // What came before has gone out with it. So one who gives much is flushed no more often for it.
    this.stopLimit()
    this.tee?.write(bytes)
    if (this.tee !== undefined && this.tee.writableLength > teeAtMost) this.dropTee()
    if (!this.push(bytes)) this.codec?.pause()
  }

  private done(): void {
    if (this.ended) return
    if (this.before !== undefined) this.pass(this.before)
    this.codec = undefined
    this.tee?.end()
    this.tee = undefined
    this.finish(this.fields)
  }

  private broken(cause: unknown): void {
    if (this.ended) return
    const error = asProxyError(cause, `the ${this.coding} coder failed`)
    this.free()
    this.fail(error)
    this.source.cancel(error)
  }

  private free(): void {
    this.stopTimer()
    this.stopLimit()
    this.queue = []
    this.queued = 0
    this.toFree = []
    this.inWork = []
    this.codec?.destroy()
    this.codec = undefined
    this.dropTee()
  }

  private dropTee(): void {
    const { tee } = this
    this.tee = undefined
    tee?.destroy()
  }

  private stopTimer(): void {
    if (this.timer === undefined) return
    this.timers.clear(this.timer)
    this.timer = undefined
  }

  private stopLimit(): void {
    if (this.limit === undefined) return
    this.timers.clear(this.limit)
    this.limit = undefined
  }
}

function turnOver(body: EncodedBody): void {
  body.turnIsOver()
}
