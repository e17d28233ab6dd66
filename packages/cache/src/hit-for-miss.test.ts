import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HitForMiss } from './hit-for-miss.js'

describe('HitForMiss', () => {
  it('knows each key for its time, with the latest reason, until it is forgotten', () => {
    const key = fc.constantFrom('a', 'b', 'c')
    const step = fc.record({
      do: fc.constantFrom('note' as const, 'note', 'forget', 'wait'),
      key,
      why: fc.constantFrom(
        'private',
        'no-store',
        'set-cookie',
        ...Array.from({ length: 20 }, (_, i) => `r${i}`),
      ),
      ms: fc.integer({ min: 0, max: 700 }),
    })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 40 }),
        fc.oneof(fc.constant(0), fc.constant(1_800_000_000_000)),
        (steps, start) => {
          const memory = new HitForMiss(1_000)
          const model = new Map<string, { why: string; until: number }>()
          let now = start
          for (const each of steps) {
            if (each.do === 'wait') now += each.ms
            else if (each.do === 'note') {
              memory.note(each.key, each.why, now)
              model.set(each.key, { why: each.why, until: now + 1_000 })
            } else {
              memory.forget(each.key)
              model.delete(each.key)
            }
            for (const name of ['a', 'b', 'c']) {
              const known = model.get(name)
              const why = known !== undefined && known.until > now ? known.why : undefined
              expect([memory.why(name, now), memory.has(name, now)]).toEqual([why, why !== undefined])
            }
          }
        },
      ),
    )
  })

  it('remembers for 10 s by default, and nothing for a time of 0', () => {
    const memory = new HitForMiss()
    memory.note('a', 'private', 5)
    expect([memory.why('a', 10_004), memory.why('a', 10_005), memory.size]).toEqual(['private', undefined, 0])
    const none = new HitForMiss(0)
    none.note('a', 'private', 5)
    expect(none.has('a', 5)).toBe(false)
  })

  it('forgets what it was told before the clock was set back: nobody knows how long ago that is', () => {
    const memory = new HitForMiss()
    const hour = 3_600_000
    memory.note('a', 'private', hour)
    expect([memory.has('a', hour), memory.has('a', 0), memory.size]).toEqual([true, false, 0])
    memory.note('b', 'private', 0.5)
    expect(memory.has('b', 0.5)).toBe(true)
  })

  it('is bounded in bytes, long keys too, and forgets first what nobody asked for', () => {
    const memory = new HitForMiss(10_000, 100_000)
    memory.note('kept', 'private', 0)
    for (let i = 0; i < 10_000; i++) {
      memory.note(`key ${i}`, 'private', 0)
      memory.has('kept', 0)
    }
    expect(memory.size).toBeLessThan(800)
    expect([memory.has('kept', 0), memory.has('key 0', 0), memory.has('key 9999', 0)]).toEqual([
      true,
      false,
      true,
    ])
    for (let i = 0; i < 100; i++) memory.note(`${i}`.padEnd(8_000, 'x'), 'private', 0)
    expect(memory.size).toBeLessThan(14)
    // One that is larger than all isn't remembered, and does no harm.
    memory.note('x'.repeat(200_000), 'private', 0)
    expect(memory.has('x'.repeat(200_000), 0)).toBe(false)
  })

  it('keeps its table of reasons small, whatever they are', () => {
    const memory = new HitForMiss()
    for (let i = 0; i < 1_000; i++) memory.note(`${i}`, `reason ${i}`, 0)
    expect([memory.why('0', 1), memory.why('999', 1)]).toEqual(['reason 0', 'reason 999'])
  })
})
