import { createServer } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { cache, connectCache, createCache } from '@sluice/cache'
import { chain, ProxyError, toListener } from '@sluice/core'
import connect from 'connect'
import { createProxy, type ProxyOptions } from 'sluice'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Answer, HttpClient } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { type App, frameworks } from '../kit/frameworks.js'
import { fronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawOrigin } from '../kit/raw-origin.js'
import { values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()
afterEach(() => void vi.restoreAllMocks())

const all = ({ headers }: Answer): string[] => values(headers, 'cache-status')

describe.each(fronts)('Cache-Status of an error, through $name', (kind) => {
  it('says why the target was asked, by whatever method and however many wait', async () => {
    const front = own(
      await kind.start({
        targets: own(await deadTarget()).url,
        use: [cache({ xCache: true })],
        retry: false,
      }),
    )
    const { client } = front
    for (const [method, expected] of [
      ['GET', 'fwd=uri-miss; detail=error'],
      ['HEAD', 'fwd=uri-miss; detail=error'],
      ['POST', 'fwd=method; detail=error'],
      ['DELETE', 'fwd=method; detail=error'],
    ] as const) {
      const answer = await client.ask({ method })
      expect([answer.status, all(answer)]).toEqual([502, [`sluice; ${expected}`]])
      expect(values(answer.headers, 'x-cache')).toEqual([
        method.length > 3 && method !== 'HEAD' ? 'BYPASS' : 'MISS',
      ])
    }
  })

  it('is one for each cache on the way, the innermost first, after other attempts too', async () => {
    const inner = createCache({ statusName: 'inner' })
    const front = own(
      await kind.start({
        targets: [own(await deadTarget()).url, own(await deadTarget()).url],
        use: [cache({ statusName: 'outer' }), cache(inner)],
      }),
    )
    const answers = await Promise.all([front.client.ask(), front.client.ask()])
    expect(answers.map(({ status }) => status)).toEqual([502, 502])
    await until(() => front.inFlight === 0, 'all leases to be released')
    expect(answers.map((answer) => all(answer)).sort()).toEqual([
      ['inner; fwd=uri-miss; detail=error', 'outer; fwd=uri-miss; collapsed; detail=error'],
      ['inner; fwd=uri-miss; detail=error', 'outer; fwd=uri-miss; detail=error'],
    ])
  })
})

describe('Cache-Status of an error that createProxy answers', () => {
  async function clientOf(options: Partial<ProxyOptions>): Promise<HttpClient> {
    const upstreams = { x: { targets: [own(await deadTarget()).url], retry: false as const } }
    const proxy = own(createProxy({ upstreams, cache: true, ...options }))
    return own(await listen(createServer(proxy.listener))).client
  }

  it.each<[string, Partial<ProxyOptions>, number]>([
    ['by itself', {}, 502],
    ['by a page', { pages: { '5xx': '<h1>{title}</h1>' } }, 502],
    ['by a function', { pages: { 502: () => ({ status: 502, headers: ['X', '1'], body: 'page' }) } }, 502],
    ['by onError', { onError: () => ({ status: 503, headers: ['X', '1'], body: 'sorry' }) }, 503],
    ['by onError, mended', { onError: () => ({ status: 200, headers: [], body: 'all is well' }) }, 200],
    ['by onError, which makes another', { onError: (error) => void error }, 502],
  ])('%s, is there once', async (_name, options, status) => {
    const client = await clientOf(options)
    for (let i = 0; i < 2; i++) {
      const answer = await client.ask({ path: `/${i}` })
      expect([answer.status, all(answer)]).toEqual([status, ['sluice; fwd=uri-miss; detail=error']])
    }
  })

  it('is there for a reply that is given many times, and is not added to it', async () => {
    const reply = { status: 503, headers: ['X', '1'], body: 'sorry' }
    const client = await clientOf({ onError: () => reply })
    await client.ask()
    expect(reply.headers).toEqual(['X', '1'])
  })

  it('names the cache of the route, and nothing where the error has come before one', async () => {
    const client = await clientOf({
      routes: [
        { path: '/a', upstream: 'x', cache: { statusName: 'a' } },
        { path: '/none', upstream: 'x', cache: false },
        {
          path: '/early',
          upstream: 'x',
          use: [
            () => () => {
              throw new ProxyError('destination_unavailable')
            },
          ],
        },
      ],
    })
    expect(all(await client.ask({ path: '/a' }))).toEqual(['a; fwd=uri-miss; detail=error'])
    expect(all(await client.ask({ path: '/none' }))).toEqual([])
    expect(all(await client.ask({ path: '/early' }))).toEqual([])
  })

  it('stays where a body fails before anything of its answer has gone out', async () => {
    const head = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n'
    const origin = own(await rawOrigin(({ write }) => write(`${head}no chunk\r\n`)))
    const client = await clientOf({ upstreams: { x: { targets: [origin.url], retry: false } } })
    const answer = await client.ask({ method: 'POST' })
    expect([answer.status, all(answer)]).toEqual([502, ['sluice; fwd=method; fwd-status=200']])
  })

  it('stays where a page takes the place of what a target says of an error', async () => {
    const origin = own(await originServer((_req, res) => res.writeHead(500, { 'X-Is': 'mine' }).end('error')))
    const client = await clientOf({
      upstreams: { x: origin.url },
      pages: { pages: { default: 'page' }, intercept: ['5xx'] },
    })
    const answer = await client.ask()
    expect([answer.text, values(answer.headers, 'x-is')]).toEqual(['page', []])
    expect(all(answer)).toEqual(['sluice; fwd=uri-miss; fwd-status=500; detail=no-lifetime'])
  })
})

describe('Cache-Status of an error in a chain', () => {
  it('of what a handler throws is on the page for it', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const handler = chain()
      .use(cache())
      .handle(() => {
        throw new TypeError('a fault in a handler')
      })
    const { client } = own(await listen(createServer(toListener(handler))))
    const answer = await client.ask()
    expect([answer.status, all(answer)]).toEqual([500, ['sluice; fwd=uri-miss; detail=error']])
  })
})

const places: readonly { name: string; http2: boolean; app(): App }[] = [
  ...frameworks.map(({ name, app }) => ({ name, app, http2: false })),
  { name: 'Connect on HTTP/2', app: () => connect() as unknown as App, http2: true },
]

describe.each(places)('Cache-Status of an error of connectCache in $name', ({ app: make, http2 }) => {
  it('is on the page that the cache makes of an answer that breaks off before it began', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const app = make()
    app.use(connectCache())
    app.use((_req: unknown, res: { destroy(error?: Error): void }) =>
      res.destroy(new Error('broken in the app')),
    )
    const { client } = own(
      await listen(http2 ? createHttp2Server(app as never) : createServer(app), { http2 }),
    )
    for (const [method, why] of [
      ['GET', 'uri-miss'],
      ['POST', 'method'],
    ] as const) {
      const answer = await client.ask({ method })
      expect([answer.status, all(answer)]).toEqual([500, [`sluice; fwd=${why}; detail=error`]])
    }
  })
})
