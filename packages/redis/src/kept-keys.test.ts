import type { EntryHead } from '@sluice/cache'
import { toReadable } from '@sluice/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { bodyBytes, entryHead, pattern } from '../../../test/kit/store-entries.js'
import { until } from '../../../test/kit/until.js'
import { withRedis } from '../../../test/kit/with-redis.js'
import { type RedisStore, type RedisStoreOptions, redisStore } from './redis-store.js'

withRedis('what redisStore keeps', (redis) => {
  const own = owner()
  let store: RedisStore
  beforeEach(async () => {
    await redis.client.flushAll()
    store = storeOn()
  })

  const storeOn = (options: Partial<RedisStoreOptions> = {}): RedisStore =>
    own(redisStore({ client: redis.client, prefix: '', timeout: '10s', chunk: 1_000, ...options }))
  const put = async (key: string, bytes: Buffer, head: EntryHead = entryHead()): Promise<EntryHead> => {
    const writer = store.put(key, head)
    writer?.write(bytes)
    await writer?.commit()
    return head
  }
  const keys = async (pattern = '*'): Promise<string[]> => (await redis.client.keys(pattern)).sort()
  const withoutTime = async (): Promise<string[]> => {
    const found: string[] = []
    for (const key of await keys()) if (Number(await redis.client.pTTL(key)) <= 0) found.push(key)
    return found
  }
  const changed = async (
    key: string,
    field: string,
    change: (bytes: Buffer) => Buffer | undefined,
  ): Promise<void> => {
    const mapped = redis.client.withTypeMapping({ 36: Buffer })
    const bytes = Buffer.from((await mapped.hGet(key, field)) as unknown as Buffer)
    const other = change(bytes)
    if (other === undefined) await redis.client.hDel(key, field)
    else await redis.client.hSet(key, field, other)
  }

  it('has a time to live, whatever was done', async () => {
    const tagged = (): EntryHead => entryHead({ tags: ['a', 'b'] })
    await put('small', pattern(10, 1), tagged())
    const head = await put('large', pattern(10_500, 1), tagged())
    expect(await withoutTime()).toEqual([])
    await put('large', pattern(5_500, 1), tagged())
    await store.touch('small', head)
    await store.purge({ tag: 'a' }, true)
    expect(await withoutTime()).toEqual([])
    await store.touch('large', { ...head, tags: ['c'] })
    await store.lease('k', 1)
    await store.purge({ prefix: 'http://b' })
    // One that dies in mid-write never says so.
    const writer = store.put('dies', tagged())
    writer?.write(pattern(5_500, 1))
    await until(async () => (await keys('b:*')).length >= 5 + 6 + 11, 'the parts')
    expect(await withoutTime()).toEqual([])
    const drafts = await Promise.all((await keys('b:*')).map((key) => redis.client.pTTL(key)))
    for (const ttl of drafts) expect(ttl).toBeLessThanOrEqual(3_600_000 + 30_000)
    await store.delete('large')
    await store.purge({ url: 'http://a.example/' })
    expect(await withoutTime()).toEqual([])
    // What is left: purges, the lease, and parts that somebody may still read, or that nobody finished.
    expect((await keys()).filter((key) => !key.startsWith('b:'))).toEqual(['due', 'l:k', 'log', 'urls'])
    for (const key of await keys('b:*')) expect(await redis.client.pTTL(key)).toBeLessThanOrEqual(300_000)
  })

  it('goes with the time of the entry, in the lists as well', async () => {
    const soon = (): EntryHead =>
      entryHead({ url: `http://a.example/${Math.random()}`, tags: ['a'], keepUntil: Date.now() + 60 })
    await put('long', pattern(10, 1), entryHead({ tags: ['a'] }))
    for (let i = 0; i < 20; i++) await put(`soon ${i}`, pattern(10, 1), soon())
    await until(async () => (await keys('e:*')).length === 1, 'the end of all')
    for (let i = 0; i < 3; i++) await put(`${i}`, pattern(10, 1), entryHead({ tags: ['a'] }))
    // Each entry by its URL and by its tag; when `urls` was made and that it is whole, and what stands at the end of `due`.
    expect(await redis.client.zCard('urls')).toBe(10)
    expect(await redis.client.zCard('due')).toBe(9)
  })

  it('does not grow with replacements', async () => {
    const sizes: number[] = []
    for (const size of [10_500, 500])
      for (let i = 0; i < 1_000; i++) {
        await put('k', pattern(size, i), entryHead({ tags: [`${i % 10}`, 'all'] }))
        if (i % 500 !== 499) continue
        let bytes = 0
        for (const key of await keys()) bytes += Number(await redis.client.memoryUsage(key))
        sizes.push(bytes)
      }
    expect(sizes[1]).toBe(sizes[0])
    expect(sizes[3]).toBe(sizes[2])
    expect(await keys('b:*')).toEqual([])
  })

  it('leaves a replaced body to those who read it on, and no longer than until the next', async () => {
    const old = pattern(10_500, 1)
    await put('k', old)
    const entry = await store.get('k')
    await put('k', pattern(9_500, 2))
    expect((await bodyBytes(entry?.body() ?? null)).equals(old)).toBe(true)
    expect(await keys('b:*')).toHaveLength(21)
    await put('k', pattern(8_500, 3))
    expect(await keys('b:*')).toHaveLength(19)
    await expect(bodyBytes(entry?.body() ?? null)).rejects.toThrow('a part of the stored body')
  })

  it('takes back the parts of what is not to be kept', async () => {
    const writers = [store.put('k', entryHead()), store.put('k', entryHead({ length: 10_000 }))]
    for (const writer of writers) writer?.write(pattern(5_500, 1))
    writers[0]?.abort()
    await writers[1]?.commit()
    await until(async () => (await keys()).length === 0, 'the end of the parts')
  })

  it('is not committed where a part has gone meanwhile', async () => {
    const writer = store.put('k', entryHead())
    writer?.write(pattern(5_500, 1))
    const parts = await until(async () => {
      const found = await keys('b:*')
      return found.length === 5 && found
    }, 'the parts')
    await redis.client.del(parts[2] as string)
    await writer?.commit()
    expect(await keys()).toEqual(['log'])
  })

  const flips: [string, (bytes: Buffer) => Buffer | undefined][] = [
    ['changed in a bit', (bytes) => Buffer.from(bytes.with(bytes.length - 2, (bytes.at(-2) as number) ^ 1))],
    ['cut', (bytes) => bytes.subarray(0, -1)],
    ['all but gone', (bytes) => bytes.subarray(0, 3)],
    ['longer', (bytes) => Buffer.concat([bytes, Buffer.from('x')])],
    ['another text', () => Buffer.from('{"id":"x"}')],
    ['gone', () => undefined],
  ]
  describe.each(flips)('%s', (_, change) => {
    it.each(['h', 'd', 'b'])('in field %s of an entry is a miss, and can be replaced', async (field) => {
      await put('k', pattern(500, 1))
      await changed('e:k', field, change)
      expect(await store.get('k')).toBeUndefined()
      await put('k', pattern(500, 2))
      const entry = await store.get('k')
      expect((await bodyBytes(entry?.body() ?? null)).equals(pattern(500, 2))).toBe(true)
    })

    it('in a part of a body ends it before a wrong byte', async () => {
      const right = pattern(5_500, 1)
      await put('k', right)
      const entry = await store.get('k')
      const part = (await keys('b:*'))[3] as string
      const mapped = redis.client.withTypeMapping({ 36: Buffer })
      const other = change(Buffer.from((await mapped.get(part)) as unknown as Buffer))
      if (other === undefined) await redis.client.del(part)
      else await redis.client.set(part, other)
      const read: Buffer[] = []
      const whole = async (): Promise<void> => {
        for await (const bytes of toReadable(entry?.body() ?? null)) read.push(bytes as Buffer)
      }
      await expect(whole()).rejects.toThrow('a part of the stored body is gone, or has changed')
      expect(right.subarray(0, 3_000).equals(Buffer.concat(read))).toBe(true)
      // What is after it can still be read.
      expect((await bodyBytes(entry?.body(4_000) ?? null)).equals(right.subarray(4_000))).toBe(true)
      await until(async () => (await store.get('k')) === undefined, 'the end of what is broken')
    })
  })

  it('is a miss once a part was found to be something else', async () => {
    await put('k', pattern(5_500, 1))
    const part = (await keys('b:*'))[3] as string
    await redis.client.del(part)
    await redis.client.lPush(part, 'list')
    const entry = await store.get('k')
    await expect(bodyBytes(entry?.body() ?? null)).rejects.toThrow('WRONGTYPE')
    await until(async () => (await store.get('k')) === undefined, 'the end of what is broken')
  })

  it('is a miss where a part is gone before it is asked for', async () => {
    await put('k', pattern(5_500, 1))
    await redis.client.del((await keys('b:*'))[5] as string)
    expect(await store.get('k')).toBeUndefined()
  })

  it('is a miss where it belongs to another key or part', async () => {
    await put('k', pattern(500, 1))
    await redis.client.copy('e:k', 'e:other')
    expect(await store.get('other')).toBeUndefined()
    await put('parts', pattern(5_500, 1))
    const [first, second] = await keys('b:*')
    await redis.client.copy(first as string, second as string, { REPLACE: true })
    const entry = await store.get('parts')
    await expect(bodyBytes(entry?.body() ?? null)).rejects.toThrow('a part of the stored body')
  })

  it('may be anything at all', async () => {
    for (const write of [
      () => redis.client.set('e:k', 'text'),
      () => redis.client.lPush('e:k', 'list'),
      () => redis.client.hSet('e:k', { h: 'x', d: 'y', b: 'z', u: 'http://a/', g: '{', o: 'x', n: 'many' }),
      () => redis.client.hSet('e:k', { i: 'only an id' }),
    ]) {
      await write()
      expect(await store.get('k')).toBeUndefined()
      await store.touch('k', entryHead({ id: 'only an id' }))
      await put('k', pattern(10, 1))
      expect((await store.get('k'))?.size).toBe(10)
      await store.delete('k')
      expect(await keys('e:*')).toEqual([])
    }
  })
})
