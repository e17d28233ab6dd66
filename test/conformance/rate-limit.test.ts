import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createServer, type ServerResponse } from 'node:http'
import {
  chain,
  clientAddress,
  errorPages,
  onError,
  type ProxyError,
  toListener,
  unhandled,
} from '@sluice/core'
import {
  clientKey,
  concurrencyLimit,
  gcra,
  type LimitEvent,
  type Limiter,
  rateLimit,
  resolveRateLimit,
  slidingWindow,
  tokenBucket,
  type Verdict,
} from '@sluice/limit'
import express from 'express'
import { describe, expect, it } from 'vitest'
import type { Call } from '../kit/client.js'
import { type FrontKind, type FrontOptions, fronts, rawFronts, threeFronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { rawClient, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'
import { warningsOf } from '../kit/warnings.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('Warning')

type Use = NonNullable<FrontOptions['use']>[number]

async function front(kind: FrontKind, ...use: Use[]) {
  const origin = own(await originServer())
  return { origin, front: own(await kind.start({ targets: origin.url, use })) }
}

/** A clock that a test moves. */
function handClock() {
  const clock = { at: 0, now: () => clock.at }
  return clock
}

const two = { limit: 2, window: '1m' } as const

describe.each(fronts)('a rate limit through $name', (kind) => {
  it('tells what is left, and refuses what is over it before any target hears of it', async () => {
    const clock = handClock()
    const errors: ProxyError[] = []
    const { origin, front: site } = await front(
      kind,
      onError((error) => void errors.push(error)),
      rateLimit(gcra({ ...two, clock: clock.now }), { key: clientKey() }),
    )
    const first = await site.client.ask({ path: '/1' })
    expect(first.status).toBe(200)
    expect(value(first.headers, 'ratelimit-policy')).toBe('"default";q=2;w=60')
    expect(value(first.headers, 'ratelimit')).toBe('"default";r=1;t=30')
    expect(values(first.headers, 'retry-after')).toEqual([])
    await site.client.ask({ path: '/2' })
    const refused = await site.client.ask({
      path: '/3?secret',
      headers: ['Host', 'a.example', 'X-Mine', 'secret'],
    })
    expect(refused.status).toBe(429)
    expect(value(refused.headers, 'retry-after')).toBe('30')
    expect(value(refused.headers, 'ratelimit')).toBe('"default";r=0;t=30')
    expect(value(refused.headers, 'ratelimit-policy')).toBe('"default";q=2;w=60')
    expect(value(refused.headers, 'cache-control')).toBe('no-store')
    expect(refused.text).toBe('429 Too Many Requests\n')
    expect(String(refused.headers)).not.toContain('secret')
    expect(origin.requests.map(({ url }) => url)).toEqual(['/1', '/2'])
    expect(errors.map(({ code, reason }) => [code, reason])).toEqual([['http_request_rate', 'rate-limit']])
    clock.at += 30_000
    expect((await site.client.ask()).status).toBe(200)
  })

  it('refuses a request with a body, and serves the next one on the same connection', async () => {
    const clock = handClock()
    const { front: site } = await front(
      kind,
      rateLimit(tokenBucket({ rate: 1, clock: clock.now }), { key: () => 'all' }),
    )
    const statuses: number[] = []
    for (let i = 0; i < 4; i++) {
      statuses.push((await site.client.ask({ method: 'POST', body: 'x'.repeat(70_000) })).status)
      if (i === 2) clock.at += 1_000
    }
    expect(statuses).toEqual([200, 429, 429, 200])
  })

  it('waits for a limiter that answers later', async () => {
    const verdict = deferred<Verdict>()
    const limiter: Limiter = { take: () => verdict.promise }
    const { origin, front: site } = await front(kind, rateLimit(limiter, { key: () => 'all' }))
    const call = site.client.call()
    verdict.resolve({ ok: false, limit: 5, remaining: 0, resetMs: 1, retryAfterMs: 100 })
    const answer = await call.answer()
    expect([
      answer.status,
      value(answer.headers, 'ratelimit-policy'),
      value(answer.headers, 'retry-after'),
    ]).toEqual([429, '"default";q=5', '1'])
    expect(origin.requests).toEqual([])
  })

  it('counts no more than a place for requests in flight, until their last byte', async () => {
    const open: ServerResponse[] = []
    const origin = own(await originServer((_req, res) => void open.push(res.writeHead(200))))
    const arrived: string[] = []
    const ended: string[] = []
    const watch: Use = (next) => (ctx) => {
      arrived.push(ctx.out.path)
      ctx.onClose(() => ended.push(ctx.out.path))
      return next(ctx)
    }
    const site = own(await kind.start({ targets: origin.url, use: [watch, concurrencyLimit({ limit: 2 })] }))
    const begin = async (path: string): Promise<Call> => {
      const call = site.client.call({ path })
      call.head.catch(() => {})
      await until(() => arrived.includes(path), path)
      return call
    }
    const first = await begin('/1')
    const second = await begin('/2')
    expect((await site.client.ask({ path: '/3' })).status).toBe(503)
    ;(await until(() => open[0], 'a request')).write('half')
    await first.head
    expect((await site.client.ask({ path: '/4' })).status).toBe(503)
    open[0]?.end()
    expect((await first.answer()).text).toBe('half')
    await until(() => ended.includes('/1'), 'the end')
    const third = await begin('/5')
    second.abort()
    await until(() => ended.includes('/2'), 'the end')
    const fourth = await begin('/6')
    expect((await site.client.ask({ path: '/7' })).status).toBe(503)
    await until(() => open.length === 4, 'both requests')
    for (const res of open) res.end('ok')
    expect([(await third.answer()).status, (await fourth.answer()).status]).toEqual([200, 200])
  })
})

describe.each(rawFronts)('limits of upgrades through $name', (kind) => {
  const ask = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n'
  async function chat(...use: Use[]) {
    const origin = own(
      await rawOrigin(async (connection) => {
        await connection.until('\r\n\r\n')
        await connection.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n',
        )
      }),
    )
    return own(await kind.start({ targets: origin.url, use }))
  }

  it('refuses those over the rate, and tells of it', async () => {
    const site = await chat(rateLimit(gcra({ limit: 1, window: '1m' }), { key: () => '' }))
    const first = own(await rawClient(site.port))
    first.write(ask)
    await first.until('101 Switching')
    expect(first.text).toMatch(/RateLimit: "default";r=0;t=60/i)
    const next = own(await rawClient(site.port))
    next.write(ask)
    await next.until('429 Too Many Requests')
    expect(next.text).toMatch(/retry-after: (?:59|60)\r\n/i)
  })

  it('counts one as long as it is open', async () => {
    const site = await chat(concurrencyLimit({ limit: 1 }))
    const first = own(await rawClient(site.port))
    first.write(ask)
    await first.until('101 Switching')
    const refused = own(await rawClient(site.port))
    refused.write(ask)
    await refused.until('503 Service Unavailable')
    first.reset()
    await until(async () => {
      const next = own(await rawClient(site.port))
      next.write(ask)
      await next.until('HTTP/1.1 ')
      return next.text.includes(' 101 ')
    }, 'a free place')
  })
})

describe.each(threeFronts)('limits through $name', (kind) => {
  const statusesOf = async (
    site: { client: { ask(ask?: object): Promise<{ status: number }> } },
    asks: object[],
  ) => {
    const statuses: number[] = []
    for (const ask of asks) statuses.push((await site.client.ask(ask)).status)
    return statuses
  }
  const api = (...keys: string[]) => ({
    headers: ['Host', 'x', ...keys.flatMap((key) => ['X-Api-Key', key])],
  })

  it('go by a field, and by the address where it is not there once', async () => {
    const { front: site } = await front(
      kind,
      resolveRateLimit({ limit: 1, window: '1h', by: 'header:X-API-Key' }),
    )
    const asks = [api('a'), api('a'), api('b'), api(), api(), api('a', 'c'), api(''), api('127.0.0.1')]
    expect(await statusesOf(site, asks)).toEqual([200, 429, 200, 200, 429, 429, 429, 200])
  })

  it('go by route, by address and by a function', async () => {
    const of = (ctx: { out: { path: string } }): string | undefined =>
      ctx.out.path === '/free' ? undefined : ctx.out.path
    for (const [by, wanted] of [
      ['route', [200, 429, 429]],
      ['address', [200, 429, 429]],
      [of, [200, 429, 200]],
    ] as const) {
      const { front: site } = await front(kind, resolveRateLimit({ limit: 1, window: '1h', by }))
      expect(await statusesOf(site, [{ path: '/a' }, { path: '/a' }, { path: '/b' }])).toEqual(wanted)
      if (by === of)
        expect(await statusesOf(site, [{ path: '/free' }, { path: '/free' }])).toEqual([200, 200])
    }
  })

  it('of several each must agree, and all are told', async () => {
    const clock = handClock()
    const limiters = [
      gcra({ limit: 2, window: '1s', clock: clock.now }),
      slidingWindow({ limit: 3, window: '1m', clock: clock.now }),
    ]
    const { front: site } = await front(kind, rateLimit(limiters, { key: () => '', name: 'api' }))
    const first = await site.client.ask()
    expect(values(first.headers, 'ratelimit')).toEqual(['"api-1";r=1;t=1, "api-2";r=2;t=60'])
    expect(values(first.headers, 'ratelimit-policy')).toEqual(['"api-1";q=2;w=1, "api-2";q=3;w=60'])
    expect(await statusesOf(site, [{}, {}])).toEqual([200, 429])
    clock.at += 1_000
    expect(await statusesOf(site, [{}])).toEqual([200])
    const refused = await site.client.ask()
    expect([refused.status, value(refused.headers, 'retry-after')]).toEqual([429, '59'])
  })

  it('take costs, also of a function, and refuse for good what costs too much', async () => {
    const { front: site } = await front(
      kind,
      rateLimit(gcra({ limit: 10, window: '1h' }), {
        key: () => '',
        cost: ({ out }) => Number(out.path.slice(1)),
      }),
    )
    expect(await statusesOf(site, [{ path: '/6' }, { path: '/5' }, { path: '/4' }, { path: '/0' }])).toEqual([
      200, 429, 200, 200,
    ])
    const never = await site.client.ask({ path: '/11' })
    expect([never.status, values(never.headers, 'retry-after')]).toEqual([429, []])
  })

  it('stay beside those that a target tells, on errors as well, and are silent if told so', async () => {
    const origin = own(
      await originServer((req, res) => {
        if (req.url === '/cut') req.socket.destroy()
        else res.writeHead(200, { RateLimit: '"target";r=9;t=1' }).end('ok')
      }),
    )
    const told: Use = rateLimit(gcra(two), { key: () => 'a' })
    const silent: Use = rateLimit(gcra({ limit: 1, window: '1h' }), {
      key: ({ out }) => out.path,
      fields: false,
      name: 'silent',
    })
    const site = own(await kind.start({ targets: origin.url, use: [told, silent], retry: false }))
    const answer = await site.client.ask({ path: '/a' })
    expect(values(answer.headers, 'ratelimit').join(', ')).toBe('"target";r=9;t=1, "default";r=1;t=30')
    const failed = await site.client.ask({ method: 'POST', path: '/cut' })
    expect(failed.status).toBe(502)
    expect(value(failed.headers, 'ratelimit')).toMatch(/^"default";r=0;t=60$/)
    const one = own(await kind.start({ targets: origin.url, use: [silent] }))
    const refused = await one.client.ask({ path: '/a' })
    expect(refused.status).toBe(429)
    expect(values(refused.headers, 'ratelimit')).toEqual([])
    expect(value(refused.headers, 'retry-after')).toBe('3600')
  })

  it('stay on pages of one’s own, of what is refused and of what a target says', async () => {
    const pages: Use = errorPages({ pages: { '4xx': '<p>own</p>' }, intercept: [404] })
    const limit: Use = rateLimit(gcra({ limit: 1, window: '1m' }), { key: () => '' })
    const origin = own(await originServer((_req, res) => void res.writeHead(404).end('none')))
    const site = own(await kind.start({ targets: origin.url, use: [pages, limit] }))
    const ask = { headers: ['Host', 'x', 'Accept', 'text/html'] }
    for (const [status, after] of [
      [404, undefined],
      [429, '60'],
    ]) {
      const answer = await site.client.ask(ask)
      expect(answer.text).toBe('<p>own</p>')
      expect([
        answer.status,
        value(answer.headers, 'retry-after'),
        value(answer.headers, 'ratelimit'),
        value(answer.headers, 'ratelimit-policy'),
      ]).toEqual([status, after, '"default";r=0;t=60', '"default";q=1;w=60'])
    }
  })

  it.each<[string, Limiter]>([
    [
      'throws',
      {
        take: () => {
          throw new Error('out of order')
        },
      },
    ],
    ['rejects', { take: () => Promise.reject(new Error('out of order')) }],
    ['gives no verdict', { take: () => ({ ok: 'yes' }) as never }],
    [
      'gives one of no numbers',
      { take: async () => ({ ok: false, limit: Number.NaN, remaining: 0, resetMs: 0 }) },
    ],
    ['gives nothing', { take: () => undefined as never }],
  ])('a limiter that %s lets requests pass, and is told of once', async (_, limiter) => {
    const { front: site } = await front(
      kind,
      rateLimit([limiter, gcra({ limit: 1, window: '1h' })], { key: () => 'key' }),
    )
    const answer = await site.client.ask()
    expect([answer.status, value(answer.headers, 'ratelimit')]).toEqual([200, '"default-2";r=0;t=3600'])
    expect((await site.client.ask()).status).toBe(429)
    const told = await until(() => (warnings.length > 0 ? warnings : undefined), 'a warning')
    expect(told).toEqual([
      expect.stringMatching(/^rateLimit: a limiter failed, and requests pass without it: /),
    ])
  })

  it.each<[string, Use]>([
    [
      'key throws',
      rateLimit(gcra(two), {
        key: () => {
          throw new Error('bug')
        },
      }),
    ],
    ['key gives a promise', rateLimit(gcra(two), { key: (() => Promise.reject(new Error('x'))) as never })],
    ['key gives a number', rateLimit(gcra(two), { key: (() => 3) as never })],
    [
      'cost throws',
      rateLimit(gcra(two), {
        key: () => '',
        cost: () => {
          throw new Error('bug')
        },
      }),
    ],
    ['cost gives no number', rateLimit(gcra(two), { key: () => '', cost: () => Number.NaN })],
    [
      'key of a concurrency limit throws',
      concurrencyLimit({
        limit: 1,
        key: () => {
          throw new Error('bug')
        },
      }),
    ],
  ])('%s: 500, and a bug of the app', async (_, layer) => {
    const errors: ProxyError[] = []
    const { origin, front: site } = await front(
      kind,
      onError((error) => void errors.push(error)),
      layer,
    )
    expect((await site.client.ask()).status).toBe(500)
    expect(errors.map(({ code }) => code)).toEqual(['proxy_internal_error'])
    expect(origin.requests).toEqual([])
  })

  it('of requests at once by a key are 429, and of each key by itself', async () => {
    const open: ServerResponse[] = []
    const origin = own(await originServer((_req, res) => void open.push(res)))
    const site = own(
      await kind.start({
        targets: origin.url,
        use: [concurrencyLimit({ limit: 1, by: 'header:x-api-key' })],
      }),
    )
    const [a, b] = [site.client.ask(api('a')), site.client.ask(api('b'))]
    await until(() => open.length === 2, 'both')
    expect((await site.client.ask(api('a'))).status).toBe(429)
    for (const res of open) res.end('ok')
    expect([(await a).status, (await b).status]).toEqual([200, 200])
  })

  it('tell of what they refuse on sluice:limit', async () => {
    const events: LimitEvent[] = []
    const note = (event: unknown): void => void events.push(event as LimitEvent)
    subscribe('sluice:limit', note)
    try {
      const { front: site } = await front(
        kind,
        resolveRateLimit({ limit: 1, window: '1h' }, 'routes[0].limits.rateLimit'),
      )
      await site.client.ask()
      expect(events).toEqual([])
      await site.client.ask({ path: '/x' })
    } finally {
      unsubscribe('sluice:limit', note)
    }
    expect(events).toHaveLength(1)
    const [{ ctx, key, kind: of, name, verdict }] = events as [LimitEvent]
    expect([ctx.out.path, key, of, name, verdict?.ok]).toEqual(['/x', '127.0.0.1', 'rate', 'route', false])
  })
})

describe('a rate limit in front of a handler', () => {
  it('leaves a reply alone that is given many times', async () => {
    const always = { status: 200, headers: ['X-Own', '1'], body: 'ok' }
    const told = rateLimit(gcra({ limit: 5, window: '1h' }), { key: () => 'a' })
    const handler = chain()
      .use(told)
      .handle(({ out }) => (out.path === '/later' ? Promise.resolve(always) : always))
    const site = own(await listen(createServer(toListener(handler))))
    for (const [path, left] of [
      ['/', 4],
      ['/later', 3],
      ['/', 2],
    ] as const) {
      const { headers } = await site.client.ask({ path })
      expect(values(headers, 'ratelimit')).toEqual([expect.stringContaining(`r=${left};`)])
      expect(values(headers, 'ratelimit-policy')).toHaveLength(1)
    }
    expect(always.headers).toEqual(['X-Own', '1'])
  })

  it('tells no time to come back where a limiter of one’s own gives none that is a number', async () => {
    const refused = { ok: false, limit: 1, remaining: 0, resetMs: 2_000 }
    for (const retryAfterMs of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const limiter = { take: () => ({ ...refused, retryAfterMs }), policy: { quota: Number.NaN, window: 1 } }
      const handler = chain()
        .use(rateLimit(limiter, { key: () => 'a' }))
        .handle(() => unhandled)
      const site = own(await listen(createServer(toListener(handler))))
      const { headers, status } = await site.client.ask()
      expect([status, values(headers, 'retry-after')]).toEqual([429, []])
      expect(value(headers, 'ratelimit')).toBe('"default";r=0;t=2')
      expect(value(headers, 'ratelimit-policy')).toBe('"default";q=0;w=1')
    }
  })
})

describe('a rate limit in front of nothing', () => {
  it('leaves what nobody has handled to the next', async () => {
    const app = express()
    const handler = chain()
      .use(clientAddress())
      .use(rateLimit(gcra({ limit: 1, window: '1h' }), { key: (ctx) => ctx.client.address }))
      .handle(() => unhandled)
    app.use(toListener(handler))
    app.use((_req, res) => void res.send('next'))
    const site = own(await listen(createServer(app)))
    expect((await site.client.ask()).text).toBe('next')
    expect((await site.client.ask()).status).toBe(429)
  })
})
