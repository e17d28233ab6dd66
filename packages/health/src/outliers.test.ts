import { createTarget } from '@sluice/upstream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resolveEjection } from './ejection-options.js'
import { failurePercentOutliers } from './failure-percent-outliers.js'
import { latencyOutliers } from './latency-outliers.js'
import type { Sample } from './outlier.js'
import { successRateOutliers } from './success-rate-outliers.js'

const settings = resolveEjection({ successRate: true, failurePercent: true, latency: true })
const successRate = settings.successRate ?? expect.fail('off')
const failurePercent = settings.failurePercent ?? expect.fail('off')
const latency = settings.latency ?? expect.fail('off')

const names = (outliers: readonly { target: { id: string } }[]): string[] =>
  outliers.map(({ target }) => target.id)

function sample(i: number, good: number, bad: number, ewma = 0): Sample {
  const target = { ...createTarget(`http://t${i}`), id: String(i), state: 'unknown', ewma } as const
  return { target, good, bad }
}

const some = fc.array(fc.tuple(fc.nat(500), fc.nat(500), fc.double({ min: 0, max: 1e4, noNaN: true })), {
  maxLength: 20,
})
const toSamples = (list: [number, number, number][]): Sample[] =>
  list.map(([good, bad, ewma], i) => sample(i, good, bad, ewma))

describe('success rate', () => {
  it('goes by the standard deviation: 1.9 of them below the mean, and no nearer', () => {
    const others = [1, 2, 3, 4].map((i) => sample(i, 100, 0))
    expect(names(successRateOutliers([...others, sample(5, 50, 50)], successRate))).toEqual(['5'])
    // Two of six bring the deviation up: each is 1.41 of it below the mean.
    const two = [sample(5, 50, 50), sample(6, 50, 50)]
    expect(names(successRateOutliers([...others, ...two], successRate))).toEqual([])
    expect(names(successRateOutliers([...others, ...two], { ...successRate, factor: 1.4 }))).toEqual([
      '5',
      '6',
    ])
  })

  it('has nothing to say of few targets, nor of few answers', () => {
    const others = [1, 2, 3, 4].map((i) => sample(i, 100, 0))
    expect(successRateOutliers(others, successRate)).toEqual([])
    expect(successRateOutliers([...others, sample(5, 0, 99)], successRate)).toEqual([])
  })

  it('spares a few failures, though all others had none', () => {
    const others = Array.from({ length: 20 }, (_, i) => sample(i, 1000, 0))
    expect(successRateOutliers([...others, sample(20, 999, 1)], successRate)).toEqual([])
    expect(names(successRateOutliers([...others, sample(20, 999, 1)], { ...successRate, below: 1 }))).toEqual(
      ['20'],
    )
  })

  it('never finds one among equals, nor all of them', () => {
    fc.assert(
      fc.property(fc.nat(500), fc.nat(500), fc.integer({ min: 5, max: 50 }), (good, bad, n) => {
        const equal = Array.from({ length: n }, (_, i) => sample(i, good, bad))
        expect(successRateOutliers(equal, { ...successRate, factor: 0, below: 1 })).toEqual([])
      }),
    )
    fc.assert(
      fc.property(some, (list) => {
        const found = successRateOutliers(toSamples(list), { ...successRate, factor: 0, minVolume: 1 })
        expect(found.length).toBeLessThan(Math.max(list.length, 1))
      }),
    )
  })
})

describe('failure percentage', () => {
  it('goes by the threshold alone, the worst first', () => {
    const list = [sample(1, 15, 85), sample(2, 16, 84), sample(3, 0, 100), sample(4, 0, 49), sample(5, 99, 0)]
    expect(names(failurePercentOutliers(list, { ...failurePercent, minHosts: 4 }))).toEqual(['3', '1'])
    expect(failurePercentOutliers(list, failurePercent)).toEqual([])
  })
})

describe('latency', () => {
  it('goes by the median, so that the slow ones do not move the measure', () => {
    const list = [10, 12, 14, 500, 900].map((ewma, i) => sample(i, 10, 0, ewma))
    expect(names(latencyOutliers(list, latency))).toEqual(['4', '3'])
    expect(names(latencyOutliers(list.slice(0, 4), latency))).toEqual(['3'])
  })

  it('spares what is slow by little: many times next to nothing', () => {
    const list = [0.1, 0.1, 0.1, 50].map((ewma, i) => sample(i, 10, 0, ewma))
    expect(latencyOutliers(list, latency)).toEqual([])
    expect(names(latencyOutliers(list, { ...latency, over: 10 }))).toEqual(['3'])
  })

  it('never finds more than half of them', () => {
    fc.assert(
      fc.property(some, (list) => {
        const found = latencyOutliers(toSamples(list), { ...latency, factor: 1, over: 0, minVolume: 1 })
        expect(found.length).toBeLessThanOrEqual(list.length / 2)
      }),
    )
  })
})
