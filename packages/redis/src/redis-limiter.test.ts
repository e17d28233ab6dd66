import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Verdict } from '@sluice/limit'
import { beforeEach, describe, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { redisClient } from '../../../test/kit/redis-server.js'
import { type Relay, relayTo } from '../../../test/kit/relay.js'
import { until, within } from '../../../test/kit/until.js'
import { withRedis } from '../../../test/kit/with-redis.js'
import type { RedisClient } from './redis-client.js'
import { type RedisLimiter, type RedisLimiterOptions, redisLimiter } from './redis-limiter.js'

const minute = { limit: 6, window: '1m' } as const
const none: RedisClient = { sendCommand: () => Promise.reject(new Error('no')) }

withRedis('redisLimiter', (redis) => {
  const own = owner()
  let now: number
  beforeEach(() => {
    now = 0
  })
  const limiterOn = (
    options: Partial<RedisLimiterOptions> = {},
    client: RedisClient = redis.client,
  ): RedisLimiter =>
    redisLimiter(client, { ...minute, prefix: redis.prefix(), timeout: '10s', clock: () => now, ...options })
  /** Asks until it is Redis that has counted: on a busy machine it may be too late. */
  const fromRedis = async (limiter: RedisLimiter, key: () => string): Promise<Verdict> => {
    for (;;) {
      now += 1_000
      const verdict = await within(limiter.take(key()), 'a verdict')
      if (verdict.limit === 6) return verdict
    }
  }
  const taken = async (limiter: RedisLimiter, times: number, key = 'a'): Promise<Verdict[]> => {
    const verdicts: Verdict[] = []
    for (let i = 0; i < times; i++) verdicts.push(await limiter.take(key))
    return verdicts
  }

  it('counts for all that share its prefix, and for each key by itself', async () => {
    const prefix = redis.prefix()
    const [one, other] = [limiterOn({ prefix }), limiterOn({ prefix }, own(await redisClient(redis.server)))]
    expect((await taken(one, 4)).map(({ ok, remaining }) => [ok, remaining])).toEqual([
      [true, 5],
      [true, 4],
      [true, 3],
      [true, 2],
    ])
    expect((await taken(other, 3)).map(({ ok, remaining }) => [ok, remaining])).toEqual([
      [true, 1],
      [true, 0],
      [false, 0],
    ])
    const refused = await one.take('a')
    expect(refused.retryAfterMs).toBeGreaterThan(5_000)
    expect(refused.retryAfterMs).toBeLessThanOrEqual(10_000)
    expect(await one.take('b')).toMatchObject({ ok: true, remaining: 5 })
    expect(await limiterOn().take('a')).toMatchObject({ ok: true, remaining: 5 })
    expect(one.policy).toEqual({ quota: 6, window: 60 })
  })

  it('counts nothing for a limiter whose prefix begins with its own, whatever a client sends as a key', async () => {
    const prefix = redis.prefix()
    await taken(limiterOn({ prefix }), 6, 'login:victim')
    expect(await limiterOn({ prefix: `${prefix}login:` }).take('victim')).toMatchObject({
      ok: true,
      remaining: 5,
    })
  })

  it('asks in one round trip, once Redis knows the script', async () => {
    const sent: string[] = []
    const counted: RedisClient = {
      sendCommand(args, options) {
        sent.push(String(args[0]))
        return redis.client.sendCommand(args, options)
      },
    }
    const limiter = limiterOn({}, counted)
    await limiter.take('a')
    sent.length = 0
    await taken(limiter, 3)
    expect(sent).toEqual(['EVALSHA', 'EVALSHA', 'EVALSHA'])
  })

  it('lets what is over the limit by no unit pass where many ask at once', async () => {
    const prefix = redis.prefix()
    const clients = [redis.client, own(await redisClient(redis.server)), own(await redisClient(redis.server))]
    const limiters = clients.map((client) => limiterOn({ prefix, limit: 50, window: '1h' }, client))
    const all = await Promise.all(
      Array.from({ length: 300 }, (_, i) => (limiters[i % 3] as RedisLimiter).take('a')),
    )
    expect(all.filter(({ ok }) => ok)).toHaveLength(50)
  })

  it('lets nothing more pass at once, however short the time is that a unit takes to come back', async () => {
    const prefix = redis.prefix()
    let micros = 0
    let script: string | undefined
    /** The script by a clock of the test's, where nothing expires by that of Redis. */
    const stopped: RedisClient = {
      sendCommand([name, text, ...args], options) {
        if (name === 'EVAL') script = String(text)
        if (script === undefined) return Promise.reject(new Error('NOSCRIPT'))
        const clock = `local real=redis local redis={call=function(name,key,value)
          if name=='TIME' then return {'1000','${micros}'} end
          if name=='GET' then return real.call(name,key) end
          return real.call(name,key,value)
        end}`
        return redis.client.sendCommand(['EVAL', `${clock}\n${script}`, ...args], options)
      },
    }
    const bytes = limiterOn({ prefix: `${prefix}bytes`, limit: 10_000_000, window: '1s' }, stopped)
    expect(await bytes.take('a', 10_000_000)).toMatchObject({ ok: true, limit: 10_000_000 })
    const held = () => redis.client.sendCommand(['GET', `${prefix}bytes\0a`]).then(String)
    const before = await held()
    expect(await bytes.take('a', 9)).toMatchObject({ ok: false, remaining: 0, retryAfterMs: 1 })
    expect(await held()).toBe(before)
    const parts = limiterOn({ prefix: `${prefix}parts`, limit: 100, window: '1h' }, stopped)
    expect(await parts.take('a', 100)).toMatchObject({ ok: true, limit: 100 })
    expect(await parts.take('a', 0.000_000_02)).toMatchObject({ ok: false, limit: 100 })
    // Six tenths of a unit come back in each microsecond. That a whole one was let pass for it is owed, also where more is refused in between.
    const units = limiterOn({ prefix: `${prefix}units`, limit: 600, window: 1, burst: 10 }, stopped)
    let passed = 0
    for (micros = 0; micros < 100; micros++) {
      while ((await units.take('a')).ok) passed++
      expect(await units.take('a', 10)).toMatchObject({ ok: false, limit: 10 })
    }
    expect(passed).toBeLessThanOrEqual(10 + 60)
  })

  it('takes costs, burst, and what costs more than ever', async () => {
    const limiter = limiterOn({ burst: 3 })
    expect(await limiter.take('a', 2.5)).toMatchObject({ ok: true, limit: 3, remaining: 0 })
    expect(await limiter.take('a', 1)).toMatchObject({ ok: false })
    expect(await limiter.take('a', 0)).toMatchObject({ ok: true })
    const never = await limiter.take('a', 4)
    expect(never.ok).toBe(false)
    expect(never.retryAfterMs).toBeUndefined()
  })

  it('holds a key until its units are back, and charges nothing for what it refuses', async () => {
    const prefix = redis.prefix()
    const limiter = limiterOn({ prefix })
    await taken(limiter, 6)
    const before = await redis.client.sendCommand(['GET', `${prefix}\0a`])
    await taken(limiter, 3)
    expect(await redis.client.sendCommand(['GET', `${prefix}\0a`])).toEqual(before)
    const ttl = Number(await redis.client.sendCommand(['PTTL', `${prefix}\0a`]))
    expect(ttl).toBeGreaterThan(50_000)
    expect(ttl).toBeLessThanOrEqual(60_000)
    await limiter.take('free', 0)
    expect(await redis.client.sendCommand(['EXISTS', `${prefix}\0free`])).toEqual(0)
  })

  it('lets a refused request pass when it has said so, by the clock of Redis', async () => {
    const prefix = redis.prefix()
    const limiter = limiterOn({ prefix })
    await taken(limiter, 6)
    const { retryAfterMs } = await limiter.take('a')
    /** As if so much time had passed. */
    const pass = async (ms: number): Promise<unknown> => {
      const full = Number(String(await redis.client.sendCommand(['GET', `${prefix}\0a`])))
      return redis.client.sendCommand(['SET', `${prefix}\0a`, String(full - ms)])
    }
    await pass((retryAfterMs as number) - 5_000)
    expect((await limiter.take('a')).ok).toBe(false)
    await pass(5_000)
    expect((await limiter.take('a')).ok).toBe(true)
  })

  it('is used up at worst, and from now on, where the clock of Redis was set back', async () => {
    const prefix = redis.prefix()
    const limiter = limiterOn({ prefix })
    await redis.client.sendCommand(['SET', `${prefix}\0a`, String(Date.now() + 1e9)])
    const refused = await limiter.take('a')
    expect(refused).toMatchObject({ ok: false, remaining: 0 })
    expect(refused.retryAfterMs).toBeLessThanOrEqual(10_000)
    const left = Number(String(await redis.client.sendCommand(['GET', `${prefix}\0a`])))
    expect(left).toBeLessThan(Date.now() + 120_000)
  })

  it('begins anew with a value that is no number, and counts here where the key is another thing', async () => {
    const prefix = redis.prefix()
    const limiter = limiterOn({ prefix })
    await redis.client.sendCommand(['SET', `${prefix}\0a`, 'x'])
    expect(await limiter.take('a')).toMatchObject({ ok: true, remaining: 5 })
    await redis.client.sendCommand(['HSET', `${prefix}\0b`, 'x', 'y'])
    expect(await limiter.take('b')).toMatchObject({ ok: true, limit: 3, remaining: 2 })
  })

  it('keeps long keys short', async () => {
    const prefix = redis.prefix()
    await limiterOn({ prefix }).take('x'.repeat(100_000))
    const keys = (await redis.client.sendCommand(['KEYS', `${prefix}*`])) as unknown[]
    expect(keys.map((key) => String(key).length)).toEqual([prefix.length + 1 + 44])
  })

  // Three processes take long to start on a busy machine.
  it('is one limit over processes', async () => {
    const prefix = redis.prefix()
    const program = fileURLToPath(
      new URL('../../../test/conformance/redis-limiter-process.mjs', import.meta.url),
    )
    const children = [1, 2, 3].map(() =>
      fork(program, [redis.server.path, prefix, '40'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    )
    try {
      const passed = await Promise.all(
        children.map(
          async (child) => ((await within(once(child, 'message'), 'a process', 45_000)) as [number])[0],
        ),
      )
      expect(passed.reduce((sum, each) => sum + each, 0)).toBe(100)
    } finally {
      for (const child of children) child.kill('SIGKILL')
    }
  }, 60_000)

  describe('over a Redis in trouble', () => {
    let relay: Relay
    let client: Awaited<ReturnType<typeof redisClient>>
    let asked = 0
    beforeEach(async () => {
      asked = 0
      relay = own(await relayTo(redis.server.path))
      client = own(await redisClient(relay))
    })
    const counted: RedisClient = {
      get isReady() {
        return client.isReady
      },
      sendCommand(args, options) {
        asked++
        return client.sendCommand(args, options)
      },
    }

    it.each<[string, (relay: Relay) => void]>([
      ['stalls', (one) => one.stall()],
      ['is cut off', (one) => one.refuse()],
    ])('counts its share where it %s, within its time, and the limit again after', async (_, trouble) => {
      const limiter = limiterOn({ timeout: 40, instances: 3 }, counted)
      await fromRedis(limiter, () => 'a')
      trouble(relay)
      const verdicts = await within(taken(limiter, 4, 'b'), 'verdicts')
      expect(verdicts.map(({ ok }) => ok)).toEqual([true, true, false, false])
      expect(verdicts[0]).toMatchObject({ limit: 2, remaining: 1 })
      // A third of the limit: a unit in 30 s.
      expect(verdicts[3]?.retryAfterMs).toBe(30_000)
      now += 30_000
      expect((await within(limiter.take('b'), 'a verdict')).ok).toBe(true)
      relay.pass()
      await until(() => client.isReady, 'a connection')
      // What was charged before counts on in Redis.
      expect((await fromRedis(limiter, () => 'a')).remaining).toBeLessThan(5)
    })

    it('asks nothing in a pause', async () => {
      const limiter = limiterOn({ timeout: 20, pause: '1s' }, counted)
      await limiter.take('a')
      relay.stall()
      await taken(limiter, 3)
      const before = asked
      await taken(limiter, 20)
      expect(asked).toBe(before)
      now += 1_000
      await limiter.take('a')
      expect(asked).toBe(before + 1)
    })

    it('lets what costs more than its share take all of it', async () => {
      const limiter = limiterOn({ instances: 3 }, none)
      expect(await limiter.take('a', 6)).toMatchObject({ ok: true, remaining: 0 })
      expect((await limiter.take('a', 6)).retryAfterMs).toBe(60_000)
      expect(await limiter.take('a', 7)).not.toHaveProperty('retryAfterMs')
    })

    it('lets one unit pass where there are more proxies than units', async () => {
      const limiter = limiterOn({ instances: 60 }, none)
      expect((await taken(limiter, 2)).map(({ ok }) => ok)).toEqual([true, false])
    })
  })

  it('counts here while the server is gone, and there again when it is back with nothing in it', async () => {
    const limiter = limiterOn({ timeout: 40 })
    await fromRedis(limiter, () => 'a')
    await redis.server.kill()
    try {
      expect((await within(taken(limiter, 4, 'b'), 'verdicts')).map(({ ok }) => ok)).toEqual([
        true,
        true,
        true,
        false,
      ])
    } finally {
      await redis.server.start()
    }
    await until(() => redis.client.isReady, 'a connection')
    let count = 0
    expect(await fromRedis(limiter, () => `new ${++count}`)).toMatchObject({ ok: true, remaining: 5 })
  })
})

describe('redisLimiter without a Redis', () => {
  it.each<[string, RedisClient]>([
    ['rejects', none],
    [
      'throws',
      {
        sendCommand: () => {
          throw new Error('thrown')
        },
      },
    ],
    ['gives nothing', { sendCommand: async () => null }],
    ['gives garbage', { sendCommand: async () => Buffer.from('-1e400 OK') }],
    ['gives a debt that can not be', { sendCommand: async () => Buffer.from('1e9') }],
    ['has no connection', { isReady: false, sendCommand: () => new Promise(() => {}) }],
    ['never answers', { sendCommand: () => new Promise(() => {}) }],
  ])('counts its share where the client %s', async (_, client) => {
    const limiter = redisLimiter(client, { ...minute, timeout: 10, clock: () => 0 })
    const verdicts = [
      await limiter.take('a'),
      await limiter.take('a'),
      await limiter.take('a'),
      await limiter.take('a'),
    ]
    expect(verdicts.map(({ ok }) => ok)).toEqual([true, true, true, false])
  })

  it('rejects what no caller may ask', async () => {
    const limiter = redisLimiter(none, minute)
    await expect(limiter.take(3 as never)).rejects.toThrow('key: got 3, takes a text')
    await expect(limiter.take('a', -1)).rejects.toThrow('cost: got -1')
  })

  it.each([
    [{}, none, ['redisLimiter.limit: got nothing', 'redisLimiter.window: got nothing']],
    [
      { ...minute, instances: 0, timeout: 0, prefix: 3 },
      none,
      ['redisLimiter.instances: got 0', 'redisLimiter.timeout: got 0', 'redisLimiter.prefix: got 3'],
    ],
    [{ ...minute, share: 0.5 }, none, ['redisLimiter.share: unknown option']],
    [minute, {}, ['redisLimiter.client: got {}, takes a client']],
  ])('names what is wrong in %j', (options, client, faults) => {
    for (const fault of faults) expect(() => redisLimiter(client as never, options as never)).toThrow(fault)
  })
})
