import { createServer } from 'node:http'
import { connectCache } from '@sluice/cache'
import express from 'express'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { listen } from '../kit/listen.js'
import { originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

/** What a target may make its links of. */
const links = (headers: NodeJS.Dict<string | string[]>): string => {
  const of = (name: string) => headers[name] ?? '-'
  const names = ['host', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-prefix']
  return names.map(of).join(' ')
}

/** A proxy whose clients are all trusted proxies. They say who has called them. */
async function behindTrusted(caller = '192.0.2.1') {
  const origin = own(
    await originServer((req, res) => {
      res.setHeader('Cache-Control', 'max-age=60')
      res.end(links(req.headers))
    }),
  )
  const proxy = own(
    createProxy({
      upstreams: { site: { targets: [origin.url], host: 'original' } },
      routes: [{ upstream: 'site' }],
      trust: ['127.0.0.1'],
      cache: true,
    }),
  )
  const { port } = await proxy.listen()
  const client = own(httpClient({ port }))
  const ask = async (...headers: string[]) => {
    const host = headers.includes('Host') ? [] : ['Host', 'inner.test']
    return (await client.ask({ headers: [...host, 'X-Forwarded-For', caller, ...headers] })).text
  }
  return { ask, client, origin, proxy }
}

describe('what a trusted proxy tells the target by way of us', () => {
  it.each([
    ['X-Forwarded-Host', 'a.test', 'b.test'],
    ['X-Forwarded-Port', '8001', '8002'],
    ['X-Forwarded-Prefix', '/a', '/b'],
    ['X-Forwarded-Proto', 'http', 'https'],
  ])('is part of the key: %s', async (name, one, other) => {
    const { ask, origin } = await behindTrusted()
    const first = await ask(name, one)
    const second = await ask(name, other)
    expect(first).toContain(one)
    expect(second).toContain(other)
    expect(first).not.toBe(second)
    expect([await ask(name, one), await ask(name, other)]).toEqual([first, second])
    expect(origin.requests.length).toBe(2)
  })

  it.each(['unknown', '_hidden'])('is part of the key where it hides its client: %s', async (hidden) => {
    const { ask, origin } = await behindTrusted(hidden)
    const first = await ask('X-Forwarded-Host', 'a.test')
    expect(first).toContain('a.test')
    expect(await ask('X-Forwarded-Host', 'b.test')).toContain('b.test')
    expect(await ask('X-Forwarded-Host', 'a.test')).toBe(first)
    expect(origin.requests.length).toBe(2)
  })

  it('stands beside the host that we were asked for, by which targets may choose, too', async () => {
    const { ask } = await behindTrusted()
    const asked = (host: string) => ask('Host', host, 'X-Forwarded-Host', 'a.test', 'X-Forwarded-Port', '81')
    expect(await asked('x.test')).toBe('x.test http a.test 81 -')
    expect(await asked('y.test')).toBe('y.test http a.test 81 -')
    expect(await ask('Host', 'x.test', 'X-Forwarded-Host', 'a.test:82', 'X-Forwarded-Port', '81')).toContain(
      'a.test:82 81',
    )
    expect(await ask('Host', 'x.test', 'X-Forwarded-Host', 'a.test:82')).toContain('a.test:82 -')
  })

  it('tells a path without its prefix from the same public path that has come past that proxy', async () => {
    const { client, origin, proxy } = await behindTrusted()
    const told = ['Host', 'a.test', 'X-Forwarded-For', '192.0.2.1', 'X-Forwarded-Prefix', '/shop']
    for (const again of [false, true]) {
      for (const ask of [
        { path: '/shop/x', headers: ['Host', 'a.test'] },
        { path: '/x', headers: told },
      ])
        expect((await client.ask(ask)).text).toMatch(ask.headers === told ? /shop$/ : /-$/)
      expect(origin.requests.map(({ url }) => url)).toEqual(['/shop/x', '/x'])
      if (again) expect(await proxy.cache?.purge({ url: 'http://a.test/shop/x' })).toBe(2)
    }
  })

  it('is what purges speak of', async () => {
    const { ask, proxy } = await behindTrusted()
    await ask('X-Forwarded-Host', 'a.test', 'X-Forwarded-Prefix', '/shop')
    expect(await proxy.cache?.purge({ url: 'http://inner.test/' })).toBe(0)
    expect(await proxy.cache?.purge({ url: 'http://a.test/shop/' })).toBe(1)
  })
})

describe('what connectCache lets an app believe', () => {
  /** An app that trusts everybody, and shows what Express and it itself make of the fields. */
  async function believing() {
    const app = express()
    app.set('trust proxy', true)
    app.use(connectCache())
    app.use((req, res) => {
      res.setHeader('Cache-Control', 'max-age=60')
      const { host, 'x-forwarded-host': told = host } = req.headers
      res.end(`${req.protocol}://${told} ${host}`)
    })
    const { client } = own(await listen(createServer(app)))
    return async (...headers: string[]) => (await client.ask({ headers })).text
  }

  it.each([
    ['X-Forwarded-Host', 'evil.test/path'],
    ['X-Forwarded-Host', 'evil.test, a.test'],
    ['X-Forwarded-Host', 'a.test, evil.test'],
    ['X-Forwarded-Proto', 'javascript'],
    ['X-Forwarded-Proto', 'https, evil'],
  ])('is what its key holds: %s: %s', async (name, value) => {
    const ask = await believing()
    const own = ['Host', 'a.test', 'X-Forwarded-Host', 'a.test']
    await ask('Host', 'a.test', name, value)
    expect(await ask('Host', 'a.test')).toBe('http://a.test a.test')
    expect(await ask(...own)).toBe('http://a.test a.test')
    expect(await ask(...own, 'X-Forwarded-Proto', 'https')).toBe('https://a.test a.test')
  })

  it('keeps two hosts of the connection apart', async () => {
    const ask = await believing()
    expect(await ask('Host', 'x.test', 'X-Forwarded-Host', 'a.test')).toBe('http://a.test x.test')
    expect(await ask('Host', 'y.test', 'X-Forwarded-Host', 'a.test')).toBe('http://a.test y.test')
  })
})
