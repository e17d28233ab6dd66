import { describe, expect, it } from 'vitest'
import { PacedWork } from './paced-work.js'

/** Work whose turns a test takes. */
function byHand(): { work: PacedWork; turn(): boolean } {
  const turns: (() => void)[] = []
  const work = new PacedWork((fn) => void turns.push(fn))
  return {
    work,
    turn() {
      const next = turns.shift()
      next?.()
      return next !== undefined
    },
  }
}

describe('PacedWork', () => {
  it('does one piece in a turn, in their order, and asks for no turn without one', () => {
    const { turn, work } = byHand()
    const done: number[] = []
    for (let i = 0; i < 3; i++) work.add(() => done.push(i))
    for (let i = 1; i <= 3; i++) {
      expect(turn()).toBe(true)
      expect(done).toHaveLength(i)
    }
    expect(done).toEqual([0, 1, 2])
    expect(turn()).toBe(false)
  })

  it('does more in a turn where there is a lot', () => {
    const { turn, work } = byHand()
    let done = 0
    for (let i = 0; i < 50_000; i++) work.add(() => done++)
    turn()
    expect(done).toBe(50)
    let turns = 1
    while (turn()) turns++
    expect(done).toBe(50_000)
    expect(turns).toBeLessThan(8_000)
  })

  it('takes more from a piece, and goes on behind one that throws', () => {
    const { turn, work } = byHand()
    const done: string[] = []
    work.add(() => {
      work.add(() => done.push('behind'))
      throw new Error('a piece')
    })
    work.add(() => done.push('next'))
    expect(turn).toThrow('a piece')
    while (turn());
    expect(done).toEqual(['next', 'behind'])
  })

  it('does the rest at once when it has to finish', () => {
    const { turn, work } = byHand()
    let done = 0
    for (let i = 0; i < 3; i++) work.add(() => done++)
    work.finish()
    expect(done).toBe(3)
    while (turn());
    expect(done).toBe(3)
  })
})
