import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { createRouter, type RouteMatch, route } from './index.js'

function finder(...matches: RouteMatch[]) {
  const find = createRouter(matches.map((match, value) => ({ match, value })))
  return (target: string, { method = 'GET', authority = 'host', headers = [] as string[] } = {}) =>
    find({ method, authority, path: target, headers })
}

describe('paths', () => {
  const find = finder(
    { path: '/api' },
    { path: '=/api/exact' },
    { path: '/users/:id' },
    { path: '/users/me' },
    { path: '/' },
  )
  it.each([
    ['/api', 0],
    ['/api/', 0],
    ['/api/x/y?z', 0],
    ['/api?x', 0],
    ['/apis', 4],
    ['/%61pi', 0],
    ['/api%2Fx', 4],
    ['/api/exact', 1],
    ['/api/exact/', 0],
    ['/users/7', 2],
    ['/users/me', 3],
    ['/users/me/x', 3],
    ['/users/', 4],
    ['//api', 4],
    ['*', 4],
  ])('%s goes to %d', (path, value) => {
    expect(find(path)?.value).toBe(value)
  })

  it('gives the parameters as they came', () => {
    expect(find('/users/a%20b/posts')?.params).toEqual({ id: 'a%20b' })
    expect(find('/users/%61%24%2f?b')?.params).toEqual({ id: '%61%24%2f' })
    expect(find('/api')?.params).toEqual({})
  })

  it('finds none where none takes it', () => {
    expect(finder({ path: '=/' })('/x')).toBeUndefined()
    expect(finder({ path: '=/' })('/')?.value).toBe(0)
  })
})

it('goes by host: exact, the longer wildcard, the shorter, any', () => {
  const find = finder(
    { host: 'a.example.com' },
    { host: '*.sub.example.com' },
    { host: ['*.example.com', 'other.org'] },
    {},
  )
  const to = (authority: string): number | undefined => find('/', { authority })?.value
  expect([to('a.example.com.'), to('a.example.com.:80'), to('other.org.')]).toEqual([0, 0, 2])
  expect([to('A.Example.com:8080'), to('x.sub.example.com'), to('sub.example.com')]).toEqual([0, 1, 2])
  expect([to('x.y.example.com'), to('example.com'), to('other.org'), to(''), to('[::1]:1')]).toEqual([
    2, 3, 2, 3, 3,
  ])
  const labels = 'a.'.repeat(8_000)
  expect([to(`${labels}sub.example.com`), to(`${labels}example.com`), to(`${labels}x`), to('.')]).toEqual([
    1, 2, 3, 3,
  ])
})

it('goes on to the next best where method or headers do not fit', () => {
  const find = finder(
    { path: '/x', method: ['PUT', 'POST'] },
    { path: '/x', headers: { 'X-Beta': '1' } },
    { path: '/x', headers: { accept: /json/g, 'x-beta': '1' } },
    { path: '/' },
  )
  expect(find('/x/y', { method: 'POST' })?.value).toBe(0)
  expect(find('/x', { headers: ['x-beta', '1'] })?.value).toBe(1)
  for (let i = 0; i < 2; i++) {
    expect(
      find('/x', { headers: ['Accept', 'text/html', 'ACCEPT', 'application/json', 'X-BETA', '1'] })?.value,
    ).toBe(2)
  }
  expect(find('/x', { headers: ['x-beta', '2'] })?.value).toBe(3)
})

it('keeps the most specific whatever the order of declaration', () => {
  const matches: RouteMatch[] = [
    { path: '/' },
    { path: '/a' },
    { path: '/a/b' },
    { path: '/a/:x' },
    { path: '=/a/b' },
  ]
  fc.assert(
    fc.property(fc.shuffledSubarray(matches, { minLength: matches.length }), (shuffled) => {
      const find = finder(...shuffled)
      const to = (path: string): RouteMatch | undefined => shuffled[find(path)?.value as number]
      expect([to('/a/b'), to('/a/b/c'), to('/a/z'), to('/a'), to('/z')].map((match) => match?.path)).toEqual([
        '=/a/b',
        '/a/b',
        '/a/:x',
        '/a',
        '/',
      ])
    }),
  )
})

it('takes any input', () => {
  const find = finder({ path: '/a/:b/c', host: '*.x' }, { headers: { a: /(a+)+$/ } })
  fc.assert(
    fc.property(fc.string(), fc.string(), (path, authority) => {
      find(path, { authority })
      find(`/${path}`, { authority })
    }),
  )
})

it('refuses twins and wrong rules, naming them', () => {
  expect(() => finder({ path: '/x' }, {}, { path: '/x/' })).toThrow(
    'routes[2]: takes just the requests of routes[0]',
  )
  expect(() => finder({}, { host: ['a.test', 'b.test', 'A.test'] })).toThrow(
    'routes[1].host: got the same host twice, takes each one once',
  )
  const handler = () => ({ status: 200, headers: [], body: null })
  expect(() => route([{ path: 'x', handler }])).toThrow("routes[0].path: got 'x'")
  expect(() => route([{ method: 'get', handler }])).toThrow("routes[0].method: got 'get'")
  expect(() => route([{ method: '*', handler }])).toThrow("routes[0].method: got '*'")
  expect(() => route([{ headers: { 'x y': '1' }, handler }])).toThrow('routes[0].headers')
  expect(() => route([{ host: 'a b', handler }])).toThrow('routes[0].host')
  expect(() => route([{ path: '/x', handler: 5 as never }])).toThrow('routes[0].handler')
  expect(() => route([{ paht: '/x', handler } as never])).toThrow('did you mean path?')
})

it('looks at each of many routes of one path once, however many there are', () => {
  const stringify = vi.spyOn(JSON, 'stringify')
  const find = finder(...Array.from({ length: 50 }, (_, i) => ({ path: '/x', headers: { tenant: `t${i}` } })))
  expect(stringify.mock.calls.length).toBeLessThanOrEqual(50)
  stringify.mockRestore()
  expect([0, 49].map((i) => find('/x', { headers: ['tenant', `t${i}`] })?.value)).toEqual([0, 49])
})

it.each([
  '/x/*',
  '/x/**',
  '/x/(.*)',
  '/x/{**rest}',
  '/x/*.js',
  '=/x/*',
  '/x/:rest*',
  '/x/:id.json',
  '/x/:id(\\d+)',
  '/x/:a-b',
])('refuses %s, which others read as a pattern', (path) => {
  const handler = () => ({ status: 200, headers: [], body: null })
  expect(() => route([{ path, handler }])).toThrow(
    `routes[0].path: got '${path.replace('\\', '\\\\')}', takes a path without patterns: '/x' already takes all below it`,
  )
})

it.each(['/x', '=/x', '/x/:id_2', '/x/:userId/posts', "/odata/Products(1)/Name('a')", '/x/%2A', '/a:b'])(
  'takes the path %s',
  (path) => {
    route([{ path, handler: () => ({ status: 200, headers: [], body: null }) }])
  },
)

it('hands the request to its handler, and what nobody takes to the rest of the chain', async () => {
  const answer = (text: string) => () => ({ status: 200, headers: [], body: text })
  const layer = route([{ path: '/a', handler: answer('a') }])(answer('rest'))
  const ctx = (path: string) =>
    ({ authority: 'h', out: { method: 'GET', path, headers: [], body: null } }) as never
  expect([(await layer(ctx('/a/b'))).body, (await layer(ctx('/b'))).body]).toEqual(['a', 'rest'])
})
