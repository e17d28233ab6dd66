import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Outcome } from '@sluice/core'
import { createProxy } from 'sluice'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { httpClient } from '../kit/client.js'
import { type Origin, type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { type RawClient, rawClient } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { atRest, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()
// How long somebody has waited goes by this clock alone.
beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
let running: NodeJS.Timeout | undefined
afterEach(() => {
  clearInterval(running)
  running = undefined
  vi.useRealTimers()
})

/** The clock leaps, and runs from there on: what is due then is told a tick later, as in a process that was held up. */
function leap(ms: number): void {
  vi.advanceTimersByTime(ms)
  running ??= setInterval(() => vi.advanceTimersByTime(10), 10)
}

const limit = 4
const large = 16 * 1024 * 1024

/** Connections that the target has had at once, at most: an end that has reached it before a new one counts as read. */
function mostOf(origin: Origin): () => number {
  let most = 0
  origin.server.on('connection', () => {
    setImmediate(() =>
      setImmediate(() => {
        most = Math.max(most, origin.sockets)
      }),
    )
  })
  return () => most
}

/** `/large` answers much, `/mute` reads nothing until it is told to, all else is read and answered `ok`. */
const site: OriginHandler = async (req, res, seen) => {
  if (req.url === '/mute') return
  await seen.body()
  if (req.url !== '/large') return void res.end('ok')
  res.setHeader('Content-Length', large)
  res.end(Buffer.alloc(large))
}

async function proxied() {
  const origin = own(await originServer(site))
  const most = mostOf(origin)
  const errors: string[] = []
  const hear = (message: unknown): void => {
    const { error } = (message as { outcome: Outcome }).outcome
    if (error !== undefined) errors.push(error.reason ?? error.code)
  }
  diagnostics.subscribe('sluice:request:end', hear)
  own({ close: () => diagnostics.unsubscribe('sluice:request:end', hear) })
  let arrived = 0
  const count = (): void => void arrived++
  diagnostics.subscribe('sluice:request:start', count)
  own({ close: () => diagnostics.unsubscribe('sluice:request:start', count) })
  const proxy = own(createProxy({ upstreams: { x: { targets: [origin.url], connections: limit } } }))
  const { port } = await proxy.listen()
  const client = own(httpClient({ port }))
  const raw = async (): Promise<RawClient> => own(await rawClient(port))
  return { arrived: () => arrived, client, errors, most, origin, port, raw }
}

type Site = Awaited<ReturnType<typeof proxied>>

/** Clients that send a byte of their bodies. */
async function dripping({ raw }: Site, count: number): Promise<RawClient[]> {
  const clients: RawClient[] = []
  for (let i = 0; i < count; i++) {
    const client = await raw()
    client.write(`POST /drip HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nx`)
    clients.push(client)
  }
  return clients
}

interface Reluctant {
  /** Takes what there is, and tells how much that was. */
  take(): Promise<number>
}

/** Clients that take nothing of large answers, once nothing moves any more. */
async function reluctant({ origin, port }: Site, count: number): Promise<Reluctant[]> {
  const clients: Reluctant[] = []
  for (let i = 0; i < count; i++) {
    const socket: Socket = connect(port, '127.0.0.1')
    own({ close: () => socket.destroy() })
    let bytes = 0
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes >= large) socket.end()
    })
    socket.on('error', () => {})
    socket.pause()
    socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n')
    clients.push({
      async take() {
        const closed = once(socket, 'close')
        socket.resume()
        await within(closed, 'the end of an answer')
        return bytes
      },
    })
  }
  await until(() => origin.requests.length === count, 'their requests at the target')
  await atRest(() => origin.requests.reduce((sum, { res }) => sum + res.writableLength, 0))
  return clients
}

