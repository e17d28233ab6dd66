import { type Body, type BodyInit, ProxyError, type Sink, toBody } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import debug from 'debug'
import type { FillBudget } from './fill-budget.js'
import { FillReader } from './fill-reader.js'
import { type Part, SharedParts } from './shared-parts.js'
import type { EntryWriter } from './store.js'

const log = debug('sluice:cache')

/** Options of a {@link Fill}. */
export interface FillOptions {
  /** Bytes that are kept for whoever joins later. A body that grows larger is neither stored nor joined. */
  readonly keep: number
  /** Bytes of the body, where its head says so: any other number is a failure. Default: what the source says. */
  readonly length?: number | undefined
  /** Fields after the body, where its end doesn't bring them: asked once the body is whole. */
  readonly trailers?: (() => HeaderList | undefined) | undefined
  /** What all fills of a cache may keep together: a body beyond that is as one that outgrows `keep`. Default: no such bound. */
  readonly budget?: FillBudget
  /** Hears of a reader that has fallen behind by more than `keep` bytes, before it fails. */
  readonly onLag?: (reader: Body) => void
}

type EndListener = (error: Error | undefined, stored: boolean, arg: unknown) => void

/**
 * One fetched body, stored while it comes, and read by many at once.
 *
 * keeping ──more than `keep`, doom()──▶ passing     all is kept for who joins, and the source never waits
 *    │                                     │        what every reader has had is dropped, nobody joins, the fastest reader's pace
 *    ├────────source's end─────────────────┴──▶ over ──commit()──▶ settled     joined until the store has it, then the store serves
 *    └────────failure, wrong length, nobody left──▶ failed                     readers get what came, then the error
 *
 * The writer and every reader get the parts as they come: the same ones, which nobody changes. No reader waits for another, and
 * storing waits for none: with the last reader gone it goes on, since the fetch is bound to no client. Without a writer, the source
 * is cancelled then.
 *
 * While it is passing, a reader that falls behind the fastest by more than `keep` bytes fails: else the others would wait for it, or
 * memory grow. The only one there is sets the pace and can't fall behind.
 *
 * Readers that are to have a body for sure are made before `start`.
 */
export class Fill implements Sink {
  /** Bytes of the body in all, where known. */
  readonly length: number | undefined
  /** Bytes that have come. */
  received = 0
  /** Fields after the body; set when it is over. */
  trailers: HeaderList | undefined = undefined
  private readonly source: Body | null
  private readonly options: FillOptions
  private readers: FillReader[] = noReaders
  private parts: SharedParts | undefined = new SharedParts()
  private keeping: boolean
  private started = false
  private over = false
  private settled = false
  private stored = false
  private error: Error | undefined = undefined
  private paused = false
  /** What the budget knows of. */
  private counted = 0
  private resumeSource: (() => void) | undefined = undefined
  private listener: EndListener | undefined = undefined
  private listenerArg: unknown = undefined

  /** @param writer where it is stored; `undefined`: nowhere */
  constructor(
    source: BodyInit,
    private writer: EntryWriter | undefined,
    options: FillOptions,
  ) {
    this.source = toBody(source)
    this.options = options
    this.length = options.length ?? this.source?.length
    this.keeping = this.length === undefined || this.length <= options.keep
    if (!this.keeping) this.endWriter()
  }

  /** Somebody may join: every byte is here or will be, nobody has doomed it, and the store doesn't have it yet. */
  get joinable(): boolean {
    return this.keeping
  }

  /** The last byte has come, or none will any more. */
  get isOver(): boolean {
    return this.over
  }

  /** Bytes that are kept now. */
  get kept(): number {
    return this.parts === undefined ? 0 : this.parts.size
  }

  /** How many read. */
  get reading(): number {
    return this.readers.length
  }

  /** Lets the bytes come. Without a writer and a reader nobody wants them, and the source is cancelled. */
  start(): void {
    this.started = true
    if (this.over) return
    if (this.source === null) return this.end()
    if (this.letGo()) return
    try {
      this.source.pipe(this)
    } catch (error) {
      this.abort(error as Error)
    }
  }

