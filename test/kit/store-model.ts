import type { EntryHead, EntryWriter, PurgeKey, Store } from '@sluice/cache'
import fc from 'fast-check'
import { expect } from 'vitest'
import { bodyBytes, entryHead, pattern } from './store-entries.js'

/** One thing that is asked of a store. `slot` names a writer that stays open over several commands. */
type Command =
  | { do: 'put'; slot: number; key: string; url: string; tags: string[]; length: number; known: boolean }
  | { do: 'commit' | 'abort'; slot: number }
  | { do: 'touch'; key: string; tags: string[]; stale: boolean }
  | { do: 'delete' | 'get'; key: string }
  | { do: 'purge'; what: PurgeKey; soft: boolean }

interface Kept {
  head: EntryHead
  readonly body: Buffer
}

interface Open {
  readonly key: string
  readonly kept: Kept
  readonly writer: EntryWriter | undefined
  /** A purge has matched it. */
  doomed: boolean
}

const keys = ['a', 'b', 'c', 'd']
const urls = ['http://a.example/', 'http://a.example/x', 'http://a.example/x/y', 'http://b.example/']
const tags = fc.subarray(['red', 'green', 'blue'])
const key = fc.constantFrom(...keys)
const slot = fc.nat(2)
const lengths = fc.constantFrom(0, 1, 100, 5_000, 40_000)

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      slot,
      key,
      url: fc.constantFrom(...urls),
      tags,
      length: lengths,
      known: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('commit' as const), slot }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), slot }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('touch' as const), key, tags, stale: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('get' as const), key }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('purge' as const),
      what: fc.oneof(
        fc.constantFrom(...urls).map((url): PurgeKey => ({ url })),
        fc.constantFrom('red', 'green', 'blue').map((tag): PurgeKey => ({ tag })),
        fc.constantFrom('http://a.example/x', 'http://a', 'http').map((prefix): PurgeKey => ({ prefix })),
      ),
      soft: fc.boolean(),
    }),
  },
)

/** Random commands, and a map that tells what a store must give for them. */
export const storeModel = {
  commands: fc.array(command, { maxLength: 60 }),

  /**
   * Asks them of a store.
   * @param exact nothing may be lost; else an entry may be gone, for want of room, and must then stay so
   */
  async run(store: Store, commands: readonly Command[], { exact }: { exact: boolean }): Promise<void> {
    const kept = new Map<string, Kept>()
    const open = new Map<number, Open>()
    let seed = 0
    for (const one of commands) await run(one)
    for (const each of keys) await look(each)

    async function run(one: Command): Promise<void> {
      switch (one.do) {
        case 'put':
          return put(one)
        case 'commit':
          return commit(one.slot)
        case 'abort':
          open.get(one.slot)?.writer?.abort()
          open.delete(one.slot)
          return
        case 'touch':
          return touch(one.key, one.tags, one.stale)
        case 'delete':
          await store.delete(one.key)
          kept.delete(one.key)
          return
        case 'get':
          return look(one.key)
        case 'purge':
          return purge(one.what, one.soft)
      }
    }

    function put({ slot, key, url, tags, length, known }: Extract<Command, { do: 'put' }>): void {
      open.get(slot)?.writer?.abort()
      const head = entryHead({ url, tags, ...(known && { length }) })
      const body = pattern(length, ++seed)
      const writer = store.put(key, head)
      if (exact) expect(writer).toBeDefined()
      open.set(slot, { key, kept: { head, body }, writer, doomed: false })
      // A part now, the rest when it is committed.
      writer?.write(body.subarray(0, length >> 1))
    }

    async function commit(slot: number): Promise<void> {
      const one = open.get(slot)
      if (one === undefined) return
      open.delete(slot)
      const { body } = one.kept
      one.writer?.write(body.subarray(body.length >> 1))
      await one.writer?.commit()
      if (one.writer !== undefined && !one.doomed) kept.set(one.key, one.kept)
      await look(one.key)
    }

    async function touch(key: string, tags: string[], stale: boolean): Promise<void> {
      const now = kept.get(key)
      const { purged: _, ...head } = now?.head ?? entryHead()
      const newer: EntryHead = { ...head, tags, headers: ['X-New', String(++seed)] }
      await store.touch(key, stale ? { ...newer, id: 'another' } : newer)
      if (!stale && now !== undefined) now.head = newer
    }

    async function purge(what: PurgeKey, soft: boolean): Promise<void> {
      let count = 0
      for (const [key, one] of kept) {
        if (!matches(what, one.head)) continue
        count++
        if (soft) one.head = { ...one.head, purged: true }
        else kept.delete(key)
      }
      for (const one of open.values()) if (matches(what, one.kept.head)) one.doomed = true
      const told = await store.purge(what, soft)
      if (exact) expect(told).toBe(count)
      else expect(told).toBeLessThanOrEqual(count)
    }

    async function look(key: string): Promise<void> {
      const right = kept.get(key)
      const entry = await store.get(key)
      if (entry === undefined) {
        if (exact) expect(right).toBeUndefined()
        kept.delete(key)
        return
      }
      expect(entry.head).toEqual(right?.head)
      expect(entry.size).toBe(right?.body.length)
      expect((await bodyBytes(entry.body())).equals(right?.body as Buffer)).toBe(true)
      entry.release?.()
    }
  },
}

function matches({ url, tag, prefix }: PurgeKey, head: EntryHead): boolean {
  if (url !== undefined) return head.url === url
  if (tag !== undefined) return head.tags.includes(tag)
  return prefix !== undefined && head.url.startsWith(prefix)
}
