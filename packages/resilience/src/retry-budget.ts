import { parse, ranged, v } from '@sluice/options'

/** How much of the traffic may be retries. */
export interface RetryBudgetOptions {
  /** Retries for each request, 0 to 1. Default 0.2. */
  share?: number
  /** Retries a second that may always be, for where there is little traffic. Default 3. */
  min?: number
}

/** What retries are taken from. One may stand for several routes and upstreams. */
export interface RetryBudget {
  /** A request has come. */
  requested(): void
  /** Takes one retry; `false` if there is none left. */
  take(): boolean
}

/** Seconds that are looked back on. */
const seconds = 10

/** Validates {@link RetryBudgetOptions} and fills in the defaults. */
export const retryBudgetOptions = v.strictObject({
  share: v.optional(ranged(0, 1), 0.2),
  min: v.optional(ranged(0, 1_000_000), 3),
})

/**
 * A bound on retries as a part of the traffic: when every target fails, retries must not multiply the load that makes them fail. After
 * Finagle's `RetryBudget`.
 *
 * taken in the last 10 s < share × requests in the last 10 s + min × 10
 * @param clock monotonic milliseconds. Default `performance.now`
 * @throws TypeError for a wrong option
 */
export function retryBudget(
  options: RetryBudgetOptions = {},
  clock: () => number = () => performance.now(),
): RetryBudget {
  const { share, min } = parse(retryBudgetOptions, options, 'budget')
  const requests = new Recent(clock)
  const retries = new Recent(clock)
  return {
    requested: () => requests.count(),
    take() {
      if (retries.sum() >= share * requests.sum() + min * seconds) return false
      retries.count()
      return true
    },
  }
}

/** A count over the last ten seconds, one number a second. */
class Recent {
  private readonly counts = new Float64Array(seconds)
  private second = 0

  constructor(private readonly clock: () => number) {}

  count(): void {
    this.move()
    this.counts[this.second % seconds] = (this.counts[this.second % seconds] as number) + 1
  }

  sum(): number {
    this.move()
    let sum = 0
    for (const count of this.counts) sum += count
    return sum
  }

  /** Forgets what is older. A clock that goes back changes nothing. */
  private move(): void {
    const now = Math.floor(this.clock() / 1_000)
    if (now <= this.second) return
    if (now - this.second >= seconds) this.counts.fill(0)
    else while (this.second < now) this.counts[++this.second % seconds] = 0
    this.second = now
  }
}
