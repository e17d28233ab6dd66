import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyHash } from './key-hash.js'
import { type Aged, ShardedLru } from './sharded-lru.js'

interface One extends Aged {
  readonly key: number
}

const made = (key: number): One => ({ key, hash: keyHash(String(key), 1), used: 0 })

const step = fc.tuple(
  fc.constantFrom('add' as const, 'use' as const, 'remove' as const, 'pop' as const),
  fc.nat({ max: 40 }),
)

describe('ShardedLru', () => {
  it.each([1, 8, 64])('lets go in the order of one list, with %d shards', (shards) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 300 }), (steps) => {
        const lru = new ShardedLru<One>(shards)
        /** The least recently used first. */
        let model: One[] = []
        for (const [what, key] of steps) {
          const there = model.find((one) => one.key === key)
          if (what === 'pop') expect(lru.pop()).toBe(model.shift())
          else if (there === undefined) {
            const one = made(key)
            lru.add(one)
            model.push(one)
          } else {
            model = model.filter((one) => one !== there)
            if (what === 'remove') lru.remove(there)
            else {
              lru.use(there)
              model.push(there)
            }
          }
          expect(lru.size).toBe(model.length)
        }
        while (model.length > 0) expect(lru.pop()).toBe(model.shift())
        expect([lru.pop(), lru.size]).toEqual([undefined, 0])
      }),
    )
  })

  it('is empty when it has been cleared', () => {
    const lru = new ShardedLru<One>(4)
    for (let i = 0; i < 20; i++) lru.add(made(i))
    lru.clear()
    expect([lru.pop(), lru.size]).toEqual([undefined, 0])
    const one = made(1)
    lru.add(one)
    expect(lru.pop()).toBe(one)
  })
})
