import { turnTime } from '@sluice/core'
import { parse, ranged, that, v } from '@sluice/options'

/** Options of {@link retryBudget}. */
export interface RetryBudgetOptions {
  /** Further tries as a share of the requests of the last ten seconds, from 0 to 1. Default 0.2. */
  share?: number
  /** Further tries a second that are allowed whatever the traffic; 0.5: one every other second. Default 3. */
  min?: number
  /** Monotonic milliseconds. Default `turnTime`: as of the event loop's turn. */
  clock?: () => number
}

/** Keeps further tries at a share of the traffic. One may serve any number of `retry`, which then share it. */
export interface RetryBudget {
  /** Notes a request that is on its way for the first time. */
  request(): void
  /** Takes one further try out of the budget; `false`: it is used up. */
  take(): boolean
}

const schema = v.strictObject({
  share: v.optional(ranged(0, 1), 0.2),
  min: v.optional(ranged(0, 1e6), 3),
  clock: v.optional(
    v.custom<() => number>((value) => typeof value === 'function', 'a function that returns milliseconds'),
    () => turnTime,
  ),
})

const isBudget = that<RetryBudget>(isRetryBudget, '{ share, min }, false, or what retryBudget() gives')
/** As options, where the clock is not a person's to say. */
const parts = v.pipe(
  v.strictObject({ share: schema.entries.share, min: schema.entries.min }),
  v.transform((options): RetryBudget | undefined => retryBudget(options)),
)

/** A budget as an option: its parts, which make one of its own, `false` for none, or one that is there and may be shared. */
export type BudgetOption = false | Pick<RetryBudgetOptions, 'share' | 'min'> | RetryBudget

/** Validates a {@link BudgetOption} and gives the budget; `undefined` for none. */
export const budgetOption = v.lazy((value) => {
  if (value === false)
    return v.pipe(
      v.literal(false),
      v.transform(() => undefined),
    )
  return typeof value !== 'object' || value === null || isRetryBudget(value) ? isBudget : parts
}) as v.GenericSchema<BudgetOption, RetryBudget | undefined>

/** Seconds of the window, one slot each. */
const slots = 10

/**
 * A budget of further tries, after Finagle's `RetryBudget`: in a window of ten seconds at most `share` of the requests, plus
 * `min` a second. Where all targets fail, tries add a fifth to the load with the defaults, and not a multiple. It costs two
 * lists of ten numbers, and a request one addition.
 * @throws TypeError for a wrong option
 */
export function retryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  const { share, min, clock } = parse(schema, options, 'retryBudget')
  const requests = new Array<number>(slots).fill(0)
  const tries = new Array<number>(slots).fill(0)
  let asked = 0
  let shared = 0
  let free = min
  /** The second that the window ends with. */
  let current = Number.NEGATIVE_INFINITY
  /** The second whose free tries `free` counts. */
  let freeIn = current

  /** Empties the slots of the seconds that have passed, and gives the one of now. */
  const slide = (): number => {
    const now = Math.floor(clock() / 1_000)
    // A clock that jumps back by less than the window, or has no number to tell, leaves it where it is. By more it begins anew: nothing
    // would fall out of it until the clock has caught up.
    const behind = current - now >= slots
    if (now > current || behind) {
      const passed = behind ? slots : Math.min(slots, now - current)
      for (let second = now - passed + 1; second <= now; second++) {
        const slot = ((second % slots) + slots) % slots
        asked -= requests[slot] as number
        shared -= tries[slot] as number
        requests[slot] = 0
        tries[slot] = 0
      }
      current = now
    }
    return Number.isFinite(current) ? ((current % slots) + slots) % slots : 0
  }

  return {
    request(): void {
      const slot = slide()
      requests[slot] = (requests[slot] as number) + 1
      asked++
    },
    take(): boolean {
      const slot = slide()
      // Those that each second has anyway come first, and don't count among the share.
      if (freeIn !== current) {
        free = freeOf(min, free, current - freeIn)
        freeIn = current
      }
      // Parts of one, added up: ten times 0.1 is a little less.
      if (free > 1 - 1e-9) {
        free = Math.max(0, free - 1)
        return true
      }
      if (shared + 1 > asked * share) return false
      tries[slot] = (tries[slot] as number) + 1
      shared++
      return true
    },
  }
}

/**
 * Free tries of this second, the part of one that is left of those before included: 0.5 a second is one every other second. Whole ones aren't
 * saved up, or a second after a quiet hour would have them all.
 * @param passed seconds since the one that `left` is of
 */
function freeOf(min: number, left: number, passed: number): number {
  // The first one, or behind a clock that has jumped back.
  if (!(passed > 0 && passed < Number.POSITIVE_INFINITY)) return min
  return Math.min(left + min * passed, Math.max(1, min + (left % 1)))
}

/** Tells a {@link RetryBudget} from anything else. */
export function isRetryBudget(value: unknown): boolean {
  const budget = value as RetryBudget | null
  return typeof budget?.request === 'function' && typeof budget.take === 'function'
}
