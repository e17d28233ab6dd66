import { createServer } from 'node:http'
import { balance, roundRobin } from '@sluice/balance'
import { type Body, chain, discard, isBody, type Middleware, type Reply, toListener } from '@sluice/core'
import { forward, wireTransport } from '@sluice/forward'
import { retry } from '@sluice/resilience'
import { createUpstream, type Selected, type Target, type Tried, type Upstream } from '@sluice/upstream'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { deadTarget } from '../kit/dead-target.js'
import { type Front, fronts, twoFronts } from '../kit/fronts.js'
import { listen, type Mounted } from '../kit/listen.js'
import { mountNamed } from '../kit/mounts.js'
import { observer } from '../kit/observer.js'
import { answerOk, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until, within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const released = (front: Front): Promise<boolean> =>
  until(() => front.inFlight === 0, 'all leases to be released')

/** An address that refuses connections. */
async function deadUrl(): Promise<string> {
  return own(await deadTarget()).url
}

describe.each(fronts)('retry through $name', (kind) => {
  it('a GET on a dead target goes to the other one', async () => {
    const seen = observer()
    const origin = own(await originServer())
    const front = own(await kind.start({ targets: [await deadUrl(), origin.url], use: [seen.layer] }))
    for (let i = 0; i < 4; i++)
      expect(await front.client.ask({ path: `/${i}` })).toMatchObject({ status: 200, text: 'ok' })
    expect(origin.requests.map(({ url }) => url)).toEqual(['/0', '/1', '/2', '/3'])
    expect(seen.codes).toEqual([])
    await released(front)
  })

  it('so does a POST that no target has begun to process, with its body whole', async () => {
    const origin = own(await originServer(async (_req, res, request) => void res.end(await request.body())))
    const front = own(await kind.start({ targets: [await deadUrl(), origin.url] }))
    const body = Buffer.alloc(200_000, 'abc')
    for (const chunked of [false, true, false, true]) {
      const answer = await front.client.ask({ method: 'POST', body, chunked })
      expect(answer.status).toBe(200)
      expect(answer.body.equals(body)).toBe(true)
    }
    expect(origin.requests).toHaveLength(4)
    await released(front)
  })

  it.each([
    ['POST', 'x'],
    ['POST', undefined],
    ['PUT', 'x'],
    ['DELETE', undefined],
  ])('a %s that a target may have processed is not sent twice (body: %j)', async (method, body) => {
    const seen = observer()
    const breaks = own(
      await rawOrigin(async (connection) => {
        await connection.until('\r\n\r\n')
        connection.reset()
      }),
    )
    const alsoBreaks = own(
      await rawOrigin(async (connection) => {
        await connection.until('\r\n\r\n')
        connection.end()
      }),
    )
    const front = own(await kind.start({ targets: [breaks.url, alsoBreaks.url], use: [seen.layer] }))
    const answer = await front.client.ask({ method, ...(body === undefined ? {} : { body }) })
    expect(answer).toMatchObject({ status: 502, complete: true })
    expect(breaks.connections.length + alsoBreaks.connections.length).toBe(1)
    expect(seen.codes).toEqual(['connection_terminated'])
    await released(front)
  })

  it('a GET that a target broke off before the head goes to the other one, once', async () => {
    const breaks = own(
      await rawOrigin(async (connection) => {
        await connection.head()
        connection.reset()
      }),
    )
    const origin = own(await originServer())
    const retry = { budget: false } as const
    const front = own(await kind.start({ targets: [breaks.url, origin.url], retry }))
    for (let i = 0; i < 4; i++) expect(await front.client.ask()).toMatchObject({ status: 200 })
    expect(origin.requests).toHaveLength(4)
    await released(front)
  })

  it('two dead targets give 502 after one try each', async () => {
    const seen = observer()
    const front = own(await kind.start({ targets: [await deadUrl(), await deadUrl()], use: [seen.layer] }))
    expect(await front.client.ask()).toMatchObject({ status: 502 })
    expect(seen.codes).toEqual(['connection_refused'])
    await released(front)
  })

  it('an answer with an error status is an answer: it is not tried again', async () => {
    const origins = [own(await originServer((_req, res) => void res.writeHead(503).end('busy')))]
    origins.push(own(await originServer((_req, res) => void res.writeHead(503).end('busy'))))
    const front = own(await kind.start({ targets: origins.map(({ url }) => url) }))
    expect(await front.client.ask()).toMatchObject({ status: 503, text: 'busy' })
    expect(origins.flatMap(({ requests }) => requests)).toHaveLength(1)
  })

  it('a client that left is not retried for', async () => {
    const silent = [own(await originServer(() => {})), own(await originServer(() => {}))]
    const front = own(await kind.start({ targets: silent.map(({ url }) => url) }))
    const call = front.client.call()
    await until(() => silent.some(({ requests }) => requests.length > 0), 'the request at a target')
    call.abort()
    await call.head.catch(() => {})
    await released(front)
    expect(silent.flatMap(({ requests }) => requests)).toHaveLength(1)
  })
})

describe.each(twoFronts)('leases through $name', (kind) => {
  it('return to 0 after everything', async () => {
    const origin = own(
      await originServer((req, res) => {
        if (req.url === '/silent') return
        if (req.url === '/cut') return void res.write('part', () => res.destroy())
        if (req.url === '/nothing') return void res.writeHead(204).end()
        res.end('ok')
      }),
    )
    const front = own(
      await kind.start({ targets: [origin.url, await deadUrl()], timeouts: { head: '100ms' } }),
    )
    const { client } = front
    const ends = [
      client.ask({ path: '/' }),
      client.ask({ path: '/', method: 'HEAD' }),
      client.ask({ path: '/nothing' }),
      client.ask({ path: '/cut' }),
      client.ask({ path: '/silent', method: 'POST', body: 'x' }),
      client.ask({ path: '/', method: 'POST', body: 'x'.repeat(300_000) }),
      client.ask({ path: '/', method: 'PUT', body: 'x'.repeat(300_000), chunked: true }),
    ]
    const leaving = client.call({ path: '/silent' })
    leaving.head.catch(() => {})
    expect(front.inFlight).toBeGreaterThanOrEqual(0)
    await until(() => front.inFlight > 0, 'something to be in flight')
    leaving.abort()
    await Promise.allSettled(ends)
    await released(front)
  })

  it('are held until the body has ended, and no longer', async () => {
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        res.write('part')
        await go.promise
        res.end()
      }),
    )
    const front = own(await kind.start(origin.url))
    const call = front.client.call()
    await call.head
    expect(front.inFlight).toBe(1)
    go.resolve()
    await call.answer()
    await released(front)
  })

  it('of a failed try are released while the next one still sends its body', async () => {
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        res.write('part')
        await go.promise
        res.end()
      }),
    )
    const dead = await deadUrl()
    // Draining the living one decides who is tried first; then it is let back in as the only other.
    const front = own(await kind.start({ targets: [dead, origin.url] }))
    const [first, living] = front.upstream.all
    const calls = [front.client.call(), front.client.call()]
    await Promise.all(calls.map((call) => call.head))
    expect([first?.inFlight, living?.inFlight]).toEqual([0, 2])
    go.resolve()
    for (const call of calls) expect(await call.answer()).toMatchObject({ status: 200, complete: true })
    await released(front)
  })
})

