import type { Client, Context, Handler, Layer } from '@sluice/core'
import { pathPolicy, rewritePath, route } from '@sluice/route'
import { createProxy, type ProxyOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { type FrontKind, fronts, twoFronts } from '../kit/fronts.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { answering, rawOrigin } from '../kit/raw-origin.js'
import { rawRequest, value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

interface Site {
  readonly site: Origin
  readonly admin: Origin
  /** Asks with these bytes for a path, and says the status. */
  ask(path: string): Promise<number>
}

/** A proxy with two upstreams: `/admin` has a target of its own. */
async function sited(options: Partial<ProxyOptions>, rewrite: object = {}): Promise<Site> {
  const [site, admin] = [own(await originServer()), own(await originServer())]
  const proxy = own(
    createProxy({
      upstreams: { site: `${site.url}/base/`, admin: admin.url },
      routes: [
        { path: '/admin', upstream: 'admin' },
        { path: '/', upstream: 'site', rewrite },
      ],
      ...options,
    }),
  )
  const { port } = await proxy.listen()
  const ask = async (path: string): Promise<number> => {
    const bytes = `GET ${path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n`
    const { responses } = await rawRequest(port, bytes, { responses: 1 })
    return responses[0]?.status ?? 0
  }
  return { site, admin, ask }
}

const seen = ({ requests }: Origin): (string | undefined)[] => requests.map(({ url }) => url)

describe('the path on its way to a target', () => {
  it.each([
    '/a%2Fb',
    '/a//b',
    '/a/./b',
    '/a/%2e%2e/b',
    '/%zz',
    '/a;x=%25',
    '//10.0.0.1/',
    '/x?a=1&a=2;b=3&%zz',
  ])('is preserved byte for byte by default: %s', async (path) => {
    const { site, ask } = await sited({})
    expect(await ask(path)).toBe(200)
    expect(seen(site)).toEqual([`/base${path}`])
  })

  it.each(['/a%2fb', '/a%5Cb', '/a\\b', '/a//b', '/a/../b', '/a/%2E%2e/b', '/a/..%3bx', '/%zz', '/%c0%ae/x'])(
    'with reject is refused, and no target hears of it: %s',
    async (path) => {
      const { site, admin, ask } = await sited({ paths: 'reject' })
      expect(await ask(path)).toBe(400)
      expect([...seen(site), ...seen(admin)]).toEqual([])
    },
  )

  it.each([
    ['/a//b', '/base/a/b'],
    ['/a/./b/../c', '/base/a/c'],
    ['/a/%2e%2e/b', '/base/b'],
    ['/../../x', '/base/x'],
    ['/a%2fb', '/base/a%2Fb'],
  ])('with normalise has one form, and never rises above the root: %s', async (path, sent) => {
    const { site, ask } = await sited({ paths: 'normalise' })
    expect(await ask(path)).toBe(200)
    expect(seen(site)).toEqual([sent])
  })

  it.each(['/x/../admin', '/x/%2e%2e/admin', '//admin', '/./admin/'])(
    'with normalise is the one that routes see: %s is no way around the rule for /admin',
    async (path) => {
      const { site, admin, ask } = await sited({ paths: 'normalise' })
      expect(await ask(path)).toBe(200)
      expect(seen(site)).toEqual([])
      expect(admin.requests).toHaveLength(1)
    },
  )

  it('is stripped, replaced and prefixed by a route, and its query edited', async () => {
    const rewrite = {
      strip: '/api',
      prefix: '/v1',
      replace: [/^\/u\//, '/users/'],
      query: { remove: ['debug'] },
    }
    const { site, ask } = await sited({}, rewrite)
    for (const path of ['/api/u/7?debug=1&x=%2f', '/api?y', '/apix']) expect(await ask(path)).toBe(200)
    expect(seen(site)).toEqual(['/base/v1/users/7?x=%2f', '/base/v1/?y', '/base/apix'])
    expect(value(site.requests[0]?.rawHeaders ?? [], 'x-forwarded-prefix')).toBe('/api')
    expect(value(site.requests[2]?.rawHeaders ?? [], 'x-forwarded-prefix')).toBeUndefined()
  })

  it('is rewritten once, however often it is tried', async () => {
    const dead = await originServer()
    await dead.close()
    const origin = own(await originServer())
    const proxy = own(
      createProxy({
        upstreams: { site: { targets: [dead.url, origin.url], balance: 'first' } },
        routes: [{ path: '/', upstream: 'site', rewrite: { strip: '/api' } }],
      }),
    )
    const { port } = await proxy.listen()
    const answer = await fetch(`http://127.0.0.1:${port}/api/api/x`)
    expect(answer.status).toBe(200)
    expect(seen(origin)).toEqual(['/api/x'])
  })

  it('wants no regular expression that may backtrack without end', () => {
    const rewrite = { replace: [/^(a+)+$/, ''] as [RegExp, string] }
    const make = () =>
      createProxy({ upstreams: { a: 'http://127.0.0.1:1' }, routes: [{ path: '/', upstream: 'a', rewrite }] })
    expect(make).toThrow(/routes\[0\]\.rewrite\.replace/)
  })
})

type Call = Context & Client

async function ask(kind: FrontKind, path: string, ...use: Layer<Call>[]): Promise<[number, string[]]> {
  const origin = own(await originServer())
  const front = own(await kind.start({ targets: origin.url, use }))
  const { status } = await front.client.ask({ path })
  return [status, origin.requests.map(({ url }) => url)]
}

describe.each(fronts)('a path through $name', (kind) => {
  it.each(['/a/../b', '/a/..%3Bx/b', '/a%5cb', '/a//b', '/%zz'])(
    'that breaks a rule is refused: %s',
    async (path) => {
      expect(await ask(kind, path, pathPolicy('reject'))).toEqual([400, []])
    },
  )

  it.each([
    ['/a/%2E%2e/b//c?x=/../%zz', '/b/c?x=/../%zz'],
    ['/a%2fb/..;x/c', '/c'],
  ])('has one form: %s', async (path, sent) => {
    expect(await ask(kind, path, pathPolicy('normalise'))).toEqual([200, [sent]])
  })

  it.each([
    ['/api/%2f//x?y=%zz', '/v1/%2f//x?y=%zz'],
    ['/api//10.0.0.1/', '/v1/10.0.0.1/'],
    ['/apix', '/apix'],
  ])('is stripped and prefixed, and nothing else of it is touched: %s', async (path, sent) => {
    expect(await ask(kind, path, rewritePath({ strip: '/api', prefix: '/v1' }))).toEqual([200, [sent]])
  })

  it.each(['/x', '/x?tenant=b', '/x?a=1;tenant=b', '/x?%74enant=b'])(
    'has the parameter that a rule sets: %s',
    async (path) => {
      const layer = rewritePath({ query: { set: { tenant: 'a' } } })
      expect(await ask(kind, path, layer)).toEqual([200, ['/x?tenant=a']])
    },
  )
})

describe.each(fronts)('a rule for a path through $name', (kind) => {
  const guard = () => ({ status: 401, headers: [], body: null })
  const guarded = route<Call>(
    ['/$metadata', '/b%C3%BCro', '/caf\u00e9'].map((path) => ({ path, handler: guard })),
  )

  it.each(['/%24metadata', '/$%6detadata/x', '/b%c3%bcro', '/b%c3%BCro', '/caf%c3%a9'])(
    'is not got around by another spelling, whatever becomes of paths: %s',
    async (path) => {
      for (const mode of ['preserve', 'reject', 'normalise'] as const)
        expect(await ask(kind, path, pathPolicy(mode), guarded)).toEqual([401, []])
    },
  )
})

// Node's parser of HTTP/1 refuses raw bytes, and that of HTTP/2 passes them on.
describe.each(fronts.filter(({ http2 }) => http2))('raw bytes in a :path through $name', (kind) => {
  it.each(['/\xc0\xae\xc0\xae/x', '/%c0\xae/x', '/\xff'])(
    'are refused where they are no UTF-8: %j',
    async (path) => {
      expect(await ask(kind, path, pathPolicy({ dotSegments: 'reject' }))).toEqual([400, []])
    },
  )

  it('are no way around a rule', async () => {
    const handler = () => ({ status: 401, headers: [], body: null })
    const use = [route<Call>([{ path: '/caf%C3%A9', handler }])]
    const front = own(await kind.start({ targets: 'http://127.0.0.1:1', use, guard: { validate: false } }))
    expect(await front.client.ask({ path: '/caf\xc3\xa9' })).toMatchObject({ status: 401 })
  })

  it('pass where they are', async () => {
    const origin = own(await rawOrigin(answering('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')))
    const front = own(
      await kind.start({ targets: origin.url, use: [pathPolicy('reject')], guard: { validate: false } }),
    )
    expect(await front.client.ask({ path: '/caf\xc3\xa9' })).toMatchObject({ status: 200 })
    expect(origin.connections[0]?.text.split('\r\n')[0]).toBe('GET /caf\xc3\xa9 HTTP/1.1')
  })
})

describe.each(twoFronts)('a fork through $name', (kind) => {
  const strip = rewritePath({ strip: '/api', replace: [/^\/x/, '/y'] })
  /** Asks twice and gives the second answer. */
  const twice =
    (fork: (ctx: Call) => Call): Layer<Call> =>
    (next: Handler<Call>) =>
    async (ctx) => {
      await next(fork(ctx))
      return next(fork(ctx))
    }

  it.each<[string, (ctx: Call) => Call]>([
    ['forks', (ctx) => ctx.fork()],
    ['detached forks', (ctx) => ctx.fork({ detach: true })],
    ['forks of a fork', (ctx) => ctx.fork().fork()],
  ])('inside the rule finds the path rewritten, and outside it rewrites it anew: %s', async (_name, fork) => {
    const sent = ['/api/x', '/api/x']
    expect(await ask(kind, '/api/api/x', strip, twice(fork))).toEqual([200, sent])
    expect(await ask(kind, '/api/api/x', twice(fork), strip)).toEqual([200, sent])
    expect(await ask(kind, '/api/x', twice(fork), strip, twice(fork))).toEqual([
      200,
      ['/y', '/y', '/y', '/y'],
    ])
  })

  it('is stripped by each rule once', async () => {
    const prefixes: string[] = []
    const look: Layer<Call> = (next) => (ctx) => {
      prefixes.push((ctx as Call & { stripped: string }).stripped)
      return next(ctx)
    }
    const layers = [twice((ctx) => ctx.fork()), strip, rewritePath({ strip: '/api' }), look]
    expect(await ask(kind, '/api/api/api', ...layers)).toEqual([200, ['/api', '/api']])
    expect(prefixes).toEqual(['/api/api', '/api/api'])
  })
})
