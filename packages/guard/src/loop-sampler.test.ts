import { expect, it } from 'vitest'
import { LoopSampler } from './loop-sampler.js'

it('measures how late timers are while requests come, and rests after them', () => {
  const told: (string | number)[][] = []
  const waiting: (() => void)[] = []
  let now = 0
  const sampler = new LoopSampler(
    {
      begin: (at, idle) => told.push(['begin', at, idle]),
      tick: (at, late, idle) => told.push([at, late, idle]),
    },
    () => now,
    (ms, fn) => {
      expect(ms).toBe(5)
      waiting.push(fn)
      return () => {}
    },
    () => now / 10,
  )
  const at = (time: number): void => {
    now = time
    waiting.shift()?.()
  }
  sampler.wake(0)
  sampler.wake(1)
  expect(waiting).toHaveLength(1)
  at(5)
  at(17)
  at(21)
  expect(told).toEqual([
    ['begin', 0, 0],
    [5, 0, 0.5],
    [17, 7, 1.7],
    [21, 0, 2.1],
  ])
  for (let i = 0; i < 197; i++) at(26 + 5 * i)
  expect(waiting).toHaveLength(0)
  now = 5_000
  sampler.wake(now)
  expect(told.at(-1)).toEqual(['begin', 5_000, 500])
  expect(waiting).toHaveLength(1)
})
