import type { Target } from '@sluice/upstream'

/**
 * What a target's weight counts for. An upstream takes only numbers above 0; in a list of one's own anything else counts as 0:
 * such a target gets what no other can take.
 */
export function weightOf({ weight }: Target): number {
  return weight > 0 && weight < Number.POSITIVE_INFINITY ? weight : 0
}
