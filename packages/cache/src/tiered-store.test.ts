import { Readable } from 'node:stream'
import type { Body } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { bodyBytes, entryHead, pattern } from '../../../test/kit/store-entries.js'
import { storeFolder } from '../../../test/kit/store-folder.js'
import { storeSuite } from '../../../test/kit/store-suite.js'
import { deferred } from '../../../test/kit/until.js'
import { createCache } from './create-cache.js'
import { fileStore } from './file-store.js'
import type { Entry, EntryHead, PurgeKey, Store } from './index.js'
import { memoryStore } from './memory-store.js'
import { tieredStore } from './tiered-store.js'

const own = owner()

storeSuite(
  'tieredStore(memoryStore(), fileStore())',
  async (limits) => {
    const folder = await storeFolder()
    const far = fileStore({ folder: folder.path, ...limits })
    return {
      // The near one holds less, so that much comes from the far one.
      store: tieredStore(memoryStore({ maxSize: 65_536, maxEntry: 32_768 }), far),
      used: () => far.stats.bytes,
      close: () => folder.close(),
    }
  },
  { sync: false, outlives: true },
)

storeSuite(
  'tieredStore() of two stores in memory',
  async (limits) => ({ store: tieredStore(memoryStore(limits), memoryStore(limits)) }),
  { sync: true, bounded: false },
)

const url = 'http://a.example/'

async function put(
  store: Store,
  key: string,
  body: Buffer,
  head: EntryHead = entryHead(),
): Promise<EntryHead> {
  const writer = store.put(key, head)
  writer?.write(body)
  await writer?.commit(['X-Sum', '1'])
  return head
}

/** A store that calls `before` ahead of everything that is asked of it, and gives bodies that have to be read. */
function slow(
  store: Store,
  before: (call: keyof Store, key: string) => void | Promise<void> = () => {},
): Store {
  const streamed = (entry: Entry | undefined): Entry | undefined => {
    if (entry === undefined) return undefined
    const { head, size, trailers } = entry
    return {
      head,
      size,
      ...(trailers && { trailers }),
      body: (from, to) => {
        const body = entry.body(from, to)
        return body instanceof Uint8Array ? streamOf(body) : body
      },
      release: () => entry.release?.(),
    }
  }
  return {
    get: async (key, signal) => {
      await before('get', key)
      const entry = await store.get(key, signal)
      await before('get', `${key} found`)
      return streamed(entry)
    },
    put: (key, head) => {
      void before('put', key)
      return store.put(key, head)
    },
    touch: async (key, head) => {
      await before('touch', key)
      return store.touch(key, head)
    },
    delete: async (key) => {
      await before('delete', key)
      return store.delete(key)
    },
    purge: async (what, soft) => {
      await before('purge', '')
      return store.purge(what, soft)
    },
    close: () => store.close(),
  }
}

/** In small parts. */
function streamOf(bytes: Uint8Array): Readable {
  const parts = Array.from({ length: Math.ceil(bytes.length / 1_000) }, (_, i) =>
    bytes.slice(i * 1_000, (i + 1) * 1_000),
  )
  return Readable.from(parts, { objectMode: false })
}

interface Pair {
  readonly near: Store
  readonly far: Store
  readonly both: Store
}

function pair(
  before?: (call: keyof Store, key: string) => void | Promise<void>,
  more: Partial<Store> = {},
): Pair {
  const near = memoryStore({ maxSize: '1mb', maxEntry: '64kb' })
  const far = memoryStore({ maxSize: '8mb', maxEntry: '4mb' })
  const both = own(tieredStore(near, { ...slow(far, before), ...more }))
  return { near, far, both }
}

async function bodyOf(store: Store, key: string): Promise<Buffer | undefined> {
  const entry = await store.get(key)
  const body = entry && (await bodyBytes(entry.body()))
  entry?.release?.()
  return body
}

