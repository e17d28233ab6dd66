import { describe, expect, it, vi } from 'vitest'
import { endOfTurn } from './end-of-turn.js'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('endOfTurn', () => {
  it('calls together and in order, behind what the turn itself does', async () => {
    const told: string[] = []
    const tell = (what: string): void => void told.push(what)
    endOfTurn(tell, 'a')
    endOfTurn(tell, 'b')
    process.nextTick(tell, 'tick')
    await Promise.resolve().then(() => tell('microtask'))
    await turn()
    expect(told.slice().sort()).toEqual(['a', 'b', 'microtask', 'tick'])
    expect(told.slice(2)).toEqual(['a', 'b'])
  })

  it('leaves what a call asks for to the next turn', async () => {
    const told: number[] = []
    const again = (n: number): void => {
      told.push(n)
      if (n < 3) endOfTurn(again, n + 1)
    }
    endOfTurn(again, 1)
    await turn()
    expect(told).toEqual([1])
    await turn()
    await turn()
    expect(told).toEqual([1, 2, 3])
  })

  it('keeps the first of a burst waiting for 63 others at most', async () => {
    const told: number[] = []
    const tell = (n: number): void => void told.push(n)
    for (let n = 0; n < 63; n++) endOfTurn(tell, n)
    expect(told).toEqual([])
    endOfTurn(tell, 63)
    expect(told).toEqual([...Array(64).keys()])
    endOfTurn(tell, 64)
    expect(told.length).toBe(64)
    await turn()
    expect(told.length).toBe(65)
  })

  it('goes on where somebody has faked the timers for a test', async () => {
    const told: string[] = []
    const tell = (what: string): void => void told.push(what)
    vi.useFakeTimers()
    try {
      endOfTurn(tell, 'faked')
    } finally {
      vi.useRealTimers()
    }
    await turn()
    endOfTurn(tell, 'real')
    await turn()
    expect(told).toEqual(['faked', 'real'])
  })

  it('calls the others though one throws', async () => {
    const told: number[] = []
    const tell = (n: number): void => void told.push(n)
    const fail = (): void => {
      throw new Error('one of 64')
    }
    for (let n = 0; n < 31; n++) endOfTurn(tell, n)
    endOfTurn(fail, undefined)
    for (let n = 31; n < 62; n++) endOfTurn(tell, n)
    // The last of a burst, in whose call all are made.
    expect(() => endOfTurn(tell, 62)).toThrow('one of 64')
    await turn()
    expect(told).toEqual([...Array(63).keys()])
  })
})
