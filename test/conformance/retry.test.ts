import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { constants } from 'node:http2'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { deadTarget } from '../kit/dead-target.js'
import { type Front, twoFronts } from '../kit/fronts.js'
import { http2Origin } from '../kit/http2-origin.js'
import { leakCheck } from '../kit/leak-check.js'
import { mountNamed } from '../kit/mounts.js'
import { observer } from '../kit/observer.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

const echo = () => originServer(async (_req, res, request) => void res.end(await request.body()))

describe.each(twoFronts)('retry with options through $name', (kind) => {
  it.each([true, false])(
    'a POST of 10 KB to a dead target arrives whole at the other (chunked: %j)',
    async (chunked) => {
      const origin = own(await echo())
      const dead = own(await deadTarget())
      const front = own(await kind.start({ targets: [dead.url, origin.url], retry: { replay: '64kb' } }))
      const body = Buffer.alloc(10_240, 'abcdefg')
      for (let i = 0; i < 4; i++) {
        const answer = await front.client.ask({ method: 'POST', body, chunked })
        expect(answer.status).toBe(200)
        expect(answer.body.equals(body)).toBe(true)
      }
      expect(origin.requests).toHaveLength(4)
      await released(front)
    },
  )

  it('a PUT whose body was read by a target that broke off is sent again whole, if its method is listed', async () => {
    const breaks = own(
      await rawOrigin(async (connection) => {
        await connection.until('the end')
        connection.reset()
      }),
    )
    const origin = own(await echo())
    const retry = { methods: ['PUT'], budget: false } as const
    const front = own(await kind.start({ targets: [breaks.url, origin.url], retry }))
    const body = Buffer.from(`${'x'.repeat(10_000)}the end`)
    for (let i = 0; i < 4; i++) {
      const answer = await front.client.ask({ method: 'PUT', body, chunked: i % 2 === 0 })
      expect(answer.status).toBe(200)
      expect(answer.body.equals(body)).toBe(true)
    }
    expect(breaks.connections.length).toBeGreaterThan(0)
    await released(front)
  })

  it('past its budget only what a target has not processed is tried again', async () => {
    const seen = observer()
    const breaks = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        connection.reset()
      }),
    )
    const dead = own(await deadTarget())
    const retry = { attempts: 3, budget: { share: 0, min: 0 } }
    const front = own(await kind.start({ targets: [dead.url, breaks.url], retry, use: [seen.layer] }))
    // The dead one is asked first or not at all; the other's failure is the end.
    expect(await front.client.ask()).toMatchObject({ status: 502 })
    expect(breaks.connections).toHaveLength(1)
    expect(seen.codes).toEqual(['connection_terminated'])
    await released(front)
  })

  it('a body past the cap streams on, and is not sent again', async () => {
    const seen = observer()
    const breaks = () =>
      rawOrigin(async (connection) => {
        await connection.until('the end')
        connection.reset()
      })
    const origins = [own(await breaks()), own(await breaks())]
    const retry = { methods: ['PUT'], replay: '1kb' } as const
    const front = own(await kind.start({ targets: origins.map(({ url }) => url), retry, use: [seen.layer] }))
    const body = Buffer.from(`${'x'.repeat(10_000)}the end`)
    expect(await front.client.ask({ method: 'PUT', body })).toMatchObject({ status: 502 })
    expect(origins.flatMap(({ connections }) => connections)).toHaveLength(1)
    expect(seen.codes).toEqual(['connection_terminated'])
    await released(front)
  })

  it('a POST that a target may have processed is not sent twice, though its body is kept', async () => {
    const breaks = () =>
      rawOrigin(async (connection) => {
        await connection.until('\r\n\r\n')
        connection.reset()
      })
    const origins = [own(await breaks()), own(await breaks())]
    const retry = { replay: '64kb', backoff: { base: 1 }, attempts: 5 } as const
    const front = own(await kind.start({ targets: origins.map(({ url }) => url), retry }))
    expect(await front.client.ask({ method: 'POST', body: 'x'.repeat(10_240) })).toMatchObject({
      status: 502,
    })
    expect(origins.flatMap(({ connections }) => connections)).toHaveLength(1)
    await released(front)
  })

  it.each([
    ['0', 200],
    ['3600', 503],
    [new Date(Date.now() + 3_600_000).toUTCString(), 503],
    [new Date(Date.now() - 3_600_000).toUTCString(), 200],
  ])(
    'pain 35 (fastify-reply-from 12.6): Retry-After: %s is obeyed up to the longest wait',
    async (after, status) => {
      const busy = own(
        await originServer((_req, res) => void res.writeHead(503, { 'Retry-After': after }).end('busy')),
      )
      const origin = own(await originServer())
      const retry = { statuses: [503], backoff: { base: 1, max: '5s' } } as const
      const front = own(await kind.start({ targets: [busy.url, origin.url], retry }))
      const statuses = new Set<number>()
      for (let i = 0; i < 4; i++) {
        statuses.add((await front.client.ask()).status)
        if (busy.requests.length > 0) break
      }
      expect(busy.requests.length).toBeGreaterThan(0)
      expect(statuses.has(503)).toBe(status === 503)
      await released(front)
    },
  )

  it('a try that takes too long is cancelled, and the next target is asked', async () => {
    const silent = own(await originServer(() => {}))
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: [silent.url, origin.url], retry: { perTry: '150ms' } }))
    await until(async () => {
      expect(await front.client.ask()).toMatchObject({ status: 200, text: 'ok' })
      return silent.requests.length > 0
    }, 'the silent one to be asked')
    await within((await silent.request()).closed, 'the late try to be cancelled')
    await released(front)
  })

  it('a client that sends slowly is not held against the target, nor cut by the time of a try', async () => {
    const silent = own(await originServer(() => {}))
    const origin = own(await echo())
    const front = own(await kind.start({ targets: origin.url, retry: { perTry: '50ms' } }))
    const clock = own(await kind.start({ targets: silent.url, retry: { perTry: '50ms' } }))
    const results: unknown[] = []
    front.upstream.on('result', (_target, result) => results.push(result?.ok))
    const call = front.client.call({ method: 'POST', open: true })
    call.body.write('slow')
    await origin.request()
    // Begun later, and over: more than that time has passed.
    expect((await clock.client.ask()).status).toBe(504)
    call.body.end('ly')
    expect(await call.answer()).toMatchObject({ status: 200, text: 'slowly' })
    await released(front)
    expect(results).toEqual([true])
  })

  it('all tries together are bounded', async () => {
    const seen = observer()
    const silent = [own(await originServer(() => {})), own(await originServer(() => {}))]
    const retry = { total: '150ms', attempts: 10 } as const
    const front = own(await kind.start({ targets: silent.map(({ url }) => url), retry, use: [seen.layer] }))
    expect(await front.client.ask()).toMatchObject({ status: 504 })
    expect(seen.codes).toEqual(['total_timeout'])
    await released(front)
  })

  it('a client that leaves while it waits ends the wait, and leaves nothing', async () => {
    const leaks = leakCheck()
    const busy = await originServer((_req, res) => void res.writeHead(503, { 'Retry-After': '3600' }).end())
    const retry = {
      statuses: [503],
      attempts: 5,
      backoff: { base: '2h', max: '2h', random: () => 0.9 },
    } as const
    const seen = observer()
    const front = await kind.start({ targets: busy.url, retry, use: [seen.layer] })
    const call = front.client.call()
    await until(() => busy.requests.length === 1 && front.inFlight === 0, 'the first answer to be dropped')
    call.abort()
    await call.head.catch(() => {})
    await until(() => seen.codes[0] === 'client_left', 'the wait to end')
    expect(busy.requests).toHaveLength(1)
    await front.close()
    await busy.close()
    await leaks.settled()
  })
})

