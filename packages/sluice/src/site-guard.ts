import type { Client, Context, Layer } from '@sluice/core'
import { type AnonymityOptions, anonymity, bodyLimit, ipFilter, shed, validate } from '@sluice/guard'
import { concurrencyLimit, resolveRateLimit } from '@sluice/limit'
import { Faults } from '@sluice/options'
import type { GuardOptions, LimitOptions } from './guard-option.js'

type Site = Context & Client

/** What of the guard stands where in the chain. */
export interface GuardLayers {
  /** Outside of error pages, which it has to see too. */
  readonly anonymity: Layer<Site>[]
  /** Refuse what is no request of ours. */
  readonly judging: Layer<Site>[]
  /** Refuse what is too much. */
  readonly limiting: Layer<Site>[]
}

/** The guard of a proxy: its layers, and the lists of addresses that it reads again for as long as it is open. */
export class SiteGuard {
  readonly layers: GuardLayers
  readonly #filter: (Layer<Site> & Disposable) | undefined

  /**
   * @param origins the targets of now, which anonymity hides
   * @throws TypeError that names the option
   */
  constructor(options: false | GuardOptions | undefined, origins: () => readonly string[]) {
    const guard: GuardOptions = options === false ? { validate: false } : (options ?? {})
    const { ip, shed: shedding, anonymity: hiding } = guard
    const faults = new Faults()
    this.#filter = ip === undefined ? undefined : faults.collect(() => ipFilter(ip, 'guard.ip'))
    const collected = <T>(make: () => T[]): T[] => faults.collect(make) ?? []
    this.layers = {
      anonymity: collected(() =>
        on(hiding).map((given) =>
          anonymity({ ...given, origins: together(origins, given.origins) }, 'guard.anonymity'),
        ),
      ),
      judging: [
        ...(this.#filter === undefined ? [] : [this.#filter]),
        ...collected(() => on(guard.validate ?? true).map((given) => validate(given, 'guard.validate'))),
      ],
      limiting: [
        ...collected(() => on(shedding).map((given) => shed<Site>(given, 'guard.shed'))),
        ...collected(() => limits(guard, 'guard')),
      ],
    }
    try {
      faults.throwAny()
    } catch (error) {
      this.close()
      throw error
    }
  }

  close(): void {
    this.#filter?.[Symbol.dispose]()
  }
}

/**
 * Layers that limit how much a client may ask for, of the proxy or of a route.
 * @throws TypeError that names the option below `path`
 */
export function limits(
  { bodyLimit: size, rateLimit, concurrency }: LimitOptions,
  path: string,
): Layer<Site>[] {
  const rates = rateLimit === undefined ? [] : Array.isArray(rateLimit) ? rateLimit : [rateLimit]
  return [
    ...rates.map((given, i) =>
      resolveRateLimit(given, Array.isArray(rateLimit) ? `${path}.rateLimit[${i}]` : `${path}.rateLimit`),
    ),
    ...(concurrency === undefined ? [] : [concurrencyLimit<Site>(concurrency, `${path}.concurrency`)]),
    ...(size === undefined ? [] : [bodyLimit(size, `${path}.bodyLimit`)]),
  ]
}

/** The targets of now, and what the user knows them by beside that. */
function together(
  origins: () => readonly string[],
  more: AnonymityOptions['origins'],
): NonNullable<AnonymityOptions['origins']> {
  if (more === undefined) return origins
  // What is no list is told by its path.
  if (typeof more !== 'function' && !Array.isArray(more)) return more
  return () => [...origins(), ...(typeof more === 'function' ? more() : more)]
}

/** The options of what is on; `true` are those that it has by itself. */
function on<T extends object>(given: boolean | T | undefined): Partial<T>[] {
  if (given === true) return [{}]
  // What is neither the schema has told of.
  return typeof given === 'object' ? [given] : []
}
