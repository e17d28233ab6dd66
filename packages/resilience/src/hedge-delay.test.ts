import { expect, it } from 'vitest'
import { seeded } from '../../../test/kit/seeded.js'
import { hedgeDelay } from './hedge-delay.js'

const settings = { quantile: 0.95, min: 0, max: 1_000 }

/** The part of calls that have a second try, after many calls whose tries take as long as `latency` says. */
function hedgedShare(latency: (random: () => number) => number): { share: number; wait: number } {
  const random = seeded(1)
  const delay = hedgeDelay(settings)
  const calls = 20_000
  let hedged = 0
  for (let i = 0; i < 2 * calls; i++) {
    const wait = delay.wait()
    const first = latency(random)
    if (first <= wait) {
      delay.took(first)
      continue
    }
    if (i >= calls) hedged++
    delay.took(Math.min(first, wait + latency(random)))
  }
  return { share: hedged / calls, wait: delay.wait() }
}

it.each<[string, (random: () => number) => number]>([
  ['even', (random) => random() * 100],
  ['exponential', (random) => -10 * Math.log(1 - random())],
  ['with a tail that is far away', (random) => (random() < 0.03 ? 900 : 10 + random())],
])('no more are hedged than the quantile leaves: latencies %s', (_name, latency) => {
  const { share } = hedgedShare(latency)
  expect(share).toBeLessThanOrEqual(0.052)
  expect(share).toBeGreaterThan(0.01)
})

it('where more are slow than that, the wait grows to its longest', () => {
  expect(hedgedShare((random) => (random() < 0.5 ? 60_000 : 10)).wait).toBe(settings.max)
})
