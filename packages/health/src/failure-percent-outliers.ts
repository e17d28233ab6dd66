import type { FailurePercentSettings } from './ejection-options.js'
import { comparable, type Outlier, type Sample, shown } from './outlier.js'

/**
 * Targets that fail too often, whatever the others do, the worst first. After Envoy's outlier detection ("failure percentage").
 *
 * outlier: 100 * bad / (good + bad) >= threshold
 * @param failed what is said of the percentage
 */
export function failurePercentOutliers(
  samples: readonly Sample[],
  settings: FailurePercentSettings,
  failed = 'of its answers were failures',
): readonly Outlier[] {
  return comparable(samples, settings)
    .map(({ target, good, bad }) => ({ target, percent: (100 * bad) / (good + bad) }))
    .filter(({ percent }) => percent >= settings.threshold)
    .sort((a, b) => b.percent - a.percent)
    .map(({ target, percent }) => ({ target, reason: `${shown(percent)}% ${failed}` }))
}
