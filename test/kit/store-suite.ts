import type { Entry, EntryHead, Store } from '@sluice/cache'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { bodyBytes, entryHead, pattern, same, shown, stored } from './store-entries.js'
import { storeModel } from './store-model.js'
import { purgeCases } from './store-purges.js'

/** What the store that is made is to be bounded to, in bytes. */
export interface StoreLimits {
  readonly maxSize: number
  readonly maxEntry: number
}

/** A store that the suite tries. */
export interface StoreUnderTest {
  readonly store: Store
  /** Bytes it holds now, where it can tell: never above `maxSize`. */
  used?(): number | Promise<number>
  /** Ends what was made around the store, which is closed by then. */
  close?(): unknown
}

/** What one store does and another doesn't. */
export interface StoreTraits {
  /** Answers without promises. */
  readonly sync: boolean
  /** Keeps to `maxSize` by itself. Default true; one on a server leaves that to the server. */
  readonly bounded?: boolean
  /** A body that was taken can be read to its end whatever becomes of its entry. Default true; where not, it may fail, and is never wrong. */
  readonly bodiesOutlive?: boolean
  /** What is in it is there after it was closed: it says so when that is to be dropped, which it can't do any more. Default false. */
  readonly outlives?: boolean
  /** Random sequences of commands that are tried. Default 60. */
  readonly runs?: number
}

const kb = 1024
const roomy: StoreLimits = { maxSize: 64 * kb * kb, maxEntry: 4 * kb * kb }

