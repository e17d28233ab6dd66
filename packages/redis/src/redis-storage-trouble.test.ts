import { inspect } from 'node:util'
import type { AcmeStorage } from '@sluice/acme'
import debug from 'debug'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { redisClient } from '../../../test/kit/redis-server.js'
import { type Relay, relayTo } from '../../../test/kit/relay.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until, within } from '../../../test/kit/until.js'
import { withRedis } from '../../../test/kit/with-redis.js'
import type { RedisClient } from './redis-client.js'
import { redisLock } from './redis-lock.js'
import { redisStorage } from './redis-storage.js'

const secret = 'THE PRIVATE KEY'

/** Everything that can be asked of a storage, and what it calls itself in errors. */
const all: [string, (storage: AcmeStorage) => Promise<unknown>][] = [
  ['get of a/b failed', (storage) => storage.get('a/b')],
  ['set of a/b failed', (storage) => storage.set('a/b', secret)],
  ['delete of a/b failed', (storage) => storage.delete('a/b')],
  ['list of a failed', (storage) => storage.list('a')],
  ['the lock a is not taken', (storage) => storage.lock('a', 60_000)],
]

const failure = async (asked: Promise<unknown>): Promise<Error> => {
  const error = await within(asked, 'an answer').then(
    () => undefined,
    (cause: unknown) => cause,
  )
  if (!(error instanceof Error)) throw new Error('it should have failed')
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(secret)
  return error
}

withRedis('redisStorage over a Redis in trouble', (redis) => {
  const own = owner()
  let relay: Relay
  let client: Awaited<ReturnType<typeof redisClient>>
  let now: number
  beforeEach(async () => {
    now = 0
    relay = own(await relayTo(redis.server.path))
    client = own(await redisClient(relay))
  })
  const storageOn = (options: object = {}, over: RedisClient = client): AcmeStorage =>
    redisStorage(over, { prefix: redis.prefix(), timeout: 40, clock: () => now, ...options })

  it.each<[string, (relay: Relay) => void]>([
    ['stalls', (one) => one.stall()],
    ['is cut off', (one) => one.refuse()],
  ])('rejects everything in time where it %s, and works again after', async (_, trouble) => {
    const prefix = redis.prefix()
    const storage = storageOn({ prefix })
    trouble(relay)
    for (const [says, ask] of all)
      expect((await failure(ask(storage))).message).toContain(`redisStorage: ${says}`)
    relay.pass()
    // What was asked for in vain may be done now, and before this.
    await until(async () => {
      now += 1_000
      return storage.set('a/b', 'after').then(
        () => true,
        () => false,
      )
    }, 'its recovery')
    expect(await storageOn({ prefix, timeout: '10s' }, redis.client).get('a/b')).toBe('after')
  })

  it('asks nothing for a while after three failures', async () => {
    const asked: string[] = []
    const storage = storageOn(
      {
        prefix: 'p:',
      },
      {
        sendCommand: (args) => {
          asked.push(String(args[0]))
          return Promise.reject(new Error('closed'))
        },
      },
    )
    for (let i = 0; i < 10; i++) await failure(storage.get('a'))
    expect(asked).toHaveLength(3)
    now += 1_000
    for (let i = 0; i < 10; i++) await failure(storage.get('a'))
    expect(asked).toHaveLength(4)
  })

  it('gives back a lock whose granting it did not hear of', async () => {
    const prefix = redis.prefix()
    let lost = true
    const deaf: RedisClient = {
      async sendCommand(args, options) {
        const reply = await redis.client.sendCommand(args, options)
        if (args[0] !== 'SET' || !lost) return reply
        lost = false
        throw new Error('the connection is lost')
      },
    }
    const lock = redisLock(deaf, { prefix, timeout: '10s' })
    await failure(lock('a', 60_000))
    expect(await until(() => lock('a', 60_000), 'the lock')).toBeDefined()
  })

  it('gives a lock back also while Redis is left alone', async () => {
    let fails = false
    const flaky: RedisClient = {
      sendCommand: (args, options) =>
        fails ? Promise.reject(new Error('lost')) : redis.client.sendCommand(args, options),
    }
    const lock = redisLock(flaky, { prefix: redis.prefix(), timeout: '10s', clock: () => now })
    const held = await lock('a', 60_000)
    fails = true
    for (let i = 0; i < 3; i++) await failure(held?.extend(60_000) as Promise<boolean>)
    fails = false
    await failure(held?.extend(60_000) as Promise<boolean>)
    await held?.release()
    now += 1_000
    expect(await lock('a', 60_000)).toBeDefined()
  })

  it('cannot tell whether a lock stands where Redis does not answer, and lets it be released without an error', async () => {
    const prefix = redis.prefix()
    const storage = storageOn({ prefix, timeout: '10s' })
    const lock = await storage.lock('a', 60_000)
    relay.refuse()
    expect((await failure(lock?.extend(60_000) as Promise<boolean>)).message).toContain(
      'whether the lock a stands is not known',
    )
    expect(await within(lock?.release() as Promise<void>, 'the release')).toBeUndefined()
    expect(await storageOn({ prefix, timeout: '10s' }, redis.client).lock('a', 60_000)).toBeUndefined()
  })

  it('loses a lock with a Redis that forgets, and says so', async () => {
    const storage = storageOn({ timeout: '10s' })
    const lock = await storage.lock('a', 60_000)
    await redis.client.sendCommand(['FLUSHALL'])
    expect(await lock?.extend(60_000)).toBe(false)
    expect(await storage.lock('a', 60_000)).toBeDefined()
  })

  it('says what Redis says, and never a value: not where it quotes the command either', async () => {
    const prefix = redis.prefix()
    await redis.client.set(`${prefix}values`, 'no hash')
    expect(
      (await failure(storageOn({ prefix, timeout: '10s' }, redis.client).set('a', secret))).message,
    ).toBe('redisStorage: set of a failed: WRONGTYPE Operation against a key holding the wrong kind of value')
    const strange: RedisClient = {
      sendCommand: ([, ...args]) => redis.client.sendCommand(['HSETT', ...args]),
    }
    expect((await failure(storageOn({ timeout: '10s' }, strange).set('a', secret))).message).toBe(
      'redisStorage: set of a failed: ERR unknown command ',
    )
  })
})

