import { type Body, type BodyInit, isBody, type Outbound, ReplayBody, toBody } from '@sluice/core'

/** Bodies that can tell whether they were taken. */
type Taken = Body & { readonly taken?: boolean }

/**
 * A flowing request body while it may be sent again. It puts the body of each try where layers further in look for it, and in the
 * end the body as it came, for those further out.
 *
 * A layer further in may put another body in the place of the first try's (a compressed one, say), and edit the fields to suit:
 * further tries have copies of both. That one then goes on instead, as long as nobody has begun to read it.
 */
export class KeptBody {
  private readonly replay: ReplayBody
  private first: Body | undefined = undefined
  private replaced = false

  /** @param came as the request has it; `source` gives its bytes */
  constructor(
    private readonly came: BodyInit,
    source: Body,
    cap: number,
  ) {
    this.replay = new ReplayBody(source, cap)
  }

  /** Gives a try its body. */
  begin(out: Outbound): void {
    if (this.replaced) return
    const body = this.replay.attempt()
    out.body = body
    this.first ??= body
  }

  /** A further try can have every byte. `out` is that of the exchange itself. */
  isWhole({ body }: Outbound): boolean {
    this.replaced = body !== this.first && body !== this.came
    return this.replaced ? isUntouched(body) : this.replay.replayable
  }

  /** The last try has been answered. */
  done(out: Outbound): void {
    if (out.body === this.first) out.body = this.came
    this.replay.done()
  }

  /** The last try has failed. */
  giveUp(out: Outbound): void {
    if (out.body === this.first) out.body = this.came
    this.replay.giveUp()
  }
}

/**
 * Keeps a flowing body of up to `cap` bytes. Nothing for one that is in memory, that somebody has had, or whose length says that it
 * won't fit: that goes on as it is.
 */
export function keptBody(body: BodyInit, cap: number): KeptBody | undefined {
  if (cap === 0 || body === null || typeof body === 'string' || body instanceof Uint8Array) return undefined
  if (isBody(body) ? (body as Taken).taken === true : body.readableDidRead) return undefined
  const source = toBody(body) as Body
  return source.length !== undefined && source.length > cap ? undefined : new KeptBody(body, source, cap)
}

/** In memory, or a stream that nobody has taken a byte of. */
export function isUntouched(body: BodyInit): boolean {
  if (body === null || typeof body === 'string' || body instanceof Uint8Array) return true
  return isBody(body) ? (body as Taken).taken === false : body.readableDidRead === false
}
