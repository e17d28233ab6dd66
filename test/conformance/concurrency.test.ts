import { createServer, type ServerResponse } from 'node:http'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import {
  type Answer,
  httpClient,
  leakCheck,
  originServer,
  owner,
  threeFronts,
  trapUnhandled,
  until,
  within,
} from '../kit/index.js'

trapUnhandled()
const own = owner()

/** An origin that answers when told, in the order in which requests came. */
async function held() {
  const open: ServerResponse[] = []
  let most = 0
  const origin = own(
    await originServer((_req, res) => {
      open.push(res)
      most = Math.max(most, open.length)
      res.on('close', () => {
        if (open.includes(res)) open.splice(open.indexOf(res), 1)
      })
    }),
  )
  return {
    origin,
    open,
    get most() {
      return most
    },
    async answer(): Promise<void> {
      const res = await until(() => open[0], 'a request at the origin')
      open.shift()
      res.end('ok')
    },
  }
}

describe.each(threeFronts)('a concurrency limit behind $name', (kind) => {
  it('lets requests wait in turn, and answers 503 to one too many', async () => {
    const target = await held()
    const front = own(
      await kind.start({ targets: target.origin.url, concurrency: { limit: 2, queue: 2, queueTimeout: 0 } }),
    )
    const answers: Promise<Answer>[] = []
    const asked = async (path: string): Promise<void> => {
      answers.push(front.client.ask({ path }))
    }
    await asked('/0')
    await target.origin.request(0)
    await asked('/1')
    await target.origin.request(1)
    // Nothing tells from outside that one waits: of three that come, one finds no place and is answered.
    const three = ['/2', '/3', '/4'].map((path) => front.client.ask({ path }))
    const refused = await within(Promise.race(three), 'the one too many')
    expect(refused.status).toBe(503)
    expect(front.inFlight).toBe(2)
    expect(target.origin.requests).toHaveLength(2)
    for (let i = 0; i < 4; i++) await target.answer()
    const statuses = (await Promise.all([...answers, ...three])).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(4)
    expect(target.most).toBe(2)
    await until(() => front.inFlight === 0, 'every lease to end')
  })

  it('answers 503 to one who has waited too long', async () => {
    const target = await held()
    const front = own(
      await kind.start({ targets: target.origin.url, concurrency: { limit: 1, queueTimeout: 20 } }),
    )
    const first = front.client.ask()
    await target.origin.request(0)
    expect((await front.client.ask()).status).toBe(503)
    expect(target.origin.requests).toHaveLength(1)
    await target.answer()
    expect((await first).status).toBe(200)
  })

  it('a client that leaves frees its place, and nothing is sent for it', async () => {
    const target = await held()
    const front = own(
      await kind.start({ targets: target.origin.url, concurrency: { limit: 1, queue: 1, queueTimeout: 0 } }),
    )
    const first = front.client.ask({ path: '/first' })
    await target.origin.request(0)
    const gone = front.client.call({ path: '/gone' })
    gone.head.catch(() => {})
    await until(
      async () => (await front.client.ask({ path: '/probe' })).status === 503,
      'the line to be full',
    )
    gone.abort()
    // Its place is free as soon as the proxy has heard of it; until then others are refused.
    const next = await until(async () => {
      const call = front.client.call({ path: '/next' })
      const refused = await Promise.race([
        call.head.then(({ status }) => status === 503),
        new Promise<false>((resolve) => setTimeout(resolve, 100, false)),
      ])
      return refused ? undefined : call
    }, 'a place in the line')
    await target.answer()
    await target.answer()
    expect((await first).status).toBe(200)
    expect((await next.answer()).status).toBe(200)
    expect(target.origin.requests.map(({ url }) => url)).not.toContain('/gone')
  })

  it('passes on those that wait when their target is drained, or another joins', async () => {
    const [one, two] = [await held(), await held()]
    const front = own(
      await kind.start({ targets: one.origin.url, concurrency: { limit: 1, queue: 2, queueTimeout: 0 } }),
    )
    const first = front.client.ask()
    await one.origin.request(0)
    const waits = front.client.ask()
    const full = async (): Promise<void> => {
      const extra = [front.client.ask(), front.client.ask()]
      expect((await within(Promise.race(extra), 'the line to be full')).status).toBe(503)
      extras.push(...extra)
    }
    const extras: Promise<Answer>[] = []
    await full()
    front.upstream.replace([one.origin.url, two.origin.url])
    await two.answer()
    await two.answer()
    expect((await waits).status).toBe(200)
    await one.answer()
    expect((await first).status).toBe(200)
    await Promise.all(extras)
    const last = front.client.ask()
    await until(() => one.open.length + two.open.length === 1, 'the last one at an origin')
    await Promise.all([one.open[0] === undefined ? two.answer() : one.answer(), last])
  })

  it('serves a crowd with never more than the limit in flight, and leaves nothing behind', async () => {
    const leaks = leakCheck()
    let now = 0
    let most = 0
    const origin = await originServer((_req, res) => {
      most = Math.max(most, ++now)
      setImmediate(() => {
        now--
        res.end('ok')
      })
    })
    const front = await kind.start({
      targets: origin.url,
      concurrency: { limit: 3, queue: 100, queueTimeout: 0 },
    })
    const answers = await Promise.all(Array.from({ length: 60 }, () => front.client.ask()))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(most).toBeLessThanOrEqual(3)
    expect(front.inFlight).toBe(0)
    await front.close()
    await origin.close()
    await leaks.settled()
  })

  it('finds its limit by itself', async () => {
    const origin = own(await originServer())
    const front = own(
      await kind.start({ targets: origin.url, concurrency: { limit: 'adaptive', queueTimeout: 0 } }),
    )
    const answers = await Promise.all(Array.from({ length: 60 }, () => front.client.ask()))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  })
})

describe('a proxy that closes', () => {
  it('serves those that wait while it drains, and answers 503 to those left after', async () => {
    for (const drain of ['10s', 0] as const) {
      const target = await held()
      const proxy = createProxy({
        upstreams: { api: { targets: [target.origin.url], concurrency: { limit: 1, queueTimeout: 0 } } },
      })
      const server = createServer(proxy.listener)
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const client = own(httpClient({ port: (server.address() as { port: number }).port }))
      let arrived = 0
      server.on('request', () => arrived++)
      const first = client.ask().catch(() => undefined)
      await target.origin.request(0)
      const second = client.ask()
      await until(() => arrived === 2, 'the second request')
      const closed = proxy.close({ drain })
      if (drain !== 0) {
        await target.answer()
        await target.answer()
      }
      expect((await second).status).toBe(drain === 0 ? 503 : 200)
      await within(closed, 'the proxy to close')
      await first
      server.close()
    }
  })
})

it('is told of wrong options, each at its path', () => {
  const options = {
    upstreams: {
      api: { targets: ['http://127.0.0.1:1'], breaker: { failures: 2 }, concurrency: { limit: 0, que: 1 } },
    },
  }
  expect(() => createProxy(options as never)).toThrow(
    /upstreams.api.breaker.failures: got 2[\s\S]*upstreams.api.concurrency.limit: got 0[\s\S]*concurrency.que: unknown option/,
  )
})
