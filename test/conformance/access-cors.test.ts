import { type CorsOptions, cors } from '@sluice/access'
import { ProxyError } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { accessSite } from '../kit/access-site.js'
import { type FrontKind, type FrontOptions, fronts, listening, rawFronts } from '../kit/fronts.js'
import type { OriginHandler } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { rawRequest, value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const app = 'https://app.example'
const site = (
  kind: FrontKind,
  options: Partial<CorsOptions> = {},
  handler?: OriginHandler,
  more?: Partial<FrontOptions>,
) => accessSite(own, kind, [cors({ origins: [app], ...options })], handler, more)

/** What an answer says of CORS, in lower case. */
function said(headers: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase()
    if (name.startsWith('access-control-')) found[name.slice(15)] = headers[i + 1] as string
  }
  return found
}

const ahead = (origin: string, method: string, ...fields: string[]): string[] => [
  'Origin',
  origin,
  'Access-Control-Request-Method',
  method,
  ...(fields.length === 0 ? [] : ['Access-Control-Request-Headers', fields.join(',')]),
]

const vary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'

describe.each(fronts)('cors through $name', (kind) => {
  it('answers what browsers ask ahead', async () => {
    const { client, origin, refused } = await site(kind, {
      headers: ['Content-Type', 'X-Mine'],
      credentials: true,
    })
    const ask = (headers: string[]) => client.ask({ method: 'OPTIONS', path: '/x', headers })
    const yes = await ask(ahead(app, 'PATCH', 'content-type', ' x-mine', 'accept'))
    expect([yes.status, yes.text]).toEqual([204, ''])
    expect(said(yes.headers)).toEqual({
      'allow-origin': app,
      'allow-credentials': 'true',
      'allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
      'allow-headers': 'Content-Type, X-Mine',
      'max-age': '600',
    })
    expect(value(yes.headers, 'vary')).toBe(vary)
    for (const headers of [
      ahead('https://evil.example', 'GET'),
      ahead('null', 'GET'),
      ahead(app, 'PURGE'),
      ahead(app, 'patch'),
      ahead(app, 'PUT', 'authorization'),
    ]) {
      const no = await ask(headers)
      expect([no.status, no.text, said(no.headers), value(no.headers, 'vary')]).toEqual([
        403,
        '403 Forbidden\n',
        {},
        vary,
      ])
    }
    expect(refused).toEqual([
      '403 cors-origin',
      '403 cors-origin',
      '403 cors-method',
      '403 cors-method',
      '403 cors-headers',
    ])
    expect(origin.requests).toEqual([])
  })

  it('says whose pages may read an answer, in place of the target', async () => {
    const { client } = await site(kind, { expose: ['X-Total', 'ETag'] }, (_req, res) => {
      res.writeHead(200, {
        'access-control-allow-origin': '*',
        'Access-Control-Allow-Credentials': 'true',
        'Access-Control-Expose-Headers': 'X-Secret',
        'Access-Control-Max-Age': '1',
        Vary: 'Accept',
      })
      res.end('ok')
    })
    const mine = await client.ask({ headers: ['Origin', app] })
    expect(mine.text).toBe('ok')
    expect(said(mine.headers)).toEqual({ 'allow-origin': app, 'expose-headers': 'X-Total, ETag' })
    expect(values(mine.headers, 'vary').join(', ')).toBe('Accept, Origin')
    for (const headers of [['Origin', 'https://evil.example'], ['Origin', `${app}.evil.example`], []]) {
      const other = await client.ask({ headers })
      expect([other.status, said(other.headers)]).toEqual([200, {}])
      expect(values(other.headers, 'vary').join(', ')).toBe('Accept, Origin')
    }
  })

  it('lets pages read errors too', async () => {
    const made = await accessSite(own, kind, [
      cors({ origins: [app] }),
      () => () => {
        throw new ProxyError('http_request_denied')
      },
    ])
    const answer = await made.client.ask({ headers: ['Origin', app] })
    expect([answer.status, said(answer.headers), value(answer.headers, 'vary')]).toEqual([
      403,
      { 'allow-origin': app },
      'Origin',
    ])
    const other = await made.client.ask({ headers: ['Origin', 'https://evil.example'] })
    expect([other.status, said(other.headers), value(other.headers, 'vary')]).toEqual([403, {}, 'Origin'])
  })
})

