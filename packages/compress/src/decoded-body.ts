import { type Body, type BodyInit, isBody, PushBody, type Sink, toBody } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import type { Coding } from './coding.js'
import { DecodeError, type DecodeFault } from './decode-error.js'
import { withoutDigests } from './decoded-fields.js'
import { Decoder, type DecoderOwner, decodable } from './decoder.js'

/** Bytes that may wait for the decoder, before the source is asked to wait. */
const queueAtMost = 64 * 1024

/** What is smaller than this is no bomb, however small it was before: text of one line over and over is a thousand times smaller. */
const ratioFrom = 1024 * 1024

/** What a decoded body may come to. */
export interface DecodeLimits {
  /** Bytes decoded, at most. 0: no limit. */
  readonly maxSize: number
  /** Bytes decoded for each byte that came, at most, once they are more than 1 MB. 0: no limit. */
  readonly maxRatio: number
}

const unlimited: DecodeLimits = { maxSize: 0, maxRatio: 0 }

/**
 * A body without its codings: `decodeBody(body, ['gzip'])`. Its length isn't known. It is decoded as it is taken, with backpressure, and
 * nothing is read, or held, before. A body that can't be decoded fails and is never whole, and its source is cancelled; a source that
 * fails makes it fail. Trailers pass, without digests, which are of other bytes. A body that ends without any bytes is empty, though every coding has
 * some for nothing.
 *
 * It holds, for each coding, what a `Decoder` does (gzip and deflate 45 KB, br up to 18 MB, zstd up to 10 MB) and some 128 KB of bytes on
 * their way. Limits count after each coding, against the bytes that came, so that a bomb in a bomb ends like one.
 * @param codings of `Content-Encoding`, in the order applied; up to three
 * @param asError what the body fails with in the place of a {@link DecodeError}: whose fault it is
 * @throws TypeError for codings that aren't `decodable`
 */
export function decodeBody(
  body: BodyInit,
  codings: readonly string[],
  limits: DecodeLimits = unlimited,
  asError: (error: DecodeError) => Error = asItIs,
): Body {
  if (!decodable(codings))
    throw new TypeError(`codings: got ${codings.join(', ')}, takes up to three that decodable() knows`)
  let decoded = toBody(body ?? '') as Body
  let wire: DecodedBody | undefined
  for (let i = codings.length - 1; i >= 0; i--) {
    const stage = new DecodedBody(decoded, codings[i] as Coding, limits, asError, wire)
    wire ??= stage
    decoded = stage
  }
  return decoded
}

/** Whether it is known beforehand that there is nothing to decode. */
export function hasNoBytes(body: BodyInit): boolean {
  if (body === null) return true
  return (isBody(body) || typeof body === 'string' || body instanceof Uint8Array) && body.length === 0
}

function asItIs(error: DecodeError): Error {
  return error
}

/**
 * A body without the last of its codings.
 *
 * waiting ──resume()──▶ flowing ──both ends──▶ ended        its trailers are the source's
 *    │                    ├─ it can't be decoded, or is too large: failed, and the source is cancelled
 *    │                    └─ the source fails: failed, and the decoder is destroyed, never ended
 *    └──cancel()──▶ cancelled: the source is cancelled, the decoder destroyed
 */
class DecodedBody extends PushBody implements Sink, DecoderOwner {
  /** Bytes that have come. */
  private received = 0
  /** Bytes that they were decoded to. */
  private size = 0
  private started = false
  /** The decoder is at work. It gets one piece at a time, so that it is known where the body ends. */
  private busy = false
  private queue: Uint8Array[] = []
  private queued = 0
  private sourceEnded = false
  private fields: HeaderList | undefined = undefined
  private drain: (() => void) | undefined = undefined
  private readonly decoder: Decoder
  /** What gets the bytes that came over the wire. */
  private readonly wire: DecodedBody

  constructor(
    private readonly source: Body,
    private readonly coding: Coding,
    private readonly limits: DecodeLimits,
    private readonly asError: (error: DecodeError) => Error,
    wire: DecodedBody | undefined,
  ) {
    super()
    this.waiting = true
    this.wire = wire ?? this
    this.decoder = new Decoder(coding, this)
  }

  protected resume(): void {
    if (this.started) return this.decoder.resume()
    this.started = true
    this.source.pipe(this)
  }

  protected stop(why: Error): void {
    this.letGo()
    this.source.cancel(why)
  }

  write(chunk: Uint8Array): boolean {
    if (this.ended) return false
    if (chunk.length === 0) return true
    this.received += chunk.length
    if (!this.busy) this.feed(chunk)
    else {
      this.queue.push(chunk)
      this.queued += chunk.length
    }
    return this.queued < queueAtMost
  }

  end(trailers?: HeaderList): void {
    this.sourceEnded = true
    this.fields = trailers === undefined ? undefined : withoutDigests(trailers)
    if (!this.busy) this.close()
  }

  abort(error: Error): void {
    this.letGo()
    this.fail(error)
  }

  onDrain(fn: () => void): void {
    this.drain = fn
  }

  decoded(bytes: Uint8Array): boolean {
    this.size += bytes.length
    const fault = this.beyond()
    if (fault === undefined) return this.push(bytes)
    const { maxSize, maxRatio } = this.limits
    const limit = fault === 'ratio' ? `${maxRatio} times what came` : `${maxSize} bytes`
    this.undecodable(new DecodeError(fault, this.coding, `has more than ${limit}`))
    return false
  }

  tookAll(): void {
    this.busy = false
    if (this.ended) return
    const { queue, queued } = this
    if (queue.length > 0) {
      this.queue = []
      this.queued = 0
      // Each write is a job of the thread pool: what came byte by byte goes there together.
      this.feed(queue.length === 1 ? (queue[0] as Uint8Array) : Buffer.concat(queue))
      if (queued >= queueAtMost) this.drain?.()
    } else if (this.sourceEnded) this.close()
  }

  decodedAll(): void {
    this.finish(this.fields)
  }

  undecodable(error: Error): void {
    if (this.ended) return
    const failure = error instanceof DecodeError ? this.asError(error) : error
    this.letGo()
    this.fail(failure)
    this.source.cancel(failure)
  }

  private feed(bytes: Uint8Array): void {
    this.busy = true
    this.decoder.write(bytes)
  }

  private close(): void {
    if (this.ended) return
    // Redirects come so. A source that breaks off fails, so none of it is missing.
    if (this.received === 0) this.finish(this.fields)
    else this.decoder.end()
  }

  private letGo(): void {
    this.queue = []
    this.queued = 0
    this.decoder.destroy()
  }

  private beyond(): DecodeFault | undefined {
    const { limits, size, wire } = this
    if (limits.maxSize > 0 && size > limits.maxSize) return 'too-large'
    if (limits.maxRatio > 0 && size > ratioFrom && size > limits.maxRatio * wire.received) return 'ratio'
    return undefined
  }
}
