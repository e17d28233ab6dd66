import { createServer } from 'node:http'
import { cache } from '@sluice/cache'
import { chain, fromListener, toListener } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { cachedSite, minute, numbered, statusOf } from '../kit/cached-site.js'
import { fronts, twoFronts } from '../kit/fronts.js'
import { listen } from '../kit/listen.js'
import type { OriginHandler } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** Says who asks, by cookie and authorization, under these fields. */
const personal =
  (fields: readonly string[]): OriginHandler =>
  ({ headers }, res) =>
    void res
      .writeHead(200, [...fields])
      .end(`cookie ${headers.cookie ?? 'none'}, ${headers.authorization ?? 'nobody'}`)

describe.each(fronts)('behind $name', (kind) => {
  it.each<[string, string, readonly string[]]>([
    ['private', 'private', ['Cache-Control', 'private, max-age=60']],
    ['no-store', 'no-store', ['Cache-Control', 'no-store']],
    ['for who has authorization', 'authorization', ['Cache-Control', 'max-age=60']],
  ])('what is %s is shared with nobody', async (_name, why, fields) => {
    const site = await cachedSite(own, kind, personal([...minute.slice(0, 2), ...fields]))
    const who = (i: number) =>
      why === 'authorization' ? ['Authorization', `Basic ${i}`] : ['Cookie', `id=${i}`]
    const asked = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const answer = await site.ask({ headers: who(i % 10) })
        return [i % 10, answer.text, statusOf(answer)] as const
      }),
    )
    for (const [i, text, status] of asked) {
      const said = why === 'authorization' ? `cookie none, Basic ${i}` : `cookie id=${i}, nobody`
      expect([text, status]).toEqual([said, `sluice; fwd=uri-miss; fwd-status=200; detail=${why}`])
    }
    expect(site.origin.requests).toHaveLength(20)
  })

  it('what the target lets all have is shared, authorization or not', async () => {
    const site = await cachedSite(
      own,
      kind,
      numbered([...minute.slice(0, 2), 'Cache-Control', 's-maxage=60']),
    )
    for (const i of [1, 2, 3])
      expect((await site.ask({ headers: ['Authorization', `Basic ${i}`] })).text).toBe('answer 1')
  })

  it('a redirect to the name that the app knows is for who has spelt it otherwise alone', async () => {
    const site = await cachedSite(own, kind, ({ headers }, res) => {
      const known = headers['x-forwarded-host'] === 'shop.example'
      res.writeHead(known ? 200 : 301, [...minute, ...(known ? [] : ['Location', '//shop.example/'])])
      res.end(known ? 'the shop' : '')
    })
    for (const again of [false, true]) {
      for (const host of ['SHOP.example', `shop.example:${kind.tls ? 443 : 80}`, 'shop.example:'])
        expect((await site.ask({ headers: ['Host', host] })).status).toBe(301)
      const answer = await site.ask({ headers: ['Host', 'shop.example'] })
      expect([answer.text, statusOf(answer)?.includes('hit')]).toEqual(['the shop', again])
    }
    const url = `${kind.tls ? 'https' : 'http'}://shop.example/`
    await site.purge({ url })
    expect(statusOf(await site.ask({ headers: ['Host', 'SHOP.example'] }))).toContain('fwd=uri-miss')
  })

  it.each(['X-Forwarded-For', 'Forwarded'])('what varies on who asks is theirs, by %s', async (name) => {
    const site = await cachedSite(
      own,
      kind,
      ({ headers }, res) =>
        void res.writeHead(200, [...minute, 'Vary', name]).end(headers['x-forwarded-for']),
      {},
      { trust: ['127.0.0.1'] },
    )
    for (const again of [false, true])
      for (const caller of ['192.0.2.1', '192.0.2.2', undefined]) {
        const headers = caller === undefined ? [] : ['X-Forwarded-For', caller]
        const answer = await site.ask({ headers })
        expect(answer.text).toBe(caller === undefined ? '127.0.0.1' : `${caller}, 127.0.0.1`)
        expect(statusOf(answer)?.includes('hit')).toBe(again)
      }
  })

  it('what varies is each kind of client its own', async () => {
    const site = await cachedSite(own, kind, ({ headers }, res) => {
      res.writeHead(200, [...minute, 'Vary', 'Accept-Language, X-Side'])
      res.end(`${headers['accept-language'] ?? ''}-${headers['x-side'] ?? ''}`)
    })
    const kinds = [
      ['Accept-Language', 'de', 'X-Side', 'l'],
      ['Accept-Language', 'de', 'X-Side', 'r'],
      ['Accept-Language', 'fr', 'X-Side', 'l'],
      ['X-Side', 'l'],
      [],
    ]
    const said = ['de-l', 'de-r', 'fr-l', '-l', '-']
    for (const again of [false, true])
      for (const [i, headers] of kinds.entries()) {
        const answer = await site.ask({ headers })
        expect(answer.text).toBe(said[i])
        const miss = `sluice; fwd=${i === 0 ? 'uri' : 'vary'}-miss; fwd-status=200; stored; ttl=60`
        expect(statusOf(answer)).toBe(again ? 'sluice; hit; ttl=60' : miss)
      }
    expect(site.origin.requests).toHaveLength(5)
  })

  it('who waits for what turns out to vary gets what is theirs', async () => {
    const gate = deferred()
    const site = await cachedSite(own, kind, async ({ headers }, res) => {
      await gate.promise
      res.writeHead(200, [...minute, 'Vary', 'Accept-Language']).end(headers['accept-language'])
    })
    const calls = Array.from({ length: 12 }, (_, i) =>
      site.client.call({ headers: ['Accept-Language', `l${i % 3}`] }),
    )
    await site.origin.request()
    gate.resolve()
    const texts = await Promise.all(calls.map(async (call) => (await call.answer()).text))
    expect(texts).toEqual(calls.map((_, i) => `l${i % 3}`))
    expect(site.origin.requests).toHaveLength(3)
  })

  it('what varies on everything is not stored', async () => {
    const site = await cachedSite(own, kind, numbered([...minute, 'Vary', '*']))
    await site.ask()
    const { headers, text } = await site.ask()
    expect([text, statusOf({ headers })]).toEqual([
      'answer 2',
      'sluice; fwd=uri-miss; fwd-status=200; detail=vary-all',
    ])
  })

  it('a fetch for all is one that no client has chosen the answer of', async () => {
    const site = await cachedSite(own, kind, numbered())
    await site.ask({ headers: ['X-Original-URL', '/admin', 'X-HTTP-Method-Override', 'DELETE'] })
    const { rawHeaders } = site.origin.requests[0] as { rawHeaders: readonly string[] }
    for (const name of ['x-original-url', 'x-http-method-override'])
      expect(values(rawHeaders, name)).toEqual([])
    await site.ask({ path: '/other', headers: ['X-Forwarded-Host', 'evil.example'] })
    const seen = site.origin.requests[1] as { rawHeaders: readonly string[] }
    expect(values(seen.rawHeaders, 'x-forwarded-host')).not.toContain('evil.example')
  })

  it('URLs of hosts and queries are told apart', async () => {
    const site = await cachedSite(own, kind, (req, res) => {
      res.writeHead(200, [...minute]).end(`${req.headers['x-forwarded-host']} ${req.url}`)
    })
    for (const host of ['a.example', 'b.example'])
      for (const path of ['/', '/?x=1', '/?x=2', '/?', '//', '/%41', '/A'])
        for (const _ of [1, 2])
          expect((await site.ask({ path, headers: ['Host', host] })).text).toBe(`${host} ${path}`)
  })
})

