/** Estimates a quantile of a stream of latencies in constant memory. */
export interface LatencyQuantile {
  /** Milliseconds; what is no finite number of at least 0 is left out. */
  add(ms: number): void
  /** Milliseconds; `undefined` before the first. */
  value(): number | undefined
}

const perDoubling = 8
const buckets = 26 * perDoubling
const halfLife = 1_000

/**
 * A histogram with eight buckets a doubling from 1/16 ms up, so the answer is at most 9.1% above the true quantile. Counts are
 * halved after every thousand latencies, so that it follows a target that changes. `add` costs a logarithm, `value` one walk over 208
 * counts.
 * @param quantile above 0, at most 1
 */
export function latencyQuantile(quantile: number): LatencyQuantile {
  const counts = new Float64Array(buckets)
  let total = 0
  let added = 0
  return {
    add(ms) {
      if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) return
      const at = Math.ceil(Math.log2(Math.max(ms, 1 / 16) * 16) * perDoubling)
      const bucket = Math.min(buckets - 1, at)
      counts[bucket] = (counts[bucket] as number) + 1
      total++
      if (++added % halfLife !== 0) return
      for (let i = 0; i < buckets; i++) counts[i] = (counts[i] as number) / 2
      total /= 2
    },
    value() {
      if (total === 0) return undefined
      let seen = 0
      for (let i = 0; i < buckets; i++) {
        seen += counts[i] as number
        if (seen >= quantile * total) return 2 ** (i / perDoubling) / 16
      }
      return 2 ** ((buckets - 1) / perDoubling) / 16
    },
  }
}
