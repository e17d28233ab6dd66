import { createUpstream, type LeaseResult } from '@sluice/upstream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seeded } from '../../../test/kit/seeded.js'
import { countPicks, fakeTargets, sameTargets } from '../../../test/kit/targets.js'
import {
  boundedLoad,
  first,
  leastRequests,
  peakEwma,
  powerOfTwo,
  weightedRandom,
  weightedRoundRobin,
} from './index.js'

const names = (ids: string[]): { id: string }[] => ids.map((id) => ({ id }))

describe('weightedRoundRobin', () => {
  it('gives the sequence that nginx has published for 5:1:1', () => {
    const all = fakeTargets({ id: 'a', weight: 5 }, { id: 'b' }, { id: 'c' })
    const pick = weightedRoundRobin()
    const take = (): string => Array.from({ length: 7 }, () => pick(all, undefined)?.id).join('')
    expect([take(), take()]).toEqual(['aabacaa', 'aabacaa'])
  })

  it('gives each exactly its share in every round, and stays near it in between', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }), (weights) => {
        const all = fakeTargets(...weights.map((weight) => ({ weight })))
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        const pick = weightedRoundRobin()
        const counts = weights.map(() => 0)
        for (let turn = 1; turn <= total; turn++) {
          ;(counts[Number(pick(all, undefined)?.id)] as number) += 1
          for (const [i, weight] of weights.entries())
            expect(Math.abs((counts[i] as number) - (turn * weight) / total)).toBeLessThan(weights.length)
        }
        expect(counts).toEqual(weights)
      }),
    )
  })

  it('leaves out, and goes on as if nothing were', () => {
    const all = fakeTargets({ weight: 2 }, {}, {})
    const pick = weightedRoundRobin()
    expect(countPicks(30, () => pick(all, undefined, ({ id }) => id === '0'))).toEqual({ 1: 15, 2: 15 })
    expect(countPicks(40, () => pick(all, undefined))).toEqual({ 0: 20, 1: 10, 2: 10 })
    expect(pick(all, undefined, () => true)).toBeUndefined()
  })

  it('takes other weights over at once, also far from the begin of a round', () => {
    const list = fakeTargets({ weight: 100 }, { weight: 1 })
    const pick = weightedRoundRobin()
    for (let i = 0; i < 51; i++) pick(list, undefined)
    ;(list[0] as { weight: number }).weight = 1
    expect(countPicks(20, () => pick(list, undefined))).toEqual({ 0: 10, 1: 10 })
  })

  it('takes the weights of replaced targets over, whose list is another one', () => {
    const upstream = createUpstream({ name: 'a', targets: [{ url: 'http://a', weight: 3 }, 'http://b'] })
    const before = upstream.available
    const pick = weightedRoundRobin()
    const share = (): number | undefined =>
      countPicks(120, () => pick(upstream.available, undefined))['http://a']
    expect(share()).toBe(90)
    upstream.replace(['http://a', { url: 'http://b', weight: 2 }])
    expect(upstream.available).not.toBe(before)
    expect(share()).toBe(40)
  })

  it('keeps its turns by target when lists take turns', () => {
    const [a, b, c, d] = fakeTargets({ weight: 2 }, {}, { weight: 2 }, {})
    const lists = [Object.freeze([a, b]), Object.freeze([c, d])] as never[]
    const pick = weightedRoundRobin()
    expect(countPicks(60, (turn) => pick(lists[turn % 2] as never, undefined))).toEqual({
      0: 20,
      1: 10,
      2: 20,
      3: 10,
    })
  })
})

