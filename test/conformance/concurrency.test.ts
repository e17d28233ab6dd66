import { createServer, type ServerResponse } from 'node:http'
import type { Client, Context, Layer } from '@sluice/core'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { type Call, httpClient } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { type Front, threeFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { type RawClient, rawClient, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

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

/** What has reached the limit, which is in the same turn, and whose clients have gone or are done. */
function watch() {
  const arrived: string[] = []
  const ended: string[] = []
  const layer: Layer<Context & Client> = (next) => (ctx) => {
    arrived.push(ctx.out.path)
    ctx.onClose(() => ended.push(ctx.out.path))
    return next(ctx)
  }
  return {
    use: [layer],
    arrived,
    ended: (path: string) => until(() => ended.includes(path), `the end of ${path}`),
    /** Asks, and waits until that has come to the limit: clients' connections are in no order. */
    async ask(front: Front, path: string): Promise<Call> {
      const call = front.client.call({ path })
      call.head.catch(() => {})
      await until(() => arrived.includes(path), `${path} at the proxy`)
      return call
    },
  }
}

describe.each(threeFronts)('a concurrency limit behind $name', (kind) => {
  it('lets requests wait in turn, and answers 503 to one too many', async () => {
    const target = await held()
    const { use, ask } = watch()
    const concurrency = { limit: 2, queue: 2, queueTimeout: 0 }
    const front = own(await kind.start({ targets: target.origin.url, use, concurrency }))
    const calls: Call[] = []
    for (const path of ['/0', '/1', '/2', '/3', '/4']) calls.push(await ask(front, path))
    expect((await (calls[4] as Call).answer()).status).toBe(503)
    expect(front.inFlight).toBe(2)
    for (let i = 0; i < 4; i++) await target.answer()
    const answers = await Promise.all(calls.slice(0, 4).map((call) => call.answer()))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(target.origin.requests.map(({ url }) => url).sort()).toEqual(['/0', '/1', '/2', '/3'])
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
    const refused = await front.client.ask()
    expect([refused.status, value(refused.headers, 'retry-after')]).toEqual([503, '1'])
    expect(target.origin.requests).toHaveLength(1)
    await target.answer()
    expect((await first).status).toBe(200)
  })

  it('a client that leaves frees its place, and nothing is sent for it', async () => {
    const target = await held()
    const { use, ask, ended } = watch()
    const concurrency = { limit: 1, queue: 1, queueTimeout: 0 }
    const front = own(await kind.start({ targets: target.origin.url, use, concurrency }))
    const first = await ask(front, '/first')
    const gone = await ask(front, '/gone')
    expect((await (await ask(front, '/refused')).answer()).status).toBe(503)
    gone.abort()
    await ended('/gone')
    const next = await ask(front, '/next')
    await target.answer()
    await target.answer()
    expect([(await first.answer()).status, (await next.answer()).status]).toEqual([200, 200])
    expect(target.origin.requests.map(({ url }) => url)).toEqual(['/first', '/next'])
  })

  it('serves those that wait when a target joins, and refuses them when the last one is drained', async () => {
    const [one, two] = [await held(), await held()]
    const { use, ask } = watch()
    const concurrency = { limit: 1, queueTimeout: 0 }
    const front = own(await kind.start({ targets: one.origin.url, use, concurrency }))
    const calls: Call[] = []
    for (const path of ['/0', '/1', '/2']) calls.push(await ask(front, path))
    front.upstream.replace([one.origin.url, two.origin.url])
    expect((await two.origin.request(0)).url).toBe('/1')
    for (const { id } of front.upstream.all) front.upstream.drain(id)
    expect((await (calls[2] as Call).answer()).status).toBe(503)
    await Promise.all([one.answer(), two.answer()])
    for (const call of calls.slice(0, 2)) expect((await call.answer()).status).toBe(200)
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

  it('lets further tries wait for a target that is full, and not back to one that is dead and has room', async () => {
    const dead = [own(await deadTarget()), own(await deadTarget())]
    let now = 0
    let most = 0
    const origin = own(
      await originServer((_req, res) => {
        most = Math.max(most, ++now)
        setImmediate(() => {
          now--
          res.end('ok')
        })
      }),
    )
    const front = own(
      await kind.start({
        targets: [...dead.map(({ url }) => url), origin.url],
        retry: { attempts: 3 },
        concurrency: { limit: 2, queue: 100, queueTimeout: 0 },
      }),
    )
    for (const method of ['GET', 'POST']) {
      const answers = await Promise.all(Array.from({ length: 40 }, () => front.client.ask({ method })))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    }
    expect(most).toBe(2)
    await until(() => front.inFlight === 0, 'every lease to end')
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

describe.each(threeFronts.filter(({ http2 }) => !http2))('tunnels behind $name', (kind) => {
  it('hold their place as long as they last; one that waits and leaves frees its own', async () => {
    const target = own(
      await rawOrigin(async (connection) => {
        await connection.until('\r\n\r\n')
        await connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n',
        )
      }),
    )
    const { use, ended, arrived } = watch()
    const concurrency = { limit: 1, queue: 1, queueTimeout: 0 }
    const front = own(await kind.start({ targets: target.url, use, concurrency }))
    const tunnel = async (path: string): Promise<RawClient> => {
      const client = own(await rawClient(front.port))
      client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n`)
      await until(() => arrived.includes(path), `${path} at the proxy`)
      return client
    }
    const first = await tunnel('/first')
    await first.until('101 Switching')
    const gone = await tunnel('/gone')
    const refused = await tunnel('/refused')
    await refused.until('HTTP/1.1 503')
    gone.reset()
    await ended('/gone')
    const next = await tunnel('/next')
    expect(front.inFlight).toBe(1)
    first.reset()
    await next.until('101 Switching')
    next.reset()
    await until(() => front.inFlight === 0, 'the lease to end')
  })

  it('hold no place of a limit that finds itself: what it counts is what waits for its head', async () => {
    const target = own(
      await rawOrigin(async (connection) => {
        await connection.until('\r\n\r\n')
        await connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n',
        )
      }),
    )
    const concurrency = { limit: 'adaptive', queueTimeout: 0, adaptive: { initial: 1, max: 1 } } as const
    const front = own(await kind.start({ targets: target.url, concurrency }))
    const clients: RawClient[] = []
    for (let i = 0; i < 3; i++) {
      const client = own(await rawClient(front.port))
      client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n')
      await client.until('101 Switching')
      clients.push(client)
    }
    expect(front.inFlight).toBe(3)
    for (const client of clients) client.reset()
    await until(() => front.inFlight === 0, 'the leases to end')
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
