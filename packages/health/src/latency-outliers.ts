import type { LatencySettings } from './ejection-options.js'
import { comparable, type Outlier, type Sample, shown } from './outlier.js'

/**
 * Targets that answer far later than the others, the slowest first: by `target.ewma`, the average time to the head of an answer.
 *
 * outlier: ewma > factor * median, and ewma > median + over
 */
export function latencyOutliers(samples: readonly Sample[], settings: LatencySettings): readonly Outlier[] {
  const judged = [...comparable(samples, settings)].sort((a, b) => b.target.ewma - a.target.ewma)
  if (judged.length === 0) return []
  const median = medianOf(judged.map(({ target }) => target.ewma))
  const most = Math.max(settings.factor * median, median + settings.over)
  return judged
    .filter(({ target }) => target.ewma > most)
    .map(({ target }) => ({
      target,
      reason: `answers after ${shown(target.ewma)} ms, of all targets the median is ${shown(median)} ms`,
    }))
}

/** Of a sorted list. */
function medianOf(sorted: readonly number[]): number {
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}
