import { describe, expect, it } from 'vitest'
import { PacedWork } from './paced-work.js'

/** Work over a second, whose turns a test takes: false where none is asked for. */
function byHand(): { work: PacedWork; turn(): boolean } {
  let next: (() => void) | undefined
  const work = new PacedWork((ms, fn) => {
    expect([ms, next]).toEqual([5, undefined])
    next = fn
    return () => {
      next = undefined
    }
  }, 1_000)
  return {
    work,
    turn() {
      const asked = next !== undefined
      next?.()
      return asked
    },
  }
}

describe('PacedWork', () => {
  it('does one piece in a turn, in their order, and asks for no turn without one', () => {
    const { turn, work } = byHand()
    expect(turn()).toBe(false)
    for (let round = 0; round < 2; round++) {
      const done: number[] = []
      for (let i = 0; i < 3; i++) work.add(() => done.push(i))
      for (let i = 1; i <= 3; i++) {
        expect(turn()).toBe(true)
        expect(done).toHaveLength(i)
      }
      expect(done).toEqual([0, 1, 2])
      expect(turn()).toBe(false)
    }
  })

  it.each([150, 200, 201, 1_000, 50_000])('does %s pieces within the time, evenly', (count) => {
    const { turn, work } = byHand()
    let done = 0
    for (let i = 0; i < count; i++) work.add(() => done++)
    const each = Math.ceil(count / 200)
    for (let turns = 1; turn(); turns++) expect(done).toBe(Math.min(count, turns * each))
    expect(done).toBe(count)
  })

  it('takes more from a piece, and goes on behind one that throws', () => {
    const { turn, work } = byHand()
    const done: string[] = []
    work.add(() => {
      work.add(() => done.push('behind'))
      throw new Error('a piece')
    })
    for (let i = 0; i < 500; i++) work.add(() => done.push('next'))
    expect(turn).toThrow('a piece')
    while (turn());
    expect(done).toEqual([...Array.from({ length: 500 }, () => 'next'), 'behind'])
  })

  it('leaves what a piece brings to the next turn, also where a turn has room for it', () => {
    const { turn, work } = byHand()
    let inner = false
    // Of 401 pieces a turn takes three, and the last one has the last turn to itself.
    for (let i = 0; i < 400; i++) work.add(() => {})
    work.add(() => work.add(() => (inner = true)))
    for (let i = 0; i < 134; i++) turn()
    expect(inner).toBe(false)
    turn()
    expect(inner).toBe(true)
  })

  it('does the rest at once when it has to finish', () => {
    const { turn, work } = byHand()
    let done = 0
    for (let i = 0; i < 3; i++) work.add(() => done++)
    work.finish()
    expect(done).toBe(3)
    expect(turn()).toBe(false)
    work.add(() => done++)
    while (turn());
    expect(done).toBe(4)
  })
})
