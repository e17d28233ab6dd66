import { needFunction, parse, that, v } from '@sluice/options'
import { type HedgeDelayOptions, hedgeDelay, hedgeDelayEntries } from './hedge-delay.js'
import { letGo } from './let-go.js'
import { immediately } from './queue-timer.js'
import { Race } from './race.js'
import { type BudgetOption, budgetOption, type RetryBudget } from './retry-budget.js'
import { tieWhileUsed } from './tie-while-used.js'
import { decision } from './user-functions.js'

/** One try: its number from 1, and a signal that aborts when nobody wants its result any more. */
type Try<T> = (attempt: number, signal: AbortSignal) => Promise<T>

/** Options of {@link hedging}. */
export interface HedgingOptions<T> extends HedgeDelayOptions {
  /** A result that doesn't win while the other try may still do better. Default none. */
  failed?: (result: T) => boolean
  /** Lets go of the loser's result. Default cancels the body of a `Response`, and nothing else. */
  discard?: (result: T) => unknown
  /** Refuses second tries beyond a share of the calls. Default none. */
  budget?: BudgetOption
  /** Monotonic milliseconds. Default `performance.now`. */
  clock?: () => number
}

const fn = (): ReturnType<typeof that<(...args: never[]) => unknown>> =>
  that((value) => typeof value === 'function', 'a function')

const schema = v.strictObject({
  ...hedgeDelayEntries,
  failed: v.optional(fn()),
  discard: v.optional(fn()),
  budget: v.optional(budgetOption, false),
  clock: v.optional(fn()),
})

/**
 * A second try beside a slow first one, around any async function that may be done twice: the first good result wins, the loser's
 * signal aborts and its late result goes to `discard` (Dean and Barroso, "The Tail at Scale", CACM 2013). A first try that fails
 * before its time is not hedged: that is `retrying`. What a function of the options throws ends both tries.
 * @returns a function that takes the caller's signal; it rejects with that one's reason, or with the first try's error
 * @throws TypeError for a wrong option
 */
export function hedging<T>(
  fn: Try<T>,
  options: HedgingOptions<T> = {},
): (signal?: AbortSignal) => Promise<T> {
  needFunction(fn, 'hedging')
  const settings = parse(schema, options, 'hedging')
  const { budget } = settings
  const delay = hedgeDelay(settings)
  const clock = options.clock ?? (() => performance.now())
  return (signal) => {
    if (signal?.aborted) return Promise.reject(signal.reason)
    let begun: number
    try {
      budget?.request()
      begun = clock()
    } catch (error) {
      return Promise.reject(error)
    }
    const race = new CallRace(fn, options, budget, signal, () => delay.took(clock() - begun))
    return race.run(delay.wait()).then((result) => race.tied(result))
  }
}

/** A race of calls, each with a signal of its own. */
class CallRace<T> extends Race<T> {
  readonly #tries: AbortController[] = []
  #winner = 0
  #timer: NodeJS.Timeout | undefined = undefined

  constructor(
    readonly fn: Try<T>,
    readonly options: HedgingOptions<T>,
    readonly budget: RetryBudget | undefined,
    readonly signal: AbortSignal | undefined,
    readonly won: () => void,
  ) {
    super()
    signal?.addEventListener('abort', this.#left, { once: true })
  }

  protected start(attempt: number): Promise<T> {
    const own = new AbortController()
    this.#tries.push(own)
    return this.fn(attempt, own.signal)
  }

  /** By a timer that holds the process: somebody waits for the result. One that has come while the process was busy is read first. */
  protected wait(ms: number): void {
    this.#timer = setTimeout(immediately, ms, () => this.slow())
  }

  protected stopWaiting(): void {
    clearTimeout(this.#timer)
  }

  protected may(): boolean {
    return this.budget?.take() !== false
  }

  protected isGood(result: T): boolean {
    return decision(this.options.failed?.(result), '`failed` of hedging') !== true
  }

  protected stop(
    attempt: number,
    reason: unknown = new DOMException('the other try was faster', 'AbortError'),
  ): void {
    this.#tries[attempt - 1]?.abort(reason)
  }

  /** A fault in letting go is nobody's: the result was not wanted. */
  protected drop(result: T): void {
    const { discard = letGo } = this.options
    new Promise((settle) => settle(discard(result))).catch(() => {})
  }

  protected ended(attempt: number, won: boolean): void {
    this.signal?.removeEventListener('abort', this.#left)
    if (!won) return
    this.#winner = attempt
    this.won()
  }

  /** What has won may flow on: its caller can still end it. */
  tied(result: T): T {
    tieWhileUsed(result, this.signal, this.#tries[this.#winner - 1] as AbortController)
    return result
  }

  readonly #left = (): void => this.leave(this.signal?.reason)
}