interface Hand {
  readonly upstream: Upstream
  readonly front: Mounted
}

/** A chain of a layer, a balancer and these targets, in a server. */
async function byHand(targets: string[], layer: Middleware): Promise<Hand> {
  const upstream = createUpstream({ name: 'u', targets })
  const transport = wireTransport()
  const handler = chain().use(layer).use(balance(upstream, roundRobin())).handle(forward({ transport }))
  const front = own(await listen(createServer(toListener(handler))))
  own({ close: async () => void (await Promise.all([transport.close(true), upstream.close()])) })
  return { upstream, front }
}

const inFlight = (upstream: Upstream): number =>
  upstream.all.reduce((sum, target) => sum + target.inFlight, 0)

describe('attempts by hand', () => {
  it("hedged forks don't see each other: each has its own target, lease and fields", async () => {
    const slow = own(await originServer(() => {}))
    const quick = own(await originServer())
    const seen: { target: Target; headers: string[] }[] = []
    /** Sends two tries at once and takes the first answer. */
    const hedge: Middleware = (next) => async (ctx) => {
      const first = ctx.fork()
      const second = ctx.fork()
      first.out.headers.push('X-Try', 'first')
      ;(second as typeof second & Tried).tried = []
      second.out.headers.push('X-Try', 'second')
      const tries = [first, second].map((fork) => Promise.resolve(next(fork)))
      const winner = await Promise.race(tries)
      for (const [i, each] of tries.entries()) {
        const fork = [first, second][i] as typeof ctx & Partial<Selected>
        seen.push({ target: fork.target as Target, headers: [...fork.out.headers] })
        each.then((reply) => reply === winner || discard(reply)).catch(() => {})
      }
      expect('target' in ctx).toBe(false)
      expect(ctx.out.headers).not.toContain('X-Try')
      return winner
    }
    const { upstream, front } = await byHand([slow.url, quick.url], hedge)
    expect(await front.client.ask()).toMatchObject({ status: 200, text: 'ok' })
    expect(seen[0]?.target).not.toBe(seen[1]?.target)
    expect(
      seen.map(({ headers }) => headers.filter((text) => text === 'first' || text === 'second')),
    ).toEqual([['first'], ['second']])
    expect(slow.requests[0]?.rawHeaders).toContain('first')
    expect(quick.requests[0]?.rawHeaders).toContain('second')
    // The loser ends with the exchange at the latest.
    await within((await slow.request()).closed, 'the slow try to be cancelled')
    await until(() => inFlight(upstream) === 0, 'all leases to be released')
  })

  it('a fork that failed leaves the others untouched, and a discarded reply ends its request', async () => {
    const endless = own(await originServer((_req, res) => void res.write('endless')))
    const origin = own(await originServer())
    const discarded = deferred<string>()
    const drop: Middleware = (next) => async (ctx) => {
      const first = await next(ctx)
      const fork = ctx.fork()
      fork.onClose((end) => discarded.resolve(end.kind))
      discard(first)
      return next(fork)
    }
    const { upstream, front } = await byHand([endless.url, origin.url], drop)
    expect(await front.client.ask()).toMatchObject({ status: 200, text: 'ok', complete: true })
    await within((await endless.request()).closed, 'the dropped request to be cancelled')
    expect(await within(discarded.promise, "the fork's end")).toBe('done')
    await until(() => inFlight(upstream) === 0, 'all leases to be released')
  })

  it("a fork's signal aborts when the client leaves, a detached fork's does not", async () => {
    const origin = own(await originServer(answerOk))
    const signals = deferred<[AbortSignal, AbortSignal, AbortSignal]>()
    const wait = deferred()
    const look: Middleware = (next) => async (ctx) => {
      signals.resolve([ctx.signal, ctx.fork().signal, ctx.fork({ detach: true }).signal])
      await wait.promise
      return next(ctx)
    }
    const { front } = await byHand([origin.url], look)
    const call = front.client.call()
    call.head.catch(() => {})
    const [whole, fork, detached] = await signals.promise
    expect([whole.aborted, fork.aborted, detached.aborted]).toEqual([false, false, false])
    call.abort()
    await until(() => whole.aborted && fork.aborted, 'the signals to abort')
    expect(detached.aborted).toBe(false)
    wait.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    expect(origin.requests).toHaveLength(0)
  })

  it('a try goes on after the client has left if its fork is detached', async () => {
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        res.write('part ')
        await go.promise
        res.end('whole')
      }),
    )
    const got = deferred<string>()
    const fetchForAll: Middleware = (next) => async (ctx) => {
      const reply = await next(ctx.fork({ detach: true }))
      let text = ''
      const body = reply.body as Body
      expect(isBody(body)).toBe(true)
      const readable = body.readable()
      readable.on('data', (chunk) => (text += chunk))
      readable.on('end', () => got.resolve(text))
      return {
        status: 200,
        headers: [],
        body: readable.pipe(new (await import('node:stream')).PassThrough()),
      }
    }
    const { upstream, front } = await byHand([origin.url], fetchForAll)
    const call = front.client.call()
    await call.head
    call.abort()
    await new Promise((resolve) => setImmediate(resolve))
    go.resolve()
    expect(await within(got.promise, 'the detached body')).toBe('part whole')
    await until(() => inFlight(upstream) === 0, 'all leases to be released')
  })

  it('next that is called after the end throws or is cancelled: no target hears of it', async () => {
    const origin = own(await originServer(answerOk))
    const late = deferred<unknown>()
    const again: Middleware = (next) => async (ctx) => {
      const reply = await next(ctx)
      ctx.onClose(() => {
        Promise.resolve()
          .then(() => next(ctx.fork()))
          .then(
            (second) => {
              discard(second)
              late.resolve('a reply')
            },
            (error: unknown) => late.resolve(error),
          )
      })
      return reply
    }
    const { upstream, front } = await byHand([origin.url], again)
    expect(await front.client.ask()).toMatchObject({ status: 200, text: 'ok', complete: true })
    await within(late.promise, 'the late try to come to an end')
    await until(() => inFlight(upstream) === 0, 'all leases to be released')
    expect(await front.client.ask()).toMatchObject({ status: 200 })
  })

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['a string', 'hello'],
    ['a status beyond all statuses', { status: 1000, headers: [], body: null }],
    ['a status of 101 without a socket', { status: 101, headers: [], body: null }],
    ['headers that are no flat list', { status: 200, headers: { a: 'b' }, body: null }],
    ['an odd number of headers', { status: 200, headers: ['a'], body: null }],
    ['a field name that is no name', { status: 200, headers: ['a b', 'c'], body: 'x' }],
    ['a field value with a line break', { status: 200, headers: ['a', 'b\r\nc: d'], body: 'x' }],
    ['a number as body', { status: 200, headers: [], body: 5 }],
    ['an object as body', { status: 200, headers: [], body: {} }],
  ])('a layer that returns %s in place of a reply gives 500', async (_name, wrong) => {
    const origin = own(await originServer())
    const wrongLayer: Middleware = () => () => wrong as unknown as Reply
    const { upstream, front } = await byHand([origin.url], wrongLayer)
    const answer = await front.client.ask()
    expect(answer).toMatchObject({ status: 500, complete: true })
    expect(answer.headers.join()).not.toContain('c: d')
    expect(inFlight(upstream)).toBe(0)
  })

  it('a reply whose body was used before gives 500 or an aborted connection, never a whole answer', async () => {
    const origin = own(await originServer((_req, res) => void res.end('x'.repeat(500_000))))
    const use: Middleware = (next) => async (ctx) => {
      const reply = await next(ctx)
      ;(reply.body as Body).readable().resume()
      return reply
    }
    const { upstream, front } = await byHand([origin.url], use)
    const answer = await front.client.ask()
    if (answer.status === 200) expect(answer.complete).toBe(false)
    else expect(answer).toMatchObject({ status: 500, complete: true })
    await until(() => inFlight(upstream) === 0, 'all leases to be released')
  })

  it("a reply that is returned twice gives the second client an error, not the first one's bytes", async () => {
    const origin = own(await originServer((_req, res) => void res.end('only once')))
    let kept: Reply | undefined
    const keep: Middleware = (next) => async (ctx) => {
      kept ??= await next(ctx)
      return kept
    }
    const { front } = await byHand([origin.url], keep)
    expect(await front.client.ask()).toMatchObject({ status: 200, text: 'only once' })
    const second = await front.client.ask()
    if (second.status === 200) expect(second.complete).toBe(false)
    else expect(second).toMatchObject({ status: 500, complete: true })
  })
})

