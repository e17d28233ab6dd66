import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Variants } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { seeded } from '../../../test/kit/seeded.js'
import { bodyBytes, entryHead, pattern } from '../../../test/kit/store-entries.js'
import { storeSuite } from '../../../test/kit/store-suite.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { type MemoryStore, memoryStore } from './memory-store.js'
import type { EntryHead } from './store.js'

trapUnhandled()

storeSuite(
  'memoryStore',
  async (limits) => {
    const store = memoryStore(limits)
    return { store, used: () => store.bytes }
  },
  { sync: true },
)

function keep(
  store: MemoryStore,
  key: string,
  body: string | Buffer = 'body',
  fields: Partial<EntryHead> = {},
): EntryHead {
  const head = entryHead(fields)
  const writer = store.put(key, head)
  writer?.write(Buffer.from(body))
  void writer?.commit()
  return head
}

const textOf = (store: MemoryStore, key: string): string | undefined => {
  const bytes = store.get(key)?.bytes
  return bytes && Buffer.from(bytes).toString('latin1')
}

describe('memoryStore()', () => {
  it('refuses wrong options, all at once', () => {
    expect(() => memoryStore({ maxSize: '1 tb', maxEntry: -1, maxsize: 1, clock: 5 } as never)).toThrow(
      TypeError,
    )
    expect(() => memoryStore({ maxSize: '1 tb', maxEntry: -1, maxsize: 1, clock: 5 } as never)).toThrow(
      /memoryStore\.maxSize: .*'1 tb'.*\n.*memoryStore\.maxEntry: .*-1.*\n.*memoryStore\.clock: .*5.*\n.*memoryStore\.maxsize: unknown option, did you mean maxSize/,
    )
    expect(() => memoryStore({ maxSize: 0 })).toThrow(/memoryStore\.maxSize: .*0.*more than 0/)
  })

  it('takes entries as large as it is where none is bounded', () => {
    const store = memoryStore({ maxSize: '1mb', maxEntry: 0 })
    keep(store, 'k', Buffer.alloc(1_000_000))
    expect(store.get('k')?.size).toBe(1_000_000)
    keep(store, 'k', Buffer.alloc(1024 ** 2))
    expect(store.get('k')?.size).not.toBe(1024 ** 2)
    expect(store.bytes).toBeLessThanOrEqual(1024 ** 2)
  })

  it('gives the same entry again once it is asked for often, and the same bytes before', () => {
    const store = memoryStore()
    for (const [key, body] of [
      ['text', 'abc'],
      ['odd', pattern(1_000, 1)],
      ['large', pattern(100_000, 1)],
      ['empty', ''],
    ] as const) {
      const head = keep(store, key, body, { tags: ['t'], headers: ['A', '1', 'B', '2'] })
      for (let i = 0; i < 5; i++) {
        const entry = store.get(key)
        expect(Buffer.from(entry?.bytes as Uint8Array).equals(Buffer.from(body))).toBe(true)
        expect(entry?.head).toEqual(head)
      }
      expect(store.get(key)).toBe(store.get(key))
    }
    expect(store.count).toBe(4)
    for (const key of ['text', 'odd', 'large', 'empty']) store.delete(key)
    expect([store.count, store.bytes]).toEqual([0, 0])
  })

  it('counts heads, keys and tags', () => {
    const store = memoryStore()
    keep(store, 'k', '')
    const least = store.bytes
    expect(least).toBeGreaterThan(300)
    for (const fields of [
      { headers: ['X-Long', 'x'.repeat(9_000)] },
      { tags: Array.from({ length: 90 }, (_, i) => `tag ${i}`) },
      { url: `http://a.example/${'x'.repeat(9_000)}` },
    ]) {
      keep(store, 'k', '', fields)
      expect(store.bytes).toBeGreaterThan(least + 8_000)
    }
    keep(store, 'k', '')
    expect(store.bytes).toBe(least)
    keep(store, 'k'.repeat(9_000), '')
    expect(store.bytes).toBeGreaterThan(least * 2 + 8_000)
  })

  it('drops what is too old when it is asked for', () => {
    let now = 1_800_000_000_000
    const store = memoryStore({ clock: () => now })
    keep(store, 'k', 'abc', { keepUntil: now + 60_000 })
    now += 59_000
    expect(textOf(store, 'k')).toBe('abc')
    now += 3_000
    expect(store.get('k')).toBeUndefined()
    expect([store.count, store.bytes]).toEqual([0, 0])
  })

  it('keeps what is put once the clock has been set, on a machine that begins in 1970', () => {
    let now = 5_000
    const store = memoryStore({ clock: () => now })
    now = 1_800_000_000_000
    const { headers, responseTime, requestTime } = keep(store, 'k', 'abc', {
      keepUntil: now + 60_000,
      responseTime: now,
    })
    for (let i = 0; i < 5; i++) {
      now += 1_000
      expect(store.get('k')?.head).toMatchObject({ headers, responseTime, requestTime })
    }
    expect(textOf(store, 'k')).toBe('abc')
  })

  it("doesn't keep less than was announced", () => {
    const store = memoryStore()
    for (const length of [4, 5_000]) {
      const writer = store.put('k', entryHead({ length }))
      expect(writer?.write(Buffer.alloc(length - 1))).toBe(true)
      void writer?.commit()
      expect(store.get('k')).toBeUndefined()
      const more = store.put('k', entryHead({ length }))
      expect(more?.write(Buffer.alloc(length + 1))).toBe(false)
      void more?.commit()
      expect(store.get('k')).toBeUndefined()
    }
  })

  it('takes a body in parts of any size, and small ones without holding what they are views of', () => {
    const store = memoryStore()
    const whole = pattern(40_000, 4)
    for (const part of [1, 7, 500, 3_000, 17_000]) {
      const writer = store.put('k', entryHead())
      for (let at = 0; at < whole.length; at += part) {
        const slab = Buffer.alloc(part * 5)
        whole.copy(slab, part, at, at + part)
        writer?.write(slab.subarray(part, Math.min(part * 2, part + whole.length - at)))
        slab.fill(0, 0, part < 3_000 ? slab.length : 0)
      }
      void writer?.commit()
      expect(Buffer.from(store.get('k')?.bytes as Uint8Array).equals(whole)).toBe(true)
    }
  })

  it('keeps what is hot through a scan', () => {
    const store = memoryStore({ maxSize: '2mb' })
    const random = seeded(1)
    const hot = (): boolean => {
      const key = `hot ${Math.floor(random() ** 3 * 1_000)}`
      const hit = store.get(key) !== undefined
      if (!hit) keep(store, key, Buffer.alloc(200))
      return hit
    }
    const rate = (times: number): number => Array.from({ length: times }, hot).filter(Boolean).length / times
    rate(10_000)
    const before = rate(5_000)
    for (let i = 0; i < 100_000; i++) keep(store, `once ${i}`, 'x')
    expect(rate(500)).toBeGreaterThan(before * 0.9)
    expect(before).toBeGreaterThan(0.9)
  }, 60_000)
})

