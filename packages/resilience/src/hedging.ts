import { type Duration, duration, parse, ranged, that, v } from '@sluice/options'
import { latencyQuantile } from './latency-quantile.js'
import { isRetryBudget, type RetryBudget } from './retry-budget.js'
import { tieWhileUsed } from './tie-while-used.js'

/** One try: its number from 1, and a signal that aborts when nobody wants its result any more. */
type Try<T> = (attempt: number, signal: AbortSignal) => Promise<T>

/** Options of {@link hedging}. */
export interface HedgingOptions<T> {
  /** Send the second try after this time. Default: after `quantile` of the latencies seen. */
  after?: Duration
  /** Which latency to wait for before the second try: above 0, below 1. Default 0.95: one call in twenty is hedged. */
  quantile?: number
  /** The second try goes no earlier than this. Default 5 ms. */
  min?: Duration
  /** The second try goes no later than this; also while no latency is known. Default 1 s. */
  max?: Duration
  /** A result that doesn't win while the other try may still do better. Default none. */
  failed?: (result: T) => boolean
  /** Lets go of the loser's result: `(res) => res.body?.cancel()` for `fetch`. Default none. */
  discard?: (result: T) => unknown
  /** Refuses second tries beyond a share of the calls. Default none. */
  budget?: RetryBudget
  /** Monotonic milliseconds. Default `performance.now`. */
  clock?: () => number
}

const fn = (): ReturnType<typeof that<(...args: never[]) => unknown>> =>
  that((value) => typeof value === 'function', 'a function')

const schema = v.strictObject({
  after: v.optional(duration()),
  quantile: v.optional(ranged(0.01, 0.999), 0.95),
  min: v.optional(duration(), 5),
  max: v.optional(duration(), 1_000),
  failed: v.optional(fn()),
  discard: v.optional(fn()),
  budget: v.optional(that<RetryBudget>(isRetryBudget, 'what retryBudget() gives')),
  clock: v.optional(fn()),
})

/**
 * A second try beside a slow first one, around any async function that may be done twice: the first good result wins, the loser's
 * signal aborts and its late result goes to `discard` (Dean and Barroso, "The Tail at Scale", CACM 2013). A first try that fails
 * before its time is not hedged: that is `retrying`.
 * @returns a function that takes the caller's signal; it rejects with that one's reason, or with the last error
 * @throws TypeError for a wrong option
 */
export function hedging<T>(
  fn: Try<T>,
  options: HedgingOptions<T> = {},
): (signal?: AbortSignal) => Promise<T> {
  const { after, quantile, min, max } = parse(schema, options, 'hedging')
  const clock = options.clock ?? (() => performance.now())
  const latencies = latencyQuantile(quantile)
  return (signal) => {
    if (signal?.aborted) return Promise.reject(signal.reason)
    options.budget?.request()
    const wait = after ?? Math.min(max, Math.max(min, latencies.value() ?? max))
    return new Promise((resolve, reject) => {
      const race = new Race(fn, options, signal, { resolve, reject })
      const begun = clock()
      race.won = () => latencies.add(clock() - begun)
      race.begin(wait)
    })
  }
}

/** One call: first try, then both, then over. Nothing that comes after the end is told. */
class Race<T> {
  readonly #tries: AbortController[] = []
  #timer: NodeJS.Timeout | undefined
  #running = 0
  #over = false
  /** A failed result that is kept in case that the other try fares no better. */
  #kept: { result: T; own: AbortController } | undefined
  won: () => void = () => {}

  constructor(
    readonly fn: Try<T>,
    readonly options: HedgingOptions<T>,
    readonly signal: AbortSignal | undefined,
    readonly settle: { resolve(result: T): void; reject(error: unknown): void },
  ) {}

  begin(wait: number): void {
    this.signal?.addEventListener('abort', this.#left, { once: true })
    this.#timer = setTimeout(() => {
      if (this.options.budget?.take() !== false) this.#start()
    }, wait)
    this.#start()
  }

  readonly #left = (): void => {
    this.#end(undefined, this.signal?.reason)
    if (this.#kept !== undefined) this.#drop(this.#kept.result)
    this.settle.reject(this.signal?.reason)
  }

  #start(): void {
    const own = new AbortController()
    this.#running++
    const attempt = this.#tries.push(own)
    // In a promise, so that what throws at once ends like what rejects.
    new Promise<T>((settle) => settle(this.fn(attempt, own.signal))).then(
      (result) => this.#came(result, own),
      (error) => this.#failed(error),
    )
  }

  #came(result: T, own: AbortController): void {
    if (this.#over) return this.#drop(result)
    this.#running--
    try {
      if (this.#running > 0 && this.options.failed?.(result) === true) {
        this.#kept = { result, own }
        return
      }
    } catch (error) {
      // The caller's own bug ends its call: nobody else would.
      this.#drop(result)
      this.#end(undefined, error)
      this.settle.reject(error)
      return
    }
    this.#end(own, new DOMException('the other try was faster', 'AbortError'))
    if (this.#kept !== undefined) this.#drop(this.#kept.result)
    this.won()
    this.#give(result, own)
  }

  #failed(error: unknown): void {
    if (this.#over || --this.#running > 0) return
    this.#end(undefined, error)
    if (this.#kept === undefined) this.settle.reject(error)
    else this.#give(this.#kept.result, this.#kept.own)
  }

  #give(result: T, own: AbortController): void {
    tieWhileUsed(result, this.signal, own)
    this.settle.resolve(result)
  }

  #end(winner: AbortController | undefined, reason: unknown): void {
    this.#over = true
    clearTimeout(this.#timer)
    this.signal?.removeEventListener('abort', this.#left)
    for (const each of this.#tries) if (each !== winner && this.#running > 0) each.abort(reason)
  }

  /** A fault in letting go is nobody's: the result was not wanted. */
  #drop(result: T): void {
    const { discard } = this.options
    if (discard !== undefined) new Promise((settle) => settle(discard(result))).catch(() => {})
  }
}
