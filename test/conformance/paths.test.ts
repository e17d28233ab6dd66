import { createProxy, type ProxyOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { type Origin, originServer, owner, rawRequest, trapUnhandled, value } from '../kit/index.js'

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

  it.each(['/a%2fb', '/a%5Cb', '/a\\b', '/a//b', '/a/../b', '/a/%2E%2e/b', '/%zz', '/%c0%ae/x'])(
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
