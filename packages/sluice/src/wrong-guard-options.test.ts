import { expect, it } from 'vitest'
import { createProxy, type ProxyOptions } from './index.js'

/** What is said of options that no type would let by. */
function said(options: object): string[] {
  try {
    void createProxy({ upstreams: { site: 'http://127.0.0.1:1' }, ...options } as ProxyOptions).close()
  } catch (error) {
    if (error instanceof TypeError) return error.message.split('\n')
    throw error
  }
  return []
}

it('says once what a part of the guard takes', () => {
  expect(said({ guard: { shed: 'on', validate: 1, anonymity: 'yes' } })).toEqual([
    expect.stringMatching(/^guard\.validate: got 1, takes true, false, or \{/),
    "guard.shed: got 'on', takes true, false, or { delay, inFlight, priority, retryAfter }",
    "guard.anonymity: got 'yes', takes true, false, or { fields, origins, bodies, errors, client }",
  ])
})

it('names all forms that an option of anonymity has', () => {
  expect(said({ guard: { anonymity: { fields: 'all', errors: 'yes', client: 'hash' } } })).toEqual([
    "guard.anonymity.fields: got 'all', takes 'known', { allow }, or { keep, remove }",
    "guard.anonymity.errors: got 'yes', takes true, false, or a list of statuses",
    "guard.anonymity.client: got a text, takes 'pass', 'remove', or { hash }",
  ])
})

it('refuses what would have no effect', () => {
  expect(said({ guard: { server: false, slow: { minRate: 5 } } })).toEqual([
    'guard.slow: got options beside server: false, takes them with server alone: it is the server that cuts slow clients',
  ])
  expect(said({ guard: { server: false, slow: false } })).toEqual([])
  expect(said({ routes: [{ upstream: 'site', access: { requestId: true } }] })).toEqual([
    'routes[0].access.requestId: got it for a route, takes a place in access: ids are made before routes are known',
  ])
})

it('refuses credentials of a route that shut out everybody whom the site lets in', () => {
  const jwt = { jwks: 'https://id.example/keys', issuer: 'https://id.example', audience: 'api' }
  const basic = { users: { ops: 'a password' } }
  const of = (site: object, route: object): string[] =>
    said({ access: site, routes: [{ upstream: 'site', access: route }] })
  expect(of({ basic }, { jwt })).toEqual([
    'routes[0].access.jwt: got it with access.basic, takes one of them: both read Authorization, so nobody would be let in',
  ])
  expect(of({ jwt }, { basic })).toEqual([
    'routes[0].access.basic: got it with access.jwt, takes one of them: both read Authorization, so nobody would be let in',
  ])
  expect(of({ basic }, { basic })).toEqual([])
})

it('calls what gives a list of addresses once, and names what is wrong beside it', async () => {
  let calls = 0
  const load = (): string[] => {
    calls++
    return ['10.0.0.0/8']
  }
  const proxy = createProxy({ upstreams: { site: 'http://127.0.0.1:1' }, guard: { ip: { deny: { load } } } })
  await proxy.close()
  expect(calls).toBe(1)
  expect(said({ guard: { ip: { deny: { load }, allow: ['10.0.0.1/8'] } } })).toEqual([
    "guard.ip.allow[0]: got '10.0.0.1/8', takes bits behind the prefix that are 0: '10.0.0.0/8'",
  ])
  expect(said({ guard: { ip: { deny: { load: () => ['x'] } } } })).toEqual([
    expect.stringMatching(/^guard\.ip\.deny\.load\(\)\[0\]: got 'x'/),
  ])
})
