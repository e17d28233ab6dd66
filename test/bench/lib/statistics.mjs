/** Median, least and most of some numbers. */
export function spread(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2
  return { median, min: sorted[0], max: sorted.at(-1) }
}

/**
 * How many times `b` an `a` is: the median over rounds of the ratio in each round. What was measured within the same
 * seconds is compared, so a machine that gets slower during the run moves no ratio.
 */
export function ratio(a, b) {
  return spread(a.map((value, i) => value / b[i])).median
}
