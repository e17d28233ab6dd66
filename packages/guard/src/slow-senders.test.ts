import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SlowSender, SlowSenders } from './slow-senders.js'

class Sender implements SlowSender {
  isRead = true
  /** Turns since it was read last. */
  waits = 0
  pause(): void {
    this.isRead = false
    this.waits = 0
  }
  resume(): void {
    this.isRead = true
  }
}

/** Senders whose turns a test takes. */
function byHand(): { senders: SlowSenders; turn(): void; readonly takesTurns: boolean } {
  let next: (() => void) | undefined
  const senders = new SlowSenders((ms, fn) => {
    expect([ms, next]).toEqual([5, undefined])
    next = fn
    return () => {
      next = undefined
    }
  })
  return {
    senders,
    turn: () => next?.(),
    get takesTurns() {
      return next !== undefined
    },
  }
}

const many = (count: number): Sender[] => Array.from({ length: count }, () => new Sender())

describe('SlowSenders', () => {
  it('reads few as they come', () => {
    const taken = byHand()
    const all = many(63)
    for (const each of all) taken.senders.add(each)
    expect(taken.takesTurns).toBe(false)
    expect(all.every(({ isRead }) => isRead)).toBe(true)
  })

  it.each([
    [64, 1],
    [100, 1],
    [101, 2],
    [1_000, 10],
  ])('reads %s in turn, %s at a time, each once in a round', (count, atOnce) => {
    const { senders, turn } = byHand()
    const all = many(count)
    for (const each of all) senders.add(each)
    expect(all.some(({ isRead }) => isRead)).toBe(false)
    const read: Sender[] = []
    for (let i = 0; i < Math.ceil(count / atOnce); i++) {
      turn()
      const now = all.filter(({ isRead }) => isRead)
      expect(now).toHaveLength(atOnce)
      read.push(...now)
    }
    expect(new Set(read).size).toBe(count)
  })

  it('reads all as they come again when few are left, or it is over', () => {
    for (const end of ['delete', 'clear'] as const) {
      const taken = byHand()
      const all = many(64)
      for (const each of all) taken.senders.add(each)
      if (end === 'clear') taken.senders.clear()
      else for (const each of all.slice(0, 33)) taken.senders.delete(each)
      expect(taken.takesTurns).toBe(false)
      expect(all.every(({ isRead }) => isRead)).toBe(true)
    }
  })

  it('keeps none waiting for longer than a round, and nobody who has left, whoever comes and goes', () => {
    const all = many(300)
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), from: fc.nat(299), count: fc.nat(120) }),
      fc.record({ kind: fc.constant('delete' as const), from: fc.nat(299), count: fc.nat(120) }),
      fc.record({ kind: fc.constant('turn' as const), from: fc.constant(0), count: fc.nat(150) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const taken = byHand()
        const members = new Set<Sender>()
        for (const each of all) each.resume()
        for (const { kind, from, count } of steps) {
          for (let i = 0; i < count; i++) {
            const sender = all[(from + i) % all.length] as Sender
            if (kind === 'add') members.add(sender) && taken.senders.add(sender)
            else if (kind === 'delete') members.delete(sender) && taken.senders.delete(sender)
            else {
              taken.turn()
              for (const each of members) if (!each.isRead) each.waits++
            }
            const read = [...members].filter(({ isRead }) => isRead).length
            // Those that have come or gone since the last turn change its number by one at most.
            if (taken.takesTurns) expect(read).toBeLessThanOrEqual(Math.ceil(300 / 100))
            else expect(read).toBe(members.size)
          }
          expect(all.every((each) => members.has(each) || each.isRead)).toBe(true)
          if (taken.takesTurns)
            expect(Math.max(...[...members].map(({ waits }) => waits))).toBeLessThanOrEqual(200)
        }
      }),
      { numRuns: 60 },
    )
  })
})
