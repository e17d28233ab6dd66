import { createServer } from 'node:http'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { cachedSite, minute, statusOf } from '../kit/cached-site.js'
import { frameworks } from '../kit/frameworks.js'
import { fronts, twoFronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import { type OriginHandler, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Numbers its answers for each path, which has a tag of its own, and says so in both fields. */
function tagged(fields: readonly string[] = minute): OriginHandler {
  const counts = new Map<string, number>()
  return ({ url = '' }, res) => {
    const count = (counts.get(url) ?? 0) + 1
    counts.set(url, count)
    const name = url.replaceAll(/\W/g, '')
    res.writeHead(200, [...fields, 'Surrogate-Key', `all ${name}`, 'Cache-Tag', `t-${name},every`])
    res.end(`${url} ${count}`)
  }
}

describe.each(fronts)('a purge behind $name', (kind) => {
  it('by url, tag or prefix drops what matches, and says how much that was', async () => {
    const site = await cachedSite(own, kind, tagged())
    const paths = ['/a', '/a?x=1', '/shop/1', '/shop/2', '/b']
    const texts = async () => Promise.all(paths.map(async (path) => (await site.ask(path)).text))
    const counts = async () => (await texts()).map((text) => text.split(' ')[1]).join('')
    expect(await counts()).toBe('11111')
    expect(await counts()).toBe('11111')
    expect(await site.purge({ url: site.url('/a') })).toBe(1)
    expect(await counts()).toBe('21111')
    expect(await site.purge({ url: site.url('/a?x=1') })).toBe(1)
    expect(await counts()).toBe('22111')
    expect(await site.purge({ prefix: site.url('/shop/') })).toBe(2)
    expect(await counts()).toBe('22221')
    expect(await site.purge({ tag: 'b' })).toBe(1)
    expect(await counts()).toBe('22222')
    expect(await site.purge({ tag: 't-shop2' })).toBe(1)
    expect(await counts()).toBe('22232')
    expect(await site.purge({ tag: 'every' })).toBe(5)
    expect(await counts()).toBe('33343')
    expect(await site.purge({ url: site.url('/none') })).toBe(0)
    expect(await site.purge({ url: 'http://elsewhere.example/a' })).toBe(0)
    expect(await counts()).toBe('33343')
  })

  it('that is soft leaves it to be served while it is fetched again', async () => {
    const site = await cachedSite(
      own,
      kind,
      tagged([...minute.slice(0, 2), 'Cache-Control', 'max-age=60, stale-while-revalidate=600']),
    )
    await site.ask('/a')
    expect(await site.purge({ tag: 'all' }, { soft: true })).toBe(1)
    const stale = await site.ask('/a')
    expect([stale.text, statusOf(stale)]).toEqual(['/a 1', expect.stringContaining('stale-while-revalidate')])
    await expect.poll(async () => (await site.ask('/a')).text, { interval: 2 }).toBe('/a 2')
  })

  it('wins over a fetch that is on its way', async () => {
    const gates = [deferred(), deferred()]
    let count = 0
    const site = await cachedSite(own, kind, async (_req, res) => {
      const body = `answer ${++count}`
      if (body === 'answer 1') await gates[0]?.promise
      res.writeHead(200, [...minute, 'Cache-Tag', 'x'])
      res.write(body)
      if (body === 'answer 1') await gates[1]?.promise
      res.end()
    })
    // Before the head of the answer has come, and while its body does.
    const first = site.client.call()
    await site.origin.request()
    await site.purge({ tag: 'x' })
    expect((await site.ask()).text).toBe('answer 2')
    gates[0]?.resolve()
    await first.head
    await site.purge({ url: site.url() })
    expect((await site.ask()).text).toBe('answer 3')
    gates[1]?.resolve()
    expect((await first.answer()).text).toBe('answer 1')
    const last = await site.ask()
    expect([last.text, statusOf(last)]).toEqual(['answer 3', 'sluice; hit; ttl=60'])
  })

  it('comes with an unsafe method that has succeeded, for what it names too', async () => {
    let status = 200
    const site = await cachedSite(own, kind, (req, res, seen) => {
      if (req.method === 'GET') return tagged0(req, res, seen)
      return res.writeHead(status, ['Location', '/made', 'Content-Location', '/named']).end()
    })
    const tagged0 = tagged()
    const paths = ['/a', '/made', '/named', '/other']
    const counts = async () => {
      const all = await Promise.all(paths.map(async (path) => (await site.ask(path)).text))
      return all.map((text) => text.split(' ')[1]).join('')
    }
    expect(await counts()).toBe('1111')
    status = 500
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) await site.ask({ method, path: '/a', body: 'x' })
    expect(await counts()).toBe('1111')
    status = 201
    const done = await site.ask({ method: 'POST', path: '/a', body: 'x' })
    expect(statusOf(done)).toBe('sluice; fwd=method; fwd-status=201')
    expect(await counts()).toBe('2221')
    await site.ask({ method: 'DELETE', path: '/other' })
    expect(await counts()).toBe('2332')
    await site.ask({ method: 'OPTIONS', path: '/a' })
    expect(await counts()).toBe('2332')
  })
})

describe.each(twoFronts)('what to purge behind $name', (kind) => {
  it('is checked', async () => {
    const site = await cachedSite(own, kind, tagged())
    for (const [what, message] of [
      [{}, /^purge: got \{\}, takes one of \{ url \}, \{ tag \} and \{ prefix \}$/],
      [{ url: 'http://a/', tag: 'x' }, /^purge: got \{ url: .*, tag: 'x' \}, takes/],
      [{ url: '/a' }, /^purge\.url: got '\/a', takes an absolute URL/],
      [{ prefix: 'a.example' }, /^purge\.prefix: /],
      [{ tag: '' }, /^purge\.tag: got '', takes a text/],
    ] as const)
      await expect(site.purge(what)).rejects.toThrow(
        expect.objectContaining({ name: 'TypeError', message: expect.stringMatching(message) }),
      )
  })

  it('takes URLs however they are spelt', async () => {
    const site = await cachedSite(own, kind, tagged())
    for (const spelt of ['HTTP://A.Example/a', 'http://a.example:80/a', 'http://a.example/a#part']) {
      await site.ask({ path: '/a', headers: ['Host', 'a.example'] })
      expect(await site.purge({ url: spelt })).toBe(1)
    }
  })
})

describe.each(frameworks)('below a path in $name', ({ app: make }) => {
  it('keys and purges are by the public URL', async () => {
    const origin = own(await originServer(tagged(['Cache-Control', 'max-age=60'])))
    const one = own(createProxy({ upstreams: { default: origin.url }, cache: true }))
    const app = make()
    app.use('/api', one.listener)
    app.use('/other', one.listener)
    const { client, port } = own(await listen(createServer(app)))
    for (const path of ['/api/a', '/other/a', '/api/a', '/other/a']) await client.ask({ path })
    // The same for the target, and two resources to the world, which may be told apart by links in them.
    expect(origin.requests.map(({ url }) => url)).toEqual(['/a', '/a'])
    expect(await one.cache?.purge({ url: `http://127.0.0.1:${port}/a` })).toBe(0)
    expect(await one.cache?.purge({ url: `http://127.0.0.1:${port}/api/a` })).toBe(1)
    expect(statusOf(await client.ask({ path: '/other/a' }))).toMatch(/hit/)
    expect((await client.ask({ path: '/api/a' })).text).toBe('/a 3')
    expect(await one.cache?.purge({ prefix: `http://127.0.0.1:${port}/other/` })).toBe(1)
    await client.ask({ method: 'POST', path: '/api/a', body: 'x' })
    expect((await client.ask({ path: '/api/a' })).text).toBe('/a 5')
  })
})
