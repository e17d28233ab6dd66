import type { AcmeLock, AcmeStorage } from '@sluice/acme'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from './until.js'

/** A storage that the suite tries. */
export interface AcmeStorageUnderTest {
  readonly storage: AcmeStorage
  /** What another process would have: over the same place, and knowing nothing of the first. */
  readonly other: AcmeStorage
  close?(): unknown
}

/** Longer than a test lasts. */
const long = 600_000

/** Holds a storage to the contract that `AcmeStorage` in `@sluice/acme` states. Declares the cases; called once a storage in a test file. */
export function acmeStorageSuite(name: string, make: () => Promise<AcmeStorageUnderTest>): void {
  const made: AcmeStorageUnderTest[] = []
  afterEach(async () => {
    for (const one of made.splice(0)) await one.close?.()
  })

  async function started(): Promise<AcmeStorageUnderTest> {
    const one = await make()
    made.push(one)
    return one
  }

  const taken = async (storage: AcmeStorage, lock: string, ttl = long): Promise<AcmeLock> => {
    const held = await storage.lock(lock, ttl)
    if (held === undefined) throw new Error(`${lock} should be free`)
    return held
  }

  describe(`${name}, as a storage of acme`, () => {
    it('gives what was set, to everybody, until it is deleted', async () => {
      const { storage, other } = await started()
      expect(await storage.get('account')).toBeUndefined()
      await storage.set('account', 'first')
      expect(await other.get('account')).toBe('first')
      await other.set('account', 'second, and longer')
      expect(await storage.get('account')).toBe('second, and longer')
      await storage.set('account', '2')
      expect(await other.get('account')).toBe('2')
      await storage.delete('account')
      expect(await other.get('account')).toBeUndefined()
      await other.delete('account')
      expect(await storage.list('')).toEqual([])
    })

    it.each([
      ['nothing', ''],
      ['lines', '-----BEGIN X-----\r\nAA==\n-----END X-----\n\n'],
      ['all kinds of letters', 'ä€𝄞\u0000\u2028'],
      ['a lot', 'x'.repeat(300_000)],
    ])('keeps %s exactly', async (_, value) => {
      const { storage, other } = await started()
      await storage.set('certificates/*.a.test/ecdsa', value)
      expect(await other.get('certificates/*.a.test/ecdsa')).toBe(value)
    })

    it('lists keys by how they begin, and no locks', async () => {
      const { storage, other } = await started()
      const keys = [
        'certificates/a.test/ecdsa',
        'certificates/a.test/rsa',
        'certificates/ab',
        'accounts/a_b-c',
      ]
      for (const key of keys) await storage.set(key, 'v')
      await taken(storage, 'certificates/a.test/lock')
      const list = async (prefix: string): Promise<string[]> => [...(await other.list(prefix))].sort()
      expect(await list('')).toEqual([...keys].sort())
      expect(await list('certificates/a')).toEqual(keys.slice(0, 3))
      expect(await list('certificates/a.test/')).toEqual(keys.slice(0, 2))
      expect(await list('certificates/a.test/rsa')).toEqual([keys[1]])
      expect(await list('b')).toEqual([])
    })

    it('is what a map would be, whoever of two asks', async () => {
      const key = fc.constantFrom('a/1', 'a/2', 'a/2.b', 'b/*', 'b/c/d', 'c')
      const step = fc.record({
        what: fc.constantFrom('set', 'get', 'delete', 'list'),
        who: fc.boolean(),
        key,
        value: fc.string({ unit: 'binary', maxLength: 20 }),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
          const { storage, other } = await started()
          const model = new Map<string, string>()
          for (const each of steps) {
            const one = each.who ? storage : other
            if (each.what === 'set') {
              await one.set(each.key, each.value)
              model.set(each.key, each.value)
            } else if (each.what === 'delete') {
              await one.delete(each.key)
              model.delete(each.key)
            } else if (each.what === 'get') {
              expect(await one.get(each.key)).toBe(model.get(each.key))
            } else {
              const prefix = each.key.slice(0, 2)
              const expected = [...model.keys()].filter((found) => found.startsWith(prefix))
              expect([...(await one.list(prefix))].sort()).toEqual(expected.sort())
            }
          }
        }),
        { numRuns: 20 },
      )
    })

    it('is read whole while it is written', async () => {
      const { storage, other } = await started()
      const values = ['a', 'b'].map((letter) => letter.repeat(100_000))
      await storage.set('k', values[0] as string)
      let writing = true
      const write = async (): Promise<void> => {
        for (let i = 1; i <= 20; i++) await storage.set('k', values[i % 2] as string)
        writing = false
      }
      const read = async (): Promise<void> => {
        while (writing) expect(values.indexOf((await other.get('k')) ?? '')).toBeGreaterThanOrEqual(0)
      }
      await Promise.all([write(), read(), read()])
    })

    it.each(['', '/a', 'a/', 'a//b', '..', '../a', 'a/../b', 'a/.', 'a b', 'a\\b', 'a\0', 'ä', 'a:b'])(
      'takes no %j for a key',
      async (key) => {
        const { storage } = await started()
        await expect(storage.get(key)).rejects.toThrow(TypeError)
        await expect(storage.set(key, 'secret of mine')).rejects.toThrow(TypeError)
        await expect(storage.set(key, 'secret of mine')).rejects.not.toThrow('secret of mine')
        await expect(storage.delete(key)).rejects.toThrow(TypeError)
        await expect(storage.lock(key, long)).rejects.toThrow(TypeError)
        expect(await storage.list('')).toEqual([])
      },
    )

    it('gives a lock to one of all who ask, anywhere', async () => {
      const { storage, other } = await started()
      const asked = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? storage : other).lock('a.test', long))
      const held = (await Promise.all(asked)).filter((lock) => lock !== undefined)
      expect(held).toHaveLength(1)
      await held[0]?.release()
      await taken(other, 'a.test')
    })

    it('holds each lock by itself, and none against a value', async () => {
      const { storage, other } = await started()
      const first = await taken(storage, 'a.test')
      await storage.set('a.test', 'value')
      const second = await taken(other, 'b.test')
      expect(await other.lock('a.test', long)).toBeUndefined()
      await first.release()
      expect(await storage.lock('b.test', long)).toBeUndefined()
      expect(await second.extend(long)).toBe(true)
      expect(await other.get('a.test')).toBe('value')
    })

    it('has a lock come free when its time is over, and not before', async () => {
      const { storage, other } = await started()
      await taken(storage, 'short', 5)
      const kept = await taken(storage, 'kept', long)
      await until(() => other.lock('short', long), 'the lock to come free')
      expect(await other.lock('kept', long)).toBeUndefined()
      expect(await kept.extend(5)).toBe(true)
      await until(() => other.lock('kept', long), 'the lock that was shortened to come free')
    })

    it('extends a lock beyond its first time', async () => {
      const { storage, other } = await started()
      const lock = await taken(storage, 'a', long)
      expect(await lock.extend(1)).toBe(true)
      // Either it is extended again before that time is over, and stands, or it is lost, and told so.
      if (await lock.extend(long)) expect(await other.lock('a', long)).toBeUndefined()
      else await taken(other, 'a')
    })

    it('tells who has lost a lock, and leaves it to whom has it then', async () => {
      const { storage, other } = await started()
      const lost = await taken(storage, 'a', 1)
      const found = await until(() => other.lock('a', long), 'the lock to come free')
      expect(await lost.extend(long)).toBe(false)
      await lost.release()
      expect(await storage.lock('a', long)).toBeUndefined()
      expect(await found.extend(long)).toBe(true)
    })

    it('lets a lock be given back twice, and not be extended after', async () => {
      const { storage, other } = await started()
      const lock = await taken(storage, 'a')
      await lock.release()
      expect(await lock.extend(long)).toBe(false)
      const next = await taken(other, 'a')
      await lock.release()
      expect(await lock.extend(long)).toBe(false)
      expect(await next.extend(long)).toBe(true)
    })

    it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('takes no lock for %s ms', async (ttl) => {
      const { storage } = await started()
      await expect(storage.lock('a', ttl)).rejects.toThrow(TypeError)
      const lock = await taken(storage, 'a')
      await expect(lock.extend(ttl)).rejects.toThrow(TypeError)
    })
  })
}
