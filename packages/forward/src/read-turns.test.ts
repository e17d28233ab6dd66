import { describe, expect, it } from 'vitest'
import { mayReadOn, type Reader } from './read-turns.js'

const read = 64 * 1024
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Readers that read `reads` times and note their turns. */
function readers(count: number, reads: number): { all: (Reader & { left: number })[]; turns: number[][] } {
  const turns: number[][] = [[]]
  const all = Array.from({ length: count }, (_, id) => ({
    left: reads,
    readOn() {
      turns.at(-1)?.push(id)
      while (this.left > 0) {
        this.left--
        if (!mayReadOn(this, read)) return
      }
    },
  }))
  return { all, turns }
}

describe('mayReadOn', () => {
  it('lets one reader have a turn’s bytes, and then wait for the next turn', async () => {
    const { all, turns } = readers(1, 160)
    all[0]?.readOn()
    const left = []
    for (; (all[0]?.left ?? 0) > 0; await turn()) left.push(all[0]?.left)
    expect(left).toEqual([96, 32])
    expect(turns.flat()).toEqual([0, 0, 0])
    await turn()
  })

  it('gives many one read each, in their order, 16 a turn', async () => {
    const { all, turns } = readers(300, 3)
    for (const each of all) each.readOn()
    // The system has told each of them of its first bytes; the first ones had the rest of the turn.
    const waiting = all.flatMap(({ left }, id) => (left > 0 ? [id] : []))
    expect(waiting).toEqual(Array.from({ length: 279 }, (_, i) => i + 21))
    for (let i = 0; all.some(({ left }) => left > 0); i++) {
      expect(i).toBeLessThan(100)
      turns.push([])
      await turn()
    }
    const later = turns.slice(1).filter((each) => each.length > 0)
    expect(Math.max(...later.map((each) => each.length))).toBe(16)
    // Nobody has a second turn before all have had one.
    expect(later.flat().slice(0, waiting.length)).toEqual(waiting)
    await turn()
  })

  it('asks for no turn beyond the last', async () => {
    const { all } = readers(1, 1)
    all[0]?.readOn()
    await turn()
    const active = (): number =>
      process.getActiveResourcesInfo().filter((each) => each === 'Immediate').length
    const before = active()
    await turn()
    expect(before).toBe(0)
  })
})
