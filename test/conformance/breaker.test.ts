import { createServer } from 'node:http'
import type { Target } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { threeFronts } from '../kit/fronts.js'
import { leakCheck } from '../kit/leak-check.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawClient, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** An origin that fails while told to. */
async function moody(name: string) {
  const state = { failing: false }
  const origin = own(
    await originServer((_req, res) => {
      res.statusCode = state.failing ? 500 : 200
      res.end(name)
    }),
  )
  return { origin, state }
}

const quick = { volume: 4, window: '10s', open: 40, jitter: 0, trials: 2, ramp: 0 } as const

describe.each(threeFronts)('a breaker behind $name', (kind) => {
  it('leaves a target once the ratio is met, and goes back to it through trials', async () => {
    const good = await moody('good')
    const bad = await moody('bad')
    const front = own(
      await kind.start({
        targets: [good.origin.url, bad.origin.url],
        breaker: { ...quick, open: '1h' },
      }),
    )
    const changes: string[] = []
    front.upstream.on('state', ({ from, to, reason }) => changes.push(`${from} -> ${to}: ${reason}`))
    bad.state.failing = true
    const failed: number[] = []
    for (let i = 0; i < 20; i++) {
      const { status } = await front.client.ask()
      if (status === 500) failed.push(i)
    }
    expect(failed).toHaveLength(4)
    expect(bad.origin.requests).toHaveLength(4)
    expect(changes).toEqual(['unknown -> ejected: breaker open: 4 of 4 calls failed'])
    expect(front.upstream.available.map(({ url }) => url)).toEqual([expect.stringContaining(good.origin.url)])
    await until(() => front.inFlight === 0, 'every lease to end')
  })

  it('comes back to one that has recovered, and not while it fails', async () => {
    const good = await moody('good')
    const bad = await moody('bad')
    const front = own(await kind.start({ targets: [good.origin.url, bad.origin.url], breaker: quick }))
    const changes: string[] = []
    front.upstream.on('state', ({ to, reason }) => changes.push(`${to}: ${reason}`))
    bad.state.failing = true
    await until(async () => {
      await front.client.ask()
      return changes.filter((change) => change.endsWith('a trial failed')).length > 0
    }, 'a trial to fail')
    bad.state.failing = false
    const before = bad.origin.requests.length
    await until(async () => {
      await front.client.ask()
      return bad.origin.requests.length > before + 6
    }, 'the target to be used again')
    expect(changes[0]).toBe('ejected: breaker open: 4 of 4 calls failed')
    expect(changes[1]).toBe('unknown: breaker half-open: open for 40 ms')
    expect(changes.at(-1)).toMatch(/^unknown: breaker half-open/)
    expect(front.upstream.available).toHaveLength(2)
  })

  it('takes no request from before it opened for a trial, whether it ends well or badly', async () => {
    const held = deferred()
    const origin = own(
      await originServer(async ({ url }, res) => {
        const [, status] = /^\/held\/(\d+)/.exec(url ?? '') ?? []
        if (status !== undefined) await held.promise
        res.writeHead(Number(status ?? 500)).end()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false, breaker: quick }))
    const changes: string[] = []
    front.upstream.on('state', ({ to }) => changes.push(to))
    const early = [200, 200, 500].map((status) => front.client.ask({ path: `/held/${status}` }))
    await origin.request(2)
    for (let i = 0; i < 4; i++) await front.client.ask()
    await until(() => changes.length === 2, 'the breaker to open, and to be half-open')
    held.resolve()
    expect((await Promise.all(early)).map(({ status }) => status)).toEqual([200, 200, 500])
    await until(() => front.inFlight === 0, 'every lease to end')
    expect(changes).toEqual(['ejected', 'unknown'])
    // It is half-open still: closed, it would take four.
    expect((await front.client.ask()).status).toBe(500)
    await until(() => changes.length === 3, 'a trial to fail')
  })

  it('judges trials by their head: event streams that began as trials shut nobody out as long as they last', async () => {
    let failing = true
    const origin = own(
      await originServer((req, res) => {
        if (failing) return void res.writeHead(500).end()
        if (req.url !== '/events') return void res.end('ok')
        res.writeHead(200, { 'content-type': 'text/event-stream' })
        res.write('data: 1\n\n')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, retry: false, breaker: quick }))
    for (let i = 0; i < 4; i++) await front.client.ask()
    failing = false
    await until(() => front.upstream.all[0]?.state === 'unknown', 'the breaker to be half-open')
    const streams = Array.from({ length: quick.trials }, () => front.client.call({ path: '/events' }))
    for (const { head } of streams) expect((await head).status).toBe(200)
    for (let i = 0; i < 4; i++) expect((await front.client.ask()).status).toBe(200)
    await until(() => front.inFlight === quick.trials, 'the streams alone to be in flight')
    for (const stream of streams) stream.abort()
  })

  it('comes back gradually: in the ramp the others get most', async () => {
    const good = await moody('good')
    const bad = await moody('bad')
    const front = own(
      await kind.start({ targets: [good.origin.url, bad.origin.url], breaker: { ...quick, ramp: '500h' } }),
    )
    bad.state.failing = true
    // It recovers as its breaker opens: a trial that comes before the test looks must not fail.
    front.upstream.on('state', () => {
      bad.state.failing = false
    })
    for (let i = 0; i < 10; i++) await front.client.ask()
    const [, target] = front.upstream.all
    await until(() => target?.state !== 'ejected', 'the target to be half-open')
    // Both trials pass, the sooner the less the target has to warm up; then its share is a millionth.
    await until(async () => {
      expect((await front.client.ask()).status).toBe(200)
      return bad.origin.requests.length === 4 + 2
    }, 'both trials')
    for (let i = 0; i < 30; i++) expect((await front.client.ask()).status).toBe(200)
    expect(bad.origin.requests).toHaveLength(4 + 2)
    expect(target?.state).toBe('unknown')
  })

  it('with nobody left, answers 503 at once and reaches no target', async () => {
    const bad = await moody('bad')
    bad.state.failing = true
    const front = own(await kind.start({ targets: bad.origin.url, breaker: { ...quick, open: '1h' } }))
    const statuses: number[] = []
    for (let i = 0; i < 8; i++) statuses.push((await front.client.ask()).status)
    expect(statuses).toEqual([500, 500, 500, 500, 503, 503, 503, 503])
    expect(bad.origin.requests).toHaveLength(4)
    const refused = await front.client.ask()
    // What is left of the hour, in seconds, and nothing else of who was asked.
    const seconds = Number(value(refused.headers, 'retry-after'))
    expect([Number.isInteger(seconds), seconds > 3_000, seconds <= 3_600]).toEqual([true, true, true])
    expect(JSON.stringify([refused.headers, refused.text])).not.toContain(new URL(bad.origin.url).port)
  })

  it('holds in panic: others are asked, however unfit, and one alone whose breaker is open is not', async () => {
    const bad = await moody('bad')
    const other = await moody('other')
    const front = own(
      await kind.start({
        targets: [bad.origin.url, other.origin.url],
        retry: false,
        breaker: { ...quick, open: '1h' },
      }),
    )
    const [target, second] = front.upstream.all as [Target, Target]
    bad.state.failing = true
    for (let i = 0; i < 8; i++) await front.client.ask()
    expect(target.state).toBe('ejected')
    front.upstream.mark(second, 'unhealthy', 'by the test')
    expect([front.upstream.panicking, front.upstream.available]).toEqual([true, [target, second]])
    const seen: string[] = []
    for (let i = 0; i < 6; i++) seen.push((await front.client.ask()).text)
    expect(seen).toEqual(new Array(6).fill('other'))
    front.upstream.drain(second.id)
    expect(front.upstream.available).toEqual([target])
    expect((await front.client.ask()).status).toBe(503)
    expect(bad.origin.requests).toHaveLength(4)
  })

  it('counts refused connections, and no client that leaves', async () => {
    const leaks = leakCheck()
    const hanging = await originServer(() => {})
    const front = await kind.start({
      targets: hanging.url,
      retry: false,
      breaker: { ...quick, open: '1h' },
    })
    for (let i = 0; i < 8; i++) {
      const call = front.client.call()
      call.head.catch(() => {})
      await hanging.request(i)
      call.abort()
    }
    await until(() => front.inFlight === 0, 'every lease to end')
    expect(front.upstream.all[0]?.state).toBe('unknown')
    await hanging.close()
    const statuses: number[] = []
    for (let i = 0; i < 6; i++) statuses.push((await front.client.ask()).status)
    expect(statuses).toEqual([502, 502, 502, 502, 503, 503])
    await front.close()
    await leaks.settled()
  })
})

