import { type After, later } from './queue-timer.js'

/** Who is served first of those that wait. */
export type QueueOrder = 'fifo' | 'lifo'

/** Why one who came was not served; these are the names in the log. */
export type QueueRefusal = 'queue_full' | 'queue_timeout' | 'queue_closed'

/** One who waits. Of its two ends one comes, once. */
export abstract class Waiter {
  /** The line keeps these. */
  before: Waiter | undefined = undefined
  after: Waiter | undefined = undefined
  line: QueueLine | undefined = undefined
  cancel: (() => void) | undefined = undefined

  /** It's its turn. Must not throw. */
  abstract serve(): void
  /** It has waited in vain. Must not throw. */
  abstract refuse(why: QueueRefusal): void
}

/** How long a line may be, in number and in time. */
export interface QueueLimits {
  /** Places at most. */
  readonly length: number
  /** Milliseconds that one waits at most; 0: no limit. */
  readonly timeout: number
  readonly order: QueueOrder
  /** Milliseconds that the refused are told to stay away; 0: they aren't told. */
  readonly retryAfter: number
}

/**
 * A bounded line, doubly linked: to join, to leave in the middle and to be served cost the same at any length.
 *
 *   joined ──serve()──▶ served;  joined ──timeout, close──▶ refused;  joined ──leave──▶ gone, told by nobody
 */
export class QueueLine {
  size = 0
  private first: Waiter | undefined = undefined
  private last: Waiter | undefined = undefined

  constructor(
    private readonly limits: QueueLimits,
    private readonly after: After = later,
  ) {}

  /** What one who is refused is told: when to come back, if anything. */
  retryAfter(why: QueueRefusal): number | undefined {
    const { retryAfter } = this.limits
    return retryAfter === 0 || why === 'queue_closed' ? undefined : retryAfter
  }

  get full(): boolean {
    return this.size >= this.limits.length
  }

  /** @returns false if there is no place */
  join(waiter: Waiter): boolean {
    const { timeout } = this.limits
    if (this.full) return false
    waiter.line = this
    waiter.before = this.last
    if (this.last === undefined) this.first = waiter
    else this.last.after = waiter
    this.last = waiter
    this.size++
    if (timeout > 0) waiter.cancel = this.after(timeout, () => this.refuse(waiter, 'queue_timeout'))
    return true
  }

  /** Whose turn it is among those that `may` go. */
  next(may?: (waiter: Waiter) => boolean): Waiter | undefined {
    const fifo = this.limits.order === 'fifo'
    let waiter = fifo ? this.first : this.last
    if (may === undefined) return waiter
    while (waiter !== undefined && !may(waiter)) waiter = fifo ? waiter.after : waiter.before
    return waiter
  }

  /** Serves the one whose turn it is; false if nobody waits that `may` go. */
  serve(may?: (waiter: Waiter) => boolean): boolean {
    const waiter = this.next(may)
    if (waiter === undefined) return false
    this.leave(waiter)
    waiter.serve()
    return true
  }

  /** Frees the place of one who no longer waits; false if it didn't. */
  leave(waiter: Waiter): boolean {
    if (waiter.line !== this) return false
    const { before, after } = waiter
    if (before === undefined) this.first = after
    else before.after = after
    if (after === undefined) this.last = before
    else after.before = before
    waiter.before = undefined
    waiter.after = undefined
    waiter.line = undefined
    this.size--
    waiter.cancel?.()
    waiter.cancel = undefined
    return true
  }

  /** Refuses all who wait. */
  clear(why: QueueRefusal): void {
    while (this.first !== undefined) this.refuse(this.first, why)
  }

  private refuse(waiter: Waiter, why: QueueRefusal): void {
    if (this.leave(waiter)) waiter.refuse(why)
  }
}
