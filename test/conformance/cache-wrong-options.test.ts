import { cache, connectCache, createCache, memoryStore } from '@sluice/cache'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'

describe('a wrong option of the cache', () => {
  const wrong: [string, object][] = [
    ['store', { store: {} }],
    ['maxSize', { maxSize: '1 tb' }],
    ['maxSize', { maxSize: 0 }],
    ['maxEntry', { maxEntry: -1 }],
    ['maxFilling', { maxFilling: 'much' }],
    ['key.query.sort', { key: { query: { sort: 1 } } }],
    ['key.headers', { key: { headers: ['a b'] } }],
    ['key.maxKey', { key: { maxKey: '1xb' } }],
    ['heuristic', { heuristic: 'yes' }],
    ['setCookie', { setCookie: 'always' }],
    ['staleWhileRevalidate', { staleWhileRevalidate: '1 hour' }],
    ['staleIfError', { staleIfError: -5 }],
    ['staleIfDisconnected', { staleIfDisconnected: true }],
    ['negative', { negative: { 99: '1s' } }],
    ['coalesce', { coalesce: 0 }],
    ['lockWait', { lockWait: '1y' }],
    ['lockAge', { lockAge: null }],
    ['storeTimeout', { storeTimeout: 'x' }],
    ['targeted', { targeted: ['a b'] }],
    ['pathGuard', { pathGuard: 'on' }],
    ['privateCookies', { privateCookies: 'a' }],
    ['maxVariants', { maxVariants: 0 }],
    ['statusName', { statusName: '1 a' }],
    ['statusKey', { statusKey: 'x' }],
    ['xCache', { xCache: 1 }],
    ['clock', { clock: 5 }],
    ['maxsize', { maxsize: 1 }],
  ]

  it.each(wrong)('is told by its path: %s', (name, cache) => {
    const upstreams = { x: 'http://127.0.0.1:9' }
    const at = name.replaceAll('.', '\\.')
    const takes = (path: string) =>
      expect.objectContaining({ name: 'TypeError', message: expect.stringMatching(new RegExp(`^${path}`)) })
    expect(() => createProxy({ upstreams, cache })).toThrow(takes(`cache\\.${at}`))
    const routes = [
      { path: '/a', upstream: 'x' },
      { upstream: 'x', cache },
    ]
    expect(() => createProxy({ upstreams, routes })).toThrow(takes(`routes\\[1\\]\\.cache\\.${at}`))
  })

  it('is told with all the others', () => {
    const make = () =>
      createProxy({
        upstreams: { x: 'http://127.0.0.1:9' },
        routes: [{ upstream: 'x', cache: { lockAge: '1y' } }],
        cache: { maxEntry: 'x', statusName: 7 },
      } as never)
    for (const line of ['cache.maxEntry: ', 'cache.statusName: ', 'routes[0].cache.lockAge: '])
      expect(make).toThrow(line)
  })

  it('is a store beside a size: one of them would have no effect', () => {
    const cache = { store: memoryStore(), maxSize: '1mb' } as const
    expect(() => createProxy({ upstreams: { x: 'http://127.0.0.1:9' }, cache })).toThrow(
      /^cache\.maxSize: got '1mb', takes nothing beside store/,
    )
  })

  it.each([
    ['a store in place of options', memoryStore(), /takes options: a store goes into \{ store \}$/],
    ['a cache that is made', createCache(), /takes options, and makes a cache of them$/],
    ['a text', 'on', /^cache: got 'on', takes true, false, or \{ store, /],
  ])('is %s', (_, cache, message) => {
    expect(() => createProxy({ upstreams: { x: 'http://127.0.0.1:9' }, cache: cache as never })).toThrow(
      message,
    )
  })
})

it.each([
  ['cache', cache],
  ['createCache', createCache],
  ['connectCache', connectCache],
])('%s tells what it got where that are no options', (_, make) => {
  for (const [wrong, message] of [
    ['x', /^cache: got 'x', takes \{ store, /],
    [null, /^cache: got null, takes \{ store, /],
    [memoryStore(), /takes options: a store goes into \{ store \}$/],
  ] as const)
    expect(() => make(wrong as never)).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringMatching(message) }),
    )
})
