import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttp2Server, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { balance, first, sticky } from '@sluice/balance'
import { attach, type Context, chain, type Middleware, ProxyError } from '@sluice/core'
import { forward, http2Transport, type Transport, undiciTransport, wireTransport } from '@sluice/forward'
import { httpProxyTransport } from '@sluice/http-proxy'
import {
  concurrencyOf,
  type HedgeOptions,
  hedge,
  type RetryOptions,
  retry,
  retryBudget,
} from '@sluice/resilience'
import { createUpstream, type LeaseResult, type Selected, type Tried } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { threeFronts } from '../kit/fronts.js'
import { handTimers } from '../kit/hand-timers.js'
import { leakCheck } from '../kit/leak-check.js'
import { listen } from '../kit/listen.js'
import { observer } from '../kit/observer.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { seeded } from '../kit/seeded.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'
import { warningsOf } from '../kit/warnings.js'

trapUnhandled()
const warnings = warningsOf('SluiceWarning')
const own = owner()

/** What came to a {@link Site}. */
interface Seen {
  readonly url: string
  readonly method: string
  /** Of the site's connections, by number from 0. */
  readonly connection: number
  /** When the exchange is over, with `true` if the proxy gave it up. */
  readonly gone: Promise<boolean>
}

/** A target that speaks one of the protocols. */
interface Site {
  readonly url: string
  readonly seen: readonly Seen[]
  /** The request number `index`, as soon as it is there. */
  request(index?: number): Promise<Seen>
  close(): Promise<void>
}

type SiteHandler = (res: ServerResponse, req: IncomingMessage) => unknown

const silent: SiteHandler = () => {}
const says =
  (text: string, status = 200): SiteHandler =>
  (res) =>
    res.writeHead(status).end(text)

async function site(protocol: Protocol, handler: SiteHandler): Promise<Site> {
  const seen: Seen[] = []
  const sockets = new Map<Socket, number>()
  let connections = 0
  const listener = (req: IncomingMessage, res: ServerResponse): void => {
    const { stream } = res as unknown as Http2ServerResponse
    const gone = new Promise<boolean>((resolve) =>
      res.on('close', () => resolve(stream === undefined ? !res.writableFinished : stream.rstCode !== 0)),
    )
    const socket = (stream?.session?.socket ?? req.socket) as Socket
    const connection = sockets.get(socket) ?? connections - 1
    seen.push({ url: req.url ?? '', method: req.method ?? '', connection, gone })
    req.resume()
    void handler(res, req)
  }
  const server = protocol.http2 ? createHttp2Server(listener as never) : createServer(listener)
  server.on('connection', (socket: Socket) => {
    sockets.set(socket, connections++)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  return own({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    request: (index = 0) => until(() => seen[index], `request ${index} at the site`),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets.keys()) socket.destroy()
      }),
  })
}

interface Protocol {
  readonly name: string
  readonly http2: boolean
  transport(): Transport
}

const protocols: readonly Protocol[] = [
  { name: 'wireTransport', http2: false, transport: wireTransport },
  { name: 'http2Transport', http2: true, transport: () => http2Transport() },
  { name: 'undiciTransport', http2: false, transport: undiciTransport },
  { name: 'httpProxyTransport', http2: false, transport: httpProxyTransport },
]

interface Made {
  readonly hedge?: HedgeOptions
  readonly retry?: RetryOptions
  /** Inside of `retry`, outside of `hedge`. */
  readonly use?: Middleware
}

/** A chain by hand whose targets are asked in the order given, with the timers of `hedge` in the test's hand. */
async function made(protocol: Protocol, sites: readonly { url: string }[], options: Made = {}) {
  const timers = handTimers()
  const upstream = createUpstream({ name: 'api', targets: sites.map(({ url }) => url) })
  const results: [number, LeaseResult | undefined][] = []
  upstream.on('result', (target, result) => results.push([upstream.all.indexOf(target), result]))
  const transport = protocol.transport()
  const seen = observer()
  let links = chain().use(seen.layer)
  if (options.retry !== undefined) links = links.use(retry(options.retry))
  if (options.use !== undefined) links = links.use(options.use)
  const handler = links
    .use(hedge(options.hedge, { after: timers.after }))
    .use(balance(upstream, first()))
    .handle(forward({ transport: [transport] }))
  const server = createServer()
  attach(server, handler)
  const { client, close, port } = await listen(server)
  return own({
    client,
    port,
    timers,
    upstream,
    results,
    seen,
    /** Waits until nothing is in flight anywhere, and no timer waits. */
    async settled() {
      await until(() => upstream.all.every(({ inFlight }) => inFlight === 0), 'all leases to be released')
      expect(timers.waits).toEqual([])
    },
    async close() {
      await client.close()
      await transport.close(true)
      await upstream.close()
      await close()
    },
  })
}

