import { type Body, type BodyInit, PushBody, type Sink, type Spent, toBody } from '@sluice/core'

/**
 * Bodies one after the other, as one. None is read before the one ahead of it has ended.
 *
 * waiting ──resume()──▶ the first ──ends──▶ the next … ──the last ends──▶ ended
 *    │                      └─ fails, or the whole has another length than told: failed, those behind it are cancelled
 *    └──cancel()──▶ cancelled, and all that haven't ended with it
 */
class JoinedBody extends PushBody implements Sink {
  private readonly parts: Body[]
  private at = 0
  private sent = 0
  private started = false
  /** A part is piping: its end within `pipe` moves on in the loop that called it, not in a call within a call. */
  private piping = false
  private partEnded = false
  private drain: (() => void) | undefined = undefined

  constructor(parts: Body[], length: number | undefined) {
    super()
    this.parts = parts
    if (length !== undefined) (this as { length?: number }).length = length
    this.waiting = true
  }

  protected resume(): void {
    if (!this.started) {
      this.started = true
      this.next()
    } else if (this.partEnded) this.next()
    else this.drain?.()
  }

  protected stop(why: Error): void {
    for (let i = this.at; i < this.parts.length; i++) (this.parts[i] as Body).cancel(why)
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    if (this.ended) return false
    this.sent += chunk.length
    // More than told would be taken for the beginning of the next answer.
    if (this.length !== undefined && this.sent > this.length) {
      this.wrongLength()
      return false
    }
    return this.push(chunk, spent)
  }

  end(): void {
    if (this.ended) return
    this.at++
    this.partEnded = true
    this.drain = undefined
    if (!this.piping) this.next()
  }

  abort(error: Error): void {
    if (this.ended) return
    this.at++
    this.fail(error)
    this.stop(error)
  }

  onDrain(fn: () => void): void {
    this.drain = fn
  }

  /** Goes on to the next part, as long as there is room. */
  private next(): void {
    this.partEnded = true
    while (this.partEnded && !this.waiting && !this.ended) {
      const part = this.parts[this.at]
      if (part === undefined) return this.close()
      this.partEnded = false
      this.piping = true
      try {
        part.pipe(this)
      } catch (error) {
        this.abort(error as Error)
      }
      this.piping = false
    }
  }

  private close(): void {
    if (this.length === undefined || this.sent === this.length) this.finish()
    else this.wrongLength()
  }

  private wrongLength(): void {
    const error = new Error(`the body has ${this.sent} bytes, where ${this.length} were to come`)
    this.fail(error)
    this.stop(error)
  }
}

/**
 * Bodies one after the other, as one; it takes them all. Trailers of the parts are left out.
 * @param told bytes in all: with another number it fails. Default the sum of the parts' lengths, where each is known
 */
export function joinedBody(parts: readonly BodyInit[], told?: number): Body {
  const bodies: Body[] = []
  let length: number | undefined = 0
  for (const part of parts) {
    const body = toBody(part)
    if (body === null) continue
    bodies.push(body)
    length = length === undefined || body.length === undefined ? undefined : length + body.length
  }
  return new JoinedBody(bodies, told ?? length)
}
