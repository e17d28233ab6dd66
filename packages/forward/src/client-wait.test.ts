import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ClientWait } from './client-wait.js'

describe('the wait for a body', () => {
  it('counts from 2 s on, where fewer than 240 bytes a second have come', () => {
    const wait = new ClientWait(1_000)
    expect(wait.ofBody(2_999, 0)).toBe(0)
    expect(wait.ofBody(3_000, 479)).toBe(2_000)
    expect(wait.ofBody(3_000, 480)).toBe(0)
  })

  it('is measured anew behind one that was fast enough', () => {
    const wait = new ClientWait(0)
    expect(wait.ofBody(10_000, 1_000_000)).toBe(0)
    expect(wait.ofBody(11_999, 1_000_000)).toBe(0)
    expect(wait.ofBody(12_000, 1_000_000)).toBe(2_000)
  })

  it('doesn’t count while the target was waited for', () => {
    const wait = new ClientWait(0)
    wait.bodyBegins(60_000, 10)
    expect(wait.ofBody(61_999, 10)).toBe(0)
  })

  it('is never told of a client that keeps the rate, whenever it is looked at', () => {
    const step = fc.record({
      ms: fc.integer({ min: 0, max: 5_000 }),
      more: fc.nat(10_000),
      look: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const wait = new ClientWait(0)
        let now = 0
        let bytes = 0
        for (const { ms, more, look } of steps) {
          now += ms
          bytes += Math.ceil((ms * 240) / 1_000) + more
          if (look) expect(wait.ofBody(now, bytes)).toBe(0)
        }
      }),
    )
  })
})

describe('the wait for a reader', () => {
  it('counts from 10 s on, from when there was no room', () => {
    const wait = new ClientWait(0)
    expect(wait.ofReader(1_000_000)).toBe(0)
    wait.readerBegins(1_000)
    wait.readerBegins(5_000)
    expect(wait.ofReader(10_999)).toBe(0)
    expect(wait.ofReader(11_000)).toBe(10_000)
  })

  it('ends with room', () => {
    const wait = new ClientWait(0)
    wait.readerBegins(0)
    wait.readerEnds()
    wait.readerTakes(1)
    expect(wait.ofReader(60_000)).toBe(0)
    wait.readerBegins(60_000)
    expect(wait.ofReader(70_000)).toBe(10_000)
  })

  it('doesn’t count before somebody takes the answer', () => {
    const wait = new ClientWait(0)
    wait.readerBegins(0)
    wait.readerTakes(50_000)
    expect(wait.ofReader(59_999)).toBe(0)
  })
})