/** Gives the target and what was tried, as a log outside would see them. */
function keysSeen() {
  const keys: (Partial<Selected> & Tried)[] = []
  const layer: Middleware = (next) => async (ctx: Context & Partial<Selected> & Tried) => {
    const note = (): void => {
      const { target, lease, tried, spare } = ctx
      keys.push({
        ...(target && { target }),
        ...(lease && { lease }),
        ...(tried && { tried }),
        spare: spare === true,
      })
    }
    try {
      const reply = await next(ctx as never)
      note()
      return reply
    } catch (error) {
      note()
      throw error
    }
  }
  return { keys, layer }
}

describe.each(protocols)('hedge over $name', (protocol) => {
  it('a slow first target loses to the second, hears of it, and nothing is held against it', async () => {
    const [slow, quick] = [await site(protocol, silent), await site(protocol, says('quick'))]
    const { client, timers, results, upstream, settled } = await made(protocol, [slow, quick])
    const call = client.call()
    await slow.request()
    expect(quick.seen).toHaveLength(0)
    await timers.fire()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'quick', complete: true })
    expect(await within((await slow.request()).gone, 'the loser to be cancelled')).toBe(true)
    await settled()
    expect(results).toHaveLength(2)
    expect(results).toContainEqual([0, undefined])
    expect(results).toContainEqual([1, expect.objectContaining({ ok: true, status: 200 })])
    expect(upstream.all.map(({ ewma }) => ewma > 0)).toEqual([false, true])
  })

  it('a first target that answers in time stays alone; so does one that answers before the second', async () => {
    const go = deferred()
    const one = await site(protocol, async (res, req) => {
      if (req.url === '/late') await go.promise
      res.end('one')
    })
    const two = await site(protocol, silent)
    const { client, timers, settled, results } = await made(protocol, [one, two])
    expect(await client.ask()).toMatchObject({ status: 200, text: 'one' })
    await settled()
    expect(two.seen).toHaveLength(0)
    const call = client.call({ path: '/late' })
    await one.request(1)
    await timers.fire()
    const second = await two.request()
    go.resolve()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'one' })
    expect(await within(second.gone, 'the second try to be cancelled')).toBe(true)
    await settled()
    expect(results.at(-1)?.[1] === undefined || results.at(-2)?.[1] === undefined).toBe(true)
  })

  it('where both answer at once each client gets one whole answer, its own', async () => {
    const gates: (() => void)[] = []
    const gated =
      (name: string): SiteHandler =>
      async (res, req) => {
        const gate = deferred()
        gates.push(gate.resolve)
        await gate.promise
        if (!res.destroyed) res.end(`${name} says ${req.url}`)
      }
    const sites = [await site(protocol, gated('one')), await site(protocol, gated('two'))]
    const { client, timers, settled } = await made(protocol, sites)
    for (let i = 0; i < 30; i++) {
      const call = client.call({ path: `/${i}` })
      await until(() => gates.length === 1, 'the first try')
      await timers.fire()
      await until(() => gates.length === 2, 'the second try')
      const both = i % 2 === 0 ? gates.splice(0) : gates.splice(0).reverse()
      for (const go of both) go()
      const answer = await call.answer()
      expect(answer).toMatchObject({ status: 200, complete: true })
      expect(answer.text).toMatch(new RegExp(`^(one|two) says /${i}$`))
    }
    await settled()
  })

  it("the winner's body goes on, whatever becomes of the loser", async () => {
    const half = 'x'.repeat(300_000)
    const go = deferred()
    const slow = await site(protocol, silent)
    const quick = await site(protocol, async (res) => {
      res.write(half)
      await go.promise
      res.end(half)
    })
    const { client, timers, results, settled } = await made(protocol, [slow, quick])
    const call = client.call()
    await slow.request()
    await timers.fire()
    await call.head
    await within((await slow.request()).gone, 'the loser to be cancelled')
    await slow.close()
    await until(() => results.length > 0, 'the end of the loser')
    expect(results).toEqual([[0, undefined]])
    go.resolve()
    const answer = await call.answer()
    expect([answer.complete, answer.body.length]).toEqual([true, 600_000])
    await settled()
  })

  it('retry leaves out both targets when both have failed, and the first alone if it failed in time', async () => {
    const cut: SiteHandler = (res) => {
      const { stream } = res as unknown as Http2ServerResponse
      if (stream === undefined) res.destroy()
      else stream.session?.destroy()
    }
    const held: ServerResponse[] = []
    const hold: SiteHandler = (res, req) => (req.url === '/now' ? cut(res, req) : held.push(res))
    const sites = [
      await site(protocol, hold),
      await site(protocol, hold),
      await site(protocol, says('third')),
    ]
    const { keys, layer } = keysSeen()
    const { client, timers, settled, results } = await made(protocol, sites, {
      retry: { attempts: 3 },
      use: layer,
    })
    const call = client.call()
    await until(() => held.length === 1, 'the first try')
    await timers.fire()
    await until(() => held.length === 2, 'the second try')
    for (const res of held.splice(0)) cut(res, {} as IncomingMessage)
    expect(await call.answer()).toMatchObject({ status: 200, text: 'third' })
    expect(sites.map(({ seen }) => seen.length)).toEqual([1, 1, 1])
    expect(keys.map(({ target, tried }) => [target?.url, tried?.map(({ url }) => url)])).toEqual([
      [sites[0]?.url, sites.slice(0, 2).map(({ url }) => url)],
      [sites[2]?.url, sites.slice(0, 2).map(({ url }) => url)],
    ])
    await settled()
    expect(results.map(([index, result]) => [index, result?.ok]).toSorted()).toEqual([
      [0, false],
      [1, false],
      [2, true],
    ])
    // In its time: the next target is the one that the second try would have had.
    expect(await client.ask({ path: '/now' })).toMatchObject({ status: 200, text: 'third' })
    expect(sites.map(({ seen }) => seen.length)).toEqual([2, 2, 2])
    await settled()
  })

  it('a try of retry that is past its time ends both, counts against the first alone, and leaves out both', async () => {
    const sites = [
      await site(protocol, silent),
      await site(protocol, silent),
      await site(protocol, says('third')),
    ]
    let attempt: Context | undefined
    const use: Middleware = (next) => (ctx) => {
      attempt ??= ctx
      return next(ctx)
    }
    const { client, timers, settled, results } = await made(protocol, sites, { retry: { perTry: '1h' }, use })
    const call = client.call()
    await sites[0]?.request()
    await timers.fire()
    await sites[1]?.request()
    // As retry does it when the hour is over.
    attempt?.cancel(new ProxyError('http_response_timeout'))
    expect(await call.answer()).toMatchObject({ status: 200, text: 'third' })
    for (const each of sites.slice(0, 2))
      expect(await within((await each.request()).gone, 'the late tries to be cancelled')).toBe(true)
    await settled()
    expect(results).toHaveLength(3)
    expect(results).toContainEqual([
      0,
      { ok: false, error: expect.objectContaining({ code: 'http_response_timeout' }) },
    ])
    expect(results).toContainEqual([1, undefined])
  })

  it('a client that leaves ends both tries, and leaves nothing', async () => {
    const leaks = leakCheck()
    const sites = [await site(protocol, silent), await site(protocol, silent)]
    const front = await made(protocol, sites)
    const call = front.client.call()
    await sites[0]?.request()
    await front.timers.fire()
    await sites[1]?.request()
    call.abort()
    await call.head.catch(() => {})
    for (const each of sites)
      expect(await within((await each.request()).gone, 'both tries to be cancelled')).toBe(true)
    await front.settled()
    expect(front.results.toSorted()).toEqual([
      [0, undefined],
      [1, undefined],
    ])
    expect(front.seen.codes).toEqual(['client_left'])
    await front.close()
    for (const each of sites) await each.close()
    await leaks.settled()
  })

  it('a client that leaves before the second try ends the wait for it', async () => {
    const sites = [await site(protocol, silent), await site(protocol, silent)]
    const { client, timers, settled } = await made(protocol, sites)
    const call = client.call()
    await sites[0]?.request()
    expect(timers.waits).toHaveLength(1)
    call.abort()
    await call.head.catch(() => {})
    await settled()
    expect(sites[1]?.seen).toHaveLength(0)
  })

  it.each([
    ['the first says 503, and the second does better', [503, 200], 200],
    ['the second says 503, and the first does better', [200, 503], 200],
    ['both say 503', [503, 503], 503],
    ['what says 500 wins', [200, 500], 500],
  ])('%s', async (_name, statuses, wins) => {
    const gates = [deferred(), deferred()]
    const sites = await Promise.all(
      statuses.map((status, i) =>
        site(protocol, async (res) => {
          await gates[i]?.promise
          if (!res.destroyed) says(`says ${status}`, status)(res, {} as IncomingMessage)
        }),
      ),
    )
    const { client, timers, settled, upstream, results } = await made(protocol, sites)
    const call = client.call()
    await sites[0]?.request()
    await timers.fire()
    await sites[1]?.request()
    const bad = statuses.findIndex((status) => status >= 500)
    gates[bad]?.resolve()
    if (statuses[bad] === 503) {
      // Kept until the other has come, or dropped with it: it is whole by then, and has ended well.
      await until(() => results.length === 1, 'the first answer')
      expect(upstream.all[1 - bad]?.inFlight).toBe(1)
      gates[1 - bad]?.resolve()
    }
    expect(await call.answer()).toMatchObject({ status: wins, text: `says ${wins}`, complete: true })
    await settled()
  })

  it('an answer of a listed status goes out if the other try fails', async () => {
    const cut = deferred()
    const one = await site(protocol, async (res) => {
      await cut.promise
      const { stream } = res as unknown as Http2ServerResponse
      if (stream === undefined) res.destroy()
      else stream.session?.destroy()
    })
    const two = await site(protocol, says('busy', 503))
    const { client, timers, settled, results } = await made(protocol, [one, two])
    const call = client.call()
    await one.request()
    await timers.fire()
    await until(() => results.length === 1, 'the answer of the second')
    cut.resolve()
    expect(await call.answer()).toMatchObject({ status: 503, text: 'busy' })
    await settled()
  })

  it('a kept answer is dropped when the other try does better, however long it would go on', async () => {
    const [asked, written, go] = [deferred(), deferred(), deferred()]
    const endless = await site(protocol, async (res) => {
      await asked.promise
      res.writeHead(503)
      res.write('endless', () => written.resolve())
    })
    const other = await site(protocol, async (res) => {
      asked.resolve()
      await written.promise
      res.write('part ')
      await go.promise
      res.end('whole')
    })
    const { client, timers, results, settled } = await made(protocol, [endless, other])
    const call = client.call()
    await endless.request()
    await timers.fire()
    await call.head
    expect(await within((await endless.request()).gone, 'the kept answer to be cancelled')).toBe(true)
    await until(() => results.length === 1, 'its lease to be released')
    expect(results).toMatchObject([[0, { ok: true, status: 503 }]])
    go.resolve()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'part whole' })
    await settled()
  })

  it('a listed status in time is an answer', async () => {
    const sites = [await site(protocol, says('busy', 503)), await site(protocol, says('ok'))]
    const { client, settled } = await made(protocol, sites)
    expect(await client.ask()).toMatchObject({ status: 503, text: 'busy' })
    expect(sites[1]?.seen).toHaveLength(0)
    await settled()
  })

  it('without another target there is no second try, and none is taken out of the budget', async () => {
    const go = deferred()
    const one = await site(protocol, async (res) => {
      await go.promise
      res.end('one')
    })
    let taken = 0
    const budget = { request() {}, take: () => ++taken > 0 }
    const { client, timers, settled, results } = await made(protocol, [one], { hedge: { budget } })
    const call = client.call()
    await one.request()
    await timers.fire()
    go.resolve()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'one' })
    expect([one.seen.length, taken]).toEqual([1, 0])
    await settled()
    expect(results).toHaveLength(1)
  })

  it('beyond its budget there is no second try', async () => {
    const go = deferred()
    const one = await site(protocol, async (res) => {
      await go.promise
      res.end('one')
    })
    const two = await site(protocol, says('two'))
    const budget = retryBudget({ share: 0, min: 1, clock: () => 0 })
    const { client, timers, settled } = await made(protocol, [one, two], { hedge: { budget } })
    const hedged = client.call()
    await one.request()
    await timers.fire()
    expect(await hedged.answer()).toMatchObject({ text: 'two' })
    const alone = client.call()
    await one.request(1)
    await timers.fire()
    go.resolve()
    expect(await alone.answer()).toMatchObject({ text: 'one' })
    expect(two.seen).toHaveLength(1)
    await settled()
  })

  it.each([
    ['POST', { method: 'POST' }],
    ['POST with a body', { method: 'POST', body: 'x' }],
    ['DELETE', { method: 'DELETE' }],
    ['GET with a body that flows', { method: 'GET', body: 'x', chunked: true }],
  ])('a %s is never sent twice, and waits for nothing', async (_name, ask) => {
    const go = deferred()
    const one = await site(protocol, async (res) => {
      await go.promise
      res.end('one')
    })
    const two = await site(protocol, says('two'))
    const { client, timers, settled } = await made(protocol, [one, two])
    const call = client.call(ask)
    await one.request()
    expect(timers.waits).toEqual([])
    go.resolve()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'one' })
    expect([one.seen.length, two.seen.length]).toEqual([1, 0])
    await settled()
  })

  it('a listed method with its body in memory is sent twice, whole', async () => {
    const bodies: string[] = []
    const read: (name: string, end: boolean) => SiteHandler = (name, end) => async (res, req) => {
      let text = ''
      for await (const chunk of req) text += String(chunk)
      bodies.push(`${name} ${text}`)
      if (end) res.end(name)
    }
    const sites = [await site(protocol, read('one', false)), await site(protocol, read('two', true))]
    const use: Middleware = (next) => (ctx) => {
      ctx.out.body = 'in memory'
      return next(ctx)
    }
    const { client, timers, settled } = await made(protocol, sites, { hedge: { methods: ['POST'] }, use })
    const call = client.call({ method: 'POST' })
    await until(() => bodies.length === 1, 'the first try')
    await timers.fire()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'two' })
    expect(bodies).toEqual(['one in memory', 'two in memory'])
    await settled()
  })

  it('informational responses come from one try alone, the first to send any', async () => {
    const go = deferred()
    const hints =
      (name: string, end?: Promise<void>): SiteHandler =>
      async (res) => {
        res.writeEarlyHints({ link: `</${name}>; rel=preload` })
        await end
        if (end !== undefined) res.end(name)
      }
    const sites = [await site(protocol, hints('one')), await site(protocol, hints('two', go.promise))]
    const { client, timers, settled } = await made(protocol, sites)
    const call = client.call()
    await until(() => call.informed.length === 1, 'the hints of the first')
    await timers.fire()
    await sites[1]?.request()
    go.resolve()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'two' })
    expect(call.informed.map(({ headers }) => value(headers, 'link'))).toEqual(['</one>; rel=preload'])
    await settled()
  })

  it("layers outside see the winner's target and lease", async () => {
    const [slow, quick] = [await site(protocol, silent), await site(protocol, says('quick'))]
    const { keys, layer } = keysSeen()
    const { client, timers, upstream, settled } = await made(protocol, [slow, quick], { use: layer })
    const call = client.call()
    await slow.request()
    await timers.fire()
    await call.answer()
    expect(keys).toMatchObject([
      { target: upstream.all[1], lease: { target: upstream.all[1] }, tried: upstream.all, spare: false },
    ])
    await settled()
  })
})

