import fc from 'fast-check'
import { expect, it } from 'vitest'
import { latencyQuantile } from './latency-quantile.js'

it('is at most a bucket above the true one', () => {
  expect(latencyQuantile(0.5).value()).toBeUndefined()
  const latencies = fc.array(fc.double({ min: 0.1, max: 100_000, noNaN: true }), {
    minLength: 1,
    maxLength: 500,
  })
  fc.assert(
    fc.property(latencies, fc.constantFrom(0.5, 0.95, 1), (list, quantile) => {
      const estimate = latencyQuantile(quantile)
      for (const each of list) estimate.add(each)
      const exact = list.sort((a, b) => a - b)[Math.ceil(quantile * list.length) - 1] as number
      const got = estimate.value() as number
      expect(got).toBeGreaterThanOrEqual(exact * 0.9999)
      expect(got).toBeLessThanOrEqual(exact * 1.0906)
    }),
  )
})