describe('redisStorage over a client that lies', () => {
  trapUnhandled()
  afterEach(() => debug.disable())

  it.each([[[]], [{}], [5], [true]])('takes no %j for a value', async (reply) => {
    const storage = redisStorage({ sendCommand: async () => reply })
    expect((await failure(storage.get('a'))).message).toContain('something else than a text')
  })

  it.each([['text'], [null], [{}], [[1]]])('takes no %j for a list', async (reply) => {
    await failure(redisStorage({ sendCommand: async () => reply }).list(''))
  })

  it('survives one that throws, gives no promise, or never settles', async () => {
    const throws = redisStorage({
      sendCommand: () => {
        throw new Error(`no: '${secret}'`)
      },
    })
    expect((await failure(throws.set('a', secret))).message).toBe('redisStorage: set of a failed: no: ')
    const silent = redisStorage({ sendCommand: () => new Promise(() => {}) }, { timeout: 5 })
    for (const [says, ask] of all.slice(0, 2)) expect((await failure(ask(silent))).message).toContain(says)
  })

  it('puts no value into what debug shows', async () => {
    const lines: string[] = []
    const write = vi.spyOn(process.stderr, 'write').mockImplementation((line) => lines.push(String(line)) > 0)
    try {
      debug.enable('sluice:*')
      const storage = redisStorage({ sendCommand: () => Promise.reject(new Error(`closed: '${secret}'`)) })
      for (let i = 0; i < 4; i++) await failure(storage.set('a', secret))
    } finally {
      write.mockRestore()
    }
    expect(lines.join('')).toContain('sluice:redis')
    expect(lines.join('')).not.toContain(secret)
  })

  it('names a wrong option', () => {
    const client = { sendCommand: async () => null }
    expect(() => redisStorage({} as RedisClient)).toThrow(/^redisStorage.client: got .* takes a client/)
    expect(() => redisStorage(client, { timeout: 0 })).toThrow(/^redisStorage.timeout: /)
    expect(() => redisLock(client, { ttl: 5 } as object)).toThrow(/^redisLock.ttl: /)
  })
})
