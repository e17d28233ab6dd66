import { type Reply, toReadable } from '@sluice/core'
import { get, type HeaderList } from '@sluice/headers'
import { describe, expect, it } from 'vitest'
import type { CacheOptions } from './cache-options.js'
import { createCache } from './create-cache.js'

/** A page that shows what it believes of the request: the host of `X-Forwarded-Host`, the path of `X-Original-URL`, the body. */
async function site(options: CacheOptions = {}, more: HeaderList = []) {
  const cache = createCache(options)
  const ask = async (
    method: string,
    path: string,
    headers: HeaderList = [],
    content?: string,
  ): Promise<string> => {
    const request = { method, scheme: 'http', authority: 'site.test', path, headers, body: content ?? null }
    const reply = await cache.handle(request, ({ headers: sent }): Reply => {
      const host = get(sent, 'x-forwarded-host') ?? 'site.test'
      const url = get(sent, 'x-original-url') ?? path
      const fields = [
        'Cache-Control',
        'max-age=60',
        'Content-Location',
        path,
        'Content-Type',
        'text/html',
        ...more,
      ]
      return { status: 200, headers: fields, body: `${host}${url}${content ?? ''}` }
    })
    const chunks: Buffer[] = []
    for await (const chunk of toReadable(reply.body)) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString()
  }
  return Object.assign(ask, { [Symbol.asyncDispose]: () => cache.close() })
}

describe('a client that would choose what others get', () => {
  it.each(['X-Forwarded-Host', 'x-forwarded-host', 'X_Forwarded_Host', 'X-Original-URL'])(
    'finds %s taken out',
    async (name) => {
      await using ask = await site()
      expect(await ask('GET', '/', [name, 'evil'])).toBe('site.test/')
      expect(await ask('GET', '/')).toBe('site.test/')
    },
  )

  it('gets its own entry by a field that is part of the key', async () => {
    await using ask = await site({ key: { headers: ['X-Forwarded-Host'] } })
    expect(await ask('GET', '/', ['X-Forwarded-Host', 'other.test'])).toBe('other.test/')
    expect(await ask('GET', '/')).toBe('site.test/')
    expect(await ask('GET', '/', ['X-Forwarded-Host', 'other.test'])).toBe('other.test/')
  })

  it('can have a POST stored that it has not chosen by such a field', async () => {
    await using ask = await site()
    expect(await ask('POST', '/', ['X-Forwarded-Host', 'evil'], '!')).toBe('evil/!')
    expect(await ask('GET', '/')).toBe('site.test/')
    expect(await ask('POST', '/b', [], '!')).toBe('site.test/b!')
    expect(await ask('GET', '/b')).toBe('site.test/b!')
  })

  it('can have no stored response renewed by a HEAD with such a field', async () => {
    const cache = createCache()
    const ask = (method: string, ...headers: HeaderList): Reply | Promise<Reply> =>
      cache.handle(
        { method, scheme: 'http', authority: 'site.test', path: '/', headers },
        ({ headers: sent }) => {
          const link = `<http://${get(sent, 'x-forwarded-host') ?? 'site.test'}/>`
          return {
            status: 200,
            headers: ['Cache-Control', 'max-age=60', 'ETag', '"a"', 'Link', link],
            body: null,
          }
        },
      )
    const got = await ask('GET')
    for await (const _ of toReadable(got.body));
    await ask('HEAD', 'X-Forwarded-Host', 'evil', 'Cache-Control', 'no-cache')
    expect(get((await ask('GET')).headers, 'link')).toBe('<http://site.test/>')
    await cache.close()
  })

  it('has a GET with content passed on alone', async () => {
    await using ask = await site()
    expect(await ask('GET', '/', [], '!')).toBe('site.test/!')
    expect(await ask('GET', '/')).toBe('site.test/')
  })

  it('hides no parameter behind one that the key ignores', async () => {
    await using ask = await site({ key: { query: { ignore: ['utm_*'] } } })
    expect(await ask('GET', '/?utm_a=1;q=evil')).toBe('site.test/?utm_a=1;q=evil')
    expect(await ask('GET', '/?utm_a=1')).toBe('site.test/?utm_a=1')
    expect(await ask('GET', '/')).toBe('site.test/?utm_a=1')
  })
})

describe('a client that would have the page of another stored as a file', () => {
  it.each(['/account/x.css', '/account;x.js', '/account%2fx.png', '/account%00.css'])(
    'finds %s not stored',
    async (path) => {
      let visitor = 'alice'
      const cache = createCache({ pathGuard: true })
      const ask = async (): Promise<unknown> => {
        const request = { method: 'GET', scheme: 'http', authority: 'site.test', path, headers: [] }
        const headers = ['Cache-Control', 'max-age=60', 'Content-Type', 'text/html']
        const reply = await cache.handle(request, () => ({ status: 200, headers, body: visitor }))
        const chunks: Buffer[] = []
        for await (const chunk of toReadable(reply.body)) chunks.push(chunk as Buffer)
        return Buffer.concat(chunks).toString()
      }
      expect(await ask()).toBe('alice')
      visitor = 'mallory'
      expect(await ask()).toBe('mallory')
      await cache.close()
    },
  )
})
