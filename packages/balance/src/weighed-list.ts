import type { Target } from '@sluice/upstream'
import { weightOf } from './weight-of.js'

/** A list of targets as policies that look at each of them read it fast. */
export interface WeighedList<T = undefined> {
  readonly targets: readonly Target[]
  readonly weights: Float64Array
  /** Of all weights. */
  readonly total: number
  /** What the policy keeps beside it. */
  readonly own: T
}

/**
 * Lists with their weights. V8 reads an element of a frozen array, as those of an upstream are, in 6 ns, of another in 1 ns; over 1,000
 * targets that is most of a pick. So there is a copy for each frozen list, which can't change: other weights make another list. What
 * isn't frozen is read anew each time.
 * @param make what the policy keeps for a list
 */
export function weighedLists(): (list: readonly Target[]) => WeighedList
export function weighedLists<T>(
  make: (targets: readonly Target[], total: number) => T,
): (list: readonly Target[]) => WeighedList<T>
export function weighedLists<T>(
  make?: (targets: readonly Target[], total: number) => T,
): (list: readonly Target[]) => WeighedList<T | undefined> {
  const known = new WeakMap<readonly Target[], WeighedList<T | undefined>>()
  let last: readonly Target[] | undefined
  let weighed: WeighedList<T | undefined> | undefined
  return (list) => {
    if (list === last) return weighed as WeighedList<T | undefined>
    let found = known.get(list)
    if (found === undefined) {
      const targets = [...list]
      const weights = Float64Array.from(targets, weightOf)
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      found = { targets, weights, total, own: make?.(targets, total) }
      if (!Object.isFrozen(list)) return found
      known.set(list, found)
    }
    weighed = found
    last = list
    return found
  }
}
