import type { ReadableStreamDefaultController } from 'node:stream/web'
import type { Body, Sink } from '@sluice/core'

type Controller = ReadableStreamDefaultController<Uint8Array>

/**
 * A body as the source of a web stream. Each part is a copy, since whoever gets it may write to it or transfer it.
 *
 * While the stream has room it is held, since somebody may wait for what comes. Once it is full it lives by those who have it: a response that was
 * dropped unread can be collected, and what it comes from ends then.
 */
export class BodySource implements Sink {
  #stream: Controller | undefined = undefined
  #full: WeakRef<Controller> | undefined = undefined
  #drained: (() => void) | undefined = undefined
  #over = false

  constructor(
    private readonly body: Body,
    private readonly signal: AbortSignal | undefined,
  ) {}

  start(stream: Controller): void {
    this.#stream = stream
    this.body.pipe(this)
    const { signal } = this
    if (this.#over || signal === undefined) return
    if (signal.aborted) this.#left()
    else signal.addEventListener('abort', this.#left, { once: true })
  }

  pull(stream: Controller): void {
    this.#stream = stream
    this.#drained?.()
  }

  cancel(): void {
    this.#end()
    this.body.cancel()
  }

  write(chunk: Uint8Array): boolean {
    const stream = this.#stream ?? this.#full?.deref()
    if (stream === undefined || this.#over) return false
    stream.enqueue(Uint8Array.from(chunk))
    if ((stream.desiredSize ?? 0) > 0) return true
    this.#full ??= new WeakRef(stream)
    this.#stream = undefined
    return false
  }

  end(): void {
    this.#end()?.close()
  }

  abort(error: Error): void {
    this.#end()?.error(new TypeError('terminated', { cause: error }))
  }

  onDrain(fn: () => void): void {
    this.#drained = fn
  }

  readonly #left = (): void => {
    this.#end()?.error(this.signal?.reason)
    this.body.cancel()
  }

  /** @returns the stream, the first time */
  #end(): Controller | undefined {
    if (this.#over) return undefined
    this.#over = true
    this.signal?.removeEventListener('abort', this.#left)
    return this.#stream ?? this.#full?.deref()
  }
}
