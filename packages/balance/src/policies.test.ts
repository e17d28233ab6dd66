import type { Target } from '@sluice/upstream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countPicks, fakeTargets, sameTargets } from '../../../test/kit/targets.js'
import {
  type Balancer,
  boundedLoad,
  byCount,
  first,
  leastRequests,
  maglev,
  peakEwma,
  powerOfTwo,
  preferZone,
  random,
  rendezvous,
  ring,
  roundRobin,
  slowStart,
  sticky,
  subset,
  weightedRandom,
  weightedRoundRobin,
} from './index.js'

const targets = (...loads: number[]): Target[] => fakeTargets(...loads.map((inFlight) => ({ inFlight })))

/** Chance that is known: these numbers, again and again. */
function cycle(...numbers: number[]): () => number {
  let i = 0
  return () => numbers[i++ % numbers.length] as number
}

let asked = 0
const turns = (): string => String(asked++)
const noCookie = { out: { headers: [] } }

const policies: [string, () => Balancer<typeof noCookie>][] = [
  ['roundRobin', roundRobin],
  ['weightedRoundRobin', weightedRoundRobin],
  ['random', random],
  ['weightedRandom', weightedRandom],
  ['first', first],
  ['leastRequests', leastRequests],
  ['powerOfTwo', powerOfTwo],
  ['peakEwma', peakEwma],
  ['byCount', byCount],
  ['rendezvous', () => rendezvous(turns)],
  ['ring', () => ring(turns)],
  ['maglev', () => maglev(turns, { size: 251 })],
  ['boundedLoad', () => boundedLoad(ring(turns), 1.25)],
  ['subset', () => subset(roundRobin(), { size: 3, seed: 1 })],
  ['preferZone', () => preferZone(roundRobin(), 'a')],
  ['slowStart', () => slowStart(leastRequests(), '10s', { clock: () => 5_000 })],
  ['slowStart by chance', () => slowStart(roundRobin(), '10s', { clock: () => 5_000 })],
  ['sticky', () => sticky(roundRobin(), { secret: 'secret' })],
]

describe.each(policies)('%s', (name, policy) => {
  it('picks one of the targets that are not left out, if there is one', () => {
    const load = fc.record({
      inFlight: fc.nat(5),
      weight: fc.constantFrom(0.5, 1, 1, 3, 100, 0, -1, Number.NaN, Number.POSITIVE_INFINITY),
      zone: fc.constantFrom('a', 'b'),
      since: fc.constantFrom(Number.NEGATIVE_INFINITY, 0, 4_000, 9_000, Number.NaN),
    })
    const entry = fc.tuple(load, fc.boolean())
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 12 }), (list) => {
        const all: Target[] = fakeTargets(...list.map(([told]) => told))
        const out = all.filter((_, i) => list[i]?.[1])
        const picked = policy()(all, noCookie, (target) => out.includes(target))
        if (out.length === all.length) expect(picked).toBeUndefined()
        else expect(all.filter((target) => !out.includes(target))).toContain(picked)
      }),
    )
  })

  it('works with no `not`, one target, and none', () => {
    const [only] = targets(3)
    expect(policy()([only as Target], noCookie)).toBe(only)
    expect(policy()([], noCookie)).toBeUndefined()
  })

  it('takes a list in which a target is twice', () => {
    const [a, b] = targets(0, 0) as [Target, Target]
    const twice = Object.freeze([a, b, a])
    const pick = policy()
    for (let i = 0; i < 20; i++) expect(twice).toContain(pick(twice, noCookie))
    expect(pick(twice, noCookie, (target) => target === a)).toBe(b)
  })

  it('reaches every target that it should, in time', () => {
    if (policy === first) return
    const all = sameTargets(name === 'subset' ? 3 : 4)
    const pick = policy()
    const seen = new Set<string | undefined>()
    for (let i = 0; i < 400; i++) seen.add(pick(all, noCookie)?.id)
    expect(seen.size).toBe(all.length)
  })
})

it.each<[string, Balancer]>([
  ['weightedRoundRobin', weightedRoundRobin()],
  ['weightedRandom', weightedRandom()],
  ['boundedLoad', boundedLoad(weightedRandom())],
  ['rendezvous', rendezvous(turns)],
])('%s takes the largest weights for what they are: alike', (_name, pick) => {
  for (const weight of [Number.MAX_VALUE, 5e-324]) {
    const all = fakeTargets({ weight }, { weight })
    const counts = countPicks(400, () => pick(all, undefined))
    for (const id of ['0', '1']) expect(counts[id]).toBeGreaterThan(100)
  }
})

it.each<[string, (options: object) => unknown]>([
  ['random', random],
  ['weightedRandom', weightedRandom],
  ['leastRequests', leastRequests],
  ['powerOfTwo', powerOfTwo],
  ['byCount', byCount],
  ['peakEwma', peakEwma],
])('%s refuses options that it does not have, and chance that is none', (name, make) => {
  expect(() => make({ randm: Math.random })).toThrow(`${name}.randm: unknown option, did you mean random?`)
  expect(() => make({ random: 0.5 })).toThrow(`${name}.random: got 0.5, takes a function`)
})

