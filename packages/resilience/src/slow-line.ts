import { type After, later } from './queue-timer.js'

/** One that waits in a {@link SlowLine}, of which it is a link. */
export abstract class SlowOne {
  /** When its time is over, by the line's clock. */
  due = 0
  ahead: SlowOne | undefined = undefined
  behind: SlowOne | undefined = undefined

  /** Its time is over, and it is in the line no more. Must not throw. */
  abstract slow(): void
}

/**
 * Many that wait on one timer, in the order in which their times are over. Waits change little from one to the next, so the place of a new
 * one is nearly always the end. To leave costs some writes, and stops no timer: one that comes too early finds nobody, or is set for who is
 * then the first.
 *
 *   timer: none, or for a time no later than that of the first
 */
export class SlowLine {
  private first: SlowOne | undefined = undefined
  private last: SlowOne | undefined = undefined
  /** What the timer is set for. */
  private planned = Number.POSITIVE_INFINITY
  private undo: (() => void) | undefined = undefined

  /** @param now monotonic milliseconds */
  constructor(
    private readonly now: () => number,
    private readonly after: After = later,
  ) {}

  join(one: SlowOne, due: number): void {
    one.due = due
    let ahead = this.last
    while (ahead !== undefined && ahead.due > due) ahead = ahead.ahead
    const behind = ahead === undefined ? this.first : ahead.behind
    one.ahead = ahead
    one.behind = behind
    if (ahead === undefined) this.first = one
    else ahead.behind = one
    if (behind === undefined) this.last = one
    else behind.ahead = one
    if (due < this.planned) this.plan(due)
  }

  /** Nothing for one that isn't there. */
  leave(one: SlowOne): void {
    const { ahead, behind } = one
    if (ahead !== undefined) ahead.behind = behind
    else if (this.first === one) this.first = behind
    else return
    if (behind === undefined) this.last = ahead
    else behind.ahead = ahead
    one.ahead = undefined
    one.behind = undefined
  }

  private plan(due: number): void {
    this.undo?.()
    this.planned = due
    // Timers count whole milliseconds.
    this.undo = this.after(Math.max(Math.ceil(due - this.now()), 0), () => this.look())
  }

  private look(): void {
    this.undo = undefined
    this.planned = Number.POSITIVE_INFINITY
    const now = this.now()
    for (let one = this.first; one !== undefined && one.due <= now; one = this.first) {
      this.leave(one)
      one.slow()
    }
    if (this.first !== undefined && this.first.due < this.planned) this.plan(this.first.due)
  }
}
