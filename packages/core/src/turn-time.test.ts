import { expect, it } from 'vitest'
import { turnTime } from './turn-time.js'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

it('stands still in a turn, and is the clock’s in the next', async () => {
  await turn()
  const before = performance.now()
  const first = turnTime()
  expect(first).toBeGreaterThanOrEqual(before)
  while (performance.now() < first + 2);
  expect(turnTime()).toBe(first)
  await Promise.resolve()
  expect(turnTime()).toBe(first)
  await turn()
  expect(turnTime()).toBeGreaterThanOrEqual(first + 2)
  expect(turnTime()).toBeLessThanOrEqual(performance.now())
})
