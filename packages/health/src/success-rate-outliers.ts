import type { SuccessRateSettings } from './ejection-options.js'
import { comparable, type Outlier, type Sample, shown } from './outlier.js'

/** Equal rates differ from their mean by as much as sums of floating point do. */
const rounding = 1e-9

/**
 * Targets whose share of successes is far below the others', the worst first. After Envoy's outlier detection ("success rate"),
 * whose rule would put out one failure in a thousand where all others have none; so rates from `below` on are left alone.
 *
 * outlier: rate < mean - factor * σ, and rate < below; σ is that of all targets judged
 * @param fit what is said of the rate
 */
export function successRateOutliers(
  samples: readonly Sample[],
  settings: SuccessRateSettings,
  fit = 'of its answers were fit',
): readonly Outlier[] {
  const rates = comparable(samples, settings).map(({ target, good, bad }) => ({
    target,
    rate: good / (good + bad),
  }))
  if (rates.length === 0) return []
  const mean = rates.reduce((sum, { rate }) => sum + rate, 0) / rates.length
  const variance = rates.reduce((sum, { rate }) => sum + (rate - mean) ** 2, 0) / rates.length
  const least = Math.min(mean - settings.factor * Math.sqrt(variance) - rounding, settings.below)
  return rates
    .filter(({ rate }) => rate < least)
    .sort((a, b) => a.rate - b.rate)
    .map(({ target, rate }) => ({
      target,
      reason: `${shown(rate * 100)}% ${fit}, of all targets' ${shown(mean * 100)}%`,
    }))
}
