import { createServer } from 'node:http'
import { signUrl } from '@sluice/access'
import express from 'express'
import { createProxy, type GuardOptions, type ProxyOptions, type RouteOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const basic = (name: string, password: string): string[] => [
  'Authorization',
  `Basic ${btoa(`${name}:${password}`)}`,
]
const secret = 'a secret that nobody knows'

async function site(options: Partial<ProxyOptions>) {
  const origin = own(await originServer((req, res) => void res.end(`${req.headers['x-user']} ${req.url}`)))
  const refused: string[] = []
  const proxy = createProxy({
    upstreams: { a: origin.url },
    onError: ({ status, reason }) => void refused.push(`${status} ${reason}`),
    ...options,
  })
  own({ close: () => proxy.close({ drain: 0 }) })
  const { port } = await proxy.listen()
  return { origin, refused, client: own(httpClient({ port })) }
}

describe('createProxy({ access })', () => {
  it("goes for all routes, and a route's own comes on top", async () => {
    const { client, refused, origin } = await site({
      access: {
        requestId: true,
        securityHeaders: true,
        cors: { origins: ['https://app.example'] },
        basic: { users: { ann: 'x', bob: 'y' }, header: 'X-User' },
      },
      routes: [
        { path: '/ann', upstream: 'a', access: { basic: { users: { ann: 'x' }, header: 'X-User' } } },
        { path: '/media', upstream: 'a', access: { signedUrl: { secret } } },
        { path: '/closed', upstream: 'a', access: { maintenance: { on: true } } },
        { path: '/', upstream: 'a' },
      ],
    })
    const ask = async (path: string, headers: string[] = []) => {
      const answer = await client.ask({ path, headers })
      expect(values(answer.headers, 'x-request-id')).toHaveLength(1)
      expect(values(answer.headers, 'x-frame-options')).toEqual(['SAMEORIGIN'])
      return [answer.status, answer.text.trim()]
    }
    expect(await ask('/')).toEqual([401, '401 Unauthorized'])
    expect(await ask('/', basic('bob', 'y'))).toEqual([200, 'bob /'])
    expect(await ask('/ann', basic('ann', 'x'))).toEqual([200, 'ann /ann'])
    expect(await ask('/ann', basic('bob', 'y'))).toEqual([401, '401 Unauthorized'])
    expect(await ask('/media/a', basic('bob', 'y'))).toEqual([403, '403 Forbidden'])
    const link = signUrl('/media/a', { secret, expires: '1h' })
    expect(await ask(link, basic('bob', 'y'))).toEqual([200, 'bob /media/a'])
    expect(await ask(link)).toEqual([401, '401 Unauthorized'])
    expect(await ask('/closed', basic('bob', 'y'))).toEqual([503, '503 Service Unavailable'])
    expect(refused).toEqual([
      '401 credentials-missing',
      '401 credentials-wrong',
      '403 signature-missing',
      '401 credentials-missing',
      '503 maintenance',
    ])
    expect(origin.requests).toHaveLength(3)
  })

  it.each([{}, { pages: { 404: '<h1>nothing</h1>' } }])(
    'goes for the 404 of no route, and what an app answers in its place is the app’s own: %o',
    async (options) => {
      const { client, origin } = await site({
        ...options,
        access: { requestId: true, securityHeaders: true, cors: { origins: ['https://app.example'] } },
        guard: { rateLimit: { limit: 9, window: '1h' } },
        routes: [{ path: '/there', upstream: 'a' }],
      })
      const ask = async (path: string) => {
        const { headers, status, text } = await client.ask({
          path,
          headers: ['Origin', 'https://app.example'],
        })
        const names = [
          'x-request-id',
          'x-frame-options',
          'access-control-allow-origin',
          'vary',
          'ratelimit',
          'ratelimit-policy',
        ]
        return { status, text, found: names.map((name) => values(headers, name).length) }
      }
      const there = await ask('/there')
      expect(there).toMatchObject({ status: 200, found: [1, 1, 1, 1, 1, 1] })
      const missing = await ask('/missing')
      expect(missing).toMatchObject({ status: 404, found: there.found })
      expect(missing.text).toContain('pages' in options ? 'nothing' : '404 Not Found')
      expect(origin.requests).toHaveLength(1)
    },
  )

  it('leaves to an app what it answers where no route takes it', async () => {
    const proxy = own(
      createProxy({
        upstreams: { a: 'http://127.0.0.1:1' },
        access: { requestId: true, securityHeaders: true },
        routes: [{ path: '/there', upstream: 'a' }],
      }),
    )
    const app = express()
      .use(proxy.listener)
      .use((_req, res) => void res.send('of the app'))
    const { port } = own(await listen(createServer(app)))
    const { headers, text } = await own(httpClient({ port })).ask({ path: '/missing' })
    expect(text).toBe('of the app')
    expect(values(headers, 'x-request-id')).toEqual([])
  })

  it('answers what browsers ask ahead before it asks who it is', async () => {
    const { client } = await site({
      access: {
        cors: { origins: ['https://app.example'], credentials: true },
        basic: { users: { ann: 'x' } },
      },
    })
    const headers = ['Origin', 'https://app.example', 'Access-Control-Request-Method', 'PUT']
    expect((await client.ask({ method: 'OPTIONS', headers })).status).toBe(204)
    const refused = await client.ask({ headers: headers.slice(0, 2) })
    expect([refused.status, value(refused.headers, 'access-control-allow-origin')]).toEqual([
      401,
      'https://app.example',
    ])
  })

  it("judges before the cache, and shows one's own pages", async () => {
    const { client, origin } = await site({
      cache: true,
      pages: { 401: () => 'please log in' } as never,
      access: { basic: { users: { ann: 'x' } } },
      upstreams: {
        a: own(
          await originServer(
            (_req, res) => void res.setHeader('Cache-Control', 'public, max-age=60').end('page'),
          ),
        ).url,
      },
    })
    for (let i = 0; i < 2; i++) expect((await client.ask({ headers: basic('ann', 'x') })).text).toBe('page')
    const refused = await client.ask()
    expect([
      refused.status,
      refused.text.includes('please log in'),
      value(refused.headers, 'www-authenticate'),
    ]).toEqual([401, true, 'Basic realm="Restricted", charset="UTF-8"'])
    expect(origin.requests).toEqual([])
  })

  it('lets nobody write who asks on a route that asks nobody', async () => {
    const { client, origin } = await site({
      routes: [
        { path: '/mine', upstream: 'a', access: { basic: { users: { ann: 'x' }, header: 'X-User' } } },
        {
          path: '/theirs',
          upstream: 'a',
          access: { forwardAuth: { url: 'http://a.example', copy: ['X-Group', 'Cookie'] } },
        },
        { path: '/', upstream: 'a' },
      ],
    })
    const headers = ['X-User', 'ann', 'x_user', 'ann', 'X-Group', 'staff', 'Cookie', 'a=b', 'X-Other', 'kept']
    expect((await client.ask({ path: '/', headers })).text).toBe('undefined /')
    const told = [...(origin.requests[0]?.rawHeaders ?? [])]
    expect(['x_user', 'x-group', 'cookie', 'x-other'].map((name) => value(told, name))).toEqual([
      undefined,
      undefined,
      'a=b',
      'kept',
    ])
    expect((await client.ask({ path: '/mine', headers: [...headers, ...basic('ann', 'x')] })).text).toBe(
      'ann /mine',
    )
  })

  it('lets go of connections to the service that decides when it closes', async () => {
    const service = own(await originServer((_req, res) => void res.end()))
    const origin = own(await originServer())
    const asked = { forwardAuth: { url: service.url } }
    const proxy = createProxy({
      upstreams: { a: origin.url },
      access: asked,
      routes: [{ path: '/', upstream: 'a', access: asked }],
    })
    const { port } = await proxy.listen()
    expect((await own(httpClient({ port })).ask()).status).toBe(200)
    expect(service.sockets).toBe(2)
    await proxy.close({ drain: 0 })
    await until(() => service.sockets === 0, 'both connections to close')
  })

  describe('what lets nobody in is told at the start', () => {
    const basic = (...names: string[]) => ({
      users: Object.fromEntries(names.map((name) => [name, 'hunter2'])),
    })
    const jwt = (issuer: string, more: object = {}) => ({
      jwks: 'https://issuer.example/keys',
      issuer,
      audience: 'a',
      ...more,
    })
    const cors = { origins: ['https://app.example'] }
    const make = (access: ProxyOptions['access'], ofRoute: object) => () =>
      createProxy({
        upstreams: { a: 'http://a.example' },
        ...(access === undefined ? {} : { access }),
        routes: [{ path: '/', upstream: 'a', access: ofRoute } as RouteOptions],
      })

    it.each<[string, ProxyOptions['access'], object, RegExp]>([
      ['tokens behind users', { basic: basic('a') }, { jwt: jwt('i') }, /jwt: got it with access\.basic/],
      ['users behind tokens', { jwt: jwt('i') }, { basic: basic('a') }, /basic: got it with access\.jwt/],
      ['users of whom none is', { basic: basic('a') }, { basic: basic('b') }, /basic\.users: got no name/],
      ['another issuer', { jwt: jwt('i') }, { jwt: jwt('j') }, /jwt\.issuer: got none/],
      [
        'other signatures',
        { jwt: jwt('i', { algorithms: ['RS256'] }) as never },
        { jwt: jwt('i', { algorithms: ['ES256'] }) },
        /jwt\.algorithms: got none/,
      ],
      [
        'a signature twice',
        { signedUrl: { secret } },
        { signedUrl: { secret } },
        /signedUrl: got the parameters/,
      ],
      ['pages of others behind users', { basic: basic('a') }, { cors }, /cors: got it with access\.basic/],
      ['pages of others behind tokens', { jwt: jwt('i') }, { cors }, /cors: got it with access\.jwt/],
      [
        'pages of others behind links',
        { signedUrl: { secret } },
        { cors },
        /cors: got it with access\.signedUrl/,
      ],
      ['pages of others twice', { cors }, { cors }, /cors: got it with access\.cors/],
      ['ids of a route', undefined, { requestId: true }, /requestId: got it for a route/],
    ])('%s', (_, access, ofRoute, says) => {
      expect(make(access, ofRoute)).toThrow(TypeError)
      expect(make(access, ofRoute)).toThrow(new RegExp(`^routes\\[0\\]\\.access\\.${says.source}`))
      expect(make(access, ofRoute)).not.toThrow(/hunter2|nobody knows/)
    })

    it.each<[string, ProxyOptions['access'], object]>([
      ['fewer users', { basic: basic('a', 'b') }, { basic: basic('a') }],
      ['users whom a function knows', { basic: { users: () => true } }, { basic: basic('a') }],
      ['one of several issuers', { jwt: { ...jwt('i'), issuer: ['i', 'j'] } }, { jwt: jwt('j') }],
      [
        'a signature in a signature',
        { signedUrl: { secret, expires: 'until', signature: 'by' } },
        { signedUrl: { secret } },
      ],
      ['pages of others behind a service', { forwardAuth: { url: 'http://a' } }, { cors }],
      ['no ids of a route', {}, { requestId: false }],
    ])('but not %s', async (_, access, ofRoute) => {
      await make(access, ofRoute)().close()
    })
  })

  it('has faults told at once, of whatever kind', () => {
    const guard = { ip: { deny: ['10.0.0.1/8'] }, anonymity: { errors: [99] } } as unknown as GuardOptions
    const closed = { maintenance: { on: 1, allow: ['x'] } } as never
    const make = () =>
      createProxy({
        upstreams: { a: 'http://a.example' },
        guard,
        access: {
          requestId: { trust: ['x'], reply: 1 as never },
          maintenance: { on: true, allow: ['x'] },
          securityHeaders: { strictTransportSecurity: { preload: true, maxAge: '1h' } },
        },
        routes: [{ path: '/', upstream: 'a', access: closed }],
      })
    let faults: string[] = []
    try {
      make()
    } catch (error) {
      faults = (error as Error).message.split('\n').map((line) => line.slice(0, line.indexOf(':')))
    }
    expect(faults.sort()).toEqual([
      'access.maintenance.allow[0]',
      'access.requestId.reply',
      'access.requestId.trust[0]',
      'access.securityHeaders.strictTransportSecurity.preload',
      'guard.anonymity.errors[0]',
      'guard.ip.deny[0]',
      'routes[0].access.maintenance.allow[0]',
      'routes[0].access.maintenance.on',
    ])
  })

  it('has wrong options told by their path, with those of routes', () => {
    const make = (options: object) => () =>
      createProxy({ upstreams: { a: 'http://a.example' }, ...options } as never)
    expect(make({ access: { basic: { users: { ann: '$2y$05$hunter2' } } } })).toThrow(
      /^access\.basic\.users\.ann: got a text/,
    )
    expect(
      make({ routes: [{ path: '/', upstream: 'a', access: { cors: { origins: '*', credentials: true } } }] }),
    ).toThrow(/^routes\[0\]\.access\.cors\.origins: got '\*'/)
  })
})
