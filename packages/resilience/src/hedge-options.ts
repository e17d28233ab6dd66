import { parse, that, v } from '@sluice/options'
import { type HedgeDelayOptions, type HedgeDelaySettings, hedgeDelayEntries } from './hedge-delay.js'
import { isMethod, safeMethods } from './methods.js'
import { type BudgetOption, budgetOption, type RetryBudget } from './retry-budget.js'

/** When a second try goes beside a slow first one. */
export interface HedgeOptions extends HedgeDelayOptions {
  /** Statuses of an answer that doesn't win while the other try may still do better. Default 502, 503, 504. */
  statuses?: readonly number[]
  /**
   * Methods that may be sent twice at once. Default GET, HEAD, OPTIONS, TRACE. Naming another one means that its requests are
   * processed twice, also where nothing has failed. CONNECT can't be named.
   */
  methods?: readonly string[]
  /**
   * Bounds second tries by the traffic; asked when another target with room is found. One that `retry` has too counts each request
   * twice. Default none: one request in twenty by `quantile`.
   */
  budget?: BudgetOption
}

/** {@link HedgeOptions} with none left out. */
export interface HedgeSettings extends HedgeDelaySettings {
  readonly statuses: readonly number[]
  readonly methods: readonly string[]
  readonly budget?: RetryBudget | undefined
}

const status = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= 400 && (value as number) <= 599
const method = (value: unknown): boolean => isMethod(value) && value !== 'CONNECT'

/** Validates {@link HedgeOptions} and fills in the defaults. */
export const hedgeOptions = v.strictObject({
  ...hedgeDelayEntries,
  statuses: v.optional(v.array(that<number>(status, 'a status from 400 to 599')), [502, 503, 504]),
  methods: v.optional(
    v.array(that<string>(method, "a method such as 'GET', in capitals, and not 'CONNECT'")),
    [...safeMethods],
  ),
  budget: v.optional(budgetOption, false),
})

/**
 * Hedge options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveHedge(options: HedgeOptions = {}, path = 'hedge'): HedgeSettings {
  return parse(hedgeOptions, options, path)
}
