import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyHash } from './key-hash.js'
import { type Hashed, KeyTable } from './key-table.js'

type One = Hashed

/** So poor that keys fall together. */
const poor = (key: string) => key.charCodeAt(0) & 1
const good = (key: string) => keyHash(key, 1)
const made = (key: string, hash = poor(key)): One => ({ key, hash })
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
          for (const each of 'abcdef') expect(table.get(each, poor(each))).toBe(model.get(each))
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
            const old = table.get(each, poor(each))
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

  it('finds each of many, whatever else comes and goes', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.boolean()), {
      minLength: 300,
      maxLength: 900,
    })
    fc.assert(
      fc.property(steps, (all) => {
        const table = new KeyTable<One>()
        const model = new Map<string, One>()
        for (const [number, goes] of all) {
          const name = String(number)
          const old = model.get(name)
          const one = made(name, good(name))
          if (old !== undefined && goes) {
            table.remove(old)
            model.delete(name)
          } else {
            if (old === undefined) table.add(one)
            else table.replace(old, one)
            model.set(name, one)
          }
        }
        for (const [name, one] of model) expect(table.get(name, one.hash)).toBe(one)
        expect(table.get('none', good('none'))).toBeUndefined()
        expect(new Set(table.values())).toEqual(new Set(model.values()))
        for (const one of model.values()) table.remove(one)
        expect([table.size, [...table.values()]]).toEqual([0, []])
      }),
      { numRuns: 50 },
    )
  })

  it('leaves out nothing that stays while it grows under a walk', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 5 }), (before, adds) => {
        const table = new KeyTable<One>()
        const add = (name: string) => table.add(made(name, good(name)))
        for (let i = 0; i < before; i++) add(`stays ${i}`)
        const seen = new Set<string>()
        let more = 0
        for (const { key } of table.values()) {
          seen.add(key)
          if (more < 1000) for (let i = 0; i < adds; i++) add(`comes ${more++}`)
        }
        for (let i = 0; i < before; i++) expect(seen).toContain(`stays ${i}`)
      }),
    )
  })

  it('gives places again', () => {
    const table = new KeyTable<One>()
    const all = Array.from({ length: 100 }, (_, i) => made(`${i}`, good(`${i}`)))
    for (const one of all) table.add(one)
    for (let i = 0; i < 50; i++) {
      table.remove(all[i] as One)
      table.add(all[i] as One)
    }
    // A walk goes by places: each has the one that was there.
    expect([...table.values()]).toEqual(all)
  })

  it('leaves alone what it does not have', () => {
    const table = new KeyTable<One>()
    const there = made('there', 1)
    table.add(there)
    table.remove(made('not there', 1))
    table.replace(made('nor that', 1), made('nor that', 1))
    expect([table.size, ...table.values()]).toEqual([1, there])
  })
})
