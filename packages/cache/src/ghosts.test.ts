import { describe, expect, it } from 'vitest'
import { seeded } from '../../../test/kit/seeded.js'
import { Ghosts } from './ghosts.js'

describe('Ghosts', () => {
  it('remembers what was added lately, and forgets what is asked for', () => {
    const ghosts = new Ghosts()
    expect(ghosts.take(7, 1_000)).toBe(false)
    ghosts.add(7, 1_000)
    ghosts.add(0, 1_000)
    expect(ghosts.take(7, 1_000)).toBe(true)
    expect(ghosts.take(7, 1_000)).toBe(false)
    expect(ghosts.take(0, 1_000)).toBe(true)
  })

  it.each([1_000, 20_000])('remembers most of the last %d, and none that is much older', (capacity) => {
    const random = seeded(1)
    const ghosts = new Ghosts()
    const hashes = Array.from({ length: capacity * 8 }, () => (random() * 2 ** 32) | 0)
    for (const hash of hashes) ghosts.add(hash, capacity)
    const known = (from: number, to: number): number =>
      hashes.slice(from, to).filter((hash) => ghosts.take(hash, capacity)).length
    expect(known(-capacity / 2, hashes.length)).toBeGreaterThan(capacity * 0.45)
    expect(known(0, capacity * 6)).toBe(0)
  })

  it('knows none that was never added', () => {
    const random = seeded(2)
    const ghosts = new Ghosts()
    for (let i = 0; i < 50_000; i++) ghosts.add((random() * 2 ** 32) | 0, 50_000)
    let wrong = 0
    for (let i = 0; i < 50_000; i++) if (ghosts.take((random() * 2 ** 32) | 0, 50_000)) wrong++
    expect(wrong).toBeLessThan(10)
  })
})
