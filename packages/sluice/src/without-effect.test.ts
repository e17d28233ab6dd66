import { expect, it } from 'vitest'
import { x509SelfSigned } from '../../../test/kit/x509.js'
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
  // What is wrong by itself is told once.
  expect(strip('/api', 'api')).toEqual([
    expect.stringMatching(/^routes\[0\]\.rewrite\.strip: got 'api', takes a path such as/),
  ])
  for (const path of ['api', '/api/*', '/:a?'])
    expect(strip(path, '/app')).toEqual([expect.stringMatching(/^routes\[0\]\.path: /)])
  expect(strip('/api', '/api/v1')).toEqual([])
  expect(strip(undefined, '/api')).toEqual([])
  expect(strip('/api', '/app', { use: [(next: unknown) => next] })).toEqual([])
  expect(said({ routes: [{ upstream: 'site', path: '/a', rewrite: { strip: '/x' }, use: null }] })).toEqual([
    expect.stringMatching(/^routes\[0\]\.use: got null/),
    expect.stringMatching(/^routes\[0\]\.rewrite\.strip: got "\/x"/),
  ])
})

it('refuses to require certificates that it never asks for', async () => {
  const { cert, key } = await x509SelfSigned()
  const of = (tls: object | undefined, more: object = {}): string[] =>
    said({
      routes: [{ upstream: 'site' }, { upstream: 'site', path: '/a', clientCertificate: 'required' }],
      ...(tls === undefined ? {} : { tls }),
      ...more,
    })
  const fault =
    "routes[1].clientCertificate: got 'required' without tls.client, takes it with 'optional' there: clients are asked for none"
  expect(of({ cert, key })).toEqual([fault])
  expect(of({ cert, key, client: 'none' }, { clientCertificate: { required: true } })).toEqual([
    "clientCertificate.required: got true without tls.client, takes it with 'optional' there: clients are asked for none",
    fault,
  ])
  expect(of({ cert, key, client: 'optional', ca: cert })).toEqual([])
  expect(of({ cert, key }, { clientCertificate: { trust: ['10.0.0.0/8'] } })).toEqual([])
  // Whose server it is mounted in asks.
  expect(of(undefined)).toEqual([])
})

it('refuses options behind a URL, and not what map() hands over', async () => {
  const make = createProxy as (...given: unknown[]) => ReturnType<typeof createProxy>
  for (const given of [
    [site, { guard: { bodyLimit: '1mb' } }],
    [[site], {}],
    [{ upstreams: { site } }, {}],
    [site, site],
  ])
    expect(() => make(...given)).toThrow(
      new TypeError(
        'createProxy: got a second argument, takes one: a URL, a list of URLs, or { upstreams: { site: targets }, ...options }',
      ),
    )
  for (const proxy of [...[site].map(createProxy), make(site, undefined)]) await proxy.close()
})
