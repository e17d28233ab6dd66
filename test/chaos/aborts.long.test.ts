import type { ClientRequest } from 'node:http'
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Middleware } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import type { Call } from '../kit/client.js'
import { type Front, fronts, twoFronts } from '../kit/fronts.js'
import { heapInUse } from '../kit/heap.js'
import { leakCheck } from '../kit/leak-check.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { seeded } from '../kit/seeded.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const aborts = 10_000
const atOnce = 50
/** So many are remembered by the origin. */
const often = 100
const piece = Buffer.alloc(16 * 1024, 'x')
/** What a heap may have more after thousands of exchanges, for each of them. */
const slack = 1024

/** One of each protocol: what is tested is the exchange, not the server around it. */
const kinds = fronts.filter(
  ({ name }) => /listen\(\)|http2 without TLS|Express/.test(name) && name.startsWith('createProxy'),
)

/** All of them through the first; what the others have of their own shows with fewer. */
const counts = kinds.map((kind, nth) => ({ kind, name: kind.name, count: aborts * (nth === 0 ? 0.9 : 0.2) }))

/** Runs `count` times what `once` does, many at once, until no more leases are left than there were. */
async function times(count: number, front: Front, once: (index: number) => Promise<void>): Promise<void> {
  const { inFlight } = front
  let begun = 0
  const worker = async (): Promise<void> => {
    for (let index = begun++; index < count; index = begun++) await once(index)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  await until(() => front.inFlight === inFlight, 'all leases to be released')
}

/** Sockets that close hold their buffers for some turns more: what counts is what stays. */
function flat(before: number, exchanges: number): Promise<unknown> {
  let more = 0
  return until(
    async () => {
      more = (await heapInUse()) - before
      return more < slack * exchanges
    },
    () => `the heap to be as it was; it has ${more} bytes more`,
  )
}

/**
 * The client goes: nearly always with a reset, as one that has unread bytes or whose process ends does. One that closes in the
 * ordinary way looks for a while like one that has only ended its half, and still wants its answer.
 */
function leave(call: Call, index: number): void {
  const { socket } = call.body as Partial<ClientRequest>
  // One of TLS can't be reset.
  if (index % 40 === 0 || !(socket instanceof Socket) || socket instanceof TLSSocket) call.abort()
  else socket.resetAndDestroy()
}

/** The origin remembers each request of the test: that is no memory of the proxy's, and work for the collector. */
function forget(origin: Origin): void {
  ;(origin.requests as unknown[]).length = 0
}

/** A request whose answer, if there is any, nobody reads. */
function begin(front: Front, ask: Parameters<Front['client']['call']>[0]): Call {
  const call = front.client.call(ask)
  call.head.catch(() => {})
  call.body.on('error', () => {})
  return call
}

/** A client that leaves so often is cut off by default (rapid reset): these are there to see what each leaves behind. */
const guard = { server: { resets: { burst: 1_000_000, rate: 1_000_000 } } }

describe.each(counts)('$count clients that leave, through $name', ({ kind, count }) => {
  it('at any point: nothing is left behind, neither leases nor memory, and no more connections than the pool keeps', async () => {
    const leaks = leakCheck()
    const origin = own(
      await originServer(async (req, res) => {
        req.on('error', () => {})
        req.resume()
        if (req.url === '/silent') return
        res.writeHead(200)
        for (let i = 0; i < 20 && !res.destroyed; i++) {
          res.write(piece)
          await new Promise((resolve) => setImmediate(resolve))
        }
        res.end()
      }),
    )
    const front = own(await kind.start({ targets: origin.url, guard }))
    expect(await front.client.ask()).toMatchObject({ status: 200, complete: true })
    const random = seeded(1)
    const turns = (count: number): Promise<void> =>
      count <= 0 ? Promise.resolve() : new Promise((resolve) => setImmediate(() => resolve(turns(count - 1))))

    const once = async (index: number): Promise<void> => {
      const upload = random() < 0.3
      const path = random() < 0.3 ? '/silent' : '/'
      const call = begin(front, { path, method: upload ? 'POST' : 'GET', open: upload })
      if (upload) for (let i = 0; i < random() * 4; i++) call.body.write(piece)
      await turns(Math.floor(random() * 12))
      if (random() < 0.3 && path === '/') await call.head.catch(() => {})
      leave(call, index)
      await turns(1)
      if (index % often === 0) forget(origin)
    }

    // The first part fills what is kept on purpose: pools, caches of compiled code.
    await times(aborts * 0.1, front, once)
    expect(await front.client.ask()).toMatchObject({ status: 200, complete: true })
    forget(origin)
    const before = await heapInUse()
    await times(count, front, once)
    expect(await front.client.ask()).toMatchObject({ status: 200, complete: true })
    forget(origin)
    await flat(before, count)
    // A connection whose exchange was given up is closed: what is left is idle, and was used to the end.
    await until(() => origin.sockets <= atOnce, 'connections in use to be closed')
    await front.close()
    await until(() => origin.sockets === 0, 'the transport to close its connections')
    await origin.close()
    await leaks.settled()
  }, 120_000)
})

/** Connections to the target at most, where a test says so. */
const line = 4

/** A layer that tells when the layers below have been given the request for a path. */
function gate(): { layer: Middleware; passed(path: string): Promise<void> } {
  const passed = new Set<string>()
  const waiting = new Map<string, () => void>()
  return {
    layer: (next) => (ctx) => {
      const reply = next(ctx)
      const { path } = ctx.out
      const tell = waiting.get(path)
      if (tell === undefined) passed.add(path)
      else tell()
      waiting.delete(path)
      return reply
    },
    passed: (path) => (passed.delete(path) ? Promise.resolve() : new Promise((go) => waiting.set(path, go))),
  }
}

type Seen = Origin['requests'][number]

describe.each(twoFronts)('10,000 clients that leave in one phase, through $name', (kind) => {
  const each = Math.ceil(aborts / 6)

  it('while the connection is made', async () => {
    const leaks = leakCheck()
    const { layer, passed } = gate()
    // A handshake that never ends is part of connecting.
    const origin = own(await rawOrigin())
    const front = own(
      await kind.start({
        targets: `https://127.0.0.1:${origin.port}`,
        timeouts: { connect: '100ms' },
        use: [layer],
      }),
    )
    await times(each, front, async (index) => {
      const call = begin(front, { path: `/${index}`, method: index % 3 === 0 ? 'POST' : 'GET' })
      await passed(`/${index}`)
      leave(call, index)
    })
    expect(origin.connections.length).toBeGreaterThan(0)
    await front.close()
    await until(() => origin.sockets === 0, 'every attempt to connect to be given up')
    await origin.close()
    await leaks.settled()
  }, 120_000)

  it('while they wait in line', async () => {
    const leaks = leakCheck()
    const { layer, passed } = gate()
    const origin = own(
      await originServer((req, res) => {
        if (req.url === '/held') res.write('held')
        else res.end('ok')
      }),
    )
    const front = own(await kind.start({ targets: origin.url, connections: line, use: [layer] }))
    const holders = Array.from({ length: line }, () => begin(front, { path: '/held' }))
    for (const { head } of holders) await head
    await times(each, front, async (index) => {
      const call = begin(front, { path: `/${index}`, method: index % 3 === 0 ? 'POST' : 'GET' })
      await passed(`/${index}`)
      leave(call, index)
    })
    expect(origin.connections).toBe(line)
    // Nobody of the line has got to the target, neither then nor now that there is room.
    for (const holder of holders) holder.abort()
    expect(await front.client.ask({ path: '/after' })).toMatchObject({ status: 200, text: 'ok' })
    expect(origin.requests.map(({ url }) => url)).toEqual([...Array(line).fill('/held'), '/after'])
    await front.close()
    await until(() => origin.sockets === 0, 'the transport to close its connections')
    await origin.close()
    await leaks.settled()
  }, 120_000)

  type Phase = (
    front: Front,
    path: string,
    even: boolean,
    arrived: () => Promise<Seen>,
  ) => Promise<[Call, Seen]>
  const phases: Record<string, Phase> = {
    'while they send': async (front, path, even, arrived) => {
      const call = begin(front, { path, method: 'POST', open: true })
      call.body.write(piece)
      const seen = await arrived()
      // A target that reads, and one that doesn't.
      if (even) seen.req.resume()
      call.body.write(piece)
      return [call, seen]
    },
    'while they wait for the head': async (front, path, even, arrived) => {
      const call = begin(front, { path, ...(even ? { method: 'POST', body: 'x' } : {}) })
      return [call, await arrived()]
    },
    'in mid-body': async (front, path, even, arrived) => {
      const call = begin(front, { path })
      const seen = await arrived()
      if (even) seen.res.setHeader('Content-Length', 10 * piece.length)
      seen.res.write(piece)
      await call.head
      seen.res.write(piece)
      return [call, seen]
    },
    'while they expect 100': async (front, path, even, arrived) => {
      const length = even ? ['Content-Length', '10'] : ['Transfer-Encoding', 'chunked']
      const headers = [...length, 'Expect', '100-continue']
      const call = begin(front, { path, method: 'POST', headers, open: true })
      return [call, await arrived()]
    },
  }

  it.each(Object.keys(phases))(
    '%s',
    async (name) => {
      const phase = phases[name] as Phase
      const leaks = leakCheck()
      const waiting = new Map<string, (seen: Seen) => void>()
      const origin = own(
        await originServer((req, res, seen) => {
          req.on('error', () => {})
          res.on('error', () => {})
          if (req.url === '/next') res.end('ok')
          else waiting.get(req.url as string)?.(seen)
        }),
      )
      // The origin says nothing, 100 neither: who expects it is still waiting.
      origin.server.on('checkContinue', (req, res) => void origin.server.emit('request', req, res))
      const front = own(await kind.start(origin.url))
      const once = async (index: number): Promise<void> => {
        const path = `/${index}`
        const arrived = new Promise<Seen>((resolve) => waiting.set(path, resolve))
        const [call, seen] = await phase(front, path, index % 2 === 0, () => arrived)
        waiting.delete(path)
        leave(call, index)
        // Who doesn't read doesn't hear of the end either.
        seen.req.resume()
        await seen.closed
        if (index % often === 0) forget(origin)
      }
      await times(each * 0.2, front, once)
      forget(origin)
      const before = await heapInUse()
      await times(each * 0.8, front, (index) => once(index + 2 * each))
      forget(origin)
      await flat(before, each * 0.8)
      await until(() => origin.sockets === 0, 'the connections of those who have left to be closed')
      expect(await front.client.ask({ path: '/next' })).toMatchObject({ status: 200, text: 'ok' })
      expect(origin.sockets).toBe(1)
      await front.close()
      await until(() => origin.sockets === 0, 'the transport to close its connections')
      await origin.close()
      await leaks.settled()
    },
    120_000,
  )
})
