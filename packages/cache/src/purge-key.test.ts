import { toReadable } from '@sluice/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCache } from './create-cache.js'
import { createKey } from './key.js'
import { type KeyOptions, resolveKey } from './key-options.js'
import { createPurgeKey } from './purge-key.js'

describe('what to purge', () => {
  it.each<[KeyOptions, string, string]>([
    [{}, 'HTTP://Site.TEST:80/A?b', 'http://site.test/A?b'],
    [{}, 'https://site.test', 'https://site.test/'],
    [{}, 'http://site.test?a', 'http://site.test/?a'],
    [{}, 'http://site.test/a#b', 'http://site.test/a'],
    [{}, 'http://[::1]:8080/a', 'http://[::1]:8080/a'],
    [
      { query: { ignore: ['utm_*'], sort: true } },
      'http://site.test/a?utm_x=1&c&b',
      'http://site.test/a?b&c',
    ],
    [{}, '/a', '/a'],
    [{}, 'ftp://site.test/a', 'ftp://site.test/a'],
    [{}, 'http://a b/', 'http://a b/'],
  ])('with %o the URL %s is %s', (options, url, normal) => {
    expect(createPurgeKey(resolveKey(options))({ url })).toEqual({ url: normal })
  })

  it.each([
    ['HTTPS://Site.TEST:443/A', 'https://site.test/A'],
    ['http://Site.TEST/', 'http://site.test/'],
    ['http://Site.TEST', 'http://site.test'],
    ['http://Site.TEST:80', 'http://site.test:80'],
    ['http://site.test?A', 'http://site.test?A'],
    ['http://site.test/a?utm_x=1&B', 'http://site.test/a?utm_x=1&B'],
    ['/a', '/a'],
    ['', ''],
  ])('the prefix %s is %s', (prefix, normal) => {
    expect(createPurgeKey(resolveKey({ query: { ignore: ['utm_*'] } }))({ prefix })).toEqual({
      prefix: normal,
    })
  })

  it('is left alone where it is a tag', () => {
    const what = { tag: 'http://Site.TEST' }
    expect(createPurgeKey(resolveKey())(what)).toBe(what)
  })

  it('finds what a request was stored under, without asking for its device', () => {
    const device = (): string => {
      throw new Error('asked')
    }
    const options = resolveKey({ query: { ignore: ['a'], sort: true } })
    const purge = createPurgeKey({ ...options, device })
    const path = fc.stringMatching(/^[/?&=;abA%2.]{0,12}$/).map((text) => `/${text}`)
    fc.assert(
      fc.property(path, fc.constantFrom('Site.test', 'site.test:80', 'site.test:8080'), (path, authority) => {
        const key = createKey(options)({ scheme: 'http', authority, path, headers: [] })
        if (key.refused !== undefined) throw new Error(key.refused)
        expect(purge({ url: `http://${authority}${path}` })).toEqual({ url: key.url })
        expect(purge({ url: key.url })).toEqual({ url: key.url })
      }),
    )
  })
})

describe('a purge under a key that ignores parameters', () => {
  const request = (method: string, path: string) => ({
    method,
    scheme: 'http',
    authority: 'site.test',
    path,
    headers: [],
    body: null,
  })

  it('finds what was asked for with others of them, also after an unsafe method', async () => {
    await using cache = createCache({ key: { query: { ignore: ['utm_*'] } } })
    let fetched = 0
    const fetch = () => {
      fetched++
      return { status: 200, headers: ['Cache-Control', 'max-age=60'], body: 'x' }
    }
    const get = async (): Promise<number> => {
      const { body } = await cache.handle(request('GET', '/a?utm_x=1&b'), fetch)
      for await (const _ of toReadable(body));
      return fetched
    }
    expect([await get(), await get()]).toEqual([1, 1])
    expect(await cache.purge({ url: 'HTTP://Site.test:80/a?utm_y=2&b' })).toBe(1)
    expect(await get()).toBe(2)
    const posted = { status: 200, headers: ['Location', 'http://site.test/a?b&utm_z'], body: null }
    await cache.handle(request('POST', '/'), () => posted)
    expect(await get()).toBe(3)
  })
})
