import { type CacheOptions, memoryStore, type Store } from '@sluice/cache'
import { describe, expect, it } from 'vitest'
import { type CachedSite, cachedSite, minute, noon, numbered, statusOf } from '../kit/cached-site.js'
import { twoFronts } from '../kit/fronts.js'
import type { OriginHandler } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { value, values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

const date = minute.slice(0, 2)
/** Text and decision of each answer. */
async function asked(site: CachedSite, ...asks: (string | readonly string[])[]): Promise<string[]> {
  const said: string[] = []
  for (const ask of asks) {
    const { headers, text } = await site.ask(typeof ask === 'string' ? ask : { headers: ask })
    said.push(`${text} ${statusOf({ headers })?.includes('; hit;') ? 'hit' : 'miss'}`)
  }
  return said
}

describe.each(twoFronts)('an option of the cache behind $name', (kind) => {
  const site = (options: CacheOptions, handler: OriginHandler = numbered()) =>
    cachedSite(own, kind, handler, options)

  it('key.query leaves parameters out, keeps some alone, or sorts them', async () => {
    const urls = ['/?b=2&a=1', '/?a=1&b=2&utm_x=3', '/?a=1&b=2']
    expect(await asked(await site({}), ...urls)).toEqual(['answer 1 miss', 'answer 2 miss', 'answer 3 miss'])
    const shared = ['answer 1 miss', 'answer 1 hit', 'answer 1 hit']
    expect(await asked(await site({ key: { query: { ignore: ['utm_*'], sort: true } } }), ...urls)).toEqual(
      shared,
    )
    expect(await asked(await site({ key: { query: { only: ['a'] } } }), ...urls)).toEqual(shared)
  })

  it('key.headers, key.cookies and key.device tell clients apart', async () => {
    const fields = [
      ['Accept-Version', '1'],
      ['Accept-Version', '2'],
    ]
    const texts = async (key: NonNullable<CacheOptions['key']>, ...asks: string[][]) =>
      (await asked(await site({ key }), ...asks)).map((said) => said.slice(0, 8))
    expect(await texts({}, ...fields)).toEqual(['answer 1', 'answer 1'])
    expect(await texts({ headers: ['Accept-Version'] }, ...fields)).toEqual(['answer 1', 'answer 2'])
    const cookies = [
      ['Cookie', 'a=1; b=1'],
      ['Cookie', 'a=2; b=1'],
      ['Cookie', 'b=1; a=1'],
    ]
    expect(await texts({ cookies: ['a'] }, ...cookies)).toEqual(['answer 1', 'answer 2', 'answer 1'])
    const devices = [
      ['User-Agent', 'Mozilla/5.0 (iPhone) Mobile'],
      ['User-Agent', 'Mozilla/5.0 (X11)'],
    ]
    expect(await texts({ device: true }, ...devices)).toEqual(['answer 1', 'answer 2'])
    expect(await texts({ device: () => 'all' }, ...devices)).toEqual(['answer 1', 'answer 1'])
  })

  it('heuristic guesses a lifetime by Last-Modified, or not', async () => {
    const old = numbered([...date, 'Last-Modified', new Date(noon - 864_000_000).toUTCString()])
    expect(await asked(await site({}, old), '/', '/')).toEqual(['answer 1 miss', 'answer 1 hit'])
    const again = numbered([...date, 'Last-Modified', new Date(noon - 864_000_000).toUTCString()])
    expect(await asked(await site({ heuristic: false }, again), '/', '/')).toEqual([
      'answer 1 miss',
      'answer 2 miss',
    ])
  })

  it('staleWhileRevalidate is for answers that say nothing of it', async () => {
    const one = await site({ staleWhileRevalidate: '1m' })
    await one.ask()
    one.now += 90_000
    expect(statusOf(await one.ask())).toContain('detail=stale-while-revalidate')
    await until(() => one.origin.requests.length === 2, 'a fetch behind it')
  })

  it('staleIfError and staleIfDisconnected say how long, where the target fails or is gone', async () => {
    let fails = false
    const failing: OriginHandler = (_req, res) => {
      res.writeHead(fails ? 500 : 200, [...minute]).end(fails ? 'error' : 'page')
    }
    const one = await site({ staleIfError: '1m', staleIfDisconnected: '2m' }, failing)
    await one.ask()
    fails = true
    one.now += 90_000
    expect((await one.ask()).text).toBe('page')
    one.now += 60_000
    expect((await one.ask()).text).toBe('error')
    await one.origin.close()
    expect((await one.ask()).text).toBe('page')
    one.now += 60_000
    expect((await one.ask()).status).toBeGreaterThanOrEqual(502)
    fails = false
    const none = await site({ staleIfDisconnected: 0 }, failing)
    await none.ask()
    none.now += 61_000
    await none.origin.close()
    expect((await none.ask()).status).toBeGreaterThanOrEqual(502)
  })

  it('negative gives answers of a status a lifetime that they lack', async () => {
    const missing: OriginHandler = (req, res) => {
      const fields = req.url === '/no' ? ['Cache-Control', 'no-store'] : []
      res.writeHead(req.url === '/500' ? 500 : 404, [...date, ...fields]).end('x')
    }
    const one = await site({ negative: { 404: '10s', 500: '1s' } }, missing)
    expect(await asked(one, '/', '/', '/no', '/no')).toEqual(['x miss', 'x hit', 'x miss', 'x miss'])
    expect(await asked(one, '/500', '/500')).toEqual(['x miss', 'x hit'])
    one.now += 10_000
    expect(await asked(one, '/', '/500')).toEqual(['x miss', 'x miss'])
  })

  it.each<[string, CacheOptions]>([
    ['coalesce: false has each client fetch for itself', { coalesce: false }],
    ['lockWait ends the wait for the fetch of another', { lockWait: 1 }],
  ])('%s', async (_, options) => {
    const gate = deferred()
    const one = await site(options, async (_req, res) => {
      await gate.promise
      res.writeHead(200, [...minute]).end('ok')
    })
    const calls = Array.from({ length: 4 }, () => one.client.call())
    await one.origin.request(3)
    gate.resolve()
    for (const call of calls) expect((await call.answer()).text).toBe('ok')
    expect(one.origin.requests).toHaveLength(4)
  })

  it('lockAge has the next one fetch where the first takes long', async () => {
    const gate = deferred()
    const one = await site({ lockAge: '5s' }, async (_req, res) => {
      await gate.promise
      res.writeHead(200, [...minute]).end('ok')
    })
    const calls = [one.client.call()]
    await one.origin.request(0)
    one.now += 5_000
    calls.push(one.client.call())
    await one.origin.request(1)
    gate.resolve()
    for (const call of calls) expect((await call.answer()).text).toBe('ok')
  })

  it('maxFilling bounds what all bodies on their way may take: one more is not stored', async () => {
    const gate = deferred()
    const one = await site({ maxFilling: '64kb' }, async (req, res) => {
      res.writeHead(200, [...minute])
      res.write('x'.repeat(50_000))
      if (req.url === '/a') await gate.promise
      res.end()
    })
    const first = one.client.call({ path: '/a' })
    const { body } = await first.head
    await new Promise((resolve) => body.once('readable', resolve))
    expect((await one.ask('/b')).text).toHaveLength(50_000)
    expect(statusOf(await one.ask('/b'))).toContain('fwd=uri-miss')
    gate.resolve()
    expect((await first.answer()).text).toHaveLength(50_000)
    await one.ask('/b')
    expect(statusOf(await one.ask('/b'))).toContain('; hit;')
  })

  it('maxSize bounds what is kept: what came last pushes others out', async () => {
    const one = await site({ maxSize: '64kb' }, (_req, res) => {
      res.writeHead(200, [...minute]).end('x'.repeat(20_000))
    })
    for (let i = 0; i < 8; i++) await one.ask(`/${i}`)
    const kept = (await asked(one, ...Array.from({ length: 8 }, (_, i) => `/${i}`))).filter((said) =>
      said.endsWith('hit'),
    )
    expect(kept.length).toBeLessThan(4)
  })

  it('maxVariants bounds what is kept of one URL', async () => {
    const one = await site({ maxVariants: 2 }, numbered([...minute, 'Vary', 'X-Kind']))
    const kinds = (...names: string[]) => names.map((name) => ['X-Kind', name])
    expect(await asked(one, ...kinds('a', 'b', 'c', 'b', 'c'))).toEqual([
      'answer 1 miss',
      'answer 2 miss',
      'answer 3 miss',
      'answer 2 hit',
      'answer 3 hit',
    ])
    expect(await asked(one, ...kinds('a', 'c'))).toEqual(['answer 4 miss', 'answer 3 hit'])
  })

  it('pathGuard does not store a page under the name of a stylesheet', async () => {
    const html: OriginHandler = (_req, res) => {
      res.writeHead(200, [...minute, 'Content-Type', 'text/html']).end('account')
    }
    const [off, on] = [await site({}, html), await site({ pathGuard: true }, html)]
    expect(await asked(off, '/account/x.css', '/account/x.css')).toEqual(['account miss', 'account hit'])
    expect(await asked(on, '/account/x.css', '/account/x.css')).toEqual(['account miss', 'account miss'])
    expect(statusOf(await on.ask('/account/x.css'))).toContain('detail=path-confusion')
    expect(await asked(on, '/account', '/account')).toEqual(['account miss', 'account hit'])
  })

  it('privateCookies are for the one who has asked', async () => {
    const life = { '/all': 'max-age=60', '/one': 'private' } as Record<string, string>
    const one = await site({ privateCookies: ['seat'] }, ({ url = '' }, res) => {
      const cookies = ['Set-Cookie', 'seat=1; Path=/', 'Set-Cookie', 'theme=dark']
      res.writeHead(200, [...date, 'Cache-Control', life[url] as string, ...cookies]).end('ok')
    })
    const cookies = async (path: string) => values((await one.ask(path)).headers, 'set-cookie')
    const both = ['seat=1; Path=/', 'theme=dark']
    expect([await cookies('/all'), await cookies('/all')]).toEqual([both, ['theme=dark']])
    expect([await cookies('/one'), await cookies('/one')]).toEqual([both, both])
    expect(one.origin.requests).toHaveLength(3)
  })

  it('statusName, statusKey and xCache say what is told of it', async () => {
    const named = await site({ statusName: 'Edge-1', statusKey: true, xCache: true })
    const [first, second] = [await named.ask('/x'), await named.ask('/x')]
    expect(statusOf(first)).toMatch(/^Edge-1; fwd=uri-miss; .*key="[^"]*\/x"/)
    expect(statusOf(second)).toMatch(/^Edge-1; hit; ttl=60; key="[^"]*\/x"/)
    expect([first, second].map(({ headers }) => value(headers, 'x-cache'))).toEqual(['MISS', 'HIT'])
    const silent = await site({ statusName: false })
    for (const _ of [1, 2]) {
      const { headers } = await silent.ask()
      expect([statusOf({ headers }), value(headers, 'x-cache')]).toEqual([undefined, undefined])
    }
  })

  it('storeTimeout makes a miss of a store that hangs', async () => {
    const hanging: Store = { ...wrapped(), get: () => new Promise(() => {}) }
    const one = await site({ store: hanging, storeTimeout: 5 })
    expect(await asked(one, '/', '/')).toEqual(['answer 1 miss', 'answer 2 miss'])
  })

  it('store may be one of those that this package has, or of one’s own', async () => {
    const store = wrapped()
    const one = await site({ store, clock: Date.now }, numbered(['Cache-Control', 'max-age=60']))
    expect(await asked(one, '/', '/')).toEqual(['answer 1 miss', 'answer 1 hit'])
    await one.front.close()
    // It was not made here, so it isn't closed here.
    const two = await site({ store, clock: Date.now })
    await two.ask({ headers: ['Host', `127.0.0.1:${one.front.port}`] })
    expect(two.origin.requests).toHaveLength(0)
  })

  it('of a size takes 0 for no bound', async () => {
    const one = await site({ maxEntry: 0, maxFilling: 0, key: { maxKey: 0 } })
    expect(await asked(one, '/', '/')).toEqual(['answer 1 miss', 'answer 1 hit'])
  })
})

/** A store that is nothing but the methods of the contract. */
function wrapped(): Store {
  const inner = memoryStore()
  return {
    get: (key) => inner.get(key),
    put: (key, head) => inner.put(key, head),
    touch: (key, head) => inner.touch(key, head),
    delete: (key) => inner.delete(key),
    purge: (what, soft) => inner.purge(what, soft),
    close: () => inner.close(),
  }
}
