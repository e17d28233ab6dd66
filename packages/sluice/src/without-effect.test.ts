import { expect, it } from 'vitest'
import { createProxy, type ProxyOptions } from './index.js'

const site = 'http://127.0.0.1:1'

/** What is said of options that no type would let by. */
function said(options: object): string[] {
  try {
    void createProxy({ upstreams: { site }, ...options } as ProxyOptions).close()
  } catch (error) {
    if (error instanceof TypeError) return error.message.split('\n')
    throw error
  }
  return []
}

it('refuses to strip what no path of a route begins with', () => {
  const strip = (path: string | undefined, strip: string, more: object = {}): string[] =>
    said({
      routes: [{ upstream: 'site', ...(path === undefined ? {} : { path }), rewrite: { strip }, ...more }],
    })
  expect(strip('/api', '/app')).toEqual([
    'routes[0].rewrite.strip: got "/app" with path "/api", takes what paths of the route begin with',
  ])
  expect(strip('/users/:id', '/users/:id')).toEqual([
    expect.stringMatching(
      /^routes\[0\]\.rewrite\.strip: got '\/users\/:id', takes a path without parameters/,
    ),
  ])
  expect(strip('/api', '/api/v1')).toEqual([])
  expect(strip(undefined, '/api')).toEqual([])
  expect(strip('/api', '/app', { use: [(next: unknown) => next] })).toEqual([])
  expect(said({ routes: [{ upstream: 'site', path: '/a', rewrite: { strip: '/x' }, use: null }] })).toEqual([
    expect.stringMatching(/^routes\[0\]\.use: got null/),
    expect.stringMatching(/^routes\[0\]\.rewrite\.strip: got "\/x"/),
  ])
})
