import type { Readable } from 'node:stream'
import type { HeaderList } from '@sluice/headers'

/** Where a body goes. One sink takes one body. */
export interface Sink {
  /** Takes bytes; `false` asks the source to wait until it hears through `onDrain`. */
  write(chunk: Uint8Array): boolean
  /** The body is whole. */
  end(trailers?: HeaderList): void
  /** The body will never be whole: what was written so far must not pass for it. */
  abort(error: Error): void
  /** Sets who hears, each time there is room again after a `write` that returned `false`: whoever was set last, where bodies come one after the other. */
  onDrain(fn: () => void): void
}

/** Frees the memory of a part, which is empty then. */
export type Spent = (chunk: Uint8Array) => void

/** A sink that may free what it was given. Any other one leaves `spent` out, and the memory to the collector. */
export interface EndSink extends Sink {
  /**
   * @param spent given where nobody but the source and this sink has the part. The sink may call it once the bytes are used up, but never
   * from within `write`, and not if it has passed the part on to code that may keep it
   */
  write(chunk: Uint8Array, spent?: Spent): boolean
  /** Bytes that the next part should have at most, where it is likely to wait for long. Left out: any. */
  readonly partAtMost?: number
}

/** Bytes that flow once. Exactly one of `pipe`, `readable` and `cancel` takes them. */
export interface Body {
  /** Bytes in all, where known before they flow. */
  readonly length?: number
  /** Sends the bytes into `to`, with backpressure and with no stream object between. */
  pipe(to: Sink): void
  /** The bytes as a Node stream, for whoever needs one. */
  readable(): Readable
  /** Drops the bytes and stops their source. It may also follow `pipe`: the sink then hears `abort`. */
  cancel(why?: Error): void
  /**
   * Calls `fn` once when the source has given its last byte (`undefined`), failed or been cancelled (the error); at once
   * if that was before. Optional: whoever needs it on any body uses `onBodyEnd`.
   */
  onEnd?<T>(fn: (error: Error | undefined, arg: T) => void, arg: T): void
}

/** What a reply or an outbound request may carry as its body. */
export type BodyInit = Body | Readable | Uint8Array | string | null

/** Tells a {@link Body} from the other kinds of {@link BodyInit}. */
export function isBody(body: BodyInit): body is Body {
  return (
    typeof body === 'object' && body !== null && 'readable' in body && typeof body.readable === 'function'
  )
}
