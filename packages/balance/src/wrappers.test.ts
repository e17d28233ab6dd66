import { createUpstream, type Target } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { seeded } from '../../../test/kit/seeded.js'
import { countPicks, fakeTargets, sameTargets } from '../../../test/kit/targets.js'
import {
  type Balancer,
  boundedLoad,
  first,
  leastRequests,
  maglev,
  partsOf,
  peakEwma,
  preferZone,
  rendezvous,
  ring,
  roundRobin,
  slowStart,
  subset,
  weightedRandom,
  weightedRoundRobin,
  withParts,
} from './index.js'

const key = (ctx: string): string => ctx

describe('subset', () => {
  const chosenBy = (list: readonly Target[], size: number, seed: number | string): string[] => {
    const pick = subset(roundRobin(), { size, seed })
    return Object.keys(countPicks(size * 3, () => pick(list, undefined))).sort()
  }

  it('is always the same for a seed, whatever order the list has, and of that size', () => {
    const all = sameTargets(30)
    expect(chosenBy(all, 5, 7)).toHaveLength(5)
    expect(chosenBy(all, 5, 7)).toEqual(chosenBy(Object.freeze([...all].reverse()), 5, 7))
    expect(chosenBy(all, 5, 'proxy-a')).toEqual(chosenBy(all, 5, 'proxy-a'))
    expect(chosenBy(all, 5, 'proxy-a')).not.toEqual(chosenBy(all, 5, 'proxy-b'))
    expect(chosenBy(all, 50, 1)).toHaveLength(30)
  })

  it.each([
    [30, 5, 60],
    [10, 4, 20],
    [100, 20, 50],
    [7, 3, 1],
  ])(
    'of %i targets, %i for each of %i instances in a row, gives each nearly the same number',
    (n, size, instances) => {
      const all = sameTargets(n)
      const counts = new Map(all.map(({ id }) => [id, 0]))
      for (let seed = 0; seed < instances; seed++)
        for (const id of chosenBy(all, size, seed)) counts.set(id, (counts.get(id) as number) + 1)
      for (const count of counts.values())
        expect(Math.abs(count - (instances * size) / n)).toBeLessThanOrEqual(2)
    },
  )

  it('changes two of its targets at most when one goes or joins, whatever the seed and the number', () => {
    for (const n of [100, 99, 41, 22]) {
      const all = sameTargets(n)
      for (const gone of [0, 7, n - 1]) {
        const after = Object.freeze(all.filter((_, i) => i !== gone))
        for (const seed of [0, 1, 2, 3, 4, 5, 19, 1_000_003, 'proxy-a', 'proxy-b']) {
          const before = chosenBy(all, 20, seed)
          const fresh = chosenBy(after, 20, seed).filter((id) => !before.includes(id))
          expect(fresh.length).toBeLessThanOrEqual(2)
        }
      }
    }
  })

  it('asks the others when all of it are left out', () => {
    const all = sameTargets(10)
    const own = chosenBy(all, 2, 0)
    const pick = subset(first(), { size: 2, seed: 0 })
    const other = pick(all, undefined, ({ id }) => own.includes(id))
    expect(own).not.toContain(other?.id)
    expect(other).toBeDefined()
    expect(pick(all, undefined, () => true)).toBeUndefined()
  })

  it.each([
    [{ size: 0, seed: 1 }, 'subset.size: got 0'],
    [{ size: 2, seed: -1 }, 'subset.seed: got -1, takes a whole number'],
    [{ size: 2 }, 'subset.seed: got nothing'],
    [{ size: 2, seed: 1, sed: 1 }, 'subset.sed: unknown option'],
  ])('refuses %j', (options, says) => {
    expect(() => subset(first(), options as never)).toThrow(says)
  })
})

describe('preferZone', () => {
  const all = fakeTargets({ zone: 'a' }, { zone: 'b' }, { zone: 'a' }, {})

  it('keeps to its zone, and goes to others when all of that are left out', () => {
    const pick = preferZone(roundRobin(), 'a')
    expect(countPicks(10, () => pick(all, undefined))).toEqual({ 0: 5, 2: 5 })
    expect(countPicks(10, () => pick(all, undefined, ({ zone }) => zone === 'a'))).toEqual({ 1: 5, 3: 5 })
    expect(pick(all, undefined, () => true)).toBeUndefined()
  })

  it('uses all alike where the zone has nobody, or too few', () => {
    const none = preferZone(roundRobin(), 'c')
    expect(Object.keys(countPicks(20, () => none(all, undefined)))).toHaveLength(4)
    const few = preferZone(roundRobin(), 'a', { min: 3 })
    expect(Object.keys(countPicks(20, () => few(all, undefined)))).toHaveLength(4)
  })

  it('moves only the keys of its zone when one of that goes', () => {
    const pick = preferZone(ring(key), 'a')
    const list = Object.freeze(fakeTargets({ zone: 'a' }, { zone: 'a' }, { zone: 'a' }, { zone: 'b' }))
    const after = Object.freeze(list.slice(1))
    for (let i = 0; i < 500; i++) {
      const before = pick(list, `key ${i}`)
      if (before !== list[0]) expect(pick(after, `key ${i}`)).toBe(before)
    }
  })

  it.each([
    ['', {}, 'preferZone.zone'],
    ['a', { min: 0 }, 'preferZone.min: got 0'],
  ])('refuses %j with %j', (zone, options, says) => {
    expect(() => preferZone(first(), zone, options)).toThrow(says)
  })
})

