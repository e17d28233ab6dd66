import { toReadable } from '@sluice/core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { hasRedis, type RedisServer, redisClient, redisServer } from '../../../test/kit/redis-server.js'
import { type Relay, relayTo } from '../../../test/kit/relay.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { bodyBytes, entryHead, pattern } from '../../../test/kit/store-entries.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until, within } from '../../../test/kit/until.js'
import type { RedisClient } from './redis-client.js'
import { redisLimiter } from './redis-limiter.js'
import { type RedisStore, type RedisStoreOptions, redisStore } from './redis-store.js'

describe.skipIf(skipUnless(hasRedis, 'redis-server is not installed'))(
  'a store whose Redis is in trouble',
  () => {
    trapUnhandled()
    const own = owner()
    let redis: RedisServer
    let relay: Relay
    let client: Awaited<ReturnType<typeof redisClient>>
    let asked: string[]
    let count = 0
    let now = 0
    beforeAll(async () => {
      redis = await redisServer()
    })
    afterAll(() => redis.close())
    beforeEach(async () => {
      now = 0
      count++
      asked = []
      relay = own(await relayTo(redis.path))
      client = own(await redisClient(relay))
    })

    /** The client, and what it was asked. */
    const counted: RedisClient = {
      get isReady() {
        return client.isReady
      },
      duplicate: () => client.duplicate(),
      sendCommand(args, options) {
        asked.push(String(args[0]))
        return client.sendCommand(args, options)
      },
    }
    const storeOn = (options: Partial<RedisStoreOptions> = {}): RedisStore =>
      own(
        redisStore({
          client: counted,
          prefix: `${count}:`,
          timeout: 40,
          chunk: 1_000,
          clock: () => now,
          ...options,
        }),
      )
    /** Another one, whose own connection has no trouble. */
    const calmStore = async (): Promise<RedisStore> =>
      storeOn({ client: own(await redisClient(redis)), timeout: '10s' })
    const put = async (store: RedisStore, bytes: Buffer): Promise<void> => {
      const writer = store.put('k', entryHead())
      writer?.write(bytes)
      await writer?.commit()
    }
    const bodyOf = async (store: RedisStore): Promise<Buffer | undefined> => {
      const entry = await store.get('k')
      return entry && bodyBytes(entry.body())
    }
    /** Everything that a request may wait for. */
    const everything = async (store: RedisStore): Promise<void> => {
      store.mark()
      expect(await within(Promise.resolve(store.get('k')), 'get')).toBeUndefined()
      const writer = store.put('k', entryHead())
      writer?.write(pattern(5_500, 1))
      await within(Promise.resolve(writer?.commit()), 'commit')
      await within(Promise.resolve(store.touch('k', entryHead())), 'touch')
      await within(Promise.resolve(store.delete('k')), 'delete')
      const end = await within(store.lease('k', 1_000_000), 'lease')
      expect(end).toBeTypeOf('function')
      end?.()
    }

    it('misses where no answer comes, and asks nothing for a while after a few of them', async () => {
      const store = storeOn()
      await put(await calmStore(), pattern(500, 1))
      relay.stall()
      for (let i = 0; i < 3; i++) expect(await store.get('k')).toBeUndefined()
      asked = []
      for (let i = 0; i < 10; i++) await everything(store)
      expect(store.put('k', entryHead())).toBeUndefined()
      // What a lease asked for in vain is given back, in case it was granted.
      expect(asked.filter((name) => name !== 'EVALSHA' && name !== 'EVAL')).toEqual([])
      // Then one is sent to see, and only one.
      asked = []
      now += 1_000
      await Promise.all(Array.from({ length: 10 }, () => store.get('k')))
      expect(asked).toEqual(['HMGET'])
      expect(await store.get('k')).toBeUndefined()
      expect(asked).toEqual(['HMGET'])
      relay.pass()
      await until(async () => {
        now += 1_000
        return (await bodyOf(store))?.equals(pattern(500, 1))
      }, 'its recovery')
    })

    it.each<[string, (relay: Relay) => void]>([
      ['stalls', (one) => one.stall()],
      ['is cut off', (one) => one.refuse()],
    ])('that %s fails nothing but a purge', async (_, trouble) => {
      const store = storeOn()
      await put(await calmStore(), pattern(500, 1))
      trouble(relay)
      for (let i = 0; i < 3; i++) await everything(store)
      await expect(store.purge({ tag: 'a' })).rejects.toThrow('redisStore: the purge is not done: ')
      relay.pass()
      await until(
        async () => (await store.purge({ prefix: '' }).catch(() => undefined)) !== undefined,
        'a purge',
      )
      expect(await (await calmStore()).get('k')).toBeUndefined()
      await until(async () => {
        now += 1_000
        await put(store, pattern(500, 2))
        return (await bodyOf(store))?.equals(pattern(500, 2))
      }, 'an entry')
    })

    it('asks nothing of a client that has no connection', async () => {
      const store = storeOn()
      relay.refuse()
      await until(() => !client.isReady, 'the client to notice')
      for (let i = 0; i < 5; i++) await everything(store)
      expect(store.put('k', entryHead())).toBeUndefined()
      expect(asked).toEqual([])
    })

    it('does not take what Redis answers as an error for trouble', async () => {
      const store = storeOn({ timeout: '10s' })
      await client.set(`${count}:e:k`, 'text')
      for (let i = 0; i < 10; i++) expect(await store.get('k')).toBeUndefined()
      await put(store, pattern(500, 1))
      expect((await bodyOf(store))?.equals(pattern(500, 1))).toBe(true)
    })

    it('keeps nothing that Redis has no room for', async () => {
      const store = storeOn({ timeout: '10s' })
      await put(store, pattern(500, 1))
      await client.configSet('maxmemory', '1')
      own({ close: () => client.configSet('maxmemory', '0') })
      await put(store, pattern(500, 2))
      await put(store, pattern(5_500, 2))
      expect((await bodyOf(store))?.equals(pattern(500, 1))).toBe(true)
      // What there is can be revalidated and purged.
      expect(await store.purge({ prefix: 'http' }, true)).toBe(1)
      const head = (await store.get('k'))?.head
      expect(head?.purged).toBe(true)
      await store.touch('k', entryHead({ id: head?.id ?? '' }))
      expect((await store.get('k'))?.head.purged).toBeUndefined()
      expect(await store.purge({ prefix: 'http' })).toBe(1)
      await client.configSet('maxmemory', '0')
      await put(store, pattern(500, 3))
      expect((await bodyOf(store))?.equals(pattern(500, 3))).toBe(true)
    })

    it('goes on with a body after the connection was lost', async () => {
      const whole = pattern(200_500, 1)
      const store = storeOn({ timeout: '10s' })
      await put(store, whole)
      const read: Buffer[] = []
      for await (const part of toReadable((await store.get('k'))?.body() ?? null)) {
        read.push(part as Buffer)
        if (read.length % 40 === 20) relay.cut()
      }
      expect(Buffer.concat(read).equals(whole)).toBe(true)
    })

    it('killed in mid-body breaks the body before a wrong byte, and is a miss until it is back', async () => {
      const whole = pattern(200_500, 1)
      const store = storeOn({ timeout: '10s', pause: 5, clock: () => performance.now() })
      const heard: unknown[] = []
      store.watch((what, soft) => heard.push([what, soft]))
      await until(() => store.mark() !== 0, 'the subscription')
      heard.length = 0
      await put(store, whole)
      const begun = store.put('k', entryHead())
      const read: Buffer[] = []
      const reading = (async () => {
        for await (const part of toReadable((await store.get('k'))?.body() ?? null)) {
          read.push(part as Buffer)
          if (read.length !== 20) continue
          await redis.kill()
          await until(() => !client.isReady, 'the client to notice')
          await everything(store)
          await redis.start()
        }
      })()
      await expect(reading).rejects.toThrow('a part of the stored body is gone')
      const had = Buffer.concat(read)
      expect(had.equals(whole.subarray(0, had.length))).toBe(true)
      expect(await store.get('k')).toBeUndefined()
      begun?.write(whole)
      await begun?.commit()
      await until(async () => {
        await put(store, whole)
        return (await bodyOf(store))?.equals(whole)
      }, 'an entry')
      // Purges may have been lost with it.
      await until(() => heard.length > 0, 'the purge of everything')
      expect(heard).toEqual([[{ prefix: '' }, false]])
    })

    it('that is gone while a body is written keeps nothing of it', async () => {
      const store = storeOn()
      const writer = store.put('k', entryHead())
      writer?.write(pattern(5_500, 1))
      relay.stall()
      writer?.write(pattern(5_500, 2))
      await writer?.commit()
      relay.pass()
      now += 1_000
      await until(async () => {
        now += 1_000
        return (await store.get('other')) === undefined && client.isReady
      }, 'its recovery')
      expect(await store.get('k')).toBeUndefined()
    })

    it('holds no more commands than a thousand with a client that never settles them', async () => {
      let sent = 0
      const never: RedisClient = {
        sendCommand() {
          sent++
          return new Promise(() => {})
        },
        duplicate: () => client.duplicate(),
      }
      const store = storeOn({ client: never, timeout: 1 })
      for (let i = 0; i < 20; i++) {
        now += 1_000
        await Promise.all(Array.from({ length: 100 }, () => store.get('k')))
      }
      // A hundred before it was known, and one a second after.
      expect(sent).toBe(119)
      const unpaused = storeOn({ client: never, timeout: '10s' })
      sent = 0
      const all = Array.from({ length: 1_100 }, () => unpaused.get('k'))
      expect(sent).toBe(1_000)
      expect(await Promise.race(all)).toBeUndefined()
      expect(await all[1_099]).toBeUndefined()
    })

    it('goes on with a body once Redis has started again and read what it had saved', async () => {
      let refusals = [
        'LOADING Redis is loading the dataset in memory',
        'BUSY Redis is busy running a script.',
      ]
      const starting: RedisClient = {
        async sendCommand(args, options) {
          const refusal = args[0] === 'GET' ? refusals.pop() : undefined
          if (refusal !== undefined) throw new Error(refusal)
          return client.sendCommand(args, options)
        },
        duplicate: () => client.duplicate(),
      }
      const store = storeOn({ client: starting, timeout: '10s' })
      await put(store, pattern(5_500, 1))
      expect((await bodyOf(store))?.equals(pattern(5_500, 1))).toBe(true)
      expect(refusals).toEqual([])
      refusals = ['WRONGPASS invalid username-password pair']
      await expect(bodyOf(store)).rejects.toThrow('WRONGPASS')
    })

    it('takes no longer for two answers than for one', async () => {
      let slow = false
      const late: RedisClient = {
        async sendCommand(args, options) {
          const answer = await client.sendCommand(args, options).catch((error: Error) => error)
          // Two of them are more than the timeout.
          if (slow) await new Promise((resolve) => setTimeout(resolve, 600))
          if (answer instanceof Error) throw answer
          return answer
        },
        duplicate: () => client.duplicate(),
      }
      const store = storeOn({ client: late, timeout: '1s', clock: () => performance.now() })
      await put(store, pattern(5_500, 1))
      slow = true
      expect(await store.get('k')).toBeUndefined()
      // The first one asks for the text of the script, and the second isn't waited for.
      await client.scriptFlush()
      const limiter = redisLimiter(late, { limit: 100, window: '1h', timeout: '1s', prefix: `${count}` })
      expect((await limiter.take('a')).remaining).toBe(49)
      slow = false
      expect((await bodyOf(store))?.equals(pattern(5_500, 1))).toBe(true)
      expect((await limiter.take('b')).remaining).toBe(99)
    })

    it('has its whole time for a second answer where this process was too busy to read the first', async () => {
      const busy: RedisClient = {
        async sendCommand(args, options) {
          const answer = await client.sendCommand(args, options)
          if (args[0] === 'HMGET') now += 10_001
          else if (args[0] === 'EXISTS') await new Promise((resolve) => setTimeout(resolve, 50))
          return answer
        },
        duplicate: () => client.duplicate(),
      }
      const store = storeOn({ client: busy, timeout: '10s' })
      await put(store, pattern(5_500, 1))
      for (let i = 0; i < 4; i++) expect(await store.get('k')).toBeDefined()
    })

    it('may have a client that throws', async () => {
      const throwing: RedisClient = {
        sendCommand: () => {
          throw new Error('its own fault')
        },
        duplicate: () => {
          throw new Error('another')
        },
      }
      const store = storeOn({ client: throwing })
      await everything(store)
      await expect(store.purge({ tag: 'a' })).rejects.toThrow('its own fault')
    })
  },
)
