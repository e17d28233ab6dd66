import { createServer, type RequestListener } from 'node:http'
import { memoryStore } from '@sluice/cache'
import { expect, it } from 'vitest'
import { statusOf } from '../kit/cached-site.js'
import { httpClient } from '../kit/client.js'
import { proxyOf } from '../kit/fronts.js'
import { heapInUse } from '../kit/heap.js'
import { listen } from '../kit/listen.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

/** The origin remembers nothing of its requests: what is measured is the proxy's. */
async function site(handler: RequestListener, options: object = {}) {
  let requests = 0
  const origin = own(
    await listen(
      createServer((req, res) => {
        requests++
        handler(req, res)
      }),
    ),
  )
  const store = own(memoryStore())
  // The guard lets less through than the cache has to bear.
  const guard = { validate: { maxUrl: '16kb' } } as const
  const targets = `http://127.0.0.1:${origin.port}`
  const built = own(proxyOf({ targets, guard, cache: { store, ...options } }))
  const { port } = await built.proxy.listen()
  return { store, client: own(httpClient({ port })), requests: () => requests }
}

/** Runs `count` of them, 16 at a time. */
async function each(count: number, run: (i: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: 16 }, worker))
}

it('a Vary of a thousand names is not stored, and slows nobody down', async () => {
  const names = Array.from({ length: 1_000 }, (_, i) => `X-${i}`)
  const { client, requests, store } = await site((req, res) => {
    res
      .writeHead(200, ['Cache-Control', 'max-age=60', 'Vary', names.join(', ')])
      .end(`of ${req.headers['x-7'] ?? ''}`)
  })
  await each(300, async (i) => {
    const answer = await client.ask({ headers: ['X-7', String(i)] })
    expect([answer.text, statusOf(answer)]).toEqual([`of ${i}`, expect.stringContaining('detail=vary-many')])
  })
  expect([requests(), store.count]).toEqual([300, 0])
})

it('names that a target varies on do not pile up, whatever it thinks of each time', async () => {
  let count = 0
  const { client, store } = await site((_req, res) => {
    const vary = Array.from({ length: 5 }, (_, i) => `X-${count}-${i}`)
    res.writeHead(200, ['Cache-Control', 'max-age=60', 'Vary', vary.join(', ')]).end(String(count++))
  })
  await each(300, async (i) => {
    const headers = Array.from({ length: 50 }, (_, j) => [`X-${i}-${j % 5}`, String(i)]).flat()
    const { complete, status } = await client.ask({ headers })
    expect([status, complete]).toEqual([200, true])
  })
  expect(store.count).toBeLessThan(100)
})

it('ten thousand variants of one URL keep to maxVariants, and each client gets its own', async () => {
  const { client, store } = await site(
    (req, res) => {
      const kind = req.headers['x-kind']
      res.writeHead(200, ['Cache-Control', 'max-age=60', 'Vary', 'X-Kind']).end(`of ${kind}`)
    },
    { maxVariants: 20 },
  )
  const ask = async (kind: number) => {
    const answer = await client.ask({ headers: ['X-Kind', String(kind)] })
    expect([answer.status, answer.text]).toEqual([200, `of ${kind}`])
    return statusOf(answer)
  }
  await each(1_000, async (i) => void (await ask(i)))
  const before = await heapInUse()
  await each(9_000, async (i) => void (await ask(i)))
  // Beside the marker; those that were put at the same time may not know of one another yet.
  expect(store.count).toBeLessThanOrEqual(20 + 1 + 16)
  expect((await heapInUse()) - before).toBeLessThan(4_000_000)
  // Asked for one after the other, as many as may be are there.
  for (let i = 0; i < 20; i++) await ask(i)
  for (let i = 0; i < 20; i++) expect(await ask(i)).toContain('; hit;')
  expect(store.count).toBeLessThanOrEqual(21 + 16)
})

it('keys of 8 KB are kept, longer ones pass, and none of them is remembered for long', async () => {
  const { client, requests, store } = await site((req, res) => {
    res.writeHead(200, ['Cache-Control', 'max-age=60']).end(String(req.url?.length))
  })
  const path = (i: number, length: number): string => `/${i}/`.padEnd(length, 'x')
  await each(400, async (i) => {
    for (const found of ['stored', 'hit']) {
      const answer = await client.ask({ path: path(i, 8_000) })
      expect([answer.text, statusOf(answer)]).toEqual(['8000', expect.stringContaining(found)])
    }
    const long = await client.ask({ path: path(i, 9_000) })
    expect([long.text, statusOf(long)]).toEqual(['9000', expect.stringContaining('detail=key-too-long')])
  })
  expect([store.count, requests()]).toEqual([400, 800])
})

it('keys of what may not be stored do not pile up', async () => {
  const { client } = await site((_req, res) => {
    res.writeHead(200, ['Cache-Control', 'no-store']).end('x')
  })
  const ask = (i: number) => client.ask({ path: `/${i}/`.padEnd(7_000, 'x') }).then(() => {})
  await each(1_000, ask)
  const before = await heapInUse()
  await each(2_000, (i) => ask(10_000 + i))
  // 14 MB of keys came; what is remembered of them has its bound.
  expect((await heapInUse()) - before).toBeLessThan(6_000_000)
})