describe.each(twoFronts)('a hundred clients behind $name', (kind) => {
  it.each([
    ['private', 'Cookie'],
    ['max-age=60', 'Authorization'],
    ['no-cache="set-cookie", private="x-who", max-age=60', 'Cookie'],
  ])('who ask at once, and again, get nothing of one another under %s', async (life, field) => {
    const gate = deferred()
    const site = await cachedSite(own, kind, async (req, res) => {
      await gate.promise
      const who = String(req.headers[field.toLowerCase()])
      const mine = ['Set-Cookie', `id=${who}`, 'X-Who', who]
      const body = life.includes('="') ? 'for all' : who
      res.writeHead(200, [...minute.slice(0, 2), 'Cache-Control', life, ...mine]).end(body)
    })
    const all = () =>
      Array.from({ length: 100 }, (_, i) => site.client.call({ headers: [field, `who ${i}`] }))
    for (const calls of [all(), all()]) {
      await site.origin.request()
      gate.resolve()
      for (const [i, call] of calls.entries()) {
        const { headers, text } = await call.answer()
        expect([`who ${i}`, 'for all']).toContain(text)
        for (const name of ['set-cookie', 'x-who'])
          for (const given of values(headers, name)) expect(given.replace('id=', '')).toBe(`who ${i}`)
      }
    }
  })
})

