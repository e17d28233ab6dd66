import { once } from 'node:events'
import { request } from 'node:http'
import { type Client, type Context, onError, type ProxyError } from '@sluice/core'
import { type Priority, type ShedOptions, type ShedSeams, shed } from '@sluice/guard'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { fronts, twoFronts } from '../kit/fronts.js'
import { handTimers } from '../kit/hand-timers.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** An event loop that is as late as a test says. */
function lateLoop() {
  const timers = handTimers()
  let now = 1_000
  return {
    seams: { clock: () => now, after: timers.after, idle: () => 0 } satisfies ShedSeams,
    timers,
    /** Windows in which each turn takes so many ms. */
    async turns(ms: number, count: number): Promise<void> {
      for (let i = 0; i < count; i++) {
        now += ms
        await timers.fire()
      }
    },
  }
}

/** A front whose requests have the priority that their query says, with the reasons that its log would tell. */
async function started(kind: (typeof fronts)[number], options: ShedOptions, seams: ShedSeams = {}) {
  const held = deferred()
  const origin = own(
    await originServer((req, res) => {
      if (req.url?.includes('held') === true) void held.promise.then(() => res.end('held'))
      else res.end('hello')
    }),
  )
  const reasons: (string | undefined)[] = []
  const hears = onError<Context & Client>(({ reason }: ProxyError) => {
    reasons.push(reason)
    return undefined
  })
  const priority = (ctx: { out: { path: string } }): Priority =>
    (/\?(\w+)/.exec(ctx.out.path)?.[1] ?? 'normal') as Priority
  const front = own(
    await kind.start({ targets: origin.url, use: [hears, shed({ priority, ...options }, 'shed', seams)] }),
  )
  const ask = (path: string, method = 'GET') =>
    front.client.ask({ path, method, ...(method === 'POST' ? { body: 'x'.repeat(100) } : {}) })
  return { ask, front, held, origin, reasons }
}

describe.each(fronts)('shed through $name', (kind) => {
  it('refuses by priority what is more than may be under way, at once, and says when to come back', async () => {
    const { ask, held, origin, reasons } = await started(kind, { delay: 0, inFlight: 4 })
    const first = [ask('/held?low'), ask('/held?low'), ask('/held?low')]
    await until(() => origin.requests.length === 3, 'three requests')
    const refused = await ask('/?low')
    expect([refused.status, refused.text]).toEqual([503, '503 Service Unavailable\n'])
    expect(Number(value(refused.headers, 'retry-after'))).toBeGreaterThanOrEqual(2)
    expect(Number(value(refused.headers, 'retry-after'))).toBeLessThanOrEqual(6)
    expect((await ask('/?low', 'POST')).status).toBe(503)
    expect((await ask('/?normal')).status).toBe(503)
    first.push(ask('/held?high'))
    await until(() => origin.requests.length === 4, 'a fourth request')
    expect((await ask('/?high')).status).toBe(503)
    expect((await ask('/?critical')).status).toBe(200)
    expect(reasons).toEqual(Array(4).fill('in-flight'))
    held.resolve()
    for (const each of first) expect((await each).status).toBe(200)
    await until(async () => (await ask('/?low')).status === 200, 'room')
  })

  it('refuses while the event loop is late, but not what is critical, and lets all in again after it', async () => {
    const loop = lateLoop()
    const { ask, origin, reasons } = await started(kind, {}, loop.seams)
    expect((await ask('/')).status).toBe(200)
    // One long turn is none yet.
    await loop.turns(500, 1)
    expect((await ask('/')).status).toBe(200)
    await loop.turns(150, 3)
    const before = origin.requests.length
    expect((await ask('/')).status).toBe(503)
    expect((await ask('/?low')).status).toBe(503)
    expect((await ask('/?critical')).status).toBe(200)
    expect(origin.requests.length).toBe(before + 1)
    expect(reasons).toEqual(['event-loop-delay', 'event-loop-delay'])
    for (let i = 0; i < 3; i++) {
      await loop.turns(5, 150)
      expect((await ask('/?critical')).status).toBe(200)
    }
    for (let i = 0; i < 10; i++) expect((await ask('/?low')).status).toBe(200)
  })
})

describe.each(twoFronts)('shed through $name', (kind) => {
  it('does not count upgrades as being under way, but refuses them like all else', async () => {
    const { ask, front, held, origin } = await started(kind, { delay: 0, inFlight: 1 })
    const server = new WebSocketServer({ server: origin.server })
    own({ close: () => server.close() })
    const opens = (): WebSocket => {
      const socket = new WebSocket(`ws://127.0.0.1:${front.port}/`)
      socket.on('error', () => {})
      own({ close: () => socket.terminate() })
      return socket
    }
    await once(opens(), 'open')
    const under = ask('/held')
    await until(() => origin.requests.length === 1, 'the request')
    const [, { statusCode }] = await once(opens(), 'unexpected-response')
    expect(statusCode).toBe(503)
    held.resolve()
    expect((await under).status).toBe(200)
    await until(async () => (await ask('/')).status === 200, 'room')
  })

  it('gives back the place of a client that leaves', async () => {
    const { ask, front, held, origin } = await started(kind, { delay: 0, inFlight: 1 })
    const leaving = request({ port: front.port, path: '/held' }).on('error', () => {})
    leaving.end()
    await until(() => origin.requests.length === 1, 'the request')
    expect((await ask('/')).status).toBe(503)
    leaving.destroy()
    await until(async () => (await ask('/')).status === 200, 'room')
    held.resolve()
  })

  it('spreads those whom it sends away', async () => {
    const { ask, held, origin } = await started(kind, { delay: 0, inFlight: 1, retryAfter: '100s' })
    const first = ask('/held')
    await until(() => origin.requests.length === 1, 'the request')
    const times: number[] = []
    for (let i = 0; i < 16; i++) times.push(Number(value((await ask('/')).headers, 'retry-after')))
    expect([new Set(times).size, Math.min(...times), Math.max(...times)]).toEqual([16, 50, 150])
    held.resolve()
    await first
  })

  it('tells of a priority that is none as of a fault of the app', async () => {
    const { ask, reasons } = await started(kind, {})
    expect([(await ask('/?constructor')).status, reasons]).toEqual([500, [undefined]])
  })
})

it('asks for no timer once nobody asks for anything', async () => {
  const loop = lateLoop()
  const { ask } = await started(twoFronts[0] as (typeof fronts)[number], {}, loop.seams)
  expect(loop.timers.waits).toEqual([])
  await ask('/')
  expect(loop.timers.waits).toEqual([5])
  await loop.turns(5, 200)
  expect(loop.timers.waits).toEqual([])
})

it.each([
  [{ delay: -1 }, 'guard.shed.delay: got -1, takes milliseconds or a text'],
  [
    { delay: 0 },
    'guard.shed: got { delay: 0, inFlight: 0, retryAfter: 4000 }, takes a delay or an inFlight that is more than 0',
  ],
  [{ inFlight: 1.5 }, 'guard.shed.inFlight: got 1.5, takes a whole number, 0 or more'],
  [{ priority: 'low' }, "guard.shed.priority: got 'low', takes a function"],
  [{ retryAfter: 0 }, 'guard.shed.retryAfter: got 0, takes more than 0'],
  [{ inflight: 1 }, 'guard.shed.inflight: unknown option, did you mean inFlight?'],
])('shed refuses %j at once', (options, message) => {
  expect(() => shed(options as never, 'guard.shed')).toThrow(message)
})
