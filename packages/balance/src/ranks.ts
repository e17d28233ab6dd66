import type { Target } from '@sluice/upstream'

/** Whether `a` and `b` are asked together: known to be fit or not, and of one priority. */
function alike(a: Target, b: Target): boolean {
  return (a.state === 'unknown') === (b.state === 'unknown') && a.priority === b.priority
}

/**
 * Slices of an available list that are asked one after the other: targets known to be fit before unknown ones, and inside
 * these by priority, which is how the list is sorted.
 */
export function ranksOf(available: readonly Target[]): readonly (readonly Target[])[] {
  const ranks: Target[][] = []
  for (const target of available) {
    const last = ranks.at(-1)
    if (last !== undefined && alike(last[0] as Target, target)) last.push(target)
    else ranks.push([target])
  }
  // Of one rank, which is nearly always so, the list itself: policies may cache by its identity.
  return ranks.length === 1 ? [available] : ranks
}
