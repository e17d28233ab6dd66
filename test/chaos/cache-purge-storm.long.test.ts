import { fileStore, memoryStore, type Store, tieredStore } from '@sluice/cache'
import { redisStore } from '@sluice/redis'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { proxyOf } from '../kit/fronts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { hasRedis, type RedisServer, redisClient, redisServer } from '../kit/redis-server.js'
import { seeded } from '../kit/seeded.js'
import { skipUnless } from '../kit/skip.js'
import { storeFolder } from '../kit/store-folder.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const pages = 12
const host = 'site.example'
/** Nothing is served because something takes long. */
const never = { storeTimeout: '10s', staleIfDisconnected: 0 } as const
const folder = async () => own(await storeFolder()).path
let redis: RedisServer
const onRedis = async (): Promise<Store> =>
  redisStore({ client: own(await redisClient(redis)), prefix: 'storm:', timeout: '5s' })
const stores: [string, () => Promise<Store>][] = [
  ['memoryStore', async () => memoryStore()],
  ['memoryStore that has no room', async () => memoryStore({ maxSize: '96kb' })],
  ['fileStore', async () => fileStore({ folder: await folder() })],
  ['tieredStore', async () => tieredStore(memoryStore(), fileStore({ folder: await folder() }))],
]
const shared: [string, () => Promise<Store>][] = [
  ['redisStore', onRedis],
  ['tieredStore with redisStore', async () => tieredStore(memoryStore(), await onRedis())],
]

it.each(stores)('after a purge nothing older than it is served, over a %s', (_name, makeStore) =>
  storm(makeStore),
)

describe.skipIf(skipUnless(hasRedis, 'redis-server is not installed'))('two proxies', () => {
  it.each(shared)('serve nothing older than a purge at one of them, over a %s', async (_name, makeStore) => {
    redis = own(await redisServer())
    await storm(makeStore, makeStore)
  })
})

/** @param another the store of a second proxy, which hears of purges a little later */
async function storm(makeStore: () => Promise<Store>, another?: () => Promise<Store>): Promise<void> {
  const random = seeded(77)
  /** What each page is now; it only grows. */
  const versions: number[] = Array.from({ length: pages }, () => 1)
  /** The least version that may still be served: that which stood when a purge of the page had resolved. */
  const least: number[] = Array.from({ length: pages }, () => 1)
  const origin = own(
    await originServer(async (req, res) => {
      const page = Number(/\d+/.exec(req.url ?? '')?.[0])
      const version = versions[page] as number
      // Some are slow before their head, some in their body: a purge comes in the middle of both.
      for (let i = random() * 8; i > 1; i--) await new Promise((resolve) => setImmediate(resolve))
      const vary = page % 3 === 0 ? ['Vary', 'X-Kind'] : []
      const life = page % 4 === 3 ? 'max-age=60, stale-while-revalidate=60' : 'max-age=60'
      const etag = page % 2 === 0 ? ['ETag', `"${page}-${version}"`] : []
      const fields = ['Cache-Control', life, ...etag, 'Cache-Tag', `page-${page}, all`, ...vary]
      if (etag.length > 0 && req.headers['if-none-match'] === etag[1]) return res.writeHead(304, fields).end()
      res.writeHead(200, fields)
      res.write(`${page}.${version}.`)
      for (let i = random() * 8; i > 1; i--) await new Promise((resolve) => setImmediate(resolve))
      return res.end('x'.repeat(1_000 + page * 3_000))
    }),
  )
  const store = own(await makeStore())
  const aside =
    another && own(proxyOf({ targets: origin.url, cache: { store: own(await another()), ...never } }))
  const second = aside && own(httpClient({ port: (await aside.proxy.listen()).port }))
  const built = own(proxyOf({ targets: origin.url, cache: { store, ...never } }))
  const { port } = await built.proxy.listen()
  const client = own(httpClient({ port }))
  const urlOf = (page: number): string => `http://${host}/p/${page}`
  let [hits, purged] = [0, 0]

  async function get(
    page = Math.floor(random() * pages),
    from = client,
    atLeast = least[page] as number,
  ): Promise<void> {
    const headers = ['Host', host, 'X-Kind', String(Math.floor(random() * 3))]
    const answer = await from.ask({ path: `/p/${page}`, headers })
    const [which, version, rest] = answer.text.split('.')
    expect([answer.status, answer.complete, Number(which)]).toEqual([200, true, page])
    expect(rest).toHaveLength(1_000 + page * 3_000)
    if (value(answer.headers, 'cache-status')?.includes('; hit;')) hits++
    expect({ page, version: Number(version), atLeast, old: Number(version) < atLeast }).toMatchObject({
      old: false,
    })
  }

  async function change(): Promise<void> {
    const page = Math.floor(random() * pages)
    const kind = Math.floor(random() * 6)
    const all = kind > 3
    const touched = all ? [...versions.keys()] : [page]
    for (const each of touched) versions[each] = (versions[each] as number) + 1
    const now = touched.map((each) => versions[each] as number)
    if (kind === 0) await built.proxy.cache?.purge({ url: urlOf(page) })
    else if (kind === 1) await built.proxy.cache?.purge({ tag: `page-${page}` })
    else if (kind === 2)
      await client.ask({ method: 'POST', path: `/p/${page}`, headers: ['Host', host], body: 'x' })
    // A stale answer behind which it is fetched again is what a soft one allows, where the target does.
    else if (kind === 3 && page % 4 !== 3)
      await built.proxy.cache?.purge({ url: urlOf(page) }, { soft: true })
    else if (kind === 3) await built.proxy.cache?.purge({ prefix: urlOf(page) })
    else if (kind === 4) await built.proxy.cache?.purge({ tag: 'all' })
    else await built.proxy.cache?.purge({ prefix: `http://${host}/` })
    purged++
    for (const [i, each] of touched.entries()) least[each] = Math.max(least[each] as number, now[i] as number)
  }

  let left = 2_500
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const chance = random()
      if (chance < 0.06) await change()
      else if (second !== undefined && chance < 0.4) await get(undefined, second, 1)
      else await get()
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  await until(() => built.upstream.all.every(({ inFlight }) => inFlight === 0), 'the leases to be released')
  // The second one has heard of all purges soon after the last, and never forgets one.
  if (second !== undefined)
    for (let page = 0; page < pages; page++)
      await until(
        () =>
          get(page, second).then(
            () => true,
            () => false,
          ),
        `version ${least[page]} of page ${page} at the second proxy`,
      )
  expect(purged).toBeGreaterThan(50)
  expect(hits).toBeGreaterThan(200)
}
