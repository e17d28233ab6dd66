import type { EntryHead, PurgeKey, Store } from '@sluice/cache'
import { describe, expect, it } from 'vitest'
import { entryHead, shown, shownNow, stored } from './store-entries.js'

/** The cases of a store's suite that are about purges. */
export function purgeCases(fresh: () => Promise<Store>, sync: boolean): void {
  const purges: [string, PurgeKey, string[]][] = [
    ['url', { url: 'http://a.example/x' }, ['x1', 'x2']],
    ['tag', { tag: 'red' }, ['x1', 'y']],
    ['a tag of odd characters', { tag: 'b lue:*' }, ['y', 'deep']],
    ['prefix', { prefix: 'http://a.example/x' }, ['x1', 'x2', 'deep']],
    ['the prefix of all', { prefix: 'http' }, ['x1', 'x2', 'deep', 'y', 'b']],
    ['a url that is only the beginning of one', { url: 'http://a.example/' }, []],
    ['an unknown tag', { tag: 're' }, []],
    ['a prefix that looks like a pattern', { prefix: 'http://*' }, []],
  ]
  describe.each([false, true])('purged with soft %s', (soft) => {
    it.each(purges)('by %s drops or marks what matches, and tells how many', async (_, what, matching) => {
      const store = await fresh()
      const heads: Record<string, EntryHead> = {
        x1: entryHead({ url: 'http://a.example/x', tags: ['red'] }),
        x2: entryHead({ url: 'http://a.example/x', tags: ['green'] }),
        deep: entryHead({ url: 'http://a.example/x/deep?q=1', tags: ['b lue:*'] }),
        y: entryHead({ url: 'http://a.example/y', tags: ['green2', 'red', 'b lue:*'] }),
        b: entryHead({ url: 'http://b.example/x', tags: [] }),
      }
      for (const [key, head] of Object.entries(heads)) await stored(store, key, key, head)
      const purging = store.purge(what, soft)
      if (sync) await check()
      expect(await purging).toBe(matching.length)
      await check()

      async function check(): Promise<void> {
        for (const [key, head] of Object.entries(heads)) {
          const found = sync ? shownNow(store, key) : await shown(store, key)
          if (!matching.includes(key)) expect(found).toEqual({ head, body: key, size: key.length })
          else if (soft)
            expect(found).toEqual({ head: { ...head, purged: true }, body: key, size: key.length })
          else expect(found).toBeUndefined()
        }
      }
    })

    it.each<[string, PurgeKey]>([
      ['url', { url: 'http://a.example/x' }],
      ['tag', { tag: 'red' }],
      ['prefix', { prefix: 'http://a.ex' }],
    ])("by %s doesn't let in what was put before it", async (_, what) => {
      const store = await fresh()
      const head = (): EntryHead => entryHead({ url: 'http://a.example/x', tags: ['red'] })
      const early = store.put('k', head())
      early?.write(Buffer.from('old'))
      const other = store.put('o', entryHead({ url: 'http://b.example/', tags: ['blue'] }))
      other?.write(Buffer.from('other'))
      expect(await store.purge(what, soft)).toBe(0)
      early?.write(Buffer.from(' and more'))
      await early?.commit()
      expect(await store.get('k')).toBeUndefined()
      await other?.commit()
      expect((await shown(store, 'o'))?.body).toBe('other')
      await stored(store, 'k', 'new', head())
      expect((await shown(store, 'k'))?.body).toBe('new')
    })
  })

  it('drops markers with the URL that they are of', async () => {
    const store = await fresh()
    const head = entryHead({ url: 'http://a.example/m', status: 0, headers: [], vary: ['accept'] })
    await store.put('m', head)?.commit()
    await store.purge({ url: head.url })
    expect(await store.get('m')).toBeUndefined()
  })
}