  /**
   * The body, or its bytes from `from` to before `to`. It ends as soon as it has had them; a body that turns out to be shorter fails.
   * @throws TypeError where the first bytes aren't here any more: never while it is `joinable`
   */
  reader(from = 0, to: number = Number.POSITIVE_INFINITY): Body {
    const { parts, length } = this
    if (parts === undefined || parts.first.start > 0)
      throw new TypeError('the first bytes of this body are not here any more')
    // To the last byte: then it also waits for the end, which tells whether the body is whole.
    const until = length !== undefined && to >= length ? Number.POSITIVE_INFINITY : to
    const end = until === Number.POSITIVE_INFINITY ? length : until
    const reader = new FillReader(
      this,
      parts.first,
      from,
      until,
      end === undefined ? undefined : Math.max(0, end - from),
    )
    reader.index = this.readers.length
    // Mostly there is one, and `push` on a list of none makes room for 17. A loop over the list before misses nothing: it feeds itself.
    if (this.readers.length === 0) this.readers = [reader]
    else this.readers.push(reader)
    // Of a body that has ended there may be nothing for it to wait for.
    if (this.over) reader.feed()
    return reader
  }

  /** What is stored must not be: a purge came. Nobody joins from now on; those who read go on. */
  doom(): void {
    this.keeping = false
    this.endWriter()
    if (!this.over) this.letGo()
    else this.settle(false)
  }

  /**
   * Calls `fn`, the only one, once when it is over for the cache: with `stored` when the store has it, without when it isn't stored, with the error
   * when it has failed; at once if that was before. Readers may go on after that.
   */
  onEnd<T>(fn: (error: Error | undefined, stored: boolean, arg: T) => void, arg: T): void {
    if (this.settled) return fn(this.error, this.stored, arg)
    this.listener = fn as EndListener
    this.listenerArg = arg
  }

  /** Somebody who reads is slow, and still has to get what has come. */
  get isLagging(): boolean {
    return this.readers.some((reader) => reader.isFull && reader.at < this.received)
  }

  /**
   * The store has the whole body in memory, in one piece: those who still read go on there, so that it isn't in memory twice as long
   * as the slowest of them takes. For after the end alone.
   */
  continueWith(bytes: Uint8Array): void {
    if (!this.settled || this.error !== undefined || bytes.length !== this.received) return
    const part: Part = { bytes, start: 0, end: bytes.length, next: undefined }
    for (const reader of this.readers) reader.moveTo(part)
    this.count(0)
  }

  write(chunk: Uint8Array): boolean {
    const { parts, length } = this
    if (this.over || parts === undefined) return false
    const received = this.received + chunk.length
    if (length !== undefined && received > length) {
      this.stop(new ProxyError('http_protocol_error', { message: 'the body is longer than its head says' }))
      return false
    }
    this.received = received
    if (this.keeping && (received > this.options.keep || this.isOverBudget(chunk.length))) {
      this.keeping = false
      this.endWriter()
    }
    if (this.writer !== undefined && !this.store(chunk)) this.endWriter()
    if (this.letGo()) return false
    if (chunk.length > 0) {
      parts.add(chunk)
      this.count(parts.size)
    }
    this.feed()
    return this.hasRoom()
  }

  end(trailers?: HeaderList): void {
    if (this.over) return
    const { length, received } = this
    if (length !== undefined && received < length) {
      this.abort(
        new ProxyError('http_response_incomplete', { message: 'the body is shorter than its head says' }),
      )
      return
    }
    try {
      this.trailers = trailers ?? this.options.trailers?.()
    } catch (error) {
      this.abort(error as Error)
      return
    }
    const { writer } = this
    this.over = true
    this.writer = undefined
    // Before the readers hear of the end: who asks again after it shall find it stored.
    if (writer === undefined) this.settle(false)
    else this.commit(writer)
    this.feed()
  }

  abort(error: Error): void {
    if (this.over) return
    this.over = true
    this.error = error
    this.endWriter()
    this.settle(false)
    this.feed()
  }

  onDrain(fn: () => void): void {
    this.resumeSource = fn
  }

  /** For readers: there is room again. */
  drained(): void {
    if (!this.paused || this.over) return
    this.paused = false
    this.resumeSource?.()
  }

  /** For readers: one that gets no more. */
  left(reader: FillReader): void {
    const { readers } = this
    if (readers[reader.index] !== reader) return
    const last = readers.pop() as FillReader
    if (last !== reader) {
      readers[reader.index] = last
      last.index = reader.index
    }
    if (this.settled && readers.length === 0) this.count(0)
    this.letGo()
  }

