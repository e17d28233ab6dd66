import type { Readable } from 'node:stream'
import { type Body, type BodyInit, type Sink, toBody } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'

/** A body with fields after it. It says no length: where one is said, HTTP/1.1 has no place for them (RFC 9112 section 7.1.2). */
export class TrailedBody implements Body, Sink {
  readonly #body: Body
  #to: Sink | undefined = undefined

  constructor(
    body: BodyInit,
    private readonly trailers: HeaderList,
  ) {
    this.#body = toBody(body ?? '') as Body
  }

  pipe(to: Sink): void {
    this.#to = to
    this.#body.pipe(this)
  }

  readable(): Readable {
    return this.#body.readable()
  }

  cancel(why?: Error): void {
    this.#body.cancel(why)
  }

  onEnd<T>(fn: (error: Error | undefined, arg: T) => void, arg: T): void {
    this.#body.onEnd?.(fn, arg)
  }

  write(chunk: Uint8Array): boolean {
    return (this.#to as Sink).write(chunk)
  }

  end(): void {
    ;(this.#to as Sink).end(this.trailers)
  }

  abort(error: Error): void {
    ;(this.#to as Sink).abort(error)
  }

  onDrain(fn: () => void): void {
    ;(this.#to as Sink).onDrain(fn)
  }
}