const wire = protocols[0] as Protocol

it('a budget that throws is 500, told by its name: the first try is cancelled, and nothing is held against its target', async () => {
  const [stuck, two] = [await site(wire, silent), await site(wire, says('two'))]
  const take = (): never => {
    throw new Error('a bug')
  }
  const options = { hedge: { budget: { request() {}, take } } }
  const { client, timers, seen, results, settled } = await made(wire, [stuck, two], options)
  const call = client.call()
  const { gone } = await stuck.request()
  await timers.fire()
  expect(await call.answer()).toMatchObject({ status: 500 })
  expect(await within(gone, 'the first try to be cancelled')).toBe(true)
  await settled()
  expect(seen.codes).toEqual(['proxy_internal_error'])
  await until(() => warnings.includes('hedge.budget.take threw'), 'the warning')
  expect([results, two.seen.length]).toEqual([[[0, undefined]], 0])
})

it('a client that is bound to a target has no second try elsewhere, one that has none yet is bound to the winner', async () => {
  const go = deferred()
  const one = await site(wire, async (res, req) => {
    if (req.url === '/silent') return
    if (req.url === '/held') await go.promise
    res.end('one')
  })
  const two = await site(wire, says('two'))
  const timers = handTimers()
  const upstream = createUpstream({ name: 'api', targets: [one.url, two.url] })
  const transport = wireTransport()
  const handler = chain()
    .use(hedge({}, { after: timers.after }))
    .use(balance(upstream, sticky(first(), { secret: 'a secret that nobody knows' })))
    .handle(forward({ transport: [transport] }))
  const server = createServer()
  attach(server, handler)
  const { client, close } = await listen(server)
  own({
    async close() {
      await client.close()
      await transport.close(true)
      await close()
    },
  })
  const cookieOf = ({ headers }: { headers: string[] }): string[] => [
    'Cookie',
    (value(headers, 'set-cookie') as string).split(';', 1)[0] as string,
  ]
  const fresh = client.call({ path: '/silent' })
  await one.request()
  await timers.fire()
  const won = await fresh.answer()
  expect(await client.ask({ headers: cookieOf(won) })).toMatchObject({ text: 'two' })
  const bound = client.call({ path: '/held', headers: cookieOf(await client.ask()) })
  await one.request(2)
  await timers.fire()
  // A second try would be there before this one.
  expect(await client.ask({ headers: cookieOf(won) })).toMatchObject({ text: 'two' })
  go.resolve()
  expect(await bound.answer()).toMatchObject({ status: 200, text: 'one' })
  expect(two.seen).toHaveLength(3)
})

