import { type Body, type BodyInit, RelayBody, type Spent, toBody } from '@sluice/core'

/**
 * The bytes of a body from `from` to before `to`. Nothing of the source is read before somebody takes this one.
 *
 * waiting ──resume()──▶ flowing ──the byte before `to`──▶ ended    a source that goes on is cancelled
 *    │                     ├─ the source ends before: failed       its bytes must not pass for all
 *    │                     └─ the source fails: failed
 *    └──cancel()──▶ cancelled, and the source with it
 *
 * A source whose length says that it ends at `to` is heard to its end: only then is it known that its bytes are right.
 */
class SliceBody extends RelayBody {
  private at = 0
  private readonly toTheEnd: boolean

  constructor(
    source: Body,
    private readonly from: number,
    private readonly to: number,
  ) {
    super(source, to - from)
    this.toTheEnd = source.length === to
  }

  protected override begin(): void {
    if (this.to > this.from || this.toTheEnd) super.begin()
    else this.enough()
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    if (this.ended) return false
    const start = this.at
    this.at += chunk.length
    if (this.at <= this.from || start >= this.to) return true
    const whole = start >= this.from && this.at <= this.to
    const wanted = whole ? chunk : chunk.subarray(Math.max(0, this.from - start), this.to - start)
    const room = this.push(wanted, whole ? spent : undefined)
    if (this.at >= this.to && !this.toTheEnd) {
      this.enough()
      return false
    }
    return room
  }

  end(): void {
    if (this.at === this.to) this.finish()
    else if (!this.ended) this.fail(new Error(`the body has ${this.at} bytes, where ${this.to} were to come`))
  }

  private enough(): void {
    if (this.ended) return
    this.finish()
    this.source.cancel(new Error('the rest of the body is not wanted'))
  }
}

/** The bytes of a body from `from` to before `to`; it takes the body. The caller makes sure that there are so many. */
export function sliceBody(body: BodyInit, from: number, to: number): BodyInit {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  if (bytes instanceof Uint8Array) return bytes.subarray(from, to)
  const source = toBody(bytes)
  return source === null ? null : new SliceBody(source, from, to)
}
