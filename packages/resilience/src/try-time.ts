import { type BodyInit, isBody, ProxyError } from '@sluice/core'
import { isUntouched } from './kept-body.js'
import { immediately } from './queue-timer.js'

/**
 * The time of one try until the head of its answer, and what is left of the time for all.
 *
 * begun ──`perTry`──▶ expired, but not while a body is under way
 *   └──the body was sent──▶ begun anew
 *
 * While a body is under way it is up to the client how long it takes, so none of that is the target's, which would be ejected for clients that
 * send slowly. As with `timeouts.head`, whose `requestBody` tells meanwhile who of the two has stopped. A body that nobody has begun to send
 * is no reason to wait: the target isn't reached.
 *
 * What is over is told by an immediate: an answer that has come while this process was busy is read before that.
 */
export class TryTime {
  private timer: NodeJS.Timeout | undefined = undefined
  private readonly forAll: NodeJS.Timeout | undefined
  /** Its body is under way, or will be. */
  private flows = false
  private stopped = false
  /** How often its time has begun. */
  private begun = 0

  /**
   * @param perTry ms; 0: no limit
   * @param left ms for all tries; `undefined`: no limit
   * @param expire hears of the end of either, once
   */
  constructor(
    private readonly perTry: number,
    left: number | undefined,
    private readonly body: BodyInit,
    private readonly expire: (error: ProxyError) => void,
  ) {
    // First: of two that end together it is the one that no further try mends.
    if (left !== undefined)
      this.forAll = setTimeout(immediately, Math.max(0, left), () => this.end('total_timeout'))
    this.begin()
    if (perTry === 0) return
    // It may be over already, and is told of at once.
    this.flows = true
    if (!whenSent(body, () => this.sent())) this.flows = false
  }

  stop(): void {
    this.stopped = true
    clearTimeout(this.timer)
    clearTimeout(this.forAll)
  }

  private begin(): void {
    if (this.perTry === 0 || this.stopped) return
    clearTimeout(this.timer)
    const nth = ++this.begun
    this.timer = setTimeout(immediately, this.perTry, () => {
      if (nth === this.begun && (!this.flows || isUntouched(this.body))) this.end('http_response_timeout')
    })
  }

  private sent(): void {
    this.flows = false
    this.begin()
  }

  private end(code: 'total_timeout' | 'http_response_timeout'): void {
    if (this.stopped) return
    this.stop()
    this.expire(new ProxyError(code))
  }
}

/** Calls `fn` when the last byte of a body has gone on, or it has failed; false: nobody will tell, or it is in memory. */
function whenSent(body: BodyInit, fn: () => void): boolean {
  if (body === null || typeof body === 'string' || body instanceof Uint8Array) return false
  if (!isBody(body)) {
    if (body.readableEnded) return false
    body.once('end', fn).once('close', fn)
    return true
  }
  if (body.onEnd === undefined) return false
  body.onEnd(fn, undefined)
  return true
}
