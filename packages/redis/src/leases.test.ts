import { expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { redisClient } from '../../../test/kit/redis-server.js'
import { relayTo } from '../../../test/kit/relay.js'
import { patience, until } from '../../../test/kit/until.js'
import { withRedis } from '../../../test/kit/with-redis.js'
import { type RedisStore, type RedisStoreOptions, redisStore } from './redis-store.js'

withRedis('a lease', (redis) => {
  const own = owner()
  let prefix = ''

  const storeOn = (options: Partial<RedisStoreOptions> = {}): RedisStore =>
    own(redisStore({ client: redis.client, prefix, timeout: '10s', ...options }))
  const stores = (number: number, options: Partial<RedisStoreOptions> = {}): RedisStore[] => {
    prefix = redis.prefix()
    return Array.from({ length: number }, () => storeOn(options))
  }
  const held = async (): Promise<boolean> => (await redis.client.exists(`${prefix}l:k`)) === 1
  const free = (): Promise<boolean> => until(async () => !(await held()), 'the end of the lease')

  it('is waited for without end where the wait is 0', async () => {
    const [one, other] = stores(2) as [RedisStore, RedisStore]
    const end = await one.lease('k', 0)
    const waiting = other.lease('k', 0)
    // Commands go out in their order: by the second answer the first has come.
    await other.lease('another', 0).then((release) => release?.())
    let answer: unknown = 'none'
    void waiting.then((found) => {
      answer = found
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(answer).toBe('none')
    end?.()
    expect(await waiting).toBe(undefined)
    await free()
  })

  it('has one holder at a time, of all who ask anywhere', async () => {
    const all = stores(3)
    let holders = 0
    let fetched = 0
    const most = { holders: 0 }
    const caller = async (store: RedisStore): Promise<void> => {
      for (;;) {
        const end = await store.lease('k', patience)
        if (end === undefined) continue
        most.holders = Math.max(most.holders, ++holders)
        await redis.client.sendCommand(['PING'])
        fetched++
        holders--
        return end()
      }
    }
    await Promise.all(Array.from({ length: 50 }, (_, i) => caller(all[i % 3] as RedisStore)))
    expect(fetched).toBe(50)
    expect(most.holders).toBe(1)
    await free()
  })

  it('sends the others to the store when it ends', async () => {
    const [here, there] = stores(2) as [RedisStore, RedisStore]
    const end = await here.lease('k', patience)
    const waiting = [here, there, there].map((store) => store.lease('k', patience))
    const other = await there.lease('another', patience)
    expect(other).toBeTypeOf('function')
    end?.()
    end?.()
    expect(await Promise.all(waiting)).toEqual([undefined, undefined, undefined])
    await free()
  })

  it('is not waited for longer than told, and stays with its holder then', async () => {
    const [here, there] = stores(2) as [RedisStore, RedisStore]
    const end = await here.lease('k', patience)
    const late = await there.lease('k', 5)
    expect(late).toBeTypeOf('function')
    late?.()
    expect(await held()).toBe(true)
    end?.()
    await free()
  })

  it('ends by its time where its holder has died, and is not taken from the next one', async () => {
    const [here, there] = stores(2, { leaseTime: 50 }) as [RedisStore, RedisStore]
    const end = await here.lease('k', patience)
    expect(await there.lease('k', patience)).toBeUndefined()
    const next = storeOn({ leaseTime: '30s' })
    const endNext = await next.lease('k', patience)
    end?.()
    expect(await there.lease('another', patience)).toBeTypeOf('function')
    expect(await held()).toBe(true)
    endNext?.()
    await free()
  })

  it('is seen to end where no message comes', async () => {
    const deaf = { subscribe: async () => {}, unsubscribe: async () => {} }
    const [here, there] = stores(2, { subscriber: deaf }) as [RedisStore, RedisStore]
    const end = await here.lease('k', patience)
    const waiting = there.lease('k', patience)
    end?.()
    expect(await waiting).toBeUndefined()
  })

  it('is waited for until its own end, whatever comes late of one before', async () => {
    const heard: string[] = []
    let hear = (_message: string): void => {}
    const late = {
      subscribe: async (_channel: string, listener: (message: string) => void) => {
        hear = listener
      },
      unsubscribe: async () => {},
    }
    const [here] = stores(1) as [RedisStore]
    const there = storeOn({ subscriber: late })
    const ear = own(await redisClient(redis.server))
    await ear.subscribe(`${prefix}say`, (message) => heard.push(message))
    const first = await here.lease('k', patience)
    first?.()
    await until(() => heard.length === 1, 'the end of the first')
    for (const early of [true, false]) {
      const second = await here.lease('k', patience)
      const waiting = there.lease('k', patience)
      let answer: unknown = 'none'
      void waiting.then((found) => {
        answer = found
      })
      // Before it is known who has it, and after.
      if (!early) await there.lease('another', patience).then((release) => release?.())
      hear(heard[0] as string)
      await there.lease('another', patience).then((release) => release?.())
      await new Promise((resolve) => setImmediate(resolve))
      expect(answer).toBe('none')
      const known = heard.length
      second?.()
      await until(() => heard.slice(known).some((one) => one.endsWith('k')), 'its end')
      hear(heard.findLast((one) => one.endsWith('k')) as string)
      expect(await waiting).toBe(undefined)
      await free()
    }
  })

  it('is for everybody where Redis can not tell', async () => {
    const relay = own(await relayTo(redis.server.path))
    const troubled = own(await redisClient(relay))
    const [here] = stores(1) as [RedisStore]
    const there = storeOn({ client: troubled, timeout: 50 })
    const end = await here.lease('k', patience)
    // It waits while Redis goes.
    const waiting = there.lease('k', patience)
    await until(async () => there.mark() !== 0, 'the subscription')
    relay.stall()
    expect(await waiting).toBeTypeOf('function')
    expect(await there.lease('another', patience)).toBeTypeOf('function')
    relay.pass()
    end?.()
    await free()
    // What was asked for in vain, and granted after all, is given back.
    await until(async () => (await redis.client.exists(`${prefix}l:another`)) === 0, 'its end')
  })

  it('is waited for by nobody once the store is closed', async () => {
    const [here, there] = stores(2) as [RedisStore, RedisStore]
    const end = await here.lease('k', patience)
    const waiting = there.lease('k', patience)
    await there.close()
    expect(await waiting).toBeTypeOf('function')
    end?.()
    await free()
  })
})
