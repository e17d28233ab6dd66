import diagnostics from 'node:diagnostics_channel'
import { balance, roundRobin, slowStart } from '@sluice/balance'
import { chain, toListener } from '@sluice/core'
import { forward, wireTransport } from '@sluice/forward'
import { ejection } from '@sluice/health'
import { retry } from '@sluice/resilience'
import { createUpstream, type Target, type Upstream } from '@sluice/upstream'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { fakeTime } from '../kit/fake-time.js'
import { type Front, type FrontKind, type FrontOptions, fronts } from '../kit/fronts.js'
import { mountNamed } from '../kit/mounts.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { type RawConnection, rawOrigin } from '../kit/raw-origin.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** `createProxy` ejects by itself; a chain made by hand has it beside it. */
async function ejecting(kind: FrontKind, options: FrontOptions): Promise<Front> {
  const front = own(await kind.start(options))
  if (front.proxy === undefined) {
    const watch = ejection(front.upstream)
    own({ close: () => watch[Symbol.dispose]() })
  }
  return front
}

describe.each(fronts)('ejection through $name', (kind) => {
  it('takes out a target that refuses with the first try, and no request is lost', async () => {
    const dead = own(await deadTarget())
    const well = own(await originServer())
    const front = await ejecting(kind, { targets: [dead.url, well.url] })
    const changes: string[] = []
    front.upstream.on('state', ({ from, to, reason }) => changes.push(`${from} ${to} ${reason}`))
    for (let i = 0; i < 4; i++) expect((await front.client.ask()).status).toBe(200)
    expect(changes).toEqual(['unknown ejected a lost connect (connection_refused): out for 1 s'])
  })

  it('takes out a target that resets its connections with the first try', async () => {
    const resetting = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        connection.reset()
      }),
    )
    const well = own(await originServer())
    const front = await ejecting(kind, { targets: [resetting.url, well.url] })
    for (let i = 0; i < 4; i++) expect((await front.client.ask()).status).toBe(200)
    expect(front.upstream.all.map(({ state }) => state)).toEqual(['ejected', 'unknown'])
  })

  it('takes out a target that answers 503 five times in a row', async () => {
    const sick = own(await originServer((_req, res) => res.writeHead(503).end()))
    const well = own(await originServer())
    const front = await ejecting(kind, { targets: [sick.url, well.url] })
    const seen: number[] = []
    for (let i = 0; i < 14; i++) seen.push((await front.client.ask()).status)
    expect(seen.filter((status) => status === 503)).toHaveLength(5)
    expect(front.upstream.all.map(({ state }) => state)).toEqual(['ejected', 'unknown'])
  })

  it.each([
    ['resets', (connection: RawConnection) => connection.reset()],
    ['ends', (connection: RawConnection) => connection.end()],
  ])(
    'leaves one in use that %s a kept connection as a request comes, until it refuses the next',
    async (_, lose) => {
      const closing = await rawOrigin(async (connection) => {
        await connection.until('\r\n\r\n')
        await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        await connection.until('POST ')
        lose(connection)
      })
      own(closing)
      const well = own(await originServer())
      const front = await ejecting(kind, { targets: [closing.url, well.url] })
      const changes: string[] = []
      front.upstream.on('state', ({ to, reason }) => changes.push(`${to} ${reason}`))
      for (let i = 0; i < 2; i++) expect((await front.client.ask()).status).toBe(200)
      const seen: number[] = []
      for (let i = 0; i < 2; i++) seen.push((await front.client.ask({ method: 'POST', body: 'x' })).status)
      // It may have been processed, so it isn't sent again.
      expect(seen.sort()).toEqual([200, 502])
      expect(changes).toEqual([])
      await closing.close()
      for (let i = 0; i < 4; i++) expect((await front.client.ask()).status).toBe(200)
      expect(changes).toEqual(['ejected a lost connect (connection_refused): out for 1 s'])
    },
  )

  it('holds no client that leaves against a target', async () => {
    const slow = [own(await originServer(() => {})), own(await originServer(() => {}))]
    const front = await ejecting(kind, { targets: slow.map(({ url }) => url) })
    const asked = (): number => slow.reduce((sum, { requests }) => sum + requests.length, 0)
    const calls = Array.from({ length: 12 }, () => front.client.call())
    for (const { head } of calls) head.catch(() => {})
    await until(() => asked() === calls.length, 'the requests')
    for (const call of calls) call.abort()
    await until(() => front.inFlight === 0, 'the end of the leases')
    expect(front.upstream.all.map(({ state }) => state)).toEqual(['unknown', 'unknown'])
  })
})

/**
 * The whole of it by a clock that stands still: how many tries each target gets, as the channel tells. What was leased when a
 * target went out is under way; none is leased after that until it is back.
 */
