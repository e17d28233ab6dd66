import diagnostics from 'node:diagnostics_channel'
import type { Outcome } from '@sluice/core'
import { http2Transport, type Transport, undiciTransport, wireTransport } from '@sluice/forward'
import type { Target, Upstream } from '@sluice/upstream'
import { createProxy, type UpstreamOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { http2Origin } from '../kit/http2-origin.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** A target that answers when it is told to, of `/events` the heads at once, and what it has been asked. */
interface Site {
  readonly url: string
  readonly paths: string[]
  /** Answers all that waits, and from here on at once. */
  free(): void
}

const events = { 'content-type': 'text/event-stream' }
const isEvents = (path: string | undefined): boolean => path?.startsWith('/events') === true

async function site(name: string, http2: boolean, free: boolean): Promise<Site> {
  const paths: string[] = []
  const held: (() => void)[] = []
  let isFree = free
  const take = (path: string, answer: () => void): void => {
    paths.push(path)
    if (isFree) answer()
    else held.push(answer)
  }
  const origin = http2
    ? own(
        await http2Origin(
          async (stream, seen) => {
            const body = await seen.body()
            take(String(seen.fields[':path']), () => {
              if (stream.destroyed) return
              if (!stream.headersSent) stream.respond({ ':status': 200 })
              stream.end(name + String(body))
            })
            if (isEvents(seen.fields[':path']) && !stream.headersSent) stream.respond(events)
          },
          { settings: { maxConcurrentStreams: 100 } },
        ),
      )
    : own(
        await originServer(async (req, res, seen) => {
          const body = await seen.body()
          take(String(req.url), () => void res.end(name + String(body)))
          if (!isEvents(req.url) || res.headersSent) return
          res.writeHead(200, events)
          res.flushHeaders()
        }),
      )
  return {
    url: origin.url,
    paths,
    free() {
      isFree = true
      for (const answer of held.splice(0)) answer()
    },
  }
}

interface Way {
  readonly name: string
  readonly http2: boolean
  /** Two requests at once to a target. */
  transport(): Transport
}

const ways: readonly Way[] = [
  { name: 'wire', http2: false, transport: () => wireTransport({ connections: 2 }) },
  { name: 'undici', http2: false, transport: () => undiciTransport({ connections: 2 }) },
  {
    name: 'HTTP/2',
    http2: true,
    transport: () => http2Transport({ mode: 'prior-knowledge', sessions: 1, streams: 2 }),
  },
]

interface Rig {
  readonly a: Site
  readonly b: Site
  readonly upstream: Upstream
  readonly errors: string[]
  target(id: string): Target
  ask(count: number, method?: 'GET' | 'POST'): Promise<{ status: number; text: string }>[]
  /** Waits until so many leases of `a` are held, two of them at the target itself. */
  full(leases: number): Promise<void>
}

/** Two targets, of which `a` takes two requests and answers none; all go to it, `b` is drained, before a test says otherwise. */
async function rig(way: Way, options: Partial<UpstreamOptions> = {}, path = '/'): Promise<Rig> {
  const a = await site('a', way.http2, false)
  const b = await site('b', way.http2, true)
  const errors: string[] = []
  const hear = (message: unknown): void => {
    const { error } = (message as { outcome: Outcome }).outcome
    if (error !== undefined) errors.push(error.reason ?? error.code)
  }
  diagnostics.subscribe('sluice:request:end', hear)
  own({ close: () => diagnostics.unsubscribe('sluice:request:end', hear) })
  const transport = way.transport()
  own({ close: () => transport.close(true) })
  const targets = [
    { url: a.url, id: 'a' },
    { url: b.url, id: 'b' },
  ]
  const proxy = own(createProxy({ upstreams: { x: { targets, transport, balance: 'first', ...options } } }))
  const { port } = await proxy.listen()
  const client = own(httpClient({ port }))
  const upstream = proxy.upstreams.get('x') as Upstream
  upstream.drain('b')
  const target = (id: string): Target => upstream.all.find((each) => each.id === id) as Target
  const first = target('a')
  let asked = 0
  return {
    a,
    b,
    upstream,
    errors,
    target,
    ask: (count, method = 'GET') =>
      Array.from({ length: count }, () => {
        const url = path + asked++
        return client.ask(method === 'GET' ? { path: url } : { path: url, method, body: url })
      }),
    full: (leases) =>
      until(
        () => first.inFlight === leases && a.paths.length === 2,
        `${leases} requests at a, two of them there`,
      ).then(() => {}),
  }
}

const all = (answers: readonly Promise<{ status: number; text: string }>[]) =>
  within(Promise.all(answers), 'the answers')

/** Nobody goes elsewhere for having waited too long. */
const untimed = { timeouts: { connect: 0 } }

/** Ways in which a target gets no more requests. */
const ends: readonly (readonly [string, (upstream: Upstream, a: Target, rest: string) => void])[] = [
  ['drained', (upstream) => upstream.drain('a')],
  ['removed', (upstream, _a, rest) => upstream.replace([{ url: rest, id: 'b' }])],
  ['ejected', (upstream, a) => upstream.eject(a, 'test', 'a test')],
  ['unhealthy', (upstream, a) => upstream.mark(a, 'unhealthy', 'a test')],
]

describe.each(ways)('requests that wait for a connection over $name', (way) => {
  describe.each(ends)('whose target is %s', (_, end) => {
    it.each(['GET', 'POST'] as const)('are served elsewhere, and %s never there', async (method) => {
      const { a, b, ask, full, upstream, target, errors } = await rig(way, untimed)
      const answers = ask(8, method)
      await full(8)
      const first = target('a')
      const results: unknown[] = []
      upstream.on('result', (whose, result) => whose === first && results.push(result))
      upstream.undrain('b')
      end(upstream, first, b.url)
      await until(() => b.paths.length === 6, 'those in line at the other target')
      // What was sent stays where it is, and what was not says nothing of the target.
      expect([a.paths.length, first.inFlight, results]).toEqual([2, 2, new Array(6).fill(undefined)])
      a.free()
      const got = await all(answers)
      expect(got.map(({ status }) => status)).toEqual(new Array(8).fill(200))
      const whole = (name: string) => (path: string) => name + (method === 'POST' ? path : '')
      expect(got.map(({ text }) => text).sort()).toEqual(
        [...a.paths.map(whole('a')), ...b.paths.map(whole('b'))].sort(),
      )
      expect(errors).toEqual([])
      await until(() => first.inFlight + target('b').inFlight === 0, 'the leases to end')
    })
  })

  it('wait on where there is no other target, and go there once there is', async () => {
    const { a, b, ask, full, upstream } = await rig(way, untimed)
    const answers = ask(6)
    await full(6)
    upstream.drain('a')
    upstream.undrain('b')
    await until(() => b.paths.length === 4, 'those in line at the other target')
    a.free()
    expect((await all(answers)).map(({ status }) => status)).toEqual(new Array(6).fill(200))
    expect(a.paths).toHaveLength(2)
  })

  it('are served by a target that is drained or out, where there is no other', async () => {
    const { a, ask, full, upstream, target, errors } = await rig(way)
    const answers = ask(6)
    await full(6)
    upstream.drain('a')
    upstream.eject(target('a'), 'test', 'a test')
    a.free()
    expect((await all(answers)).map(({ status, text }) => `${status} ${text}`)).toEqual(
      new Array(6).fill('200 a'),
    )
    expect(errors).toEqual([])
  })

  it('are served by it where nobody would try again elsewhere', async () => {
    const { a, b, ask, full, upstream, errors } = await rig(way, { retry: false })
    const answers = ask(6)
    await full(6)
    upstream.undrain('b')
    upstream.drain('a')
    a.free()
    expect((await all(answers)).map(({ status, text }) => `${status} ${text}`)).toEqual(
      new Array(6).fill('200 a'),
    )
    expect([b.paths, errors]).toEqual([[], []])
  })

  it("are not refused for it where the upstream's own line has fewer places", async () => {
    const { a, b, ask, full, upstream, target, errors } = await rig(way, {
      ...untimed,
      concurrency: { limit: 8, queue: 1 },
    })
    const answers = ask(8)
    await full(8)
    // One place is left for the six in line.
    const others = Array.from({ length: 7 }, () => upstream.lease(target('b')))
    upstream.undrain('b')
    upstream.drain('a')
    await until(() => b.paths.length === 6, 'those in line at the other target')
    // Who comes now has as many places as ever.
    others.push(upstream.lease(target('b')))
    const next = ask(2)
    expect((await Promise.race(next)).status).toBe(503)
    for (const lease of others) lease.release()
    a.free()
    expect((await all([...answers, ...next])).map(({ status }) => status).sort()).toEqual([
      ...new Array(9).fill(200),
      503,
    ])
    expect(errors).toEqual(['destination_unavailable'])
  })

  it('go elsewhere after the connect timeout, which counts against nobody, and as no try', async () => {
    const options: Partial<UpstreamOptions> = { timeouts: { connect: '300ms' }, retry: { attempts: 1 } }
    const { a, b, ask, full, upstream, target, errors } = await rig(way, options)
    const answers = ask(6, 'POST')
    await full(6)
    upstream.undrain('b')
    await until(() => b.paths.length === 4, 'those in line at the other target')
    expect([target('a').state, target('b').state, a.paths.length]).toEqual(['unknown', 'unknown', 2])
    a.free()
    expect((await all(answers)).map(({ status }) => status)).toEqual(new Array(6).fill(200))
    expect(errors).toEqual([])
  })

  it('that have nowhere to go, since event streams have all connections, are told so once an answer would be too late', async () => {
    const timeouts = { connect: '100ms', head: '400ms' } as const
    const { a, b, ask, full, upstream, target, errors } = await rig(way, { timeouts }, '/events')
    const answers = ask(2)
    await full(2)
    await until(() => target('a').answering === 2, 'the heads of two streams')
    expect(await all(ask(1, 'POST'))).toMatchObject([{ status: 503 }])
    // With another target it is served there.
    upstream.undrain('b')
    expect(await all(ask(1, 'POST'))).toMatchObject([{ status: 200, text: 'b/events3' }])
    expect([a.paths.length, b.paths.length, target('a').inFlight]).toEqual([2, 1, 2])
    a.free()
    expect((await all(answers)).map(({ status }) => status)).toEqual([200, 200])
    expect(errors).toEqual(['too-long-in-line'])
  })
})
