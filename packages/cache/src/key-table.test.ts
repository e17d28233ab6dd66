import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Hashed, KeyTable } from './key-table.js'

interface One extends Hashed<One> {}

/** So poor that keys fall together. */
const hashOf = (key: string) => key.charCodeAt(0) & 1
const made = (key: string): One => ({ key, hash: hashOf(key), twin: undefined })
const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')

describe('KeyTable', () => {
  it('has what was put into it and not taken out', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.boolean())), (steps) => {
        const table = new KeyTable<One>()
        const model = new Map<string, One>()
        for (const [name, keeps] of steps) {
          const old = model.get(name)
          const one = made(name)
          if (old !== undefined && keeps) table.replace(old, one)
          else if (old !== undefined) table.remove(old)
          else table.add(one)
          if (old !== undefined && !keeps) model.delete(name)
          else model.set(name, one)
          for (const each of 'abcdef') expect(table.get(each, hashOf(each))).toBe(model.get(each))
          expect(table.size).toBe(model.size)
          expect(new Set(table.values())).toEqual(new Set(model.values()))
        }
        table.clear()
        expect([table.size, [...table.values()]]).toEqual([0, []])
      }),
    )
  })

  it('leaves out nothing that stays while it is walked', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(key, key, fc.boolean())), (steps) => {
        const table = new KeyTable<One>()
        const stays = new Set<string>('abcdef')
        for (const name of stays) table.add(made(name))
        const seen = new Set<string>()
        const walk = table.values()
        const step = () => {
          const { done, value } = walk.next()
          if (done !== true) seen.add(value.key)
          return done !== true
        }
        for (const [name, other, moves] of steps) {
          step()
          for (const each of [name, other]) {
            const old = table.get(each, hashOf(each))
            if (old === undefined) continue
            if (moves) table.replace(old, made(each))
            else {
              table.remove(old)
              stays.delete(each)
            }
          }
        }
        while (step());
        for (const name of stays) expect(seen).toContain(name)
      }),
      { numRuns: 1000 },
    )
  })
})