describe('weightedRandom', () => {
  it('gives each its share', () => {
    const all = fakeTargets({ weight: 5 }, { weight: 0.5 }, { weight: 4.5 }, { weight: 0 })
    const pick = weightedRandom({ random: seeded(1) })
    const counts = countPicks(20_000, () => pick(all, undefined))
    expect(counts['0']).toBeGreaterThan(9_600)
    expect(counts['0']).toBeLessThan(10_400)
    expect(counts['1']).toBeGreaterThan(850)
    expect(counts['1']).toBeLessThan(1_150)
    expect(counts['3']).toBeUndefined()
  })

  it('shares the part of those left out by weight', () => {
    const all = fakeTargets({ weight: 8 }, { weight: 1 }, { weight: 3 })
    const pick = weightedRandom({ random: seeded(2) })
    const counts = countPicks(8_000, () => pick(all, undefined, ({ id }) => id === '0'))
    expect(counts['0']).toBeUndefined()
    expect(counts['1']).toBeGreaterThan(1_800)
    expect(counts['1']).toBeLessThan(2_200)
  })

  it('gives a target of weight 0 what no other can take', () => {
    const all = fakeTargets({ weight: 1 }, { weight: 0 })
    const pick = weightedRandom()
    expect(countPicks(100, () => pick(all, undefined))).toEqual({ 0: 100 })
    expect(pick(all, undefined, ({ id }) => id === '0')?.id).toBe('1')
  })
})

it('powerOfTwo shares ties by weight', () => {
  const pick = powerOfTwo({ random: seeded(3) })
  const counts = countPicks(10_000, () => pick(fakeTargets({ weight: 4 }, {}), undefined))
  expect(counts['0']).toBeGreaterThan(7_700)
  expect(counts['0']).toBeLessThan(8_300)
})

