import { cache, createCache } from '@sluice/cache'
import { discard, type Reply, toReadable } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { proxyOf } from '../kit/fronts.js'
import { heapInUse } from '../kit/heap.js'
import { leakCheck } from '../kit/leak-check.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { seeded } from '../kit/seeded.js'
import { pattern } from '../kit/store-entries.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const parts = 16
const bytes = pattern(parts * 4_096, 11)

/** Reads a body and holds each byte against what it must be, up to where it leaves. */
async function read(body: Reply['body'], upTo: number): Promise<{ right: boolean; count: number }> {
  const readable = toReadable(body)
  let [count, right] = [0, true]
  for await (const chunk of readable) {
    const part = chunk as Buffer
    right &&= part.equals(bytes.subarray(count, count + part.length))
    count += part.length
    if (count >= upTo) break
  }
  return { right, count }
}

/** One fetch that is held up as the test likes, and who joins and leaves meanwhile. */
async function round(joining: number, real: number, seed: number) {
  const random = seeded(seed)
  const steps = Array.from({ length: parts }, () => deferred())
  const head = deferred()
  const origin = own(
    await originServer(async (_req, res) => {
      await head.promise
      res.writeHead(200, ['Cache-Control', 'max-age=60', 'Content-Length', String(bytes.length)])
      for (let i = 0; i < parts; i++) {
        res.write(bytes.subarray(i * 4_096, (i + 1) * 4_096))
        await steps[i]?.promise
      }
      res.end()
    }),
  )
  const engine = createCache()
  const built = own(proxyOf({ targets: origin.url, use: [cache(engine)] }))
  const { port } = await built.proxy.listen()
  const client = own(httpClient({ port }))
  const request = { method: 'GET', scheme: 'http', authority: `127.0.0.1:${port}`, path: '/', headers: [] }
  const never = () => Promise.reject<Reply>(new Error('there is a fetch already'))

  // The one whose fetch it is leaves too.
  const leader = client.call()
  leader.head.catch(() => {})
  await origin.request()
  let [whole, left, gone] = [0, 0, 0]
  const ends: Promise<void>[] = []
  const joinHere = (): void => {
    const stays = random() < 0.3
    const upTo = stays ? Number.POSITIVE_INFINITY : Math.floor(random() * bytes.length)
    const end = Promise.resolve(engine.handle(request, never)).then(async (reply) => {
      if (upTo < 1_000) {
        discard(reply)
        left++
        return
      }
      const { count, right } = await read(reply.body, upTo)
      expect(right).toBe(true)
      if (stays) {
        expect(count).toBe(bytes.length)
        whole++
      } else left++
    })
    ends.push(end)
  }
  const joinOutside = (): void => {
    const stays = random() < 0.5
    const call = client.call()
    if (!stays && random() < 0.3) {
      call.head.catch(() => {})
      call.abort()
      left++
      gone++
      return
    }
    const upTo = stays ? Number.POSITIVE_INFINITY : Math.floor(random() * bytes.length)
    const end = call.head.then(async ({ body }) => {
      const { count, right } = await read(body, upTo)
      expect(right).toBe(true)
      if (stays) {
        expect(count).toBe(bytes.length)
        whole++
      } else left++
    })
    ends.push(end)
  }
  const some = async (step: number): Promise<void> => {
    for (let i = 0; i < joining / (parts + 1); i++) joinHere()
    for (let i = 0; i < real / (parts + 1); i++) joinOutside()
    if (step === 0) leader.abort()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await some(0)
  head.resolve()
  for (const [i, step] of steps.entries()) {
    await some(i + 1)
    step.resolve()
  }
  await Promise.all(ends)
  expect([origin.requests.length, origin.connections]).toEqual([1, 1])
  expect(whole + left).toBe(ends.length + gone)
  expect(whole).toBeGreaterThan(joining / 5)
  expect(left).toBeGreaterThan(joining / 5)
  // It is stored, whoever has left.
  const hit = await client.ask()
  expect([hit.body.equals(bytes), hit.headers.some((text) => text.includes('; hit;'))]).toEqual([true, true])
  await until(() => built.upstream.all.every(({ inFlight }) => inFlight === 0), 'the lease to be released')
  await client.close()
  await built.close()
  await engine.close()
  await origin.close()
}

describe('a fetch that ten thousand clients join, and leave as they like', () => {
  it('goes on for those who stay, and nothing of the others is left', async () => {
    const check = leakCheck()
    await round(500, 50, 1)
    const before = await heapInUse()
    await round(9_700, 300, 2)
    await check.settled()
    expect((await heapInUse()) - before).toBeLessThan(3_000_000)
  })

  it('is given up when none is left and it is not stored', async () => {
    const gate = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        res.writeHead(200, ['Cache-Control', 'max-age=60'])
        while (!res.destroyed) {
          res.write(bytes)
          await new Promise((resolve) => setImmediate(resolve))
        }
        gate.resolve()
      }),
    )
    const built = own(proxyOf({ targets: origin.url, cache: { maxEntry: '256kb' } }))
    const { port } = await built.proxy.listen()
    const client = own(httpClient({ port }))
    const calls = Array.from({ length: 200 }, () => client.call())
    const heads = await Promise.all(calls.map((call) => call.head))
    // All have what has come so far, and then go, one after the other.
    for (const { body } of heads) {
      body.on('error', () => {})
      body.destroy()
    }
    await until(() => origin.sockets === 0, 'the endless answers to be given up')
    await gate.promise
    await until(() => built.upstream.all.every(({ inFlight }) => inFlight === 0), 'the leases to be released')
  })
})
