import { type EntryHead, memoryStore, type PurgeKey, type Store, tieredStore } from '@sluice/cache'
import { describe, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { redisClient } from '../../../test/kit/redis-server.js'
import { relayTo } from '../../../test/kit/relay.js'
import { bodyBytes, entryHead } from '../../../test/kit/store-entries.js'
import { until } from '../../../test/kit/until.js'
import { withRedis } from '../../../test/kit/with-redis.js'
import type { RedisClient } from './redis-client.js'
import { type RedisStore, type RedisStoreOptions, redisStore } from './redis-store.js'
import { sweep } from './scripts.js'

withRedis('stores that share a Redis', (redis) => {
  const own = owner()
  let prefix = ''

  const storeOn = (options: Partial<RedisStoreOptions> = {}): RedisStore =>
    own(redisStore({ client: redis.client, prefix, timeout: '10s', chunk: 1_000, ...options }))
  /** Two proxies of a deployment of their own. */
  const pair = (): [here: RedisStore, there: RedisStore] => {
    prefix = redis.prefix()
    return [storeOn(), storeOn()]
  }
  const put = async (
    store: Store,
    key: string,
    body: string,
    head: EntryHead,
    mark?: unknown,
  ): Promise<void> => {
    const writer = store.put(key, head, mark)
    writer?.write(Buffer.from(body))
    await writer?.commit()
  }
  const bodyOf = async (store: RedisStore, key: string): Promise<string | undefined> => {
    const entry = await store.get(key)
    return entry && String(await bodyBytes(entry.body()))
  }
  /** A store that knows of the purges so far, and a list of those it hears of from now on. */
  const watching = async (store: RedisStore): Promise<[what: PurgeKey, soft: boolean][]> => {
    const heard: [PurgeKey, boolean][] = []
    store.watch((what, soft) => heard.push([what, soft]))
    await until(() => store.mark() !== 0, 'the subscription')
    // Whoever asks for a mark before that may keep anything.
    heard.length = 0
    return heard
  }
  const purges: [string, PurgeKey][] = [
    ['url', { url: 'http://a.example/x|y' }],
    ['tag', { tag: 'r|ed é' }],
    ['prefix', { prefix: 'http://a.example/x' }],
    ['prefix of everything', { prefix: '' }],
  ]
  const matching = (): EntryHead => entryHead({ url: 'http://a.example/x|y', tags: ['blue', 'r|ed é'] })
  const another = (): EntryHead => entryHead({ url: 'http://a.example/', tags: ['blue'] })

  it.each(['short', 'long'.repeat(1_000)])('one has what another has put', async (body) => {
    const [here, there] = pair()
    await put(here, 'k', body, matching())
    expect(await bodyOf(there, 'k')).toBe(body)
    await there.delete('k')
    expect(await bodyOf(here, 'k')).toBeUndefined()
  })

  describe.each([false, true])('a purge with soft %s', (soft) => {
    it.each(purges)('by %s has reached all when it resolves', async (_, what) => {
      const [here, there] = pair()
      await put(here, 'k', 'a', matching())
      expect(await there.purge(what, soft)).toBe(1)
      const entry = await here.get('k')
      expect(entry?.head.purged).toBe(soft ? true : undefined)
    })

    it.each(purges)('by %s is heard by the others, and not by itself', async (_, what) => {
      const [here, there] = pair()
      const [heardHere, heardThere] = [await watching(here), await watching(there)]
      await here.purge(what, soft)
      await there.purge({ tag: 'last' })
      await until(() => heardHere.length > 0 && heardThere.length > 0, 'the purges')
      expect(heardThere).toEqual([[what, soft]])
      expect(heardHere).toEqual([[{ tag: 'last' }, false]])
    })

    it.each(purges)('by %s wins over what was asked for before it', async (_, what) => {
      const [here, there] = pair()
      await watching(here)
      const mark = here.mark()
      await there.purge(what, soft)
      await put(here, 'k', 'old'.repeat(1_000), matching(), mark)
      expect(await here.get('k')).toBeUndefined()
      await put(here, 'o', 'other', another(), mark)
      expect(await bodyOf(here, 'o')).toBe('prefix' in what && what.prefix === '' ? undefined : 'other')
      // It knows of the purge by now: what is asked for from here on is kept.
      await put(here, 'k', 'new', matching(), here.mark())
      expect(await bodyOf(here, 'k')).toBe('new')
      const left = await redis.client.sendCommand(['KEYS', `${prefix}b:*`])
      expect(left).toEqual([])
    })
  })

  it('a mark from before Redis was first asked is older than every purge', async () => {
    const [here, there] = pair()
    const mark = here.mark()
    expect(mark).toBe(0)
    await there.purge({ tag: 'r|ed é' })
    await put(here, 'k', 'old', matching(), mark)
    expect(await here.get('k')).toBeUndefined()
    await put(here, 'o', 'other', another(), mark)
    expect(await bodyOf(here, 'o')).toBe('other')
  })

  it('a mark is too old where Redis has lost its memory of purges, once', async () => {
    const [here] = pair()
    await watching(here)
    const mark = here.mark()
    await redis.client.sendCommand(['DEL', `${prefix}log`])
    await put(here, 'k', 'a', matching(), mark)
    expect(await here.get('k')).toBeUndefined()
    await put(here, 'k', 'a', matching(), here.mark())
    expect(await bodyOf(here, 'k')).toBe('a')
  })

  it('a mark is worth nothing where the clock of Redis was set back as well', async () => {
    const [here, there] = pair()
    const heard = await watching(here)
    const mark = here.mark() as number
    await redis.client.sendCommand(['DEL', `${prefix}log`])
    await redis.client.sendCommand(['ZADD', `${prefix}log`, '5', '5|0|f||'])
    await put(here, 'k', 'a', matching(), mark)
    expect(await here.get('k')).toBeUndefined()
    await until(() => heard.length > 0, 'the purge of everything')
    expect(heard).toEqual([[{ prefix: '' }, false]])
    const again = here.mark() as number
    expect(again).toBe(5)
    await put(here, 'k', 'a', matching(), again)
    expect(await bodyOf(here, 'k')).toBe('a')
    await there.purge({ tag: 'blue' })
    await put(here, 'k', 'a', matching(), again)
    expect(await here.get('k')).toBeUndefined()
  })

  it('remembers a thousand purges, and refuses what may be older than the last it forgot', async () => {
    const [here, there] = pair()
    await watching(here)
    const mark = here.mark()
    for (let i = 0; i < 11; i++)
      await Promise.all(Array.from({ length: 100 }, (_, n) => there.purge({ url: `http://b/${i}/${n}` })))
    expect(await redis.client.sendCommand(['ZCARD', `${prefix}log`])).toBeLessThanOrEqual(1_001)
    await put(here, 'k', 'a', matching(), mark)
    expect(await here.get('k')).toBeUndefined()
    await put(here, 'k', 'a', matching(), here.mark())
    expect(await bodyOf(here, 'k')).toBe('a')
  })

  it('a purge goes through many entries in steps', async () => {
    const [here, there] = pair()
    const heads = Array.from({ length: 450 }, (_, i) =>
      entryHead({ url: `http://a.example/x/${i}`, tags: ['all'] }),
    )
    const fill = (): Promise<unknown> =>
      Promise.all(heads.map((head, i) => put(here, `k${i}`, 'a', { ...head, id: `${i}` })))
    await fill()
    expect(await there.purge({ prefix: 'http://a.example/' }, true)).toBe(450)
    expect(await there.purge({ tag: 'all' }, true)).toBe(450)
    expect((await here.get('k449'))?.head.purged).toBe(true)
    expect(await there.purge({ tag: 'all' })).toBe(450)
    expect(await there.purge({ tag: 'all' })).toBe(0)
    await fill()
    expect((await here.get('k0'))?.head.purged).toBeUndefined()
    expect(await there.purge({ prefix: 'http://' })).toBe(450)
    const left = ['due', 'log', 'urls'].map((name) => prefix + name)
    expect((await redis.client.keys(`${prefix}*`)).sort()).toEqual(left)
    // When they were made, and that they are whole.
    expect(await redis.client.zCard(`${prefix}urls`)).toBe(2)
    expect(await redis.client.zCard(`${prefix}due`)).toBe(1)
  })

  it('a purge leaves what was asked for after it has begun', async () => {
    const [here] = pair()
    await watching(here)
    let first = true
    const slow: RedisClient = {
      duplicate: () => redis.client.duplicate(),
      async sendCommand(args, options) {
        // Between the two steps of the purge.
        if (args[1] === sweep.sha && first) {
          first = false
          await until(() => (here.mark() as number) > mark, 'the purge')
          await put(here, 'new', 'new', matching(), here.mark())
        }
        return redis.client.sendCommand(args, options)
      },
    }
    await put(here, 'old', 'old', matching())
    const mark = here.mark() as number
    expect(await storeOn({ client: slow }).purge({ tag: 'blue' })).toBe(1)
    expect(await bodyOf(here, 'new')).toBe('new')
    expect(await bodyOf(here, 'old')).toBeUndefined()
  })

  it('a soft purge that one has not heard of yet outlives its touch', async () => {
    const [, there] = pair()
    const relay = own(await relayTo(redis.server.path))
    const subscriber = own(await redisClient(relay))
    const here = storeOn({ subscriber })
    await watching(here)
    const head = matching()
    await put(here, 'k', 'a', head)
    relay.stall()
    await there.purge({ tag: 'blue' }, true)
    await here.touch('k', { ...head, headers: ['X-New', '1'] })
    expect((await here.get('k'))?.head).toEqual({ ...head, headers: ['X-New', '1'], purged: true })
    // It has looked what it had missed since then.
    await until(async () => {
      await here.touch('k', head)
      return (await here.get('k'))?.head.purged === undefined
    }, 'a touch that counts')
    relay.pass()
  })

  it('a purge whose message was lost with the connection is heard once there is another', async () => {
    const [, there] = pair()
    const relay = own(await relayTo(redis.server.path))
    const here = storeOn({ client: own(await redisClient(relay)), pause: 5 })
    const heard = await watching(here)
    relay.refuse()
    await there.purge({ tag: 'one' })
    await there.purge({ url: 'http://a/' }, true)
    relay.pass()
    await until(() => heard.length === 2, 'what was missed')
    await there.purge({ tag: 'three' })
    await until(() => heard.length === 3, 'the next one')
    expect(heard).toEqual([
      [{ tag: 'one' }, false],
      [{ url: 'http://a/' }, true],
      [{ tag: 'three' }, false],
    ])
  })

  it('a purge whose message was lost without a sign is heard with the next one', async () => {
    const [, there] = pair()
    let lose = false
    const subscriber = own(await redisClient(redis.server))
    const here = storeOn({
      subscriber: {
        subscribe: (channel, listener) =>
          subscriber.subscribe(channel, (message) => {
            if (!lose) listener(message)
          }),
        unsubscribe: (channel) => subscriber.unsubscribe(channel),
      },
    })
    const heard = await watching(here)
    let passed = 0
    await subscriber.subscribe(`${prefix}say`, () => passed++)
    lose = true
    await there.purge({ tag: 'one' })
    await until(() => passed === 1, 'the message')
    lose = false
    await there.purge({ tag: 'two' })
    await until(() => heard.length === 2, 'both')
    expect(heard.map(([what]) => what.tag)).toEqual(['one', 'two'])
  })

  it('all counts as purged where a purge may have been missed', async () => {
    const [, there] = pair()
    const relay = own(await relayTo(redis.server.path))
    const here = storeOn({ client: own(await redisClient(relay)), pause: 5 })
    const heard = await watching(here)
    relay.refuse()
    await there.purge({ tag: 'one' })
    await redis.client.sendCommand(['DEL', `${prefix}log`])
    relay.pass()
    await until(() => heard.length > 0, 'the purge of everything')
    expect(heard).toEqual([[{ prefix: '' }, false]])
  })

  it('all counts as purged where entries were served before purges could be heard of', async () => {
    const [here, there] = pair()
    await put(there, 'k', 'a', matching())
    expect(await bodyOf(here, 'k')).toBe('a')
    await there.purge({ tag: 'blue' })
    const heard: unknown[] = []
    here.watch((what, soft) => heard.push([what, soft]))
    await until(() => heard.length > 0, 'the purge of everything')
    expect(heard).toEqual([[{ prefix: '' }, false]])
  })

  it('all counts as purged where something was fetched before purges could be heard of', async () => {
    const [, there] = pair()
    const relay = own(await relayTo(redis.server.path))
    const client = own(await redisClient(relay))
    relay.refuse()
    await until(() => !client.isReady, 'the client to notice')
    const near = memoryStore()
    const here = tieredStore(near, storeOn({ client, pause: 5 }))
    await put(here, 'k', 'old', matching(), here.mark?.())
    expect(near.get('k')).toBeDefined()
    await there.purge({ tag: 'blue' })
    relay.pass()
    await until(() => near.get('k') === undefined, 'its end')
  })

  it('a watcher that throws, or has gone, is no matter of the others', async () => {
    const [here, there] = pair()
    const gone: unknown[] = []
    here.watch(() => {
      throw new Error('a fault of its own')
    })
    const leave = here.watch((what) => gone.push(what))
    const heard = await watching(here)
    leave()
    gone.length = 0
    await there.purge({ tag: 'one' })
    await until(() => heard.length === 1, 'the purge')
    expect(gone).toEqual([])
  })
})