describe('POST with no retry configured', () => {
  it.each([
    [false, [200, 200, 502, 502]],
    // The dead target is out with its first failure.
    [true, [200, 200, 200, 502]],
  ])('fails on the dead target and works on the other, with ejection: %s', async (ejection, expected) => {
    const origin = own(await originServer())
    const targets = [await deadUrl(), origin.url]
    const proxy = own(createProxy({ upstreams: { a: { targets, retry: false, ejection } } }))
    const front = own(await mountNamed('node:http').serve(proxy))
    const statuses = []
    for (let i = 0; i < 4; i++) statuses.push((await front.client.ask({ method: 'POST', body: 'x' })).status)
    expect(statuses.toSorted()).toEqual(expected)
  })
})

describe('retry by statuses', () => {
  it('takes the next target for a listed status, and drops the first answer', async () => {
    const busy = own(await originServer((_req, res) => void res.writeHead(503).end('busy'.repeat(100_000))))
    const origin = own(await originServer())
    const { upstream, front } = await byHand(
      [busy.url, origin.url],
      retry({ statuses: [503], budget: false }),
    )
    for (let i = 0; i < 4; i++) expect(await front.client.ask()).toMatchObject({ status: 200, text: 'ok' })
    await until(() => inFlight(upstream) === 0, 'all leases to be released')
    upstream.replace([busy.url])
    expect(await front.client.ask()).toMatchObject({ status: 503, complete: true })
  })

  it('ends the first answer at once, however long it would go on', async () => {
    const busy = own(await originServer((_req, res) => void res.writeHead(503).write('endless')))
    const go = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        res.write('part')
        await go.promise
        res.end()
      }),
    )
    const { upstream, front } = await byHand([busy.url, origin.url], retry({ statuses: [503] }))
    const call = front.client.call()
    await call.head
    await within((await busy.request()).closed, 'the first answer to be cancelled')
    await until(() => inFlight(upstream) === 1, 'the first lease to be released')
    go.resolve()
    expect(await call.answer()).toMatchObject({ status: 200, text: 'part', complete: true })
    await until(() => inFlight(upstream) === 0, 'all leases to be released')
  })
})