describe('a purge of many', () => {
  it.each([false, true])('ends where the store is closed meanwhile (soft: %s)', async (soft) => {
    const store = memoryStore()
    for (let i = 0; i < 3_000; i++) keep(store, `k${i}`, 'body', { tags: ['all'] })
    const purging = store.purge({ tag: 'all' }, soft)
    await store.close()
    expect(await purging).toBeLessThan(3_000)
    expect([store.count, store.bytes]).toEqual([0, 0])
  })

  const many = 3_000
  function filled(): MemoryStore {
    const store = memoryStore()
    for (let i = 0; i < many; i++)
      keep(store, `k${i}`, `${i}`, { url: `http://a.example/${i}`, tags: ['all'] })
    keep(store, 'other', 'other', { url: 'http://b.example/' })
    return store
  }
  const ways = [
    ['prefix', { prefix: 'http://a.example/' }],
    ['tag', { tag: 'all' }],
  ] as const

  it.each(ways)('by %s is in force at once, and carried out bit by bit', async (_, what) => {
    const store = filled()
    const purging = store.purge(what)
    expect(store.count).toBeGreaterThan(many / 2)
    for (const i of [0, many >> 1, many - 1]) expect(store.get(`k${i}`)).toBeUndefined()
    const touched = store.get(`k${many - 2}`)
    expect(touched).toBeUndefined()
    // What comes after isn't meant.
    keep(store, 'k0', 'new', { url: 'http://a.example/0', tags: ['all'] })
    keep(store, `k${many - 3}`, 'newer', { url: 'http://a.example/n', tags: ['all'] })
    expect(await purging).toBe(many)
    expect(textOf(store, 'k0')).toBe('new')
    expect(textOf(store, `k${many - 3}`)).toBe('newer')
    expect(textOf(store, 'other')).toBe('other')
    expect(store.count).toBe(3)
  })

  it.each(ways)('by %s, softly, marks at once, and carries out bit by bit', async (_, what) => {
    const store = filled()
    const purging = store.purge(what, true)
    for (const i of [0, many >> 1, many - 1]) expect(store.get(`k${i}`)?.head.purged).toBe(true)
    const head = store.get(`k${many - 2}`)?.head as EntryHead
    const { purged: _p, ...valid } = head
    store.touch(`k${many - 2}`, valid)
    expect(await purging).toBe(many)
    expect(store.get(`k${many - 2}`)?.head).toEqual(valid)
    for (let i = 0; i < many; i++) {
      const entry = store.get(`k${i}`)
      expect(Buffer.from(entry?.bytes as Uint8Array).toString()).toBe(`${i}`)
      if (i !== many - 2) expect(entry?.head.purged).toBe(true)
    }
    expect(store.get('other')?.head.purged).toBeUndefined()
  })

  it('holds where one comes while another goes on', async () => {
    for (const first of [true, false]) {
      const store = filled()
      const soft = first ? store.purge({ tag: 'all' }, true) : store.purge({ prefix: 'http://a' }, true)
      const hard = first ? store.purge({ prefix: 'http://a' }) : store.purge({ tag: 'all' })
      for (const i of [0, many >> 1, many - 1]) expect(store.get(`k${i}`)).toBeUndefined()
      await Promise.all([soft, hard])
      expect(store.count).toBe(1)
    }
  })

  it('ends where the store is closed', async () => {
    const store = filled()
    const purging = store.purge({ prefix: 'http://a' })
    await store.close()
    await purging
    expect([store.count, store.bytes]).toEqual([0, 0])
  })
})