it('who waits for room is not hedged, and no second try takes a place in the line', async () => {
  const answers: ServerResponse[] = []
  const sites = [await site(wire, (res) => answers.push(res)), await site(wire, (res) => answers.push(res))]
  const timers = handTimers()
  const upstream = createUpstream({ name: 'api', targets: sites.map(({ url }) => url) })
  const limit = concurrencyOf(upstream, { limit: 1, queue: 1 })
  const transport = wireTransport()
  // A second try that finds no room takes nothing out of it.
  const budget = { request() {}, take: (): boolean => expect.unreachable() }
  const handler = chain()
    .use(hedge({ budget }, { after: timers.after }))
    .use(limit.middleware)
    .use(balance(upstream, first()))
    .handle(forward({ transport: [transport] }))
  const server = createServer()
  attach(server, handler)
  const { client, close } = await listen(server)
  own({
    async close() {
      limit[Symbol.dispose]()
      await client.close()
      await transport.close(true)
      await close()
    },
  })
  const calls = [client.call()]
  await until(() => answers.length === 1, 'the first')
  calls.push(client.call())
  await until(() => answers.length === 2, 'the second')
  // Both targets are full, so their second tries find no room.
  await timers.fire()
  await timers.fire()
  expect(limit.waiting).toBe(0)
  calls.push(client.call())
  await until(() => limit.waiting === 1, 'the third to wait')
  await timers.fire()
  expect(limit.waiting).toBe(1)
  for (const res of answers.splice(0)) res.end('ok')
  await until(() => answers.length === 1, 'the third to be sent')
  for (const res of answers.splice(0)) res.end('ok')
  for (const call of calls) expect(await call.answer()).toMatchObject({ status: 200, text: 'ok' })
  expect(sites.flatMap(({ seen }) => seen)).toHaveLength(3)
  await until(() => upstream.all.every(({ inFlight }) => inFlight === 0), 'all leases to be released')
})

