import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fakeTargets } from '../../../test/kit/targets.js'
import { Ramps } from './ramps.js'

const length = 1_000

it('is over after its length of time without a jump back, and stays so; a jump back begins it anew at most', () => {
  const step = fc.tuple(
    fc.boolean(),
    fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: -5_000, max: 5_000 })),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: -1e6, max: 1e6 }), (steps, since) => {
      const ramps = new Ramps(length)
      const one = fakeTargets({ since })[0]
      if (one === undefined) throw new Error('a target')
      let list = Object.freeze([one])
      let now = since
      let [running, last, over] = [0, 0, false]
      for (const [anew, ms] of steps) {
        now += ms
        // Lists come and go with other targets.
        if (anew) list = Object.freeze([one])
        const among = ramps.among(list, now)
        const age = among ? ramps.age(one, now) : length
        expect(age).toBeGreaterThanOrEqual(0)
        if (ms < 0) {
          running = 0
          last = 0
        } else running += ms
        if (over) expect(age).toBeGreaterThanOrEqual(length)
        if (running >= length) expect(age).toBeGreaterThanOrEqual(length)
        // With no jump it goes on as time does.
        if (age < length) expect(age).toBeGreaterThanOrEqual(last)
        last = age
        over ||= age >= length
      }
    }),
    { numRuns: 1_000 },
  )
})

it('begins anew for a target that comes back', () => {
  const ramps = new Ramps(length)
  const [one] = fakeTargets({ since: 0 })
  if (one === undefined) throw new Error('a target')
  expect([ramps.age(one, 500), ramps.age(one, 2_000), ramps.age(one, 100)]).toEqual([
    500,
    2_000,
    Number.POSITIVE_INFINITY,
  ])
  one.since = 3_000
  expect(ramps.age(one, 3_500)).toBe(500)
})
