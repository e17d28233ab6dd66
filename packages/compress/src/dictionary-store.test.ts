import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dictionaryOf } from './dictionary.js'
import { DictionaryStore } from './dictionary-store.js'
import { PathPattern } from './path-pattern.js'

const all = new PathPattern('/*')
const hashOf = (bytes: Uint8Array): string => dictionaryOf(Buffer.from(bytes), all).hash
const origin = 'https://a.example'
const bounds = { maxSize: 100, maxEntry: 40, maxCount: 4 }
const bytesOf = (name: number, size: number): Buffer => Buffer.alloc(size, name + 1)

describe('a store of dictionaries', () => {
  it('finds what is whole, at its origin and for its paths', () => {
    const store = new DictionaryStore(bounds)
    const bytes = bytesOf(1, 20)
    const writer = store.writer(origin, 'v1', new PathPattern('/app/*'))
    writer?.write(bytes)
    expect(store.find(hashOf(bytes), origin, '/app/1')).toBeUndefined()
    writer?.commit()
    expect(store.find(hashOf(bytes), origin, '/app/1')?.bytes.equals(bytes)).toBe(true)
    expect(store.find(hashOf(bytes), origin, '/other')).toBeUndefined()
    expect(store.find(hashOf(bytes), 'https://b.example', '/app/1')).toBeUndefined()
    expect(store.find(hashOf(bytesOf(2, 20)), origin, '/app/1')).toBeUndefined()
  })

  it('takes a version once, and again when it has gone', () => {
    const store = new DictionaryStore(bounds)
    const keep = (name: number, version: string): boolean => {
      const writer = store.writer(origin, version, all)
      writer?.write(bytesOf(name, 10))
      writer?.commit()
      return writer !== undefined
    }
    const first = store.writer(origin, 'v1', all)
    expect(store.writer(origin, 'v1', all)).toBeUndefined()
    first?.abort()
    expect([keep(1, 'v1'), keep(1, 'v1'), keep(1, 'the same bytes')]).toEqual([true, false, true])
    for (const name of [2, 3, 4, 5]) keep(name, `v${name}`)
    expect([keep(1, 'v1'), keep(2, 'v2'), keep(5, 'v5')]).toEqual([true, true, false])
  })

  it('lets those go first whose bytes nobody has got or named for the longest', () => {
    const store = new DictionaryStore(bounds)
    const keep = (name: number): void => {
      const writer = store.writer(origin, `v${name}`, all)
      writer?.write(bytesOf(name, 10))
      writer?.commit()
    }
    for (const name of [1, 2, 3, 4]) keep(name)
    // One is sent again, another is named by its hash.
    keep(1)
    store.find(hashOf(bytesOf(2, 10)), origin, '/')
    for (const name of [5, 6]) keep(name)
    const left = [1, 2, 3, 4, 5, 6].filter((name) => store.find(hashOf(bytesOf(name, 10)), origin, '/'))
    expect(left).toEqual([1, 2, 5, 6])
  })

  it('is bounded, whatever comes', () => {
    const step = fc.record({
      what: fc.constantFrom('begin', 'write', 'commit', 'abort'),
      which: fc.nat(7),
      size: fc.integer({ min: 1, max: 50 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const store = new DictionaryStore(bounds)
        const open = new Map<
          number,
          { writer: NonNullable<ReturnType<DictionaryStore['writer']>>; bytes: Buffer; whole: boolean }
        >()
        const hashes = new Set<string>()
        for (const { what, which, size } of steps) {
          const one = open.get(which)
          if (what === 'begin' && one === undefined) {
            const writer = store.writer(origin, `v${which}`, all)
            if (writer !== undefined) open.set(which, { writer, bytes: Buffer.alloc(0), whole: false })
          } else if (one !== undefined && what === 'write') {
            one.bytes = Buffer.concat([one.bytes, bytesOf(which, size)])
            one.writer.write(bytesOf(which, size))
          } else if (one !== undefined && what !== 'begin') {
            const { open: wanted } = one.writer
            if (what === 'commit') one.writer.commit()
            else one.writer.abort()
            if (what === 'commit' && wanted && one.bytes.length > 0) {
              // What has just been kept is there, and whole.
              const found = store.find(hashOf(one.bytes), origin, '/')
              expect(found?.bytes.equals(one.bytes)).toBe(true)
              hashes.add(hashOf(one.bytes))
            }
            open.delete(which)
          }
          const kept = [...hashes].flatMap((hash) => store.find(hash, origin, '/') ?? [])
          expect(kept.length).toBeLessThanOrEqual(bounds.maxCount)
          expect(kept.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(bounds.maxSize)
          for (const { bytes } of kept) expect(bytes.length).toBeLessThanOrEqual(bounds.maxEntry)
          const coming = [...open.values()].reduce(
            (sum, { bytes, writer }) => sum + (writer.open ? bytes.length : 0),
            0,
          )
          expect(coming).toBeLessThanOrEqual(bounds.maxSize)
        }
        // Nothing is left of what was on its way.
        for (const { writer } of open.values()) writer.abort()
        const last = store.writer(origin, 'last', all, bounds.maxEntry)
        last?.write(bytesOf(9, bounds.maxEntry))
        expect(last?.open).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})
