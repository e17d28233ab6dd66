import type { Target } from '@sluice/upstream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Balancer, first, leastRequests, powerOfTwo, random, roundRobin } from './index.js'

function targets(...loads: number[]): Target[] {
  return loads.map((inFlight, i) => ({
    id: String(i),
    url: `http://${i}`,
    weight: 1,
    priority: 0,
    inFlight,
    ewma: 0,
    degraded: false,
    since: Number.NEGATIVE_INFINITY,
    state: 'healthy',
  }))
}

/** Chance that is known: these numbers, again and again. */
function cycle(...numbers: number[]): () => number {
  let i = 0
  return () => numbers[i++ % numbers.length] as number
}

const policies: [string, () => Balancer][] = [
  ['roundRobin', roundRobin],
  ['random', random],
  ['first', first],
  ['leastRequests', leastRequests],
  ['powerOfTwo', powerOfTwo],
]

describe.each(policies)('%s', (_name, policy) => {
  it('picks one of the targets that are not left out, if there is one', () => {
    const load = fc.record({ inFlight: fc.nat(5), out: fc.boolean() })
    fc.assert(
      fc.property(fc.array(load, { maxLength: 12 }), (list) => {
        const all = targets(...list.map(({ inFlight }) => inFlight))
        const out = all.filter((_, i) => list[i]?.out)
        const picked = policy()(all, undefined, (target) => out.includes(target))
        if (out.length === all.length) expect(picked).toBeUndefined()
        else expect(all.filter((target) => !out.includes(target))).toContain(picked)
      }),
    )
  })

  it('works with no `not`, one target, and none', () => {
    const [only] = targets(3)
    expect(policy()([only as Target], undefined)).toBe(only)
    expect(policy()([], undefined)).toBeUndefined()
  })

  it('reaches every target that it should, in time', () => {
    if (policy === first) return
    const all = targets(0, 0, 0, 0)
    const pick = policy()
    const seen = new Set<string | undefined>()
    for (let i = 0; i < 400; i++) seen.add(pick(all, undefined)?.id)
    expect(seen.size).toBe(4)
  })
})

it('roundRobin takes turns, and goes on when the list shrinks', () => {
  const all = targets(0, 0, 0)
  const pick = roundRobin()
  const take = (list: Target[]): string | undefined => pick(list, undefined)?.id
  expect([take(all), take(all), take(all), take(all)]).toEqual(['0', '1', '2', '0'])
  expect([take(all.slice(0, 2)), take(all.slice(0, 2)), take(all.slice(0, 2))]).toEqual(['1', '0', '1'])
})

it('leastRequests goes by load for the weight, and shares ties', () => {
  const all = targets(4, 2, 3)
  expect(leastRequests()(all, undefined)?.id).toBe('1')
  expect(leastRequests()([{ ...(all[0] as Target), weight: 10 }, ...all.slice(1)], undefined)?.id).toBe('0')
  const counts = [0, 0, 0]
  const pick = leastRequests()
  for (let i = 0; i < 3_000; i++) (counts[Number(pick(targets(1, 1, 1), undefined)?.id)] as number) += 1
  for (const count of counts) expect(count).toBeGreaterThan(800)
})

it('powerOfTwo draws two different targets and takes the less loaded', () => {
  // 0.5 of 4 is index 2; 0.5 of the other 3 is index 1.
  expect(powerOfTwo({ random: cycle(0.5, 0.5) })(targets(9, 4, 5, 9), undefined)?.id).toBe('1')
  expect(powerOfTwo({ random: cycle(0.5, 0.5) })(targets(9, 5, 4, 9), undefined)?.id).toBe('2')
  // 0 is index 0; 0 of the others is index 1.
  expect(powerOfTwo({ random: cycle(0, 0) })(targets(1, 0), undefined)?.id).toBe('1')
})

it('first keeps to the first that may be used', () => {
  const all = targets(9, 0)
  expect(first()(all, undefined)?.id).toBe('0')
  expect(first()(all, undefined, ({ id }) => id === '0')?.id).toBe('1')
})
