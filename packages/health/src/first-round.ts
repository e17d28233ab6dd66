/**
 * The first verdicts of targets that have begun together. Who is known to be fit is asked before those of whom nothing is known, so the
 * first one to be probed would be given all requests until the others are. So good verdicts wait until each has had its first
 * probe; bad ones don't.
 */
export class FirstRound<W> {
  private readonly waiting: Set<W>
  private good: (() => void)[] = []

  constructor(who: Iterable<W>) {
    this.waiting = new Set(who)
  }

  /** The first probe of one has told. `mark` is called at once for a bad verdict, else with those of all. */
  tell(one: W, passed: boolean, mark: () => void): void {
    if (passed) this.good.push(mark)
    else mark()
    this.leave(one)
  }

  /** One is probed no more. */
  leave(one: W): void {
    if (!this.waiting.delete(one) || this.waiting.size > 0) return
    const good = this.good
    this.good = []
    for (const mark of good) mark()
  }
}