describe('tieredStore()', () => {
  it('refuses what is no store, and options that it does not have', () => {
    const store = memoryStore()
    expect(() => tieredStore({} as Store, store)).toThrow(/tieredStore\.near/)
    for (const name of ['get', 'put', 'touch', 'delete', 'purge', 'close']) {
      const lacking = Object.assign(Object.create(store) as Store, { [name]: undefined })
      for (const make of [() => tieredStore(lacking, store), () => tieredStore(store, lacking)]) {
        expect(make).toThrow(TypeError)
        expect(make).toThrow(new RegExp(`^tieredStore\\.(near|far): .* takes a store: it has no ${name}$`))
      }
    }
    expect(() => tieredStore({ get() {}, put() {} } as never, 5 as never)).toThrow(
      /near: .* it has no touch, delete, purge, close.*far: got 5, takes a store: it has no get, put, /s,
    )
    expect(() => tieredStore(store, undefined as unknown as Store)).toThrow(/tieredStore\.far/)
    expect(() => tieredStore(store, store, { promote: -1 })).toThrow(/tieredStore\.promote/)
    expect(() => tieredStore(store, store, { much: 1 } as object)).toThrow(/tieredStore\.much/)
  })

  it('gives what the near one has without asking the far one, and without a promise', async () => {
    const asked: string[] = []
    const { both } = pair((call) => void asked.push(call))
    await put(both, 'k', pattern(100, 1))
    expect(asked).toEqual(['put'])
    const entry = both.get('k') as Entry
    expect(entry.size).toBe(100)
    expect(entry.trailers).toEqual(['X-Sum', '1'])
    expect(asked).toEqual(['put'])
  })

  it('puts what the far one has in memory into the near one at once', async () => {
    const { near, far } = pair()
    const both = own(tieredStore(near, far))
    const head = await put(far, 'k', pattern(100, 1))
    const marker = entryHead({ status: 0, headers: [], vary: ['accept'] })
    await far.put('m', marker)?.commit()
    expect((await bodyOf(both, 'k'))?.equals(pattern(100, 1))).toBe(true)
    expect((await near.get('k'))?.head).toEqual(head)
    expect((await near.get('k'))?.trailers).toEqual(['X-Sum', '1'])
    await both.get('m')
    expect((await near.get('m'))?.head).toEqual(marker)
  })

  it('puts what is read to its end into the near one', async () => {
    const { near, far, both } = pair()
    const body = pattern(10_000, 1)
    const head = await put(far, 'k', body)
    // A part, and a body that is given up, are no whole one.
    const first = await both.get('k')
    expect((await bodyBytes(first?.body(10, 2_000) ?? null)).equals(body.subarray(10, 2_000))).toBe(true)
    first?.release?.()
    const second = await both.get('k')
    const given = second?.body() as Body
    const begun = deferred()
    given.pipe({
      write: () => {
        begun.resolve()
        return false
      },
      end: () => {},
      abort: () => {},
      onDrain: () => {},
    })
    await begun.promise
    given.cancel()
    second?.release?.()
    expect(await near.get('k')).toBeUndefined()
    const third = await both.get('k')
    const bodies = [third?.body(), third?.body(), third?.body(9_000)]
    third?.release?.()
    const read = await Promise.all(bodies.map((each) => bodyBytes(each ?? null)))
    expect(read.map((each) => each.length)).toEqual([10_000, 10_000, 1_000])
    expect((await near.get('k'))?.head).toEqual(head)
    expect((await near.get('k'))?.trailers).toEqual(['X-Sum', '1'])
    expect((await bodyOf(near, 'k'))?.equals(body)).toBe(true)
  })

  it('copies one body of a key at a time, and none above its limit', async () => {
    const puts: string[] = []
    const { near, far } = pair()
    const both = own(
      tieredStore(
        slow(near, (call, key) => void (call === 'put' && puts.push(key))),
        slow(far),
        { promote: '50kb' },
      ),
    )
    await put(far, 'k', pattern(50_000, 1))
    await put(far, 'large', pattern(60_000, 1))
    const bodies = await Promise.all(['k', 'k', 'k', 'large'].map((key) => bodyOf(both, key)))
    expect(bodies.map((body) => body?.length)).toEqual([50_000, 50_000, 50_000, 60_000])
    expect(puts).toEqual(['k'])
    expect((await near.get('k'))?.size).toBe(50_000)
    expect(await near.get('large')).toBeUndefined()
  })

  it('passes on a body that the near one has no room for', async () => {
    const { near, far, both } = pair()
    await put(far, 'k', pattern(200_000, 1))
    expect((await bodyOf(both, 'k'))?.equals(pattern(200_000, 1))).toBe(true)
    expect(await near.get('k')).toBeUndefined()
  })

  const changes: [string, (store: Store, head: EntryHead) => unknown][] = [
    ['purged', (store) => store.purge({ url })],
    ['purged softly', (store) => store.purge({ url }, true)],
    ['deleted', (store) => store.delete('k')],
    ['replaced', (store) => put(store, 'k', pattern(20, 2), entryHead({ id: 'newer' }))],
    ['touched', (store, head) => store.touch('k', { ...head, headers: ['X-New', '1'] })],
  ]
  describe.each(changes)('does not bring back into the near one what is %s', (what, change) => {
    it('while the far one is asked', async () => {
      const gate = deferred()
      const { near, far, both } = pair((_, key) => (key === 'k found' ? gate.promise : undefined))
      const head = await put(far, 'k', pattern(100, 1))
      const getting = both.get('k')
      await change(both, head)
      gate.resolve()
      const entry = await getting
      await bodyBytes(entry?.body() ?? null)
      entry?.release?.()
      await check(near, head)
    })

    it('while its body is read', async () => {
      const { near, far, both } = pair()
      const head = await put(far, 'k', pattern(3_000, 1))
      const entry = await both.get('k')
      const body = entry?.body()
      entry?.release?.()
      await change(both, head)
      expect((await bodyBytes(body ?? null)).length).toBe(3_000)
      await check(near, head)
    })

    it('while the far one is still at it', async () => {
      const gate = deferred()
      const { near, far, both } = pair((call) =>
        call === 'purge' || call === 'delete' || call === 'touch' ? gate.promise : undefined,
      )
      const head = await put(far, 'k', pattern(100, 1))
      const changing = change(both, head)
      await bodyOf(both, 'k')
      await check(near, head)
      gate.resolve()
      await changing
    })

    async function check(near: Store, head: EntryHead): Promise<void> {
      const entry = await near.get('k')
      if (what === 'replaced') expect(entry?.head.id).toBe('newer')
      else expect(entry?.head).not.toEqual(head)
    }
  })

  it('lets neither store keep the one before what it refuses', async () => {
    const { near, far, both } = pair()
    await put(both, 'k', pattern(100, 1))
    await put(both, 'k', pattern(200_000, 2))
    expect(await near.get('k')).toBeUndefined()
    expect((await bodyOf(both, 'k'))?.equals(pattern(200_000, 2))).toBe(true)
    await put(both, 'k', pattern(5_000_000, 3))
    expect(await far.get('k')).toBeUndefined()
    expect(await both.get('k')).toBeUndefined()
    const known = both.put('k', entryHead({ length: 5_000_000 }))
    expect(known).toBeUndefined()
  })

  it.each([
    ['before', true],
    ['behind', false],
  ])('leaves what came since a purge to one that was begun %s it', async (_name, first) => {
    const { both } = pair()
    const doomed = both.put('k', entryHead({ tags: ['old'] }))
    const newer = (): Promise<EntryHead> => put(both, 'k', pattern(100, 1))
    const head = first ? await newer() : undefined
    await both.purge({ tag: 'old' })
    const now = head ?? (await newer())
    expect(doomed?.write(pattern(100, 2))).toBe(false)
    await doomed?.commit()
    const entry = await both.get('k')
    expect(entry?.head).toEqual(now)
    entry?.release?.()
  })

  it.each([{ url }, { tag: 'red' }, { prefix: 'http://a' }])(
    'takes nothing near that a purge of %j elsewhere has yet to reach in the far one',
    async (what) => {
      const { far, near } = pair()
      let tell = (_what: PurgeKey, _soft: boolean): void => {}
      const shared: Store = Object.assign(Object.create(far) as Store, {
        watch: (fn: typeof tell) => {
          tell = fn
          return () => {}
        },
      })
      const both = own(tieredStore(near, shared))
      await put(far, 'k', pattern(100, 1), entryHead({ tags: ['red'] }))
      const other = await put(far, 'other', pattern(100, 2), entryHead({ url: 'http://b.example/' }))
      tell(what, false)
      await new Promise((resolve) => setImmediate(resolve))
      for (const key of ['k', 'other']) expect((await bodyOf(both, key))?.length).toBe(100)
      expect([await near.get('k'), (await near.get('other'))?.head]).toEqual([undefined, other])
    },
  )

  it('keeps near what a far one that throws does not, and tells of purges that have failed', async () => {
    const fails = (): never => {
      throw new Error('gone')
    }
    const { near, both } = pair(undefined, {
      get: fails,
      put: fails,
      touch: fails,
      delete: fails,
      purge: fails,
    })
    const head = await put(both, 'k', pattern(100, 1))
    expect((both.get('k') as Entry).size).toBe(100)
    expect(() => both.get('other')).toThrow('gone')
    expect(() => both.touch('k', { ...head, headers: ['X', '1'] })).toThrow('gone')
    expect((await near.get('k'))?.head.headers).toEqual(['X', '1'])
    await expect(both.purge({ url })).rejects.toThrow('gone')
    expect(await near.get('k')).toBeUndefined()
  })

  it('goes on with the far one where the near one throws', async () => {
    const { far } = pair()
    const fails = (): never => {
      throw new Error('gone')
    }
    const near = { get: fails, put: fails, touch: fails, delete: fails, purge: fails, close: async () => {} }
    const both = own(tieredStore(near, slow(far)))
    await put(both, 'k', pattern(100, 1))
    expect((await bodyOf(both, 'k'))?.length).toBe(100)
    await expect(both.purge({ url })).rejects.toThrow('gone')
    expect(await far.get('k')).toBeUndefined()
  })

  it('answers from the near one while the far one hangs', async () => {
    const never = new Promise<never>(() => {})
    const { both } = pair(undefined, { get: () => never, purge: () => never })
    void both.put('k', entryHead())?.commit()
    expect((both.get('k') as Entry).size).toBe(0)
    void both.purge({ url })
    const found = both.get('k')
    expect(found).toBeInstanceOf(Promise)
  })

  it('tells the greater count of a purge', async () => {
    const { far, both } = pair()
    await put(both, 'k', pattern(100, 1))
    await put(far, 'l', pattern(100, 1))
    expect(await both.purge({ url })).toBe(2)
  })

  it('has marks, purges and leases of others where its far one has', async () => {
    const heard: unknown[] = []
    const given: unknown[] = []
    let tell: (what: PurgeKey, soft: boolean) => void = () => {}
    let watching = 0
    let lease: (() => void) | undefined = () => {}
    const plain = pair()
    expect([plain.both.mark, plain.both.watch, plain.both.lease]).toEqual([undefined, undefined, undefined])
    const { near, far, both } = pair(undefined, {
      mark: () => 'mark',
      put: (key, head, mark) => {
        given.push(mark)
        return far.put(key, head)
      },
      watch: (fn) => {
        tell = fn
        watching++
        return () => watching--
      },
      lease: async () => lease,
    })
    expect(both.mark?.()).toBe('mark')
    await (both.put('k', entryHead(), 'mark') as { commit(): unknown }).commit()
    expect(given).toEqual(['mark'])
    const unwatch = both.watch?.((what, soft) => {
      heard.push([what, soft, near.get('k') === undefined])
    })
    tell({ url }, false)
    expect(heard).toEqual([[{ url }, false, true]])
    unwatch?.()
    tell({ url }, true)
    expect(heard).toHaveLength(1)
    // What another proxy has stored is hidden by what is here.
    await put(near, 'k', pattern(10, 1))
    expect(await both.lease?.('k', 10)).toBe(lease)
    expect(near.get('k')).toBeDefined()
    lease = undefined
    expect(await both.lease?.('k', 10)).toBeUndefined()
    expect(near.get('k')).toBeUndefined()
    await both.close()
    expect(watching).toBe(0)
  })

  it('does not bring back what it hears is purged while the far one is asked', async () => {
    const gate = deferred()
    let tell: (what: PurgeKey, soft: boolean) => void = () => {}
    const { near, far, both } = pair((_, key) => (key === 'k found' ? gate.promise : undefined), {
      watch: (fn) => {
        tell = fn
        return () => {}
      },
    })
    await put(far, 'k', pattern(100, 1))
    const getting = both.get('k')
    tell({ url }, false)
    gate.resolve()
    await bodyBytes((await getting)?.body() ?? null)
    expect(near.get('k')).toBeUndefined()
  })

  it('gives a body right whose near copy fails', async () => {
    const { near, far } = pair()
    const broken: Store = {
      ...slow(near),
      put: () => ({
        write: () => true,
        commit: () => Promise.reject(new Error('gone')),
        abort: () => {},
      }),
    }
    await put(far, 'k', pattern(3_000, 1))
    const both = own(tieredStore(broken, slow(far)))
    expect((await bodyOf(both, 'k'))?.equals(pattern(3_000, 1))).toBe(true)
    const throwing = own(
      tieredStore(
        {
          ...slow(near),
          put: () => {
            throw new Error('gone')
          },
        },
        slow(far),
      ),
    )
    expect((await bodyOf(throwing, 'k'))?.equals(pattern(3_000, 1))).toBe(true)
  })
})

// What the near store has got of the far one comes out of memory from then on.
it.each<[what: string, fields: Partial<EntryHead>]>([
  ['a line break in a value', { headers: ['Cache-Control', 'max-age=60', 'X-A', 'b\r\nSet-Cookie: a=b'] }],
  ['a status that is none', { status: 99_999 }],
  ['a time that is none', { responseTime: Number.NaN }],
])('never serves a head of the far store with %s', async (_what, fields) => {
  const bytes = Buffer.from('far')
  const far: Store = {
    get: async (key) => ({
      head: entryHead({ primary: key, url: key, ...fields }),
      size: 3,
      bytes,
      body: () => bytes,
    }),
    put: () => undefined,
    touch() {},
    delete() {},
    purge: async () => 0,
    close: async () => {},
  }
  const cache = createCache({ store: tieredStore(memoryStore(), far) })
  const request = { method: 'GET', scheme: 'http', authority: 'a.example', path: '/', headers: [] }
  for (let i = 0; i < 4; i++) {
    const reply = await cache.handle(request, () => ({
      status: 500,
      headers: ['Cache-Control', 'no-store'],
      body: 'near',
    }))
    expect([reply.status, reply.body]).toEqual([500, 'near'])
  }
  await cache.close()
})