describe('coded forms of a body', () => {
  const variantsOf = (store: MemoryStore, key: string): Variants => store.get(key)?.variants as Variants
  async function write(writer: Writable | undefined, body: Buffer): Promise<void> {
    writer?.write(body.subarray(0, 3))
    writer?.end(body.subarray(3))
    // One that may not be kept is destroyed.
    if (writer !== undefined) await finished(writer).catch(() => {})
  }
  const coded = pattern(5_000, 9)

  it('are kept with the entry, and count', async () => {
    const store = memoryStore()
    keep(store, 'k', 'a'.repeat(9_000))
    const variants = variantsOf(store, 'k')
    const before = store.bytes
    expect(variants.get('br')).toBeUndefined()
    const writer = variants.put('br')
    expect(variants.put('br')).toBeUndefined()
    expect(variants.get('br')).toBeUndefined()
    await write(writer, coded)
    expect((await bodyBytes(variantsOf(store, 'k').get('br') as Buffer)).equals(coded)).toBe(true)
    expect(variants.get('gzip')).toBeUndefined()
    expect(store.bytes).toBeGreaterThanOrEqual(before + coded.length)
    for (let i = 0; i < 5; i++) store.get('k')
    expect(variantsOf(store, 'k').get('br')).toBeDefined()
    store.delete('k')
    expect(store.bytes).toBe(0)
  })

  it('go on with a new head, and end with the body', async () => {
    const store = memoryStore()
    const head = keep(store, 'k', 'a', { tags: ['t'] })
    await write(variantsOf(store, 'k').put('br'), coded)
    const late = variantsOf(store, 'k').put('gzip')
    store.touch('k', { ...head, headers: [] })
    await store.purge({ tag: 't' }, true)
    expect(variantsOf(store, 'k').get('br')).toBeDefined()
    await write(late, coded)
    expect(variantsOf(store, 'k').get('gzip')).toBeDefined()
    const old = variantsOf(store, 'k')
    keep(store, 'k', 'b')
    expect(variantsOf(store, 'k').get('br')).toBeUndefined()
    expect(variantsOf(store, 'k').get('gzip')).toBeUndefined()
    expect(old.put('zstd')).toBeUndefined()
    store.delete('k')
    expect(store.bytes).toBe(0)
  })

  it('are dropped where the entry is gone when they are whole', async () => {
    const store = memoryStore()
    keep(store, 'k', 'a')
    const first = variantsOf(store, 'k').put('br')
    keep(store, 'k', 'b')
    const bytes = store.bytes
    await write(first, coded)
    expect(variantsOf(store, 'k').get('br')).toBeUndefined()
    const second = variantsOf(store, 'k').put('br')
    await store.close()
    await write(second, coded)
    expect([store.bytes, bytes > 0]).toEqual([0, true])
  })

  it('are made better: in the place of the one before, counted as one', async () => {
    const store = memoryStore()
    keep(store, 'k', 'a'.repeat(9_000))
    const variants = variantsOf(store, 'k')
    await write(variants.put('br'), coded)
    const before = store.bytes
    const better = variants.put('br')
    better?.write(coded.subarray(0, 1_000))
    expect(variants.put('br')).toBeUndefined()
    expect([(variants.get('br') as Buffer).equals(coded), store.bytes]).toEqual([true, before])
    await write(better, coded.subarray(1_000, 4_000))
    expect((variants.get('br') as Buffer).equals(coded.subarray(0, 4_000))).toBe(true)
    expect(store.bytes).toBe(before - 1_000)
    const worse = variants.put('br')
    worse?.destroy()
    await write(worse, coded)
    expect((variants.get('br') as Buffer).equals(coded.subarray(0, 4_000))).toBe(true)
    const late = variants.put('br')
    keep(store, 'k', 'b')
    late?.write(coded)
    expect([late?.destroyed, late?.errored]).toEqual([true, null])
    store.delete('k')
    expect(store.bytes).toBe(0)
  })

  it('leave nothing when they are given up', async () => {
    const store = memoryStore()
    keep(store, 'k', 'a')
    const bytes = store.bytes
    const writer = variantsOf(store, 'k').put('br')
    writer?.write(coded)
    writer?.destroy()
    if (writer !== undefined) await finished(writer).catch(() => {})
    expect(variantsOf(store, 'k').get('br')).toBeUndefined()
    expect(store.bytes).toBe(bytes)
    await write(variantsOf(store, 'k').put('br'), coded)
    expect(variantsOf(store, 'k').get('br')).toBeDefined()
  })

  it('are bounded', async () => {
    const store = memoryStore({ maxSize: '64kb', maxEntry: '16kb' })
    keep(store, 'k', 'a')
    await write(variantsOf(store, 'k').put('br'), pattern(17_000, 1))
    expect(variantsOf(store, 'k').get('br')).toBeUndefined()
    await write(variantsOf(store, 'k').put('br'), pattern(12_000, 1))
    await write(variantsOf(store, 'k').put('gzip'), pattern(12_000, 1))
    expect([variantsOf(store, 'k').get('br') === undefined, variantsOf(store, 'k').get('gzip')]).toEqual([
      false,
      undefined,
    ])
    const names = Array.from({ length: 50 }, (_, i) => `coding-${i}`)
    expect(names.filter((name) => variantsOf(store, 'k').put(name) !== undefined).length).toBeLessThan(10)
    expect(variantsOf(store, 'k').put('x'.repeat(1_000))).toBeUndefined()
  })
})
