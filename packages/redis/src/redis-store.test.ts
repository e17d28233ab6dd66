import { describe, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { redisClient } from '../../../test/kit/redis-server.js'
import { entryHead } from '../../../test/kit/store-entries.js'
import { storeSuite } from '../../../test/kit/store-suite.js'
import { until } from '../../../test/kit/until.js'
import { withRedis } from '../../../test/kit/with-redis.js'
import type { RedisClient } from './redis-client.js'
import { redisStore } from './redis-store.js'

withRedis('redisStore', (redis) => {
  const own = owner()

  for (const [name, chunk] of [
    ['with bodies in one part', '4mb'],
    ['with bodies in parts', 1_000],
  ] as const)
    storeSuite(
      `redisStore ${name}`,
      async ({ maxEntry }) => ({
        store: redisStore({ client: redis.client, prefix: redis.prefix(), timeout: '10s', chunk, maxEntry }),
      }),
      { sync: false, bounded: false },
    )

  const connections = async (): Promise<number> =>
    String(await redis.client.sendCommand(['CLIENT', 'LIST']))
      .trim()
      .split('\n').length

  it('asks nothing of Redis before it is used, and lets go of its own connection alone', async () => {
    const before = await connections()
    const store = redisStore({ client: redis.client, timeout: '10s' })
    expect(await connections()).toBe(before)
    store.mark()
    await until(async () => (await connections()) === before + 1, 'the subscription')
    await store.close()
    await store.close()
    await until(async () => (await connections()) === before, 'the end of the subscription')
    expect(redis.client.isReady).toBe(true)
    expect(store.mark()).toBeTypeOf('number')
    expect(await store.lease('k', 1)).toBeTypeOf('function')
    expect(await connections()).toBe(before)
  })

  it("leaves a subscriber of its user's as it was", async () => {
    const subscriber = own(await redisClient(redis.server))
    const store = redisStore({ client: redis.client, subscriber, prefix: 'own:', timeout: '10s' })
    const heard: string[] = []
    await subscriber.subscribe('own:say', (message) => heard.push(message))
    store.mark()
    const count = async (): Promise<unknown> => redis.client.sendCommand(['PUBSUB', 'NUMSUB', 'own:say'])
    await until(async () => String(await count()) === 'own:say,1', 'the subscription')
    await store.close()
    await store.purge({ url: 'http://a/' })
    expect(subscriber.isReady).toBe(true)
    const other = own(redisStore({ client: redis.client, prefix: 'own:', timeout: '10s' }))
    await other.purge({ url: 'http://a/' })
    await until(() => heard.length === 1, 'the purge at the listener of the user')
  })

  it('gives up when whoever asks has given up', async () => {
    const store = own(redisStore({ client: silent, timeout: '10s' }))
    expect(await store.get('k', AbortSignal.abort())).toBeUndefined()
    const gone = new AbortController()
    const found = store.get('k', gone.signal)
    gone.abort()
    expect(await found).toBeUndefined()
  })

  it('refuses what can be of no use, and a body of another length than was told', async () => {
    const store = own(redisStore({ client: redis.client, prefix: 'short:', timeout: '10s' }))
    expect(store.put('k', entryHead({ keepUntil: Date.now() - 1 }))).toBeUndefined()
    expect(store.put('k', entryHead({ keepUntil: Number.NaN }))).toBeUndefined()
    const writer = store.put('k', entryHead({ length: 4 }))
    expect(writer?.write(Buffer.from('abc'))).toBe(true)
    await writer?.commit()
    expect(await store.get('k')).toBeUndefined()
  })

  it('keeps no more bytes than it may that Redis has not taken', async () => {
    const store = own(redisStore({ client: silent, timeout: '10s', buffer: '1mb', chunk: '64kb' }))
    const writer = store.put('k', entryHead())
    let taken = 0
    while (writer?.write(Buffer.alloc(64 * 1024))) taken++
    expect(taken).toBe(15)
    expect(writer?.write(Buffer.alloc(1))).toBe(false)
    await writer?.commit()
  })
})

/** One that answers nothing. */
const silent: RedisClient & { duplicate(): never } = {
  sendCommand: () => new Promise(() => {}),
  duplicate: () => {
    throw new Error('none')
  },
}

describe('the options of redisStore', () => {
  it('are checked', () => {
    const options = {
      client: {},
      subscriber: 1,
      prefix: 1,
      timeout: 0,
      pause: 'x',
      leaseTime: -1,
      maxEntry: 'x',
      chunk: 0,
      buffer: -1,
      clock: 1,
      size: 1,
    }
    const all = (): unknown => redisStore(options as never)
    expect(all).toThrow(TypeError)
    for (const name of Object.keys(options)) expect(all).toThrow(`redisStore.${name}`)
    const lonely = { sendCommand: async () => null }
    expect(() => redisStore({ client: lonely })).toThrow('redisStore.subscriber')
  })

  it('purge one thing at a time', async () => {
    const store = redisStore({ client: silent })
    await expect(store.purge({})).rejects.toThrow(TypeError)
    await store.close()
  })
})
