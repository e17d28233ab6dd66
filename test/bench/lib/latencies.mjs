/** What a generator of our own tells: from each answer's latency in ms, how long all took, and what went wrong. */
export function figuresOf(latencies, took, errors) {
  const sorted = latencies.toSorted((a, b) => a - b)
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? null
  return { requests: sorted.length, perSecond: (sorted.length / took) * 1000, p99, errors }
}