describe('bodies in drips', () => {
  it('leave a quarter of the connections to requests that are whole: those never wait', async () => {
    const all = await proxied()
    await dripping(all, 10)
    await until(() => all.origin.requests.length === limit - 1, 'as many as there may be')
    const answers = await Promise.all([1, 2, 3].map(() => all.client.ask()))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    const posts = await Promise.all(
      [1, 2, 3].map(() => all.client.ask({ method: 'POST', body: 'all of it' })),
    )
    expect(posts.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(all.origin.requests.filter(({ url }) => url === '/drip')).toHaveLength(limit - 1)
    expect(all.errors).toEqual([])
    expect(all.most()).toBeLessThanOrEqual(limit)
  })

  it('give way to other bodies after 2 s, one for each', async () => {
    const all = await proxied()
    const slow = await dripping(all, 3)
    await until(() => all.origin.requests.length === 3, 'their requests at the target')
    await vi.advanceTimersByTimeAsync(1_900)
    const call = all.client.call({ method: 'POST', path: '/upload', open: true })
    call.body.write('the first part')
    await until(() => all.arrived() === 4, 'the upload at the proxy')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(all.origin.requests).toHaveLength(3)
    leap(300)
    await until(() => all.origin.requests.length === 4, 'the upload at the target')
    expect(all.errors).toEqual(['yielded-slow-body'])
    call.body.end('and the last')
    expect((await call.answer()).status).toBe(200)
    const [cut] = await within((slow[0] as RawClient).responses(), 'its answer')
    expect(cut?.status).toBe(408)
    for (const each of slow.slice(1)) {
      each.write('1234567')
      expect((await each.responses()).map(({ status }) => status)).toEqual([200])
    }
    expect(all.errors).toEqual(['yielded-slow-body'])
    expect(all.most()).toBeLessThanOrEqual(limit)
  })

  it('are left alone while nobody waits', async () => {
    const all = await proxied()
    const slow = await dripping(all, 3)
    await until(() => all.origin.requests.length === 3, 'their requests at the target')
    leap(30_000)
    expect((await all.client.ask()).status).toBe(200)
    for (const each of slow) {
      each.write('1234567')
      expect((await each.responses()).map(({ status }) => status)).toEqual([200])
    }
    expect(all.errors).toEqual([])
  })

  it('wait without a connection, and are sent when their turn comes', async () => {
    const all = await proxied()
    const slow = await dripping(all, 6)
    await until(() => all.origin.requests.length === 3, 'as many as there may be')
    for (const each of slow) each.write('1234567')
    for (const each of slow) expect((await each.responses()).map(({ status }) => status)).toEqual([200])
    expect(all.origin.requests).toHaveLength(6)
    expect(all.errors).toEqual([])
  })

  it('are forgotten when their clients leave while they wait', async () => {
    const all = await proxied()
    const slow = await dripping(all, 6)
    await until(() => all.origin.requests.length === 3, 'as many as there may be')
    for (const each of slow.slice(3)) each.reset()
    await until(() => all.errors.length === 3, 'their ends')
    for (const each of slow.slice(0, 3)) each.write('1234567')
    for (const each of slow.slice(0, 3))
      expect((await each.responses()).map(({ status }) => status)).toEqual([200])
    expect((await all.client.ask({ method: 'POST', body: 'x' })).status).toBe(200)
    expect(all.origin.requests).toHaveLength(4)
  })
})

describe('readers that take nothing', () => {
  it('give way after 10 s, one for each that waits', async () => {
    const all = await proxied()
    const slow = await reluctant(all, limit)
    leap(11_000)
    expect((await all.client.ask()).text).toBe('ok')
    await until(() => all.errors.length > 0, 'the end of one')
    expect(all.errors).toEqual(['yielded-slow-reader'])
    const taken = await Promise.all(slow.map((each) => each.take()))
    expect(taken.filter((bytes) => bytes >= large)).toHaveLength(limit - 1)
    expect(all.most()).toBeLessThanOrEqual(limit)
  })

  it('are looked for while requests wait, and the newest in line gets the place', async () => {
    const all = await proxied()
    await reluctant(all, 1)
    const busy = [1, 2, 3].map(() => all.client.ask({ path: '/mute' }))
    await until(() => all.origin.requests.length === limit, 'a pool that is full')
    const first = all.client.call({ path: '/first' })
    await until(() => all.arrived() === limit + 1, 'the first in line')
    const second = all.client.call({ path: '/second' })
    await until(() => all.arrived() === limit + 2, 'the second in line')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(all.origin.requests).toHaveLength(limit)
    leap(11_000)
    expect((await second.answer()).text).toBe('ok')
    expect((await first.answer()).text).toBe('ok')
    expect(all.origin.requests.slice(limit).map(({ url }) => url)).toEqual(['/second', '/first'])
    expect(all.errors).toEqual(['yielded-slow-reader'])
    for (const { res } of all.origin.requests.slice(1, limit)) res.end('late')
    expect((await Promise.all(busy)).map(({ text }) => text)).toEqual(['late', 'late', 'late'])
    expect(all.most()).toBeLessThanOrEqual(limit)
  })

  it('are left alone while nobody waits', async () => {
    const all = await proxied()
    const slow = await reluctant(all, limit - 1)
    leap(30_000)
    expect((await all.client.ask()).text).toBe('ok')
    for (const each of slow) expect(await each.take()).toBeGreaterThanOrEqual(large)
    expect(all.errors).toEqual([])
  })
})

describe('a target that is slow itself', () => {
  it('and reads nothing of uploads has none of them ended, whoever waits', async () => {
    const all = await proxied()
    const body = Buffer.alloc(large)
    const uploads = [1, 2, 3].map(() => all.client.ask({ method: 'POST', path: '/mute', body }))
    const mute = all.client.ask({ path: '/mute' })
    await until(() => all.origin.requests.length === limit, 'their requests at the target')
    const waiting = [all.client.ask(), all.client.ask({ method: 'POST', body: 'x'.repeat(100_000) })]
    await atRest(() => all.origin.requests.reduce((sum, { req }) => sum + req.readableLength, 0))
    for (let i = 0; i < 5; i++) {
      leap(5_000)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(all.errors).toEqual([])
    for (const { res, body: read } of all.origin.requests.slice()) void read().then(() => res.end('late'))
    const answers = await Promise.all([...uploads, mute, ...waiting])
    expect(answers.map(({ text }) => text)).toEqual(['late', 'late', 'late', 'late', 'ok', 'ok'])
    expect(all.errors).toEqual([])
  })

  it('and rests in the middle of its answers has none of them ended, whoever waits', async () => {
    const all = await proxied()
    const calls = [1, 2, 3, 4].map(() => all.client.ask({ path: '/mute' }))
    await until(() => all.origin.requests.length === limit, 'their requests at the target')
    for (const { res } of all.origin.requests) res.write('half, ')
    const waiting = all.client.ask()
    for (let i = 0; i < 5; i++) {
      leap(5_000)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(all.errors).toEqual([])
    for (const { res } of all.origin.requests.slice(0, limit)) res.end('and the rest')
    const texts = (await Promise.all([...calls, waiting])).map(({ text }) => text)
    expect(texts).toEqual([...Array(limit).fill('half, and the rest'), 'ok'])
    expect(all.errors).toEqual([])
  })
})
