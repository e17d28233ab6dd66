/** A timer of Node's holds no more. */
const longest = 2 ** 31 - 1

/**
 * How long a target is out: longer each time, until it behaves.
 *
 * time  = min(base * times, max)
 * times = max(times - how often `base` fits into the time since it came back, 0) + 1
 */
export class EjectionTime {
  private times = 0
  private backAt = Number.NEGATIVE_INFINITY
  private readonly most: number

  /** @param max 0: no limit */
  constructor(
    private readonly base: number,
    max: number,
  ) {
    this.most = max === 0 ? longest : max
  }

  /** It goes out now: for how long. */
  next(now: number): number {
    const behaved = Math.max(Math.floor((now - this.backAt) / this.base), 0)
    this.times = Math.max(this.times - behaved, 0) + 1
    return Math.min(this.base * this.times, this.most)
  }

  /** It is back in use. */
  back(now: number): void {
    this.backAt = now
  }

  /** It is back ahead of its time, which then was none: in a failure of all its times would grow with each look. */
  cut(now: number): void {
    this.back(now)
    this.times--
  }
}
