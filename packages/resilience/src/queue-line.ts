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
  row: Row | undefined = undefined
  turn = 0
  cancel: (() => void) | undefined = undefined

  /** Whether one who waits may go wherever this one may, always. */
  alike(_other: Waiter): boolean {
    return true
  }

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

/** Those of a line that are alike: if the first of them may not go, none may. */
interface Row {
  first: Waiter
  last: Waiter
}

/**
 * A bounded line, doubly linked: to join, to leave in the middle and to be served cost the same at any length. Those that are alike stand in a row of
 * their own, so that who may go is found by a look at one of each; between rows it is who came first.
 *
 *   joined ──serve()──▶ served;  joined ──timeout, close──▶ refused;  joined ──leave──▶ gone, told by nobody
 */
export class QueueLine {
  size = 0
  private readonly rows: Row[] = []
  private turns = 0

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

  /**
   * @param anyhow also where there is no place
   * @returns false if there is none
   */
  join(waiter: Waiter, anyhow = false): boolean {
    const { timeout } = this.limits
    if (this.full && !anyhow) return false
    waiter.line = this
    waiter.turn = this.turns++
    const row = this.rows.find(({ first }) => first.alike(waiter))
    if (row === undefined) {
      waiter.row = { first: waiter, last: waiter }
      this.rows.push(waiter.row)
    } else {
      waiter.row = row
      waiter.before = row.last
      row.last.after = waiter
      row.last = waiter
    }
    this.size++
    if (timeout > 0) waiter.cancel = this.after(timeout, () => this.refuse(waiter, 'queue_timeout'))
    return true
  }

  /** Whose turn it is among those that `may` go. */
  next(may?: (waiter: Waiter) => boolean): Waiter | undefined {
    const fifo = this.limits.order === 'fifo'
    let chosen: Waiter | undefined
    for (const { first, last } of this.rows) {
      const waiter = fifo ? first : last
      if (chosen !== undefined && waiter.turn > chosen.turn === fifo) continue
      if (may === undefined || may(waiter)) chosen = waiter
    }
    return chosen
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
    const row = waiter.row as Row
    if (before !== undefined) before.after = after
    else if (after !== undefined) row.first = after
    else this.rows.splice(this.rows.indexOf(row), 1)
    if (after !== undefined) after.before = before
    else if (before !== undefined) row.last = before
    waiter.before = undefined
    waiter.after = undefined
    waiter.line = undefined
    waiter.row = undefined
    this.size--
    waiter.cancel?.()
    waiter.cancel = undefined
    return true
  }

  /** Refuses all who wait. */
  clear(why: QueueRefusal): void {
    for (let row = this.rows[0]; row !== undefined; row = this.rows[0]) this.refuse(row.first, why)
  }

  private refuse(waiter: Waiter, why: QueueRefusal): void {
    if (this.leave(waiter)) waiter.refuse(why)
  }
}