  /** For readers: why what has come isn't all, if so. */
  shortfall(to: number): Error | undefined {
    if (this.error !== undefined || to === Number.POSITIVE_INFINITY) return this.error
    return new ProxyError('http_response_incomplete', {
      message: 'the body ends before the range that was asked for',
    })
  }

  /**
   * Backwards, since one that leaves is replaced by the last: so none is left out, whatever its sink does. One that is fed twice gets
   * nothing twice.
   */
  private feed(): void {
    const { readers } = this
    for (let i = readers.length - 1; i >= 0; i--) readers[i]?.feed()
  }

  private store(chunk: Uint8Array): boolean {
    try {
      return (this.writer as EntryWriter).write(chunk)
    } catch (error) {
      return failed('write', error)
    }
  }

  private commit(writer: EntryWriter): void {
    try {
      const done = writer.commit(this.trailers)
      if (done === undefined) return this.settle(true)
      // Until it is done, what is newer may come.
      this.writer = writer
      done.then(
        () => this.settle(true),
        (error: unknown) => this.settle(failed('commit', error)),
      )
    } catch (error) {
      this.settle(failed('commit', error))
    }
  }

  private endWriter(): void {
    const { writer } = this
    if (writer === undefined) return
    this.writer = undefined
    try {
      writer.abort()
    } catch (error) {
      failed('abort', error)
    }
  }

  /** Whether nobody wants the rest: then the source stops. */
  private letGo(): boolean {
    if (this.over) return true
    if (this.writer !== undefined || this.readers.length > 0 || !this.started) return false
    this.stop(new Error('nobody takes the rest of this body'))
    return true
  }

  private stop(error: Error): void {
    this.abort(error)
    this.source?.cancel(error)
  }

  /** Over for the cache. Each reader keeps what it still has to get. */
  private settle(stored: boolean): void {
    if (this.settled) return
    this.settled = true
    this.stored = stored
    this.keeping = false
    this.writer = undefined
    this.parts = undefined
    if (this.readers.length === 0) this.count(0)
    const { listener, listenerArg } = this
    // Some may read for long: what has heard of the end is not to be kept by them.
    this.listener = undefined
    this.listenerArg = undefined
    listener?.(this.error, stored, listenerArg)
  }

  /** Whether the source is to go on. */
  private hasRoom(): boolean {
    if (this.over) return false
    if (this.keeping || this.keepPace()) return true
    this.paused = true
    return false
  }

  /** Lets go of readers that are too slow, and of parts that all have had. Returns whether one has room. */
  private keepPace(): boolean {
    const { readers } = this
    let fastest = readers[0]
    for (const reader of readers) if (reader.at > (fastest as FillReader).at) fastest = reader
    const behind = this.received - this.options.keep
    // Whoever is sent away may send others away, the fastest too: the last one stays.
    for (let i = readers.length - 1; i >= 0 && readers.length > 1; i--) {
      const reader = readers[i]
      if (reader === undefined || reader === fastest || reader.at >= behind || reader.isFeeding) continue
      this.options.onLag?.(reader)
      reader.cut(
        new ProxyError('proxy_internal_error', {
          message: 'a client is too slow for a body that others read too',
        }),
      )
    }
    let hungry = false
    let had = this.received
    for (const reader of readers) {
      reader.advance()
      if (reader.at < had) had = reader.at
      if (!reader.isFull) hungry = true
    }
    const { parts } = this
    if (parts !== undefined) {
      parts.dropBefore(had)
      this.count(parts.size)
    }
    return hungry
  }

  private isOverBudget(more: number): boolean {
    const { budget } = this.options
    return budget !== undefined && budget.used + more > budget.limit
  }

  /** Tells the budget what it keeps now. Once it is over that is said to be all until the last reader leaves: who has had what isn't looked for. */
  private count(kept: number): void {
    const { budget } = this.options
    if (budget === undefined) return
    budget.used += kept - this.counted
    this.counted = kept
  }
}

/** Never added to. */
const noReaders: FillReader[] = []

/** A store that fails does no harm to those who read. */
function failed(doing: string, error: unknown): false {
  if (log.enabled) log('a store has failed to %s: %O', doing, error)
  return false
}
