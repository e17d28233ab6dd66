import type { Target } from '@sluice/upstream'

const least = 1e-9
const most = 1e9

/**
 * What a target's weight counts for. An upstream takes only numbers above 0; in a list of one's own anything else counts as 0:
 * such a target gets what no other can take. Weights are cut to what sums and quotients of them can hold.
 */
export function weightOf({ weight }: Target): number {
  if (!(weight > 0 && weight < Number.POSITIVE_INFINITY)) return 0
  return weight < least ? least : weight > most ? most : weight
}