/** Holds a store to the contract that `Store` in `@sluice/cache` states. Declares the cases; called once a store in a test file. */
export function storeSuite(
  name: string,
  make: (limits: StoreLimits) => Promise<StoreUnderTest>,
  { sync, bounded = true, bodiesOutlive = true, outlives = false, runs = 60 }: StoreTraits,
): void {
  const made: StoreUnderTest[] = []
  afterEach(async () => {
    for (const one of made.splice(0)) {
      await one.store.close()
      await one.close?.()
    }
  })

  async function started(limits: Partial<StoreLimits> = {}): Promise<StoreUnderTest> {
    const one = await make({ ...roomy, ...limits })
    made.push(one)
    return one
  }

  const fresh = async (limits?: Partial<StoreLimits>): Promise<Store> => (await started(limits)).store

  describe(`${name}, as a store`, () => {
    it('shows an entry once it is committed, and not before', async () => {
      const store = await fresh()
      const head = entryHead()
      const writer = store.put('k', head)
      expect(await store.get('k')).toBeUndefined()
      expect(writer?.write(Buffer.from('ab'))).toBe(true)
      expect(writer?.write(Buffer.from('cd'))).toBe(true)
      expect(await store.get('k')).toBeUndefined()
      await writer?.commit()
      expect(await shown(store, 'k')).toEqual({ head, body: 'abcd', size: 4 })
      expect(await store.get('other')).toBeUndefined()
    })

    it('keeps nothing of what was aborted, and what was there before', async () => {
      const store = await fresh()
      const gone = store.put('k', entryHead())
      gone?.write(Buffer.from('never'))
      gone?.abort()
      expect(await store.get('k')).toBeUndefined()
      const head = await stored(store, 'k', 'old')
      const late = store.put('k', entryHead())
      late?.write(Buffer.from('new'))
      late?.abort()
      expect(await shown(store, 'k')).toEqual({ head, body: 'old', size: 3 })
    })

    it('gives the newest', async () => {
      const store = await fresh()
      await stored(store, 'k', 'first')
      const head = await stored(store, 'k', 'second, and longer')
      expect(await shown(store, 'k')).toEqual({ head, body: 'second, and longer', size: 18 })
      const shorter = await stored(store, 'k', '3rd')
      expect(await shown(store, 'k')).toEqual({ head: shorter, body: '3rd', size: 3 })
    })

    it('keeps what stands while another is written for the same key', async () => {
      const store = await fresh()
      const head = await stored(store, 'k', 'old')
      const writer = store.put('k', entryHead())
      writer?.write(Buffer.from('new'))
      expect(await shown(store, 'k')).toEqual({ head, body: 'old', size: 3 })
      await writer?.commit()
      expect((await shown(store, 'k'))?.body).toBe('new')
    })

    it('gives the whole of whichever writer of a key was last to commit', async () => {
      const store = await fresh()
      for (const [first, second] of [
        ['a', 'b'],
        ['b', 'a'],
      ] as const) {
        const heads = { a: entryHead(), b: entryHead() }
        const writers = { a: store.put('k', heads.a), b: store.put('k', heads.b) }
        for (let i = 0; i < 3; i++) {
          writers.a?.write(Buffer.alloc(1000, 'a'))
          writers.b?.write(Buffer.alloc(500, 'b'))
        }
        await writers[first]?.commit()
        await writers[second]?.commit()
        const body = second.repeat(second === 'a' ? 3000 : 1500)
        expect(await shown(store, 'k')).toEqual({ head: heads[second], body, size: body.length })
      }
    })

    it.each([3, 1_500_000])(
      'lets a commit that is taken back in its midst, of %i bytes, replace nothing newer',
      async (size) => {
        const store = await fresh()
        const old = store.put('k', entryHead())
        old?.write(Buffer.alloc(size, 'o'))
        const done = old?.commit()
        old?.abort()
        const head = await stored(store, 'k', 'new')
        await done
        expect(await shown(store, 'k')).toEqual({ head, body: 'new', size: 3 })
      },
    )

    it('keeps an empty body', async () => {
      const store = await fresh()
      const head = entryHead({ status: 204, headers: [] })
      await store.put('k', head)?.commit()
      expect(await shown(store, 'k')).toEqual({ head, body: '', size: 0 })
      const known = entryHead({ length: 0 })
      const writer = store.put('k', known)
      writer?.write(Buffer.alloc(0))
      await writer?.commit()
      expect(await shown(store, 'k')).toEqual({ head: known, body: '', size: 0 })
    })

    it('keeps a marker, which has no status and no body', async () => {
      const store = await fresh()
      const head = entryHead({ status: 0, headers: [], vary: ['accept', 'x-a'], variants: ['k a', 'k b'] })
      await store.put('k', head)?.commit()
      expect(await shown(store, 'k')).toEqual({ head, body: '', size: 0 })
    })

    it('keeps every field of a head', async () => {
      const store = await fresh()
      const heads: EntryHead[] = [
        entryHead({
          tags: ['a', 'b c', 'é'],
          status: 206,
          headers: ['Content-Type', 'text/plain', 'X-A', '1', 'x-a', '2', 'X-Empty', ''],
          requestTime: 1_700_000_000_123,
          responseTime: 1_700_000_000_456,
          length: 3,
          part: { first: 5, last: 7, size: 100 },
          purged: true,
          vary: ['accept'],
          variants: ['one', 'two'],
        }),
        entryHead({ length: 3, part: { first: 0, last: 2 } }),
        entryHead({ tags: [], headers: [] }),
      ]
      for (const [i, head] of heads.entries()) {
        await stored(store, `k${i}`, 'abc', head)
        expect((await shown(store, `k${i}`))?.head).toEqual(head)
      }
    })

    it('keeps trailers', async () => {
      const store = await fresh()
      const writer = store.put('k', entryHead())
      writer?.write(Buffer.from('a'))
      await writer?.commit(['X-Sum', '1', 'x-sum', '\xe9'])
      expect((await store.get('k'))?.trailers).toEqual(['X-Sum', '1', 'x-sum', '\xe9'])
      await stored(store, 'k', 'b')
      expect((await store.get('k'))?.trailers ?? []).toEqual([])
    })

    it('keeps values byte by byte, those above ASCII too', async () => {
      const store = await fresh()
      const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i).slice(32))
      const head = entryHead({ headers: ['X-Odd', all, 'X-Tab', 'a\tb', 'X-Quote', '"\\"'] })
      await stored(store, 'k', 'a', head)
      expect((await shown(store, 'k'))?.head).toEqual(head)
    })

    it.each<[string, readonly string[]]>([
      ['of odd characters', oddKeys],
      ['that are 8 KB long', ['a', 'b', 'a '].map((end) => `${'k'.repeat(8 * kb)}${end}`)],
      ['that begin alike', ['k', 'kk', 'kkk', 'k\0', 'k\0k']],
    ])('holds keys %s apart', async (_, keys) => {
      const store = await fresh()
      for (const [i, key] of keys.entries()) await stored(store, key, `body ${i}`)
      for (const [i, key] of keys.entries()) expect((await shown(store, key))?.body).toBe(`body ${i}`)
      for (const [i, key] of keys.entries()) {
        await store.delete(key)
        expect(await store.get(key)).toBeUndefined()
        const next = keys[i + 1]
        if (next !== undefined) expect((await shown(store, next))?.body).toBe(`body ${i + 1}`)
      }
    })

    it('has copied what it was given, and what was given is a view of more', async () => {
      const store = await fresh()
      for (const [size, known] of [
        [200_000, false],
        [200_000, true],
        [9_000, false],
        [9_000, true],
      ] as const) {
        const whole = pattern(size, 3)
        const writer = store.put('k', entryHead(known ? { length: size } : {}))
        const slabs: Buffer[] = []
        for (let at = 0, part = 0; at < size; at += 10_000, part++) {
          // Four parts to a slab.
          if (part % 4 === 0) slabs.push(Buffer.alloc(64 * kb, 'x'))
          const slab = slabs.at(-1) as Buffer
          const from = (part % 4) * 12_000 + 7
          const taken = whole.copy(slab, from, at, at + 10_000)
          writer?.write(slab.subarray(from, from + taken))
        }
        await writer?.commit()
        for (const slab of slabs) slab.fill(0)
        const entry = (await store.get('k')) as Entry
        expect(same(await bodyBytes(entry.body()), whole)).toBe(true)
        entry.release?.()
      }
    })

    it('gives a body and any part of it as often as it is asked', async () => {
      const store = await fresh()
      const whole = pattern(300_000, 1)
      await stored(store, 'k', whole)
      const entry = (await store.get('k')) as Entry
      expect(entry.size).toBe(300_000)
      const spans: [from?: number | undefined, to?: number][] = [
        [],
        [0, 1],
        [undefined, 10],
        [299_999],
        [65_535, 65_537],
        [1_000, 200_000],
        [0, 300_000],
        [],
      ]
      for (const [from, to] of spans)
        expect(same(await bodyBytes(entry.body(from, to)), whole.subarray(from, to)), `${from}-${to}`).toBe(
          true,
        )
      // Several at once, each at its own pace.
      const together = [entry.body(), entry.body(100, 200_000), entry.body(5)]
      const read = await Promise.all(together.map(bodyBytes))
      expect(read.map((each) => each.length)).toEqual([300_000, 199_900, 299_995])
      expect(same(read[1] as Buffer, whole.subarray(100, 200_000))).toBe(true)
      if (entry.bytes !== undefined) expect(same(Buffer.from(entry.bytes), whole)).toBe(true)
      entry.release?.()
    })

    const fates: [string, (store: Store, head: EntryHead) => unknown][] = [
      ['replaced', (store) => stored(store, 'k', 'another')],
      ['deleted', (store) => store.delete('k')],
      ['purged', (store, { url }) => store.purge({ url })],
      ['softly purged', (store, { url }) => store.purge({ url }, true)],
      ['touched', (store, head) => store.touch('k', { ...head, headers: ['X', '2'] })],
    ]
    it.each(fates)('gives the body of an entry right that is %s meanwhile', async (_, fate) => {
      const store = await fresh()
      const whole = pattern(1_000_000, 2)
      const head = await stored(store, 'k', whole)
      const entry = (await store.get('k')) as Entry
      const before = entry.body()
      await fate(store, head)
      const after = entry.body(10)
      entry.release?.()
      for (const [body, right] of [
        [before, whole],
        [after, whole.subarray(10)],
      ] as const) {
        const read = bodyBytes(body).catch((error: unknown) => {
          if (bodiesOutlive) throw error
        })
        const bytes = await read
        if (bytes !== undefined) expect(same(bytes, right)).toBe(true)
      }
      expect(entry.head).toEqual(head)
    })

    it('lets go of an entry whose body nobody takes', async () => {
      const store = await fresh()
      await stored(store, 'k', 'abc')
      for (let i = 0; i < 50; i++) (await store.get('k'))?.release?.()
      expect((await shown(store, 'k'))?.body).toBe('abc')
    })

    it('gives an entry another head, where it is still that one', async () => {
      const store = await fresh()
      const head = await stored(store, 'k', 'abc')
      const newer = { ...head, headers: ['X-New', 'yes'], responseTime: head.responseTime + 1, tags: ['new'] }
      await store.touch('k', newer)
      expect(await shown(store, 'k')).toEqual({ head: newer, body: 'abc', size: 3 })
      await store.touch('k', entryHead({ headers: ['X-Wrong', 'yes'] }))
      expect(await shown(store, 'k')).toEqual({ head: newer, body: 'abc', size: 3 })
      await store.touch('none', entryHead())
      expect(await store.get('none')).toBeUndefined()
      const replaced = await stored(store, 'k', 'def')
      await store.touch('k', { ...newer, headers: ['X-Late', 'yes'] })
      expect(await shown(store, 'k')).toEqual({ head: replaced, body: 'def', size: 3 })
      // What it is purged by is the newer head's.
      const tagged = await stored(store, 't', 'abc', entryHead({ tags: ['one'] }))
      await store.touch('t', { ...tagged, tags: ['two'] })
      expect(await store.purge({ tag: 'one' })).toBe(0)
      expect(await store.purge({ tag: 'two' })).toBe(1)
    })

    it('drops what is deleted, and nothing else', async () => {
      const store = await fresh()
      await stored(store, 'a', 'a')
      await stored(store, 'b', 'b')
      await store.delete('a')
      await store.delete('none')
      expect(await store.get('a')).toBeUndefined()
      expect((await shown(store, 'b'))?.body).toBe('b')
      await stored(store, 'a', 'again')
      expect((await shown(store, 'a'))?.body).toBe('again')
    })

    purgeCases(fresh, sync)

    it('refuses what is above its bound for one entry', async () => {
      const store = await fresh({ maxEntry: 64 * kb })
      await stored(store, 'small', pattern(32 * kb, 1))
      const known = store.put('k', entryHead({ length: 65 * kb }))
      if (known !== undefined) {
        for (let i = 0; i < 65; i++) known.write(Buffer.alloc(kb))
        await known.commit()
      }
      expect(await store.get('k')).toBeUndefined()
      const unknown = store.put('k', entryHead())
      const taken = Array.from({ length: 65 }, () => unknown?.write(Buffer.alloc(kb)))
      expect(taken.at(-1)).toBe(false)
      // Nobody need hear that before the end.
      await unknown?.commit()
      expect(await store.get('k')).toBeUndefined()
      expect((await shown(store, 'small'))?.size).toBe(32 * kb)
    })

    it.each(only(bounded))('keeps to its bound in bytes under a flood', async () => {
      const limits = { maxSize: 512 * kb, maxEntry: 64 * kb }
      const one = await started(limits)
      const sizes = [100, 4_000, 0, 20_000, 60 * kb]
      for (let i = 0; i < 400; i++) {
        await stored(one.store, `k${i}`, pattern(sizes[i % sizes.length] as number, i))
        if (i % 20 === 0) expect(await one.used?.()).toBeOneOf([undefined, expect.toSatisfy(within)])
      }
      let sum = 0
      let found = 0
      for (let i = 0; i < 400; i++) {
        const entry = await one.store.get(`k${i}`)
        if (entry === undefined) continue
        found++
        sum += entry.size
        expect(same(await bodyBytes(entry.body()), pattern(sizes[i % sizes.length] as number, i))).toBe(true)
        entry.release?.()
      }
      expect(sum).toBeLessThanOrEqual(limits.maxSize)
      expect(found).toBeGreaterThan(3)

      function within(bytes: number): boolean {
        return bytes <= limits.maxSize
      }
    })

    it('finds nothing and keeps nothing once closed', async () => {
      const store = await fresh()
      const head = await stored(store, 'k', 'abc')
      const open = store.put('open', entryHead())
      open?.write(Buffer.from('abc'))
      await store.close()
      await open?.commit()
      expect(await store.get('k')).toBeUndefined()
      expect(await store.get('open')).toBeUndefined()
      const late = store.put('late', entryHead())
      late?.write(Buffer.from('abc'))
      await late?.commit()
      expect(await store.get('late')).toBeUndefined()
      await store.touch('k', head)
      if (outlives) {
        await expect(store.delete('k')).rejects.toThrow('closed')
        await expect(store.purge({ url: head.url })).rejects.toThrow('closed')
      } else {
        await store.delete('k')
        expect(await store.purge({ url: head.url })).toBe(0)
      }
      await store.close()
    })

    it.each(only(sync))('answers without promises', async () => {
      const store = await fresh()
      const writer = store.put('k', entryHead())
      writer?.write(Buffer.from('abc'))
      expect(writer?.commit()).toBeUndefined()
      const entry = store.get('k') as Entry
      expect(entry.size).toBe(3)
      expect(store.touch('k', { ...entry.head, headers: [] })).toBeUndefined()
      expect((store.get('k') as Entry).head.headers).toEqual([])
      expect(store.delete('k')).toBeUndefined()
      expect(store.get('k')).toBeUndefined()
    })

    it('does what a map would, whatever it is asked', async () => {
      await fc.assert(
        fc.asyncProperty(storeModel.commands, async (commands) => {
          const store = await fresh()
          await storeModel.run(store, commands, { exact: true })
          await ended(store)
        }),
        { numRuns: runs },
      )
    }, 60_000)

    it.each(only(bounded))(
      'may lose what a map would keep, and is never wrong',
      async () => {
        await fc.assert(
          fc.asyncProperty(storeModel.commands, async (commands) => {
            const store = await fresh({ maxSize: 96 * kb, maxEntry: 64 * kb })
            await storeModel.run(store, commands, { exact: false })
            await ended(store)
          }),
          { numRuns: runs },
        )
      },
      60_000,
    )
  })

  /** Ends a store before its test does: a property makes many. */
  async function ended(store: Store): Promise<void> {
    await store.close()
    const [one] = made.splice(
      made.findIndex((each) => each.store === store),
      1,
    )
    await one?.close?.()
  }
}

const oddKeys = [
  '',
  ' ',
  'a',
  'A',
  'a ',
  'a:b',
  'a/b',
  'a//b',
  'a|b',
  'a\\b',
  'a%3Ab',
  'a%3ab',
  '.',
  '..',
  '../a',
  '/etc/passwd',
  'a*',
  'a?',
  'a\nb',
  'a\r\nb',
  'a\0b',
  '{a}',
  '"a"',
  '__proto__',
  'constructor',
  'caf\xe9',
  'cafe\u0301',
  '\u{1f4a5}',
  'CON',
  'a.tmp',
]

/** For `it.each`: declares a case for stores that have the trait, and none for others, so that nothing counts as skipped. */
const only = (trait: boolean): readonly string[] => (trait ? [''] : [])
