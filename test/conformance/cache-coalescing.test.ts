import { once } from 'node:events'
import { createServer, get as httpGet, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cache } from '@sluice/cache'
import {
  type Client,
  type Context,
  chain,
  fromListener,
  type Handler,
  type Layer,
  type Middleware,
  type Reply,
  toListener,
} from '@sluice/core'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { cachedSite, minute, statusOf } from '../kit/cached-site.js'
import { type Call, httpClient } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { fronts, listening, twoFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { pattern, same } from '../kit/store-entries.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Answers when the gate opens, with a body that follows when the second one does. */
function gated() {
  const head = deferred()
  const rest = deferred()
  const handler: OriginHandler = async (_req, res) => {
    await head.promise
    res.writeHead(200, [...minute, 'Content-Length', '6'])
    res.write('one')
    await rest.promise
    res.end('two')
  }
  return { handler, head, rest }
}

describe.each(fronts)('clients who want the same behind $name', (kind) => {
  it('share one fetch, and have its bytes while it is under way', async () => {
    const { handler, head, rest } = gated()
    const site = await cachedSite(own, kind, handler)
    const early = Array.from({ length: 5 }, () => site.client.call())
    await site.origin.request()
    head.resolve()
    const first = await Promise.all(early.map((call) => within(call.head, 'a head')))
    // Also those who come when it has begun.
    const late = Array.from({ length: 5 }, () => site.client.call())
    const heads = [...first, ...(await Promise.all(late.map((call) => within(call.head, 'a head'))))]
    for (const { body } of heads) {
      const [bytes] = (await within(once(body, 'data'), 'the first bytes')) as [Buffer]
      body.pause()
      expect(String(bytes)).toBe('one')
    }
    expect(site.origin.requests).toHaveLength(1)
    rest.resolve()
    const ends = heads.map(async ({ body }) => {
      const parts: Buffer[] = []
      for await (const part of body) parts.push(part as Buffer)
      return String(Buffer.concat(parts))
    })
    expect(await Promise.all(ends)).toEqual(Array.from({ length: 10 }, () => 'two'))
    const statuses = heads.map((one) => statusOf(one))
    expect(statuses.filter((text) => text?.includes('; collapsed'))).toHaveLength(9)
    expect(statuses.filter((text) => text?.includes('; stored'))).toHaveLength(1)
    expect(site.origin.requests).toHaveLength(1)
  })

  it.each(['before its head', 'in the middle of its body'])(
    'lose nothing when the one whose fetch it is leaves %s',
    async (when) => {
      const { handler, head, rest } = gated()
      const site = await cachedSite(own, kind, handler)
      const leader = site.client.call()
      await site.origin.request()
      const others = Array.from({ length: 3 }, () => site.client.call())
      if (when === 'before its head') {
        leader.abort()
        await expect(leader.head).rejects.toThrow()
        head.resolve()
      } else {
        head.resolve()
        const { body } = await within(leader.head, 'a head')
        body.on('error', () => {})
        await within(once(body, 'data'), 'the first bytes')
        await Promise.all(others.map((call) => within(call.head, 'a head')))
        leader.abort()
      }
      rest.resolve()
      for (const call of others) expect((await call.answer()).text).toBe('onetwo')
      expect((await site.ask()).text).toBe('onetwo')
      expect(site.origin.requests).toHaveLength(1)
      await until(() => site.front.inFlight === 0, 'the lease to be released')
    },
  )

  it('get what is their own where the answer is for one alone', async () => {
    const gate = deferred()
    const site = await cachedSite(own, kind, async (req, res) => {
      await gate.promise
      res.writeHead(200, ['Cache-Control', 'private, max-age=60']).end(`for ${req.headers.cookie}`)
    })
    const calls = Array.from({ length: 5 }, (_, i) => site.client.call({ headers: ['Cookie', `id=${i}`] }))
    await site.origin.request()
    gate.resolve()
    const texts = await Promise.all(calls.map(async (call) => (await call.answer()).text))
    expect(texts).toEqual(calls.map((_, i) => `for id=${i}`))
    expect(site.origin.requests).toHaveLength(5)
    const known = await site.ask({ headers: ['Cookie', 'id=9'] })
    expect([known.text, statusOf(known)]).toEqual([
      'for id=9',
      'sluice; fwd=uri-miss; fwd-status=200; detail=private',
    ])
  })
})

describe.each(twoFronts)(
  'a client that leaves while it waits for the fetch of another, behind $name',
  (kind) => {
    it('waits no more, and nobody is asked for it', async () => {
      const { handler, head, rest } = gated()
      const waits: Promise<Reply>[] = []
      const use: Middleware = (next) => (ctx) => {
        const reply = Promise.resolve(next(ctx))
        waits.push(reply)
        return reply
      }
      const site = await cachedSite(own, kind, handler, { lockWait: 0 }, { use: [use] })
      const first = site.client.call()
      await site.origin.request()
      const second = site.client.call()
      second.head.catch(() => {})
      second.body.on('error', () => {})
      await until(() => waits.length === 2, 'the second to wait')
      second.abort()
      const gone = within(waits[1] as Promise<Reply>, 'its wait to end')
      await expect(gone).rejects.toMatchObject({ code: 'client_left' })
      head.resolve()
      rest.resolve()
      expect(await within(first.head, 'the head')).toMatchObject({ status: 200 })
      expect(site.origin.requests).toHaveLength(1)
    })
  },
)

it('an app behind a cache is not run for clients that have waited in vain, and left', async () => {
  let runs = 0
  const silent = chain()
    .use(cache())
    .handle(fromListener(() => void runs++))
  const ends: Promise<unknown>[] = []
  const noting: Handler = (ctx) => {
    const reply = Promise.resolve(silent(ctx))
    ends.push(reply.catch((error: unknown) => error))
    return reply
  }
  const server = createServer(toListener(noting))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  own({ close: () => server.close().closeAllConnections() })
  const client = own(httpClient({ port }))
  const begin = (): Call => {
    const call = client.call()
    call.head.catch(() => {})
    call.body.on('error', () => {})
    return call
  }
  begin()
  await until(() => runs === 1, 'the app to run')
  const left = begin()
  await until(() => ends.length === 2, 'the second to wait')
  left.abort()
  expect(await ends[1]).toMatchObject({ code: 'client_left' })
  expect(runs).toBe(1)
})

describe.each(twoFronts)('a body behind $name', (kind) => {
  it('of more than maxEntry reaches all who wait for it, whole', async () => {
    const bytes = pattern(10_000_000, 3)
    const gate = deferred()
    const site = await cachedSite(own, kind, async (req, res) => {
      await gate.promise
      const said = req.url === '/said' ? ['Content-Length', String(bytes.length)] : []
      res.writeHead(200, [...minute, ...said]).end(bytes)
    })
    const calls: Call[] = []
    for (const path of ['/said', '/unsaid'])
      for (let i = 0; i < 4; i++) calls.push(site.client.call({ path }))
    await site.origin.request(1)
    gate.resolve()
    for (const answer of await Promise.all(calls.map((call) => call.answer()))) {
      expect([answer.status, answer.complete]).toEqual([200, true])
      expect(same(answer.body, bytes)).toBe(true)
    }
    const again = await site.ask('/unsaid')
    expect([statusOf(again)?.includes('hit'), same(again.body, bytes)]).toEqual([false, true])
  })

  it('is fetched from the next target where the first one refuses, and stored once', async () => {
    const dead = own(await deadTarget())
    const origin = own(
      await originServer((_req, res) => res.writeHead(200, ['Cache-Control', 'max-age=60']).end('alive')),
    )
    const front = own(await kind.start({ targets: [dead.url, origin.url], cache: true }))
    const answers = await Promise.all(Array.from({ length: 8 }, () => front.client.ask()))
    expect(answers.map(({ text }) => text)).toEqual(answers.map(() => 'alive'))
    expect(origin.requests).toHaveLength(1)
    expect(statusOf(await front.client.ask())).toMatch(/; hit;/)
    expect(front.inFlight).toBe(0)
  })

  it('that a slow client reads holds nobody up', async () => {
    const bytes = pattern(4_000_000, 4)
    const site = await cachedSite(own, kind, (_req, res) => res.writeHead(200, [...minute]).end(bytes))
    const slow = site.client.call()
    const { body } = await within(slow.head, 'a head')
    body.pause()
    for (let i = 0; i < 3; i++) expect(same((await site.ask()).body, bytes)).toBe(true)
    expect(site.origin.requests).toHaveLength(1)
    const parts: Buffer[] = []
    for await (const part of body) parts.push(part as Buffer)
    expect(same(Buffer.concat(parts), bytes)).toBe(true)
  })
})

it('a thousand clients make one request', async () => {
  const check = leakCheck()
  const { handler, head, rest } = gated()
  const site = await cachedSite(own, listening, handler)
  const answers = Array.from(
    { length: 1_000 },
    () =>
      new Promise<IncomingMessage>((resolve, reject) => {
        httpGet({ port: site.front.port, host: '127.0.0.1', agent: false }, resolve).on('error', reject)
      }),
  )
  await site.origin.request()
  head.resolve()
  const came = await Promise.all(answers)
  const begun = came.map(async (res) => String((await once(res, 'data'))[0]))
  expect(new Set(await Promise.all(begun))).toEqual(new Set(['one']))
  expect([site.origin.requests.length, site.origin.connections]).toEqual([1, 1])
  const ended = came.map((res) => once(res, 'end').then(() => res.complete))
  rest.resolve()
  expect(new Set(await Promise.all(ended))).toEqual(new Set([true]))
  const statuses = came.map((res) => String(res.headers['cache-status']))
  expect(statuses.filter((text) => text.includes('; collapsed'))).toHaveLength(999)
  expect([site.origin.requests.length, site.front.inFlight]).toEqual([1, 0])
  await site.front.close()
  await site.origin.close()
  await check.settled()
  await until(() => site.origin.sockets === 0, 'the connection to the target to close')
})

it('who is refused for what its own request says refuses nobody who has waited behind it', async () => {
  const held = deferred()
  const origin = own(
    await originServer(async (req, res) => {
      if (req.url === '/held') await held.promise
      res.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('ok')
    }),
  )
  const targets = [origin.url]
  let inside = 0
  const counts: Layer<Context & Client> = (next) => (ctx) => {
    const reply = next(ctx)
    inside++
    return reply
  }
  const proxy = createProxy({
    upstreams: { site: { targets, concurrency: { limit: 1, queue: 10 } } },
    use: [counts],
    cache: true,
    via: 'us',
  })
  own({ close: () => proxy.close() })
  const { port } = await proxy.listen()
  const ask = async (path: string, headers = {}) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
    return [answer.status, await answer.text()]
  }
  // It holds the only place, so that whoever asks next waits for it.
  const first = ask('/held')
  await origin.request()
  const looped = ask('/x', { Via: '1.1 us' })
  await until(() => inside === 2, 'the one with the loop to wait')
  const others = [ask('/x'), ask('/x'), ask('/x')]
  await until(() => inside === 5, 'the others to wait for its fetch')
  held.resolve()
  expect([await first, (await looped)[0]]).toEqual([[200, 'ok'], 508])
  expect(await Promise.all(others)).toEqual(Array(3).fill([200, 'ok']))
  expect(origin.requests.map(({ url }) => url)).toEqual(['/held', '/x'])
})