describe('slowStart', () => {
  let now = 0
  const clock = (): number => now
  const options = (seed = 1) => ({ clock, random: seeded(seed), steps: 10, from: 0.1 })
  // The last of four has joined at 0.
  const joined = () => Object.freeze(fakeTargets({}, {}, {}, { since: 0 }))

  const sharing: [string, () => Balancer<string>][] = [
    ['weightedRoundRobin', weightedRoundRobin],
    ['weightedRandom', () => weightedRandom({ random: seeded(2) })],
    ['roundRobin, by chance', roundRobin],
    ['rendezvous', () => rendezvous(key)],
    ['ring', () => ring(key)],
    ['maglev', () => maglev(key, { size: 4093 })],
  ]
  it.each(sharing)('over %s lets the share of a new target grow to the full one', (_name, make) => {
    const all = joined()
    const pick = slowStart(make(), '10s', options())
    const share = (at: number): number => {
      now = at
      return (countPicks(4_000, (i) => pick(all, `key ${i}`))['3'] ?? 0) / 4_000
    }
    const shares = [0, 3_000, 6_000, 9_000, 10_000, 1e9].map(share)
    // weight / (3 + weight) of 0.1, 0.3, 0.6, 0.9, 1 and 1; a rejected turn of round robin is its neighbour's.
    for (const [i, weight] of [0.1, 0.3, 0.6, 0.9, 1, 1].entries()) {
      expect(shares[i]).toBeGreaterThan((weight / (3 + weight)) * 0.75 - 0.01)
      expect(shares[i]).toBeLessThan((weight / (3 + weight)) * 1.25 + 0.015)
    }
  })

  it('moves keys to the new target alone, step by step', () => {
    const all = joined()
    const pick = slowStart(ring(key), '10s', options())
    const plain = ring(key)
    const settled = Object.freeze(all.slice(0, 3))
    for (const at of [0, 2_500, 7_500]) {
      now = at
      for (let i = 0; i < 500; i++) {
        const picked = pick(all, `key ${i}`)
        if (picked !== all[3]) expect(picked).toBe(plain(settled, `key ${i}`))
      }
    }
  })

  it('over leastRequests gives a new target a part of what the others hold', () => {
    now = 0
    const all = joined() as (Target & { inFlight: number })[]
    const pick = slowStart(leastRequests({ random: seeded(3) }), '10s', options())
    for (let i = 0; i < 310; i++) (pick(all, '') as (typeof all)[0]).inFlight++
    expect(all.map(({ inFlight }) => inFlight)).toEqual([100, 100, 100, 10])
  })

  it('is given the targets themselves, and gives them, also nested and with some left out', () => {
    now = 1_000
    const all = joined()
    const pick = slowStart(slowStart(weightedRandom(), '20s', options()), '10s', options())
    for (let i = 0; i < 500; i++) {
      const picked = pick(all, '', (target) => {
        expect(all).toContain(target)
        return target === all[0]
      })
      expect(all).toContain(picked)
      expect(picked).not.toBe(all[0])
    }
    expect(pick(all, '', () => true)).toBeUndefined()
    expect(pick(all, '', (target) => target !== all[3])).toBe(all[3])
  })

  it('uses a warming target where there is no other, and shares where all are warming', () => {
    now = 0
    const [only] = fakeTargets({ since: 0 })
    for (const policy of [first(), leastRequests()]) {
      const pick = slowStart<unknown>(policy, '10s', options())
      expect(pick(Object.freeze([only]) as never, undefined)).toBe(only)
    }
    const all = Object.freeze(fakeTargets({ since: 0 }, { since: 0 }))
    const pick = slowStart(weightedRoundRobin(), '10s', options())
    expect(countPicks(40, () => pick(all, undefined))).toEqual({ 0: 20, 1: 20 })
  })

  it('warms those up that an upstream has restored or that have joined, not those of its first list', () => {
    now = 1_000_000
    const upstream = createUpstream({ name: 'a', targets: ['http://a', 'http://b'] }, 'upstream', clock)
    const pick = slowStart(weightedRoundRobin(), '10s', options())
    const share = (id: string): number | undefined =>
      countPicks(110, () => pick(upstream.available, undefined))[id]
    expect(share('http://a')).toBe(55)
    const [a] = upstream.all as [Target]
    upstream.eject(a, 'ejection', 'five failures')
    expect(share('http://a')).toBeUndefined()
    now += 60_000
    upstream.restore(a, 'ejection', 'time is over')
    expect(share('http://a')).toBe(10)
    now += 10_000
    expect(share('http://a')).toBe(55)
    upstream.replace(['http://a', 'http://b', 'http://c'])
    expect(share('http://c')).toBeLessThan(8)
  })

  it('survives a clock that jumps', () => {
    const all = joined()
    const pick = slowStart(weightedRandom({ random: seeded(5) }), '10s', options())
    for (const at of [-1e12, 5_000, 1e12, -5_000]) {
      now = at
      expect(all).toContain(pick(all, ''))
    }
  })

  it.each(sharing)('over %s begins a ramp anew, once, when the clock jumps back behind it', (_name, make) => {
    const all = Object.freeze(fakeTargets({}, {}, {}, { since: 1e9 }))
    const pick = slowStart(make(), '10s', options())
    const share = (at: number, list: readonly Target[] = all): number => {
      now = at
      return (countPicks(4_000, (i) => pick(list, `key ${i}`))['3'] ?? 0) / 4_000
    }
    expect(share(1e9 + 8_000)).toBeGreaterThan(0.15)
    expect(share(500)).toBeLessThan(0.06)
    expect(share(8_500)).toBeGreaterThan(0.15)
    expect(share(10_500)).toBeGreaterThan(0.18)
    // It is warm now, in whichever list, and no clock makes it cold.
    for (const list of [all, Object.freeze([...all])]) {
      expect(share(3, list)).toBeGreaterThan(0.18)
      expect(share(-1e9, list)).toBeGreaterThan(0.18)
    }
    // Out once more, and back: that is another ramp.
    const back = Object.freeze(
      all.map((each) => (each.id === '3' ? Object.assign(each, { since: 20 }) : each)),
    )
    expect(share(20, back)).toBeLessThan(0.06)
    expect(share(10_020, back)).toBeGreaterThan(0.18)
  })

  it('does not make tables anew while a clock is behind those that are warm', () => {
    const all = Object.freeze(fakeTargets({}, { since: 1e9 }))
    const lists = new Set<unknown>()
    const policy = withParts<string>(
      (list) => {
        lists.add(list)
        return list[0]
      },
      { weighted: true },
    )
    const pick = slowStart(policy, '10s', options())
    now = 2e9
    pick(all, '')
    const next = Object.freeze([...all])
    for (now = 0; now < 20_000; now += 500) pick(next, '')
    expect([lists.size, lists.has(all), lists.has(next)]).toEqual([2, true, true])
  })

  it('grows faster at first with aggression, and not at all with a window of 0', () => {
    const all = joined()
    now = 2_500
    const share = (pick: Balancer<unknown>): number => countPicks(1_000, () => pick(all, undefined))['3'] ?? 0
    const even = share(slowStart(weightedRoundRobin(), '10s', { clock, steps: 4 }))
    const eager = share(slowStart(weightedRoundRobin(), '10s', { clock, steps: 4, aggression: 2 }))
    // 0.25 / 3.25 and 0.5 / 3.5 of them.
    expect([even, eager]).toEqual([77, 143])
    expect(share(slowStart(weightedRoundRobin(), 0, { clock }))).toBe(250)
  })

  it.each([
    ['soon', {}, "slowStart.window: got 'soon'"],
    ['10s', { from: 0 }, 'slowStart.from: got 0'],
    ['10s', { steps: 0.5 }, 'slowStart.steps: got 0.5'],
    ['10s', { form: 1 }, 'slowStart.form: unknown option, did you mean from?'],
  ])('refuses %j with %j', (window, given, says) => {
    expect(() => slowStart(first(), window as never, given as never)).toThrow(says)
  })
})

it('wrappers keep the parts of what they wrap', () => {
  const policy = peakEwma()
  const wrapped = slowStart(subset(preferZone(boundedLoad(policy, 2), 'a'), { size: 2, seed: 0 }), '10s')
  expect(partsOf(wrapped).observe).toBe(policy.observe)
  expect(partsOf(wrapped).weighted).toBe(true)
  expect(partsOf(preferZone(first(), 'a')).weighted).toBeUndefined()
})
