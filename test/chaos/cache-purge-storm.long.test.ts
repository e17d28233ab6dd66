import { fileStore, memoryStore, type Store, tieredStore } from '@sluice/cache'
import { expect, it } from 'vitest'
import {
  httpClient,
  originServer,
  owner,
  proxyOf,
  seeded,
  trapUnhandled,
  until,
  value,
} from '../kit/index.js'
import { storeFolder } from '../kit/store-folder.js'

trapUnhandled()
const own = owner()

const pages = 12
const folder = async () => own(await storeFolder()).path
const stores: [string, () => Promise<Store>][] = [
  ['memoryStore', async () => memoryStore()],
  ['memoryStore that has no room', async () => memoryStore({ maxSize: '96kb' })],
  ['fileStore', async () => fileStore({ folder: await folder() })],
  ['tieredStore', async () => tieredStore(memoryStore(), fileStore({ folder: await folder() }))],
]

it.each(stores)('after a purge nothing older than it is served, over a %s', async (_name, makeStore) => {
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
  const built = own(
    proxyOf({ targets: origin.url, cache: { store, storeTimeout: '10s', staleIfDisconnected: 0 } }),
  )
  const { port } = await built.proxy.listen()
  const client = own(httpClient({ port }))
  const urlOf = (page: number): string => `http://127.0.0.1:${port}/p/${page}`
  let [hits, purged] = [0, 0]

  async function get(): Promise<void> {
    const page = Math.floor(random() * pages)
    const atLeast = least[page] as number
    const headers = ['X-Kind', String(Math.floor(random() * 3))]
    const answer = await client.ask({ path: `/p/${page}`, headers })
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
    else if (kind === 2) await client.ask({ method: 'POST', path: `/p/${page}`, body: 'x' })
    // A stale answer behind which it is fetched again is what a soft one allows, where the target does.
    else if (kind === 3 && page % 4 !== 3)
      await built.proxy.cache?.purge({ url: urlOf(page) }, { soft: true })
    else if (kind === 3) await built.proxy.cache?.purge({ prefix: urlOf(page) })
    else if (kind === 4) await built.proxy.cache?.purge({ tag: 'all' })
    else await built.proxy.cache?.purge({ prefix: `http://127.0.0.1:${port}/` })
    purged++
    for (const [i, each] of touched.entries()) least[each] = Math.max(least[each] as number, now[i] as number)
  }

  let left = 2_500
  const worker = async (): Promise<void> => {
    while (left-- > 0) await (random() < 0.06 ? change() : get())
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  await until(() => built.upstream.all.every(({ inFlight }) => inFlight === 0), 'the leases to be released')
  expect(purged).toBeGreaterThan(50)
  expect(hits).toBeGreaterThan(200)
})