describe('cors', () => {
  it('for all says so, and depends on nothing', async () => {
    const { client } = await site(listening, { origins: '*', headers: '*', methods: [], maxAge: 0 })
    const answer = await client.ask({ headers: ['Origin', 'null'] })
    expect([said(answer.headers), values(answer.headers, 'vary')]).toEqual([{ 'allow-origin': '*' }, []])
    expect(said((await client.ask()).headers)).toEqual({ 'allow-origin': '*' })
    const yes = await client.ask({
      method: 'OPTIONS',
      headers: ahead('https://any.example', 'POST', 'x-any'),
    })
    expect(said(yes.headers)).toEqual({
      'allow-origin': '*',
      'allow-methods': 'GET, HEAD, POST',
      'allow-headers': '*',
    })
    // The Fetch standard: a star isn't a word for it.
    const no = await client.ask({
      method: 'OPTIONS',
      headers: ahead('https://any.example', 'POST', 'Authorization'),
    })
    expect(no.status).toBe(403)
  })

  it.each<[CorsOptions['origins'], string, boolean]>([
    [['https://*.example.com'], 'https://a.example.com', true],
    [['https://*.example.com'], 'https://a-1.b_2.example.com', true],
    [['https://*.example.com'], 'https://example.com', false],
    [['https://*.example.com'], 'https://.example.com', false],
    [['https://*.example.com'], 'http://a.example.com', false],
    [['https://*.example.com'], 'https://a.example.com:8443', false],
    [['https://*.example.com'], 'https://evil.com/.example.com', false],
    [['https://*.example.com'], 'https://evil.com?.example.com', false],
    [['https://*.example.com'], 'https://u@a.example.com', false],
    [['https://*.example.com'], 'https://aexample.com', false],
    [['https://*.example.com:8443'], 'https://a.example.com:8443', true],
    [['https://a.example'], 'HTTPS://a.example', false],
    [['https://a.example'], 'https://a.example, https://b.example', false],
    [['null'], 'null', true],
    [(origin) => origin.endsWith('.test'), 'https://a.test', true],
    [() => 1 as never, 'https://a.test', false],
  ])('with %j takes %s: %s', async (origins, origin, is) => {
    const { client } = await site(listening, { origins })
    const { status, headers } = await client.ask({ headers: ['Origin', origin] })
    expect([status, said(headers)['allow-origin']]).toEqual([200, is ? origin : undefined])
  })

  it('lets nobody read where there are two origins', async () => {
    // With it the guard is first to refuse them.
    const { port, refused } = await site(listening, {}, undefined, { guard: false })
    const two = `Origin: ${app}\r\nOrigin: ${app}\r\n`
    const get = await rawRequest(port, `GET / HTTP/1.1\r\nHost: a\r\n${two}\r\n`, { responses: 1 })
    expect(said(get.responses[0]?.headers ?? [])).toEqual({})
    const asks = `OPTIONS / HTTP/1.1\r\nHost: a\r\n${two}Access-Control-Request-Method: GET\r\n\r\n`
    expect((await rawRequest(port, asks, { responses: 1 })).responses[0]?.status).toBe(403)
    expect(refused).toEqual(['403 cors-origin'])
  })

  it("says it once where a route has its own inside of the site's", async () => {
    const made = await accessSite(own, listening, [
      cors({ origins: [app] }),
      cors({ origins: '*' }),
      (next) => (ctx) => {
        if (ctx.out.path === '/no') throw new ProxyError('http_request_denied')
        return next(ctx)
      },
    ])
    for (const path of ['/', '/no']) {
      const { headers } = await made.client.ask({ path, headers: ['Origin', app] })
      expect(values(headers, 'access-control-allow-origin')).toEqual([app])
      expect(values(headers, 'vary')).toEqual(['Origin'])
    }
  })

  it('passes an OPTIONS on that is no question of a browser', async () => {
    const { client, origin } = await site(listening)
    for (const headers of [[], ['Origin', app], ['Access-Control-Request-Method', 'GET']])
      expect((await client.ask({ method: 'OPTIONS', headers })).status).toBe(200)
    expect(origin.requests).toHaveLength(3)
  })

  it('keeps a Vary that says all', async () => {
    const { client } = await site(listening, {}, (_req, res) => void res.setHeader('Vary', '*').end())
    expect(values((await client.ask()).headers, 'vary')).toEqual(['*'])
  })

  it.each(rawFronts.filter(({ framework }) => !framework))(
    'leaves upgrades as they are through $name',
    async (kind) => {
      const made = await accessSite(own, kind, [
        cors({ origins: [app] }),
        () => () => ({
          status: 426,
          headers: ['Access-Control-Allow-Origin', 'x', 'Content-Length', '0'],
          body: null,
        }),
      ])
      const head = `GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`
      const { responses } = await rawRequest(made.port, head, { responses: 1 })
      expect(responses[0]?.status).toBe(426)
    },
  )
})
