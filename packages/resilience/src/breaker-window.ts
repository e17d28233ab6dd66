/** What became of calls, in numbers. */
class Counts {
  total = 0
  failures = 0
  network = 0
  measured = 0
  slow = 0

  add(other: Counts, sign: 1 | -1): void {
    this.total += sign * other.total
    this.failures += sign * other.failures
    this.network += sign * other.network
    this.measured += sign * other.measured
    this.slow += sign * other.slow
  }
}

/**
 * Counts over a sliding window: a ring of buckets with their sum, so that a call costs the same whatever the window holds.
 * A bucket falls out as a whole, so the window is between `width - width / buckets` and `width` long.
 */
export class BreakerWindow {
  readonly sum = new Counts()
  private readonly ring: Counts[]
  private readonly span: number
  private at = 0
  private begun: number

  constructor(
    private readonly width: number,
    buckets: number,
    now: number,
  ) {
    this.ring = Array.from({ length: buckets }, () => new Counts())
    this.span = width / buckets
    this.begun = now
  }

  /** Counts one call. */
  note(now: number, failed: boolean, network: boolean, measured: boolean, slow: boolean): void {
    this.turn(now)
    for (const counts of [this.sum, this.ring[this.at] as Counts]) {
      counts.total++
      if (failed) counts.failures++
      if (network) counts.network++
      if (measured) counts.measured++
      if (slow) counts.slow++
    }
  }

  /** Forgets all. */
  clear(now: number): void {
    for (const [i, counts] of this.ring.entries()) {
      this.sum.add(counts, -1)
      this.ring[i] = new Counts()
    }
    this.begun = now
  }

  /** Lets fall out what is too old. A clock that jumps back stands still; one that jumps ahead empties the window. */
  turn(now: number): void {
    if (!(now >= this.begun)) {
      this.begun = now
      return
    }
    const gone = now - this.begun
    // Buckets stay where they were in time, however long nobody called.
    if (gone >= this.width + this.span) return this.clear(now - (gone % this.span))
    while (now - this.begun >= this.span) {
      this.begun += this.span
      this.at = (this.at + 1) % this.ring.length
      this.sum.add(this.ring[this.at] as Counts, -1)
      this.ring[this.at] = new Counts()
    }
  }
}