it('an upgrade is never hedged', async () => {
  const handshake = deferred<(ok: boolean) => void>()
  const verifyClient = (_info: unknown, done: (ok: boolean) => void) => handshake.resolve(done)
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', verifyClient })
  await once(sockets, 'listening')
  own({ close: () => sockets.close() })
  const url = `http://127.0.0.1:${(sockets.address() as AddressInfo).port}`
  const { port, timers, settled } = await made(wire, [{ url }, await site(wire, silent)])
  const client = new WebSocket(`ws://127.0.0.1:${port}`)
  const go = await within(handshake.promise, 'the handshake at the target')
  expect(timers.waits).toEqual([])
  go(true)
  await once(client, 'open')
  client.close()
  await once(client, 'close')
  await settled()
})

describe.each(threeFronts)('hedge through $name', (kind) => {
  it('answers from the second target where the first one asked is silent, for many at once', async () => {
    const asked = new Map<string, number>()
    const handler: OriginHandler = (req, res) => {
      const { url = '' } = req
      const times = (asked.get(url) ?? 0) + 1
      asked.set(url, times)
      if (times > 1) res.end(`answer to ${url}`)
    }
    const origins = [own(await originServer(handler)), own(await originServer(handler))]
    const front = own(
      await kind.start({ targets: origins.map(({ url }) => url), hedge: { after: '5ms' }, retry: false }),
    )
    const paths = Array.from({ length: 20 }, (_, i) => `/${i}`)
    const answers = await Promise.all(paths.map((path) => front.client.ask({ path })))
    expect(answers.map(({ text }) => text)).toEqual(paths.map((path) => `answer to ${path}`))
    for (const each of origins.flatMap(({ requests }) => requests))
      await within(each.closed, 'each try to end')
    expect(origins.flatMap(({ requests }) => requests).filter(({ aborted }) => aborted)).toHaveLength(20)
    await until(() => front.inFlight === 0, 'all leases to be released')
  })

  it('a POST goes to one target, however slow that is', async () => {
    const go = deferred()
    const handler: OriginHandler = async (_req, res, seen) => {
      await seen.body()
      await go.promise
      res.end('ok')
    }
    const origins = [own(await originServer(handler)), own(await originServer(handler))]
    const front = own(await kind.start({ targets: origins.map(({ url }) => url), hedge: { after: 0 } }))
    const posts = [front.client.call({ method: 'POST', body: 'x' }), front.client.call({ method: 'POST' })]
    // One that may be hedged has had its second try by then.
    const get = front.client.call()
    await until(() => origins.flatMap(({ requests }) => requests).length === 4, 'all tries')
    go.resolve()
    for (const call of [...posts, get]) expect(await call.answer()).toMatchObject({ status: 200 })
    const methods = origins.flatMap(({ requests }) => requests.map(({ method }) => method))
    expect(methods.toSorted()).toEqual(['GET', 'GET', 'POST', 'POST'])
    await until(() => front.inFlight === 0, 'all leases to be released')
  })

  it('whatever targets and clients do, answers are whole and their own, or cut, and nothing is left', async () => {
    const leaks = leakCheck()
    const random = seeded(7)
    const turns = async (): Promise<void> => {
      for (let left = random() * 40; left > 0; left--) await new Promise((resolve) => setImmediate(resolve))
    }
    const handler: OriginHandler = async (req, res) => {
      const how = Math.floor(random() * 8)
      if (how === 0) res.writeEarlyHints({ link: '</style.css>; rel=preload' })
      if (how !== 1) await turns()
      if (how === 2) res.destroy()
      else if (how === 3) res.writeHead(503).end('busy')
      else if (how === 4) res.write('part', () => setImmediate(() => res.destroy()))
      else res.end(`answer to ${req.url} `.padEnd(random() * 100_000, '.'))
    }
    const origins = [await originServer(handler), await originServer(handler), await originServer(handler)]
    const front = await kind.start({
      targets: origins.map(({ url }) => url),
      hedge: { after: 1 },
      retry: { attempts: 3, statuses: [503], perTry: '5s' },
    })
    const one = async (i: number): Promise<string> => {
      const call = front.client.call({ path: `/${i}` })
      const leaves = i % 7 === 0
      if (leaves) void turns().then(() => call.abort())
      try {
        const { status, text, complete } = await call.answer()
        if (status !== 200) return 'refused'
        return complete ? text.replace(/ \.*$/, '') : 'cut'
      } catch (error) {
        if (!leaves) throw error
        return 'left'
      }
    }
    for (let i = 0; i < 200; i += 20) {
      const numbers = Array.from({ length: 20 }, (_, n) => i + n)
      const ends = await Promise.all(numbers.map(one))
      const wrong = ends.filter(
        (end, n) => !['refused', 'cut', 'left', `answer to /${numbers[n]}`].includes(end),
      )
      expect(wrong).toEqual([])
    }
    await until(() => front.inFlight === 0, 'all leases to be released')
    await front.close()
    for (const origin of origins) await origin.close()
    await leaks.settled()
  })
})
