import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { yielding } from './yielding.js'

interface One {
  readonly waited: number
  readonly uploads: boolean
  slowFor(): number
}

const one = (waited: number, uploads = false): One => ({ waited, uploads, slowFor: () => waited })
const holders = fc.array(
  fc
    .tuple(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60_000 })), fc.boolean())
    .map(([ms, up]) => one(ms, up)),
)

describe('yielding', () => {
  it('looks at nobody while nobody waits', () => {
    const watched = { uploads: true, slowFor: () => expect.unreachable('it was looked at') }
    expect(yielding([watched], 0, 0, 0)).toEqual([])
    expect(yielding([watched], 0, -3, 0)).toEqual([])
  })

  it('takes the longest wait first', () => {
    const all = [one(3_000), one(9_000, true), one(0), one(5_000)]
    expect(yielding(all, 0, 2, 0).map(({ waited }) => waited)).toEqual([9_000, 5_000])
  })

  it('takes uploads alone for those that wait for fewer of them', () => {
    const all = [one(9_000), one(3_000, true), one(5_000, true)]
    expect(yielding(all, 0, 0, 1).map(({ waited }) => waited)).toEqual([5_000])
  })

  it('never takes more than wait, nor one that isn’t slow, nor one while a slower one of its kind stays', () => {
    fc.assert(
      fc.property(holders, fc.integer({ min: -5, max: 20 }), fc.nat(20), (all, places, bodies) => {
        const chosen = yielding(all, 0, places, bodies)
        expect(new Set(chosen).size).toBe(chosen.length)
        expect(chosen.every(({ waited }) => waited > 0)).toBe(true)
        expect(chosen.length).toBeLessThanOrEqual(Math.max(places, 0) + bodies)
        expect(chosen.filter(({ uploads }) => !uploads).length).toBeLessThanOrEqual(Math.max(places, 0))
        const slow = all.filter(({ waited }) => waited > 0)
        expect(chosen.length).toBeGreaterThanOrEqual(Math.min(slow.length, Math.max(places, 0)))
        for (const kind of [true, false]) {
          const went = chosen.filter(({ uploads }) => uploads === kind).map(({ waited }) => waited)
          const stayed = slow.filter((each) => each.uploads === kind && !chosen.includes(each))
          for (const { waited } of stayed) expect(Math.min(...went, Infinity)).toBeGreaterThanOrEqual(waited)
        }
      }),
    )
  })
})
