import { maintenance, type RequestIdOptions, requestId } from '@sluice/access'
import { onRequest, ProxyError } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { accessSite } from '../kit/access-site.js'
import { type FrontKind, type FrontOptions, fronts, listening, rawFronts } from '../kit/fronts.js'
import { owner } from '../kit/owner.js'
import { rawRequest, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const uuid = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/
const site = (kind: FrontKind, options?: RequestIdOptions, more?: Partial<FrontOptions>) =>
  accessSite(
    own,
    kind,
    [requestId(options) as never],
    (_req, res) => void res.setHeader('X-Request-Id', 'of-target').end(),
    more,
  )

describe.each(fronts)('requestId through $name', (kind) => {
  it('gives each request an id of its own, whatever clients say', async () => {
    const made = await site(kind)
    const ids = []
    for (const headers of [[], ['X-Request-Id', 'mine', 'x_request_id', 'mine']]) {
      const answer = await made.client.ask({ headers })
      expect(values(answer.headers, 'x-request-id')).toHaveLength(1)
      ids.push(value(answer.headers, 'x-request-id') as string)
    }
    for (const id of ids) expect(id).toMatch(uuid)
    expect(new Set(ids).size).toBe(2)
    expect(made.told('x-request-id')).toEqual(ids.map((id) => [id]))
    expect(made.told('x_request_id')).toEqual([undefined, undefined])
  })

  it('goes with errors too', async () => {
    const made = await accessSite(own, kind, [
      requestId({ generate: () => 'an-id' }) as never,
      () => () => {
        throw new ProxyError('http_request_denied')
      },
    ])
    const answer = await made.client.ask()
    expect([answer.status, value(answer.headers, 'x-request-id')]).toEqual([403, 'an-id'])
  })
})

describe('requestId', () => {
  it('takes over those of proxies that it trusts', async () => {
    const made = await site(listening, { trust: ['127.0.0.0/8'] })
    for (const [given, is] of [
      ['from-edge_1.2~3:4/5+6=7@8', true],
      ['x'.repeat(128), true],
      ['x'.repeat(129), false],
      ['a b', false],
      ['a"b', false],
      ['<script>', false],
      ['', false],
    ] as const) {
      const answer = await made.client.ask({ headers: ['X-Request-Id', given] })
      expect(value(answer.headers, 'x-request-id') === given).toBe(is)
    }
    const two = await made.client.ask({ headers: ['X-Request-Id', 'a', 'X-Request-Id', 'b'] })
    expect(value(two.headers, 'x-request-id')).toMatch(uuid)
  })

  it("trusts whom the client's address is taken from, and nobody else", async () => {
    const made = await site(listening, {}, { trust: ['127.0.0.1'] })
    const headers = ['X-Request-Id', 'edge', 'X-Forwarded-For', '203.0.113.9']
    expect(value((await made.client.ask({ headers })).headers, 'x-request-id')).toBe('edge')
    const without = await made.client.ask({ headers: ['X-Request-Id', 'edge'] })
    expect(value(without.headers, 'x-request-id')).toMatch(uuid)
    const none = await site(listening, { trust: [] }, { trust: ['127.0.0.1'] })
    expect(value((await none.client.ask({ headers })).headers, 'x-request-id')).toMatch(uuid)
  })

  it('goes by another name, and tells the client nothing if it is not to', async () => {
    const seen: unknown[] = []
    const made = await accessSite(own, listening, [
      requestId({ header: 'X-Trace', reply: false, generate: () => 'id-1' }) as never,
      onRequest((ctx) => void seen.push((ctx as { requestId?: string }).requestId)),
    ])
    const answer = await made.client.ask()
    expect(values(answer.headers, 'x-trace')).toEqual([])
    expect(made.told('x-trace')).toEqual([['id-1']])
    expect(seen).toEqual(['id-1'])
  })

  it.each([
    ['no text', () => 7 as never],
    ['a line break', () => 'a\r\nb'],
    ['a promise', async () => 'id' as never],
    [
      'nothing',
      () => {
        throw new Error('no more ids')
      },
    ],
  ])('is an error of the app where the maker gives %s', async (_, generate) => {
    const made = await accessSite(own, listening, [requestId({ generate: generate as never }) as never])
    const answer = await made.client.ask()
    expect([answer.status, answer.text]).toEqual([500, '500 Internal Server Error\n'])
    expect(made.origin.requests).toEqual([])
  })
})

describe.each(fronts)('maintenance through $name', (kind) => {
  it('closes the site, but for some, as long as it is on', async () => {
    let on = true
    const { client, origin, refused } = await accessSite(own, kind, [
      maintenance({ on: () => on, retryAfter: '90s' }),
    ])
    for (let i = 0; i < 2; i++) {
      const answer = await client.ask({ method: 'POST', body: 'x'.repeat(70_000) })
      expect([answer.status, answer.text]).toEqual([503, '503 Service Unavailable\n'])
      expect(value(answer.headers, 'retry-after')).toBe('90')
    }
    expect(origin.requests).toEqual([])
    expect(refused).toEqual(['503 maintenance', '503 maintenance'])
    on = false
    expect((await client.ask()).status).toBe(200)
    const open = await accessSite(own, kind, [maintenance({ on: true, allow: ['127.0.0.0/8', '::1'] })])
    expect((await open.client.ask()).status).toBe(200)
  })
})

describe('maintenance', () => {
  it('knows clients by what trusted proxies say', async () => {
    const layers = [maintenance({ on: true, allow: ['203.0.113.0/24'] })]
    const made = await accessSite(own, listening, layers, undefined, { trust: ['127.0.0.1'] })
    expect((await made.client.ask({ headers: ['X-Forwarded-For', '203.0.113.9'] })).status).toBe(200)
    expect((await made.client.ask({ headers: ['X-Forwarded-For', '198.51.100.9'] })).status).toBe(503)
    const closed = await accessSite(own, listening, layers)
    expect((await closed.client.ask({ headers: ['X-Forwarded-For', '203.0.113.9'] })).status).toBe(503)
  })

  it('says when to come again, if it is to, and is off if it is off', async () => {
    const standard = await accessSite(own, listening, [maintenance({ on: true })])
    expect(value((await standard.client.ask()).headers, 'retry-after')).toBe('300')
    const silent = await accessSite(own, listening, [maintenance({ on: true, retryAfter: 0 })])
    expect(values((await silent.client.ask()).headers, 'retry-after')).toEqual([])
    const off = await accessSite(own, listening, [maintenance({ on: false })])
    expect((await off.client.ask()).status).toBe(200)
  })

  it.each(rawFronts)('closes it for upgrades too, through $name', async (kind) => {
    const { port, origin } = await accessSite(own, kind, [maintenance({ on: true })])
    const head = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'
    const { responses } = await rawRequest(port, head, { responses: 1 })
    expect(responses.map(({ status }) => status)).toEqual([503])
    expect(origin.requests).toEqual([])
  })

  it('that can not say whether it is on serves nobody', async () => {
    const on = (): boolean => {
      throw new Error('no flag')
    }
    const { client, origin } = await accessSite(own, listening, [maintenance({ on })])
    expect((await client.ask()).status).toBe(500)
    expect(origin.requests).toEqual([])
  })
})