it('a connection goes on though the rest of a body has no taker any more', async () => {
  const breaks = own(
    await rawOrigin(async (connection) => {
      await connection.until('half')
      connection.reset()
    }),
  )
  const dead = own(await deadTarget())
  const upstreams = { a: { targets: [breaks.url, dead.url], ejection: false, retry: { methods: ['PUT'] } } }
  const proxy = own(createProxy({ upstreams }))
  const front = own(await mountNamed('node:http').serve(proxy))
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  own({ close: async () => agent.destroy() })
  // Round robin: one of two begins with the one that reads half.
  for (let i = 0; i < 4; i++) {
    const call = request({ port: front.port, agent, method: 'PUT' })
    call.write('half')
    const [answer] = (await within(once(call, 'response'), 'the answer')) as [IncomingMessage]
    expect(answer.statusCode).toBe(502)
    answer.resume()
    call.end(Buffer.alloc(200_000))
    await within(once(call, 'close'), 'the end of the call')
  }
  expect(breaks.connections.length).toBeGreaterThan(0)
})

describe('a POST that a target of HTTP/2 refuses with some of its body sent', () => {
  it.each([true, false])('is sent again whole to the other, by default (chunked: %j)', async (chunked) => {
    const refuses = own(
      await http2Origin((stream) => {
        stream.once('data', () => stream.close(constants.NGHTTP2_REFUSED_STREAM))
      }),
    )
    const takes = own(
      await http2Origin(async (stream, seen) => {
        const body = await seen.body()
        stream.respond({ ':status': 200 })
        stream.end(body)
      }),
    )
    const targets = [refuses.url, takes.url]
    const proxy = own(createProxy({ upstreams: { a: { targets, http2: 'prior-knowledge' } } }))
    const front = own(await mountNamed('node:http').serve(proxy))
    const body = Buffer.alloc(60_000, 'abcdefg')
    for (let i = 0; i < 3; i++) {
      const answer = await front.client.ask({ method: 'POST', body, chunked })
      expect(answer.status).toBe(200)
      expect(answer.body.equals(body)).toBe(true)
    }
    expect(refuses.streams.length).toBeGreaterThan(0)
  })
})