it('byCount goes by the weights of two targets', () => {
  const all = fakeTargets({ weight: 3 }, { weight: 1 })
  const pick = byCount()
  expect(countPicks(400, () => pick(all, undefined))).toEqual({ 0: 300, 1: 100 })
  expect(countPicks(400, () => pick(targets(0, 0), undefined))).toEqual({ 0: 200, 1: 200 })
})

it('roundRobin takes turns, and goes on when the list shrinks', () => {
  const all = targets(0, 0, 0)
  const pick = roundRobin()
  const take = (list: Target[]): string | undefined => pick(list, undefined)?.id
  expect([take(all), take(all), take(all), take(all)]).toEqual(['0', '1', '2', '0'])
  expect([take(all.slice(0, 2)), take(all.slice(0, 2)), take(all.slice(0, 2))]).toEqual(['1', '0', '1'])
})

it.each([2, 3, 5])(
  'roundRobin gives one of %i that fails its turn and no more, whoever stands in for it',
  (count) => {
    const all = sameTargets(count)
    const pick = roundRobin()
    const firsts: Record<string, number> = {}
    const standIns: Record<string, number> = {}
    for (let i = 0; i < count * 12; i++) {
      const target = pick(all, undefined) as Target
      firsts[target.id] = (firsts[target.id] ?? 0) + 1
      if (target.id !== '0') continue
      const other = pick(all, undefined, (each) => each === target) as Target
      standIns[other.id] = (standIns[other.id] ?? 0) + 1
    }
    expect(Object.values(firsts)).toEqual(Array(count).fill(12))
    expect(Object.values(standIns)).toEqual(Array(count - 1).fill(12 / (count - 1)))
  },
)

it('roundRobin goes round those that have room', () => {
  const all = sameTargets(4)
  const pick = roundRobin()
  pick(all, undefined)
  expect(countPicks(30, () => pick(all, undefined, ({ id }) => id === '0'))).toEqual({ 1: 10, 2: 10, 3: 10 })
})

it('leastRequests goes by load for the weight, and shares ties by weight', () => {
  const all = targets(4, 2, 3)
  expect(leastRequests()(all, undefined)?.id).toBe('1')
  expect(leastRequests()([{ ...(all[0] as Target), weight: 10 }, ...all.slice(1)], undefined)?.id).toBe('0')
  const pick = leastRequests()
  const tied = sameTargets(3)
  for (const count of Object.values(countPicks(3_000, () => pick(tied, undefined))))
    expect(count).toBeGreaterThan(800)
  const idle = fakeTargets({ weight: 3 }, {})
  expect(countPicks(4_000, () => pick(idle, undefined))['0']).toBeGreaterThan(2_700)
  // Exact, where a division would round: 49 × (1 / 49) is less than 1.
  const even = fakeTargets({ inFlight: 49, weight: 49 }, { inFlight: 1 })
  expect(Object.keys(countPicks(2_000, () => pick(even, undefined))).sort()).toEqual(['0', '1'])
})

it('leastRequests holds requests in proportion to the weights', () => {
  const all = fakeTargets({ weight: 5 }, { weight: 1 }, { weight: 1 })
  const pick = leastRequests()
  for (let i = 0; i < 700; i++) (pick(all, undefined) as { inFlight: number }).inFlight++
  expect(all.map(({ inFlight }) => inFlight)).toEqual([500, 100, 100])
})

it('powerOfTwo draws two different targets and takes the less loaded', () => {
  // 0.5 of 4 is index 2, 0.25 index 1; who was drawn already is drawn again.
  expect(powerOfTwo({ random: cycle(0.5, 0.25) })(targets(9, 4, 5, 9), undefined)?.id).toBe('1')
  expect(powerOfTwo({ random: cycle(0.5, 0.5, 0.25) })(targets(9, 5, 4, 9), undefined)?.id).toBe('2')
  expect(powerOfTwo({ random: cycle(0, 0, 0.5) })(targets(1, 0), undefined)?.id).toBe('1')
  // Drawn in vain: all are looked at.
  expect(powerOfTwo({ random: cycle(0) })(targets(1, 0), undefined)?.id).toBe('1')
})

it('what is drawn by chance is drawn evenly among those that are not left out, with no list made', () => {
  for (const left of [1, 2, 20, 99]) {
    const all = Object.freeze(
      new Proxy(targets(...Array(100).fill(0)), {
        get: (list, key, self) => {
          if (key === 'filter' || key === 'slice') throw new Error(`a list was made by ${String(key)}`)
          return Reflect.get(list, key, self)
        },
      }),
    )
    for (const pick of [random(), powerOfTwo()]) {
      const counts = countPicks(100 * left, () => pick(all, undefined, ({ id }) => Number(id) >= left))
      expect(Object.keys(counts)).toHaveLength(left)
      for (const count of Object.values(counts)) expect(count).toBeLessThan(170)
    }
  }
})

it('first keeps to the first that may be used', () => {
  const all = targets(9, 0)
  expect(first()(all, undefined)?.id).toBe('0')
  expect(first()(all, undefined, ({ id }) => id === '0')?.id).toBe('1')
})
