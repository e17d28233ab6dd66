import type { EntryHead, PurgeKey } from '@sluice/cache'
import { beforeEach, describe, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { entryHead, stored } from '../../../test/kit/store-entries.js'
import { withRedis } from '../../../test/kit/with-redis.js'
import { type RedisStore, redisStore } from './redis-store.js'

withRedis('purges of a redisStore whose Redis has evicted keys', (redis) => {
  const own = owner()
  let store: RedisStore
  beforeEach(async () => {
    await redis.client.flushAll()
    store = storeOn('[a-z]*:')
  })

  const storeOn = (prefix: string): RedisStore =>
    own(redisStore({ client: redis.client, prefix, timeout: '10s' }))
  const page = (name: string, tags: string[] = [name]): EntryHead =>
    entryHead({ url: `http://a.example/${name}`, tags })
  /** Evicts, one by one, all keys but entries and parts of bodies. */
  const evict = async (): Promise<void> => {
    for (const key of await redis.client.keys('*')) if (!/:[eb]:/.test(key)) await redis.client.del(key)
  }
  const kept = async (names: string[]): Promise<string[]> => {
    const found = await Promise.all(names.map(async (name) => (await store.get(name)) && name))
    return found.filter((name) => name !== undefined)
  }

  const purges: [string, PurgeKey][] = [
    ['its tag', { tag: 'hot' }],
    ['its URL', { url: 'http://a.example/hot' }],
    ['a prefix', { prefix: 'http://a.example/h' }],
  ]
  describe.each(purges)('by %s', (_, what) => {
    it.each([0, 1, 450])('find what was kept before, %d entries came after it', async (after) => {
      await stored(store, 'hot', 'old', page('hot'))
      await stored(store, 'other', 'old', page('other'))
      await evict()
      const later = Array.from({ length: after }, (_, index) => `later ${index}`)
      for (const name of later) await stored(store, name, 'new', page(name))
      expect(await store.purge(what)).toBe(1)
      expect(await kept(['hot', 'other', ...later])).toEqual(['other', ...later])
      expect(await store.purge({ prefix: '' }, true)).toBe(1 + after)
      expect(await store.purge({ prefix: '' })).toBe(1 + after)
    })

    it('mark it, and look through all keys no second time', async () => {
      await stored(store, 'hot', 'old', page('hot'))
      await evict()
      expect(await store.purge(what, true)).toBe(1)
      expect((await store.get('hot'))?.head.purged).toBe(true)
      await redis.client.configResetStat()
      expect(await store.purge(what)).toBe(1)
      expect(await redis.client.info('commandstats')).not.toContain('cmdstat_scan:')
    })
  })

  it('look through no keys where there was nothing when it began', async () => {
    await stored(store, 'hot', 'old', page('hot'))
    await redis.client.configResetStat()
    expect(await store.purge({ tag: 'hot' })).toBe(1)
    expect(await redis.client.info('commandstats')).not.toContain('cmdstat_scan:')
  })

  it('are not done where that happens in their midst', async () => {
    for (let i = 0; i < 450; i++) await stored(store, `k${i}`, 'old', page(`k${i}`, ['all']))
    let sent = 0
    const evicting = own(
      redisStore({
        client: {
          async sendCommand(args, options) {
            // Announced, and twice swept.
            if (String(args[0]).startsWith('EVAL') && ++sent === 4) await evict()
            return redis.client.sendCommand(args, options)
          },
          duplicate: () => redis.client.duplicate(),
        },
        prefix: '[a-z]*:',
        timeout: '10s',
      }),
    )
    expect(await store.purge({ url: 'http://b.example/' })).toBe(0)
    await expect(evicting.purge({ tag: 'all' })).rejects.toThrow(
      'the purge is not done: ERR what purges look',
    )
    expect(await store.purge({ tag: 'all' })).toBe(50)
  })

  it('go in small steps where entries have many tags', async () => {
    const tags = Array.from({ length: 300 }, (_, index) => `tag ${index}`)
    for (let i = 0; i < 30; i++) await stored(store, `k${i}`, 'old', page(`k${i}`, tags))
    const steps = async (soft: boolean): Promise<number> => {
      await redis.client.configResetStat()
      expect(await store.purge({ tag: 'tag 7' }, soft)).toBe(30)
      const found = /cmdstat_evalsha:calls=(\d+)/.exec(await redis.client.info('commandstats'))
      return Number(found?.[1])
    }
    // So that Redis knows the scripts.
    await evict()
    await store.purge({ url: 'http://b.example/' })
    // One announces it; then each has 7 entries, which are 2,107 of what it counts.
    expect(await steps(true)).toBe(1 + 5)
    await evict()
    expect(await steps(true)).toBe(1 + 5 + 5)
    expect(await steps(false)).toBe(1 + 5)
  })

  it('find nothing by a URL or a prefix that begins as tags do in the list', async () => {
    await stored(store, 'hot', 'old', page('hot'))
    expect(await store.purge({ url: '\u00003:hot' })).toBe(0)
    expect(await store.purge({ prefix: '\0' })).toBe(0)
    expect(await kept(['hot'])).toEqual(['hot'])
  })

  it('leave alone what others keep under keys that begin alike', async () => {
    const near = storeOn('[a-z]*:e:')
    await stored(near, 'k', 'theirs', page('k'))
    await redis.client.set('[a-z]*:e:text', 'theirs')
    await redis.client.set('ax:e:text', 'theirs')
    await stored(store, 'hot', 'old', page('hot'))
    await evict()
    expect(await store.purge({ tag: 'hot' })).toBe(1)
    expect(await near.get('k')).toBeDefined()
    expect(await redis.client.mGet(['[a-z]*:e:text', 'ax:e:text'])).toEqual(['theirs', 'theirs'])
  })

  it('know an entry by the tags that it has now', async () => {
    await stored(store, 'k', 'old', page('k', ['a', 'a:b', 'a\nb']))
    await redis.client.del('[a-z]*:e:k')
    await stored(store, 'k', 'new', page('k', ['b']))
    expect(await store.purge({ tag: 'a' })).toBe(0)
    expect(await store.purge({ tag: 'b' })).toBe(1)
  })
})
