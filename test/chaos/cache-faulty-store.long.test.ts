import { memoryStore } from '@sluice/cache'
import { expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { faultyStore } from '../kit/faulty-store.js'
import { proxyOf } from '../kit/fronts.js'
import { heapInUse } from '../kit/heap.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { seeded } from '../kit/seeded.js'
import { pattern } from '../kit/store-entries.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const urls = 60
const sizeOf = (id: number): number => [0, 10, 3_000, 40_000, 200_000][id % 5] as number
const bodies = Array.from({ length: urls }, (_, id) => pattern(sizeOf(id), id))

it.each([1, 2, 3])(
  'a store that throws, rejects, hangs and lies hurts no request (seed %i)',
  async (seed) => {
    const random = seeded(seed)
    const origin = own(
      await originServer((req, res) => {
        const id = Number(/\d+/.exec(req.url ?? '')?.[0])
        const body = bodies[id] as Buffer
        const etag = `"${id}"`
        const vary = id % 3 === 0 ? ['Vary', 'X-Kind'] : []
        const fields = ['Cache-Control', `max-age=${id % 4}`, 'ETag', etag, 'X-Id', String(id), ...vary]
        if (req.headers['if-none-match'] === etag) return res.writeHead(304, fields).end()
        const length = id % 2 === 0 ? ['Content-Length', String(body.length)] : []
        res.writeHead(200, [...fields, ...length])
        res.write(body.subarray(0, body.length >> 1))
        return res.end(body.subarray(body.length >> 1))
      }),
    )
    const inner = own(memoryStore())
    const store = faultyStore(inner, { share: 0.2, random })
    const cache = { store, storeTimeout: 5, lockWait: '2s', privateCookies: ['seat'] } as const
    const built = own(proxyOf({ targets: origin.url, cache }))
    const { port } = await built.proxy.listen()
    const client = own(httpClient({ port }))
    let [hits, cut] = [0, 0]

    async function ask(): Promise<void> {
      const id = Math.floor(random() * urls)
      const body = bodies[id] as Buffer
      const headers = ['X-Kind', String(Math.floor(random() * 3))]
      const kind = random()
      if (kind < 0.05) return void (await client.ask({ method: 'POST', path: `/${id}`, body: 'x' }))
      if (kind < 0.1) return void (await built.proxy.cache?.purge({ tag: 'x' }).catch(() => {}))
      if (kind < 0.15) headers.push('If-None-Match', `"${id}"`)
      const from = Math.floor(random() * body.length)
      const ranged = kind > 0.9 && body.length > 0
      if (ranged) headers.push('Range', `bytes=${from}-`)
      const answer = await client.ask({ path: `/${id}`, headers }).catch(() => undefined)
      // A body that breaks off in the store breaks off at the client, who sees that.
      if (answer === undefined || answer.status === 500) return void cut++
      const { body: got, complete, headers: fields, status } = answer
      if (fields.some((text) => text.includes('; hit;'))) hits++
      expect(fields.join()).not.toContain('b=1')
      if (status === 304) return expect(headers).toContain('If-None-Match')
      expect([200, 206]).toContain(status)
      expect(fields).toContain(String(id))
      const right = status === 206 ? body.subarray(from) : body
      // One that breaks off in the store breaks off at the client, who sees that.
      if (!complete) {
        cut++
        return expect(got.equals(right.subarray(0, got.length))).toBe(true)
      }
      return expect([id, status, got.equals(right)]).toEqual([id, status, true])
    }

    const run = async (count: number) => {
      let left = count
      const worker = async () => {
        while (left-- > 0) await ask()
      }
      await Promise.all(Array.from({ length: 24 }, worker))
    }
    await run(300)
    const before = await heapInUse()
    await run(1_500)
    await until(() => built.upstream.all.every(({ inFlight }) => inFlight === 0), 'the leases to be released')
    expect(cut).toBeLessThanOrEqual(store.breaches)
    expect(store.faults).toBeGreaterThan(400)
    expect(hits).toBeGreaterThan(100)
    expect((await heapInUse()) - before).toBeLessThan(20_000_000)
  },
)