async function standing(mountName: string, targets: readonly string[]) {
  const time = fakeTime()
  const upstream = createUpstream({ name: 'x', targets }, 'upstream', time.now)
  const [victim] = upstream.all as [Target]
  const watch = ejection(upstream, {}, { timers: time.timers })
  const transport = wireTransport()
  let turn = 0
  // Chance in equal steps: of twenty in a row each part has its exact share.
  const random = (): number => (turn++ % 20) / 20
  const policy = slowStart(roundRobin(), '5s', { clock: time.now, random })
  const handler = chain().use(retry()).use(balance(upstream, policy)).handle(forward({ transport }))
  const mounted = await mountNamed(mountName).serve({ listener: toListener(handler) })
  const changes: { readonly to: string; readonly reason: string; readonly leased: number }[] = []
  upstream.on('state', ({ to, reason }) => changes.push({ to, reason, leased: victim.leased }))
  let tries = 0
  const tried = (message: unknown): void => {
    if ((message as { target: Target }).target === victim) tries++
  }
  diagnostics.subscribe('sluice:try', tried)
  own({
    async close() {
      diagnostics.unsubscribe('sluice:try', tried)
      watch[Symbol.dispose]()
      await transport.close(true)
      await mounted.close()
    },
  })
  return {
    time,
    victim,
    changes,
    client: mounted.client,
    get tries() {
      return tries
    },
    /** So many requests, one after the other or at once; gives how many tries the first target got. */
    async ask(count: number, atOnce = false): Promise<number> {
      const before = tries
      if (atOnce) {
        const answers = await Promise.all(Array.from({ length: count }, () => mounted.client.ask()))
        expect(answers.map(({ status }) => status)).toEqual(new Array(count).fill(200))
      } else for (let i = 0; i < count; i++) expect((await mounted.client.ask()).status).toBe(200)
      return tries - before
    },
  }
}

/** A server that resets each connection at once while it is down. */
async function resetting() {
  const state = { down: true }
  const origin = own(await originServer())
  origin.server.on('connection', (socket) => {
    if (state.down) socket.resetAndDestroy()
  })
  return { url: origin.url, state }
}

describe.each(['node:http', 'node:http2 without TLS'])('by a clock that stands still, on %s', (mountName) => {
  it.each([
    ['refuses connections', async () => own(await deadTarget()).url],
    ['resets them', async () => (await resetting()).url],
  ])(
    'a target that %s is left with the first failed try, and gets one try each time it is back',
    async (_, down) => {
      const others = [own(await originServer()), own(await originServer())]
      const site = await standing(mountName, [await down(), ...others.map(({ url }) => url)])
      const { time, victim, changes } = site
      // Those that begin before the first has failed are under way; nobody could know better.
      await site.ask(30, true)
      expect(changes.map(({ to }) => to)).toEqual(['ejected'])
      expect(site.tries).toBe(changes[0]?.leased)
      expect(site.tries).toBeLessThanOrEqual(10)
      expect(await site.ask(30)).toBe(0)
      time.passAtOnce(999)
      expect(await site.ask(30, true)).toBe(0)
      for (const seconds of [2, 3, 4]) {
        time.passAtOnce(1)
        expect([victim.state, await site.ask(60)]).toEqual(['unknown', 1])
        expect(changes.at(-1)).toMatchObject({ to: 'ejected', leased: site.tries })
        expect(changes.at(-1)?.reason).toMatch(new RegExp(`^a lost connect .*: out for ${seconds} s$`))
        expect(await site.ask(30)).toBe(0)
        time.passAtOnce(seconds * 1_000 - 1)
        expect(await site.ask(30)).toBe(0)
      }
    },
  )

  it('what a target had under way when it went out says nothing once it is back', async () => {
    const victim = own(await rawOrigin())
    const site = await standing(mountName, [victim.url, own(await originServer()).url])
    const { client, time, changes } = site
    // In turn: three of six.
    const answers = Promise.all(Array.from({ length: 6 }, () => client.ask({ method: 'POST', body: 'x' })))
    for (const i of [0, 1, 2]) await (await victim.connection(i)).head()
    victim.connections[0]?.reset()
    await until(() => changes.length === 1, 'the target to go out')
    time.passAtOnce(1_000)
    for (const i of [1, 2]) victim.connections[i]?.reset()
    expect((await answers).map(({ status }) => status).sort()).toEqual([200, 200, 200, 502, 502, 502])
    await until(() => site.victim.inFlight === 0, 'every lease to end')
    expect(changes.map(({ to }) => to)).toEqual(['ejected', 'unknown'])
  })

  it('a target that is well again gets a growing part of its share', async () => {
    const victim = await resetting()
    const others = [own(await originServer()), own(await originServer())]
    const site = await standing(mountName, [victim.url, ...others.map(({ url }) => url)])
    await site.ask(3)
    expect(site.victim.state).toBe('ejected')
    victim.state.down = false
    site.time.passAtOnce(1_000)
    expect(site.victim.state).toBe('unknown')
    const shares: number[] = []
    for (let second = 0; second < 6; second++) {
      shares.push(await site.ask(60))
      site.time.passAtOnce(1_000)
    }
    // A third of sixty is its whole share.
    expect(shares).toEqual([...shares].sort((one, other) => one - other))
    expect([(shares[0] as number) < 7, (shares[2] as number) < 14, shares[5]]).toEqual([true, true, 20])
    expect(site.changes.map(({ to }) => to)).toEqual(['ejected', 'unknown'])
  })
})

it('a rolling restart of two: the first one serves again as the second one goes, though it would be out for longer', async () => {
  let sick = true
  const restarted = own(await originServer((_req, res) => res.writeHead(sick ? 503 : 200).end()))
  const next = own(await originServer())
  const targets = [restarted.url, next.url]
  const proxy = createProxy({ upstreams: { site: { targets, ejection: { base: '1h', localBase: 10 } } } })
  own({ close: () => proxy.close({ drain: 0 }) })
  const { port } = await proxy.listen()
  const client = own(httpClient({ port }))
  const ask = async (): Promise<number> => (await client.ask()).status
  for (let i = 0; i < 10; i++) await ask()
  const { all } = proxy.upstreams.get('site') as Upstream
  expect(all.map(({ state }) => state)).toEqual(['ejected', 'unknown'])
  sick = false
  await next.close()
  await until(async () => (await ask()) === 200, 'the one that is back to serve')
  for (let i = 0; i < 10; i++) expect(await ask()).toBe(200)
  expect(all[0]?.state).toBe('unknown')
})