it('holds no process open by the time it waits for', async () => {
  // A server that is closed leaves nothing: the timer of an open breaker is no handle that counts.
  const front = await (threeFronts[0] as (typeof threeFronts)[number]).start({
    targets: await refusedUrl(),
    retry: false,
    breaker: { ...quick, open: '1h' },
  })
  for (let i = 0; i < 5; i++) await front.client.ask()
  expect(front.upstream.all[0]?.state).toBe('ejected')
  await front.close()
  expect(front.upstream.all[0]?.state).toBe('unknown')
})

/** Where nobody listens. */
async function refusedUrl(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

describe.each(threeFronts.filter(({ http2 }) => !http2))('a breaker behind $name, and tunnels', (kind) => {
  it('judges trials by their head: tunnels that began as trials shut nobody out as long as they last', async () => {
    let failing = true
    const target = own(await originServer((_req, res) => void res.writeHead(failing ? 500 : 200).end()))
    target.server.on('upgrade', (_req, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n')
    })
    const front = own(await kind.start({ targets: target.url, retry: false, breaker: quick }))
    for (let i = 0; i < 4; i++) await front.client.ask()
    failing = false
    await until(() => front.upstream.all[0]?.state === 'unknown', 'the breaker to be half-open')
    for (let i = 0; i < quick.trials; i++) {
      const client = own(await rawClient(front.port))
      client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n')
      await client.until('101 Switching')
    }
    for (let i = 0; i < 4; i++) expect((await front.client.ask()).status).toBe(200)
    expect(front.inFlight).toBeGreaterThanOrEqual(quick.trials)
  })
})
