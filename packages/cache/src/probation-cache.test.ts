import { LRUCache } from 'lru-cache'
import { describe, expect, it } from 'vitest'
import { seeded } from '../../../test/kit/seeded.js'
import { keyHash } from './key-hash.js'
import { type Held, ProbationCache } from './probation-cache.js'

const hashOf = (key: string) => keyHash(key, 1)

interface One extends Held<One> {}
const held = (key: string, cost = 1): One => ({
  ...{ key, hash: hashOf(key), cost, hits: 0, place: 0, used: 0 },
  ...{ next: undefined, previous: undefined },
})

/** Asks for a key as a cache is asked: what isn't there is fetched and kept. True for a hit. */
type Ask = (key: string) => boolean

function probation(entries: number): Ask {
  const cache = new ProbationCache<One>(entries, () => {})
  return (key) => {
    const found = cache.get(key, hashOf(key))
    if (found === undefined) cache.add(held(key))
    else found.hits++
    return found !== undefined
  }
}

function lru(entries: number): Ask {
  const cache = new LRUCache<string, true>({ max: entries })
  return (key) => {
    const found = cache.get(key) !== undefined
    if (!found) cache.set(key, true)
    return found
  }
}

/** Keys of which the second is asked for half as often as the first, or nearly so, and so on (by `skew`). */
function zipf(keys: number, skew: number, seed: number): () => string {
  const random = seeded(seed)
  const sums: number[] = []
  let sum = 0
  for (let i = 1; i <= keys; i++) {
    sum += 1 / i ** skew
    sums.push(sum)
  }
  return () => {
    const at = random() * sum
    let low = 0
    let high = keys - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] as number) < at) low = middle + 1
      else high = middle
    }
    return `key ${low}`
  }
}

function rate(ask: Ask, next: () => string, times: number): number {
  let hits = 0
  for (let i = 0; i < times; i++) if (ask(next())) hits++
  return hits / times
}

describe('ProbationCache', () => {
  it('moves a few at a time, however many are proven when it has filled up', () => {
    const gone: One[] = []
    const cache = new ProbationCache<One>(10_000, (one) => gone.push(one))
    const all = Array.from({ length: 10_000 }, (_, i) => held(`key ${i}`))
    for (const one of all) {
      cache.add(one)
      one.hits = 2
    }
    const inMain = () => all.filter(({ place }) => place === 2).length
    let before = 0
    for (let i = 0; i < 200; i++) {
      cache.add(held(`more ${i}`))
      expect(inMain() - before).toBeLessThanOrEqual(100)
      before = inMain()
      expect([cache.bytes, cache.count]).toEqual([10_000, 10_000])
    }
    // A tenth is on probation, and those that came last of all are there.
    expect(before).toBe(9_000)
    expect(gone).toHaveLength(200)
  })

  it('makes room for what is large of those that were asked for once', () => {
    const gone: One[] = []
    const cache = new ProbationCache<One>(10_000, (one) => gone.push(one))
    for (let i = 0; i < 10_000; i++) {
      const one = held(`key ${i}`)
      cache.add(one)
      one.hits = i % 10 === 0 ? 2 : 0
    }
    cache.add(held('large', 2_000))
    expect(gone).toHaveLength(2_000)
    expect(gone.filter(({ hits }) => hits > 0)).toEqual([])
  })

  it('lets go of all when it is cleared: nothing has a place any more', () => {
    const cache = new ProbationCache<One>(10, () => {})
    const all = Array.from({ length: 8 }, (_, i) => held(`key ${i}`))
    for (const one of all) cache.add(one)
    cache.clear()
    for (const one of all) cache.remove(one)
    expect([cache.bytes, cache.count, ...all.map(({ place }) => place)]).toEqual([0, 0, ...all.map(() => 0)])
  })

  it.each([1, 2, 3])('keeps what is hot through a scan (seed %d)', (seed) => {
    const results: Record<string, number> = {}
    for (const [name, ask] of Object.entries({ ours: probation(1_500), lru: lru(1_500) })) {
      const hot = zipf(1_000, 0.9, seed)
      rate(ask, hot, 20_000)
      const before = rate(ask, hot, 10_000)
      let next = 0
      rate(ask, () => `once ${next++}`, 100_000)
      // Few enough that what the scan has pushed out can't have come back.
      results[name] = rate(ask, hot, 500) / before
    }
    expect(results['ours']).toBeGreaterThan(0.9)
    expect(results['lru']).toBeLessThan(0.6)
  })

  it('keeps what is hot while a scan goes on beside it', () => {
    const both = (ask: Ask): number => {
      const hot = zipf(1_000, 0.9, 4)
      rate(ask, hot, 20_000)
      let next = 0
      let hits = 0
      for (let i = 0; i < 20_000; i++) {
        if (ask(hot())) hits++
        rate(ask, () => `once ${next++}`, 5)
      }
      return hits / 20_000
    }
    expect(both(probation(1_000))).toBeGreaterThan(0.9)
    expect(both(lru(1_000))).toBeLessThan(0.6)
  })

  it.each([
    [0.7, 0.01],
    [0.7, 0.1],
    [0.9, 0.01],
    [0.9, 0.1],
    [1.1, 0.01],
    [1.1, 0.1],
  ])(
    'has more hits than an LRU where popularity falls with a power of %d, for %d of the keys',
    (skew, share) => {
      const keys = 20_000
      const compare = [probation(keys * share), lru(keys * share)].map((ask) => {
        const next = zipf(keys, skew, 5)
        rate(ask, next, 100_000)
        return rate(ask, next, 100_000)
      })
      const [ours, theirs] = compare as [number, number]
      console.log(skew, share, ours.toFixed(3), theirs.toFixed(3))
      expect(ours).toBeGreaterThan(theirs)
    },
  )

  it('never lets go of what it has just taken, and holds no more than it may', () => {
    const random = seeded(6)
    const gone = new Set<One>()
    const cache = new ProbationCache<One>(100, (one) => gone.add(one))
    const all = new Map<string, One>()
    for (let i = 0; i < 6_000; i++) {
      const key = `key ${Math.floor(random() ** 2 * 60)}`
      const cost = 1 + Math.floor(random() ** 4 * 100)
      const old = cache.peek(key, hashOf(key))
      expect(old === undefined || !gone.has(old)).toBe(true)
      const what = random()
      let one = held(key, cost)
      if (old === undefined) cache.add(one)
      else if (what < 0.3) cache.replace(old, one)
      else if (what < 0.4) {
        one = old
        cache.reweigh(one, cost)
      } else if (what < 0.5) {
        cache.remove(old)
        gone.add(old)
        continue
      } else {
        cache.get(key, hashOf(key))
        old.hits++
        continue
      }
      all.set(key, one)
      expect(cache.peek(key, hashOf(key))).toBe(one)
      expect(cache.bytes).toBeLessThanOrEqual(100)
    }
    let bytes = 0
    for (const [key, one] of all) {
      const there = cache.peek(key, hashOf(key))
      if (there === undefined) expect(one.place).toBe(0)
      else bytes += there.cost
    }
    expect(cache.bytes).toBe(bytes)
    expect([...cache.values()].map(({ cost }) => cost).reduce((a, b) => a + b)).toBe(bytes)
    expect(gone.size).toBeGreaterThan(300)
  })
})