describe('peakEwma', () => {
  let now = 0
  const make = () => peakEwma({ decay: '1s', clock: () => now, random: seeded(4) })

  it('leaves a target at its first slow answer, and comes back as that fades', () => {
    const all = fakeTargets(...names(['a', 'b', 'c']))
    const policy = make()
    for (const target of all) policy.observe(target, { ok: true, ttfb: 10 })
    policy.observe(all[0] as never, { ok: true, ttfb: 1_000 })
    const counts = countPicks(300, () => policy(all, undefined))
    expect(counts['a']).toBeUndefined()
    // e^-5 of it is less than what the others keep answering in.
    for (let i = 0; i < 50; i++) {
      now += 100
      for (const target of all.slice(1)) policy.observe(target, { ok: true, ttfb: 10 })
    }
    expect(countPicks(300, () => policy(all, undefined))['a']).toBeGreaterThan(50)
  })

  it('takes faster answers over slowly, and one after a long time at once', () => {
    const all = fakeTargets(...names(['a', 'b']))
    const [a, b] = all as [never, never]
    const policy = make()
    policy.observe(a, { ok: true, ttfb: 100 })
    policy.observe(b, { ok: true, ttfb: 50 })
    policy.observe(a, { ok: true, ttfb: 10 })
    expect(policy(all, undefined)).toBe(b)
    now += 5_000
    policy.observe(a, { ok: true, ttfb: 10 })
    policy.observe(b, { ok: true, ttfb: 50 })
    expect(policy(all, undefined)).toBe(a)
  })

  it('counts what is in flight, for the weight', () => {
    const all = fakeTargets({ inFlight: 3 }, { inFlight: 1 })
    const policy = make()
    for (const target of all) policy.observe(target, { ok: true, ttfb: 10 })
    expect(policy(all, undefined)?.id).toBe('1')
    ;(all[0] as { weight: number }).weight = 4
    expect(policy(all, undefined)?.id).toBe('0')
  })

  it('gives a target that has never answered one request, and waits for it', () => {
    const all = fakeTargets({ ewma: 10 }, {})
    const policy = make()
    expect(policy(all, undefined)?.id).toBe('1')
    ;(all[1] as { inFlight: number }).inFlight = 1
    expect(policy(all, undefined)?.id).toBe('0')
  })

  it('goes by the average of the upstream where nobody tells it', () => {
    const all = fakeTargets({ ewma: 100 }, { ewma: 10 }, { ewma: 100 })
    const policy = make()
    expect(countPicks(300, () => policy(all, undefined))['1']).toBeGreaterThan(150)
  })

  it('comes back to a target that was slow, though the clock has jumped far back since', () => {
    const all = fakeTargets(...names(['a', 'b', 'c']))
    const policy = make()
    for (const target of all) policy.observe(target, { ok: true, ttfb: 10 })
    policy.observe(all[0] as never, { ok: true, ttfb: 1_000 })
    now -= 1e9
    for (let i = 0; i < 50; i++) {
      now += 100
      for (const target of all.slice(1)) policy.observe(target, { ok: true, ttfb: 10 })
      policy(all, undefined)
    }
    expect(countPicks(300, () => policy(all, undefined))['a']).toBeGreaterThan(50)
  })

  it('learns nothing from failures and from clients that left, and survives a clock that jumps back', () => {
    const all = fakeTargets(...names(['a', 'b']))
    const [a, b] = all as [never, never]
    const policy = make()
    policy.observe(a, { ok: true, ttfb: 10 })
    policy.observe(b, { ok: true, ttfb: 20 })
    policy.observe(b, { ok: false, error: new Error('reset') })
    policy.observe(b, undefined)
    now -= 1_000_000
    expect(policy(all, undefined)).toBe(a)
    policy.observe(a, { ok: true, ttfb: 30 })
    expect(policy(all, undefined)).toBe(b)
  })

  it.each<[string, number | undefined, LeaseResult]>([
    ['fails and has never answered', undefined, { ok: false, error: new Error('refused') }],
    ['has answered once and fails since', 10, { ok: false, error: new Error('refused') }],
    ['answers 503 at once', 10, { ok: true, status: 503, ttfb: 0.1 }],
    ['has never given any other answer', undefined, { ok: true, status: 500, ttfb: 0.1 }],
  ])('gives no more than its share to a target that %s', (_name, first, failure) => {
    const all = fakeTargets(...names(['a', 'b', 'c']))
    const [a, ...others] = all as [never, never, never]
    const policy = make()
    if (first !== undefined) policy.observe(a, { ok: true, ttfb: first })
    for (let i = 0; i < 100; i++) {
      now += 100
      policy.observe(a, failure)
      for (const target of others) policy.observe(target, { ok: true, ttfb: 10 })
    }
    now += 100
    policy.observe(a, failure)
    expect(countPicks(300, () => policy(all, undefined))['a'] ?? 0).toBeLessThan(125)
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1])('learns nothing from a time of %s', (ttfb) => {
    const all = fakeTargets(...names(['a', 'b']))
    const [a, b] = all as [never, never]
    const policy = make()
    for (const time of [ttfb, 10, ttfb]) policy.observe(a, { ok: true, ttfb: time })
    policy.observe(b, { ok: true, ttfb: 20 })
    expect(policy(all, undefined)).toBe(a)
    policy.observe(a, { ok: true, ttfb: 30 })
    expect(policy(all, undefined)).toBe(b)
  })

  it.each([[{ decay: 'soon' }], [{ decay: 0 }], [{ decy: '1s' }], [{ clock: 5 }]])(
    'refuses %j',
    (options) => {
      expect(() => peakEwma(options as never)).toThrow(TypeError)
    },
  )
})

it('policies by weight keep no more of a list than of its targets', () => {
  // Lists that aren't frozen are read anew: what was pushed into one is there.
  for (const policy of [weightedRoundRobin(), weightedRandom()]) {
    const list = fakeTargets({ weight: 1 })
    policy(list, undefined)
    list.push(...fakeTargets({ id: 'new', weight: 1e9 }))
    expect(countPicks(10, () => policy(list, undefined))['new']).toBeGreaterThan(8)
  }
  expect(weightedRoundRobin()(sameTargets(2), undefined)?.id).toBe('0')
})

it('policies by weight pick from the list that they are given, when frozen lists and others take turns', () => {
  const frozen = sameTargets(2)
  const other = fakeTargets({ id: 'x' }, { id: 'y', inFlight: 9 })
  for (const policy of [weightedRoundRobin(), weightedRandom(), leastRequests(), boundedLoad(first())])
    for (let i = 0; i < 4; i++)
      for (const list of [frozen, other]) expect(list).toContain(policy(list, undefined))
})
