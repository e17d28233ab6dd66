import { memoryStore, type Store, tieredStore } from '@sluice/cache'
import { redisStore } from '@sluice/redis'
import { describe, expect, it } from 'vitest'
import { type HttpClient, httpClient } from '../kit/client.js'
import { proxyOf } from '../kit/fronts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { hasRedis, redisClient, redisServer } from '../kit/redis-server.js'
import { seeded } from '../kit/seeded.js'
import { skipUnless } from '../kit/skip.js'
import { pattern } from '../kit/store-entries.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const urls = 80
/** Some are of several parts: those that were being given when Redis went go on from the target. */
const sizeOf = (id: number): number => (id % 8 === 0 ? 700_000 : (id * 211) % 20_000)
const bodies = Array.from({ length: urls }, (_, id) => pattern(sizeOf(id), id))

/** Proxies of one deployment, which knows its pages by one name wherever it is asked. */
async function deployment(count: number, tiered: boolean) {
  const asked = new Map<string, number>()
  const origin = own(
    await originServer(async (req, res) => {
      const path = req.url ?? ''
      asked.set(path, (asked.get(path) ?? 0) + 1)
      const id = Number(/\d+/.exec(path)?.[0]) % urls
      const body = bodies[id] as Buffer
      // So that others ask while it is under way.
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
      const length = id % 3 === 0 ? [] : ['Content-Length', String(body.length)]
      res.writeHead(200, ['Cache-Control', 'max-age=3600', 'ETag', `"${id}"`, ...length]).end(body)
    }),
  )
  const redis = own(await redisServer())
  const fronts: { built: ReturnType<typeof proxyOf>; client: HttpClient }[] = []
  for (let i = 0; i < count; i++) {
    const client = own(await redisClient(redis))
    const far = own(redisStore({ client, prefix: 'test:', timeout: '2s', pause: 50, leaseTime: '2s' }))
    const store: Store = tiered ? own(tieredStore(memoryStore({ maxSize: '1mb' }), far)) : far
    const cache = { store, storeTimeout: '3s' } as const
    const built = own(proxyOf({ targets: origin.url, cache }))
    const { port } = await built.proxy.listen()
    fronts.push({ built, client: own(httpClient({ port })) })
  }
  const random = seeded(9)
  let hits = 0
  const ask = async (i: number, path: string): Promise<void> => {
    const id = Number(/\d+/.exec(path)?.[0]) % urls
    const { client } = fronts[i % count] as (typeof fronts)[number]
    const answer = await client.ask({ path, headers: ['Host', 'site.example'] })
    const body = bodies[id] as Buffer
    const right = answer.body.equals(body)
    expect([path, answer.status, answer.complete, right]).toEqual([path, 200, true, true])
    if (value(answer.headers, 'cache-status')?.includes('; hit;')) hits++
  }
  return {
    redis,
    asked,
    ask,
    random,
    fronts,
    get hits() {
      return hits
    },
  }
}

describe.skipIf(skipUnless(hasRedis, 'redis-server is not installed'))('two proxies over one Redis', () => {
  it.each([
    ['redisStore', false],
    ['memoryStore over redisStore', true],
  ])('make one fetch of what both want: %s', async (_name, tiered) => {
    const at = await deployment(2, tiered)
    const { asked, ask, fronts } = at
    for (let id = 0; id < 40; id++) await Promise.all(Array.from({ length: 8 }, (_, i) => ask(i, `/${id}`)))
    expect([...asked].filter(([, count]) => count !== 1)).toEqual([])
    expect(asked.size).toBe(40)
    // And a purge at one of them is one at both.
    expect(await fronts[0]?.built.proxy.cache?.purge({ prefix: 'http://site.example/1' })).toBeGreaterThan(0)
    await until(async () => {
      await ask(1, '/1')
      return asked.get('/1') === 2
    }, 'the other one to hear of the purge')
  })

  it.each([
    ['redisStore', false],
    ['memoryStore over redisStore', true],
  ])('serve on while it is killed and started again, over and over: %s', async (_name, tiered) => {
    const at = await deployment(2, tiered)
    const { ask, random, redis } = at
    let [count, over] = [0, false]
    const worker = async (): Promise<void> => {
      while (!over) {
        await ask(count++, `/${Math.floor(random() * urls)}`)
        if (random() < 0.02)
          await at.fronts[0]?.built.proxy.cache?.purge({ prefix: 'http://site.example/7' }).catch(() => {})
      }
    }
    const workers = Promise.all(Array.from({ length: 16 }, worker))
    // A fault is the test's at once, not after all rounds.
    const atLeast = (more: number): Promise<unknown> => {
      const enough = count + more
      return Promise.race([
        workers,
        until(
          () => count >= enough,
          () => `${enough} answers, not ${count}`,
          30_000,
        ),
      ])
    }
    try {
      for (let round = 0; round < 5; round++) {
        await atLeast(60)
        await redis.kill()
        await atLeast(60)
        await redis.start()
      }
      const before = at.hits
      // It is used again, once its clients have found it.
      await until(() => at.hits > before + 50, 'hits again', 30_000)
    } finally {
      over = true
      await workers
    }
    for (const { built } of at.fronts)
      await until(
        () => built.upstream.all.every(({ inFlight }) => inFlight === 0),
        'the leases to be released',
      )
  })
})
