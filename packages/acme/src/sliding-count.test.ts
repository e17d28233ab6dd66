import { expect, it } from 'vitest'
import { SlidingCount } from './sliding-count.js'

it('lets something happen so often in each span', () => {
  let now = 0
  const count = new SlidingCount(2, 10, () => now)
  expect([count.take(), count.take(), count.take()]).toEqual([true, true, false])
  expect(count.wait).toBe(10)
  now = 9
  expect([count.wait, count.take()]).toEqual([1, false])
  now = 10
  expect([count.take(), count.take(), count.take()]).toEqual([true, true, false])
})

it('counts what is noted', () => {
  const count = new SlidingCount(1, 10, () => 0)
  count.note()
  count.note()
  expect(count.take()).toBe(false)
})