describe.each(twoFronts)('what confirms a page behind $name', (kind) => {
  it.each(['GET', 'HEAD'])('by a %s hands on no field that the page keeps from others', async (method) => {
    const site = await cachedSite(own, kind, (req, res) => {
      const who = String(req.headers.cookie)
      const fields = ['Date', new Date(site.now).toUTCString(), 'ETag', '"a"', 'Set-Cookie', who]
      if (req.headers['if-none-match'] === '"a"') res.writeHead(304, fields).end()
      else if (req.method === 'HEAD') res.writeHead(200, fields).end()
      else res.writeHead(200, [...fields, 'Cache-Control', 'max-age=60, no-cache="set-cookie"']).end('page')
    })
    const cookie = async (who: string, method = 'GET') => {
      const { headers } = await site.ask({ method, headers: ['Cookie', who] })
      return values(headers, 'set-cookie')
    }
    expect(await cookie('alice')).toEqual(['alice'])
    site.now += 61_000
    expect(await cookie('bob', method)).toEqual(['bob'])
    expect(await cookie('carol')).toEqual([])
    expect(site.origin.requests).toHaveLength(2)
  })
})

it.each<[string, readonly string[]]>([
  ['Vary', []],
  ['key.headers', ['X-Forwarded-For']],
])('an app without forward() reads what came: it has a page for each, by %s', async (_name, headers) => {
  const app = fromListener(({ headers }, res) => {
    res.writeHead(200, { 'Cache-Control': 'max-age=60', Vary: 'X-Forwarded-For' })
    res.end(`page of ${headers['x-forwarded-for']}`)
  })
  const handler = chain()
    .use(cache({ key: { headers } }))
    .handle(app)
  const { client } = own(await listen(createServer(toListener(handler))))
  for (const again of [false, true])
    for (const caller of ['192.0.2.1', '192.0.2.2']) {
      const answer = await client.ask({ headers: ['X-Forwarded-For', caller] })
      expect(answer.text).toBe(`page of ${caller}`)
      expect(statusOf(answer)?.includes('hit')).toBe(again)
    }
})

describe.each(twoFronts)('Set-Cookie behind $name', (kind) => {
  const cookies: OriginHandler = (req, res) => {
    const lives = req.url === '/explicit' ? ['Cache-Control', 'max-age=60'] : []
    const modified = new Date(Date.now() - 864_000_000).toUTCString()
    res.writeHead(200, [...lives, 'Last-Modified', modified, 'Set-Cookie', 'a=1']).end('ok')
  }
  it.each([
    ['explicit', { '/explicit': 'hit', '/guessed': 'set-cookie' }, ['a=1']],
    ['never', { '/explicit': 'set-cookie', '/guessed': 'set-cookie' }, ['a=1']],
    ['strip', { '/explicit': 'hit', '/guessed': 'hit' }, []],
  ] as const)('under %s', async (setCookie, found, given) => {
    const site = await cachedSite(own, kind, cookies, { setCookie, clock: Date.now })
    for (const [path, what] of Object.entries(found)) {
      await site.ask(path)
      const { headers } = await site.ask(path)
      expect([path, statusOf({ headers })]).toEqual([path, expect.stringContaining(what)])
      if (what === 'hit') expect(values(headers, 'set-cookie')).toEqual(given)
    }
  })

  it('reaches the client that it was made for, also where others do not get it', async () => {
    const site = await cachedSite(own, kind, cookies, { setCookie: 'strip', clock: Date.now })
    expect(values((await site.ask('/explicit')).headers, 'set-cookie')).toEqual(['a=1'])
    expect(values((await site.ask('/explicit')).headers, 'set-cookie')).toEqual([])
  })
})
