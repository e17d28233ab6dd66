import { expect, it } from 'vitest'
import { fuzz } from './lib/fuzz.mjs'

it('a million mutated replies are read or refused, the same whole and in pieces, and leave nothing behind', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const { failure, runs } = fuzz({ count: 1_000_000, seed })
  expect(failure, `seed ${seed}`).toBeUndefined()
  expect(runs).toBe(1_000_000)
})
