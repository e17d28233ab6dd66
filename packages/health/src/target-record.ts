import type { Lease, Target } from '@sluice/upstream'
import type { EjectionSettings } from './ejection-options.js'
import { EjectionTime } from './ejection-time.js'
import type { Outcome } from './outcome.js'
import type { Sample } from './outlier.js'

/** For what a target is out: its time grows apart for lost connects, which are short, and for all else. */
export type Cause = 'local' | 'other'

/**
 * What a target has done of late.
 *
 * in a row:  gateway  +1 with each gateway failure, 0 with any other answer
 *            local    +1 with each lost connect,    0 where the target was reached
 *            kept     +1 with each lost kept connection, 0 where the target was reached; as many as gateway failures are one lost connect
 *            What is lost leaves the others as they are; where lost connects have no limit of their own, all are gateway failures.
 * statistics of this interval: good, bad; lost connects are in neither, but in a statistic of their own: lost, and reached for
 *            whatever had a connection. A lost kept connection is in `bad` alone
 */
export class TargetRecord {
  good = 0
  bad = 0
  reached = 0
  lost = 0
  private gateway = 0
  private local = 0
  private kept = 0
  /** Leases of the target when it came back. */
  private before = 0
  /** While it is out. */
  timer: unknown = undefined
  out: Cause | undefined = undefined
  /** When it went out last. */
  since = 0
  private readonly times: Readonly<Record<Cause, EjectionTime>>

  constructor(
    readonly target: Target,
    private readonly settings: EjectionSettings,
  ) {
    const { base, localBase, max } = settings
    this.times = {
      local: new EjectionTime(localBase, max),
      other: new EjectionTime(base, max),
    }
  }

  /** Whether the end of a lease says something of the target as it is. */
  counts({ nth }: Lease): boolean {
    return this.out === undefined && nth > this.before
  }

  /** Takes an outcome. Gives why the target should be out, where it is one too many in a row. */
  take(outcome: Outcome): { readonly cause: Cause; readonly reason: string } | undefined {
    const { consecutive, local } = this.settings
    if (outcome === 'local' && local > 0) {
      this.lost++
      this.local++
      return this.local < local ? undefined : { cause: 'local', reason: many(this.local, 'lost connect') }
    }
    if (outcome === 'kept' && local > 0) {
      this.bad++
      this.kept++
      return consecutive === 0 || this.kept < consecutive
        ? undefined
        : { cause: 'local', reason: many(this.kept, 'lost kept connection') }
    }
    this.reached++
    this.local = 0
    this.kept = 0
    if (outcome === 'success') this.good++
    else this.bad++
    if (outcome === 'success' || outcome === 'failure') {
      this.gateway = 0
      return undefined
    }
    this.gateway++
    return consecutive === 0 || this.gateway < consecutive
      ? undefined
      : { cause: 'other', reason: many(this.gateway, 'gateway failure') }
  }

  /** It goes out: for how many ms. */
  leave(cause: Cause, now: number): number {
    this.out = cause
    this.since = now
    return this.times[cause].next(now)
  }

  /** More than one in a row: it isn't reached at all. */
  get isGone(): boolean {
    return this.local > 1
  }

  /**
   * It is back, and begins anew.
   * @param early ahead of its time
   */
  back(now: number, early = false): void {
    if (this.out !== undefined) {
      const time = this.times[this.out]
      if (early) time.cut(now)
      else time.back(now)
    }
    this.out = undefined
    this.before = this.target.leased
    this.timer = undefined
    this.gateway = 0
    this.local = 0
    this.kept = 0
    this.forget()
  }

  /** Its connects, as a sample of good and bad. */
  get connects(): Sample {
    const { target, reached, lost } = this
    return { target, good: reached, bad: lost }
  }

  /** The next interval of the statistics begins. */
  forget(): void {
    this.reached = 0
    this.lost = 0
    this.good = 0
    this.bad = 0
  }
}

function many(count: number, what: string): string {
  return count === 1 ? `a ${what}` : `${count} ${what}s in a row`
}
