import { turnTime } from './turn-time.js'

/** Milliseconds of which a client has taken nothing of what waits for it: over any network one that reads takes something by then. */
const stalledFrom = 250
/** So many of these at once are no accident. */
const manyFrom = 16
/** Milliseconds that the system had no room for, and not only this process no time: TLS, HTTP/2 and chunks are given to it later in any case. */
const fullFrom = 20

/** One answer that waits for its client to take something. */
export interface Stall {
  /** When it began to, by the clock of those that it is one of. */
  readonly since: number
}

/** Answers that wait for their clients, and whether there are many whose clients take nothing. */
export class StalledReaders {
  /** The oldest first. */
  private readonly stalls = new Set<Stall>()

  /** @param now milliseconds */
  constructor(private readonly now: () => number) {}

  /** An answer has to wait from now on. */
  begin(): Stall {
    const stall = { since: this.now() }
    this.stalls.add(stall)
    return stall
  }

  /**
   * Its client has taken what waited, or is gone.
   * @returns whether it waited so long that the system must have had no room: then its client has read something
   */
  end(stall: Stall): boolean {
    this.stalls.delete(stall)
    return this.now() - stall.since >= fullFrom
  }

  /** Whether so many clients take nothing that it is to be kept small what may wait for another of whom nobody knows yet that it reads. */
  get many(): boolean {
    if (this.stalls.size < manyFrom) return false
    const latest = this.now() - stalledFrom
    let found = 0
    for (const { since } of this.stalls) {
      if (since > latest) return false
      if (++found === manyFrom) return true
    }
    return false
  }
}

/** Those of this process. */
export const stalledReaders = new StalledReaders(turnTime)
