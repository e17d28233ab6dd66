import { createUpstream } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { type ConsulInstance, consulServer } from '../../../test/kit/consul-server.js'
import { deadTarget } from '../../../test/kit/dead-target.js'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import { watched } from '../../../test/kit/watched.js'
import { type ConsulOptions, consulTargets } from './index.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')

async function asked(instances: ConsulInstance[], given: ConsulOptions = {}, token?: string) {
  const server = own(await consulServer('web', instances, token))
  const timers = handTimers()
  const options: ConsulOptions = { ...given, api: { url: server.url, ...given.api } }
  const source = consulTargets('web', options, { after: timers.after, random: () => 0.5 })
  return { server, timers, source, watch: own(watched(source)) }
}

it('takes over addresses, ports, weights and zones', async () => {
  const { watch } = await asked([
    { address: '10.0.0.2', port: 81, weights: { Passing: 3, Warning: 1 }, zone: 'eu-1' },
    { node: '10.0.0.1', port: 80 },
    { address: 'db.internal', port: 82, weights: null },
    { address: '::1', port: 83, weights: { Passing: 0, Warning: 0 } },
  ])
  expect(await watch.set(1)).toEqual([
    { url: 'http://10.0.0.1', weight: 1, priority: 0 },
    { url: 'http://10.0.0.2:81', weight: 3, priority: 0, zone: 'eu-1' },
    { url: 'http://[::1]:83', weight: 0.01, priority: 0 },
    { url: 'http://db.internal:82', weight: 1, priority: 0 },
  ])
})

it('waits for changes with the index of the last answer, and asks on when a wait ends without any', async () => {
  const { server, timers, watch } = await asked([{ port: 80 }])
  await watch.set(1)
  expect(Object.fromEntries((await server.query(0)).params)).toEqual({ passing: 'true' })
  await timers.fire(200)
  expect(Object.fromEntries((await server.query(1)).params)).toEqual({
    passing: 'true',
    index: '10',
    wait: '300000ms',
  })
  server.set([{ port: 80 }, { port: 81 }])
  expect(await watch.urls(2)).toEqual(['http://10.1.0.1', 'http://10.1.0.1:81'])
  await timers.fire(200)
  expect((await server.query(2)).params.get('index')).toBe('11')
  server.expire()
  await timers.fire(200)
  expect((await server.query(3)).params.get('index')).toBe('11')
  // Another service has changed, so that the index is higher, and nothing else.
  server.set([{ port: 81 }, { port: 80 }])
  await timers.fire(200)
  expect((await server.query(4)).params.get('index')).toBe('12')
  expect(watch.sets).toHaveLength(2)
})

it('begins anew when the index goes back', async () => {
  const { server, timers, watch } = await asked([{ port: 80 }])
  await timers.fire(200)
  await server.query(1)
  server.set([{ port: 81 }], 3)
  server.expire()
  expect(await watch.urls(2)).toEqual(['http://10.1.0.1:81'])
  await timers.fire(200)
  expect((await server.query(2)).params.has('index')).toBe(false)
  await timers.fire(200)
  expect((await server.query(3)).params.get('index')).toBe('3')
})

it('takes an answer without an index for a fault, since it would ask and ask', async () => {
  const { server, timers, watch } = await asked([{ port: 80 }])
  await watch.set(1)
  server.broken = (res) => res.end('[]')
  await timers.fire(200)
  await timers.next(375)
  expect(warnings).toContain(
    'discovery consul web: the answer has no X-Consul-Index above 0; the last targets stay',
  )
})

it('sends the token in a field, datacenter, tags, namespace and filter in the query', async () => {
  const { server, watch } = await asked(
    [
      { port: 80, tags: ['v1', 'eu'] },
      { port: 81, tags: ['v1'] },
    ],
    {
      datacenter: 'dc2',
      tags: ['v1', 'eu'],
      namespace: 'team',
      partition: 'part',
      filter: 'Service.Meta.env == "prod"',
      api: { token: 'the-secret' },
    },
    'the-secret',
  )
  expect(await watch.urls(1)).toEqual(['http://10.1.0.1'])
  const { params, headers } = await server.query(0)
  expect([...params]).toEqual([
    ['passing', 'true'],
    ['dc', 'dc2'],
    ['ns', 'team'],
    ['partition', 'part'],
    ['filter', 'Service.Meta.env == "prod"'],
    ['tag', 'v1'],
    ['tag', 'eu'],
  ])
  expect(headers['x-consul-token']).toBe('the-secret')
})

it('asks a function for the token each time, and shows none in what it says', async () => {
  let token = 'old-token'
  const { timers, watch } = await asked(
    [{ port: 80 }],
    { api: { token: async () => `${token}\n` } },
    'new-token',
  )
  await timers.next(375)
  expect(warnings).toEqual([
    'discovery consul web: GET /v1/health/service/web answered 403: rpc error making call: Permission denied: token lacks permission',
  ])
  token = 'new-token'
  await timers.fire(375)
  await watch.set(1)
  expect(warnings.join()).not.toContain('token\n')
})

it.each<[string, () => string | Promise<string>, string]>([
  ['throws what has no text', () => Promise.reject(Object.create(null)), 'an error that can not be shown'],
  [
    'throws',
    () => {
      throw new Error('no such file')
    },
    'no such file',
  ],
  ['gives none', () => '', 'the token is no text without blanks'],
  ['gives something else', () => 7 as never, 'the token is no text without blanks'],
  ['never settles', () => new Promise(() => {}), 'no token within 10000 ms'],
])('takes a function for a token that %s for a failure', async (_what, token, says) => {
  const { server, timers } = await asked([{ port: 80 }], { api: { token } })
  if (says.startsWith('no token')) await timers.fire(10_000)
  await timers.next(375)
  expect(warnings).toEqual([`discovery consul web: ${says}`])
  expect(server.queries).toEqual([])
})

describe('health', () => {
  const instances: ConsulInstance[] = [
    { port: 80, weights: { Passing: 10, Warning: 2 } },
    { port: 81, weights: { Passing: 10, Warning: 2 }, status: 'warning' },
    { port: 82, weights: { Passing: 10, Warning: 2 }, status: 'critical' },
  ]
  it.each([
    ['passing', [10]],
    ['warning', [10, 2]],
    ['any', [10, 2, 10]],
  ] as const)('%s', async (health, weights) => {
    const { watch } = await asked(instances, { health })
    expect((await watch.set(1)).map((target) => (target as { weight: number }).weight)).toEqual(weights)
  })
})

it('leaves out what is no address, and says so once', async () => {
  const { server, timers, watch } = await asked([
    { address: 'user@10.0.0.1', port: 80 },
    { address: '10.0.0.1/x?', port: 80 },
    { port: 0 },
    { port: 80 },
  ])
  expect(await watch.urls(1)).toEqual(['http://10.1.0.1'])
  await timers.fire(200)
  await server.query(1)
  server.expire()
  await timers.next(200)
  expect(warnings).toEqual([
    'discovery consul web: left out: "user@10.0.0.1" with port 80 is no address; "10.0.0.1/x?" with port 80 is no address; "10.1.0.1" with port 0 is no address',
  ])
})

it('leaves out entries without a service or an address, and takes the others', async () => {
  const server = own(await consulServer('web', []))
  const entries = [
    null,
    {},
    { Service: null, Node: null },
    { Service: { Port: 80 }, Node: {} },
    { Service: { Port: 80, Address: null }, Node: { Address: null } },
    { Service: { Port: 81, Address: '10.0.0.1' } },
  ]
  server.broken = (res) => res.writeHead(200, { 'X-Consul-Index': '7' }).end(JSON.stringify(entries))
  const watch = own(watched(consulTargets('web', { api: { url: server.url } })))
  expect(await watch.urls(1)).toEqual(['http://10.0.0.1:81'])
  await until(() => warnings.length === 1, 'a warning')
  expect(warnings[0]).toContain('"" with port 80 is no address')
})

describe('a failure', () => {
  it.each<[string, (res: import('node:http').ServerResponse) => void, string]>([
    ['500', (res) => res.writeHead(500).end('No cluster\nleader'), 'answered 500: No cluster leader'],
    ['a redirect', (res) => res.writeHead(302, { Location: '/' }).end(), 'answered 302'],
    ['no JSON', (res) => res.end('<html>'), 'JSON'],
    ['other JSON', (res) => res.end('{}'), 'the answer is no list of services'],
    ['half an answer', (res) => void res.writeHead(200, { 'Content-Length': '9' }).end('[').destroy(), ''],
    ['a reset', (res) => void res.socket?.resetAndDestroy(), 'ECONNRESET'],
    [
      'another protocol',
      (res) => void res.socket?.end('HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
      'ended',
    ],
  ])('keeps the last targets and is told once: %s', async (_what, broken, says) => {
    const { server, timers, watch } = await asked([{ port: 80 }])
    await watch.set(1)
    server.broken = broken
    await timers.fire(200)
    await timers.fire(375)
    await timers.fire(750)
    await timers.next(1_500)
    expect(watch.sets).toHaveLength(1)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain(says)
    expect(warnings[0]).toMatch(/; the last targets stay$/)
    server.broken = undefined
    server.set([{ port: 81 }])
    await timers.fire(1_500)
    // From the beginning: what was missed meanwhile is in the first answer.
    expect(await watch.urls(2)).toEqual(['http://10.1.0.1:81'])
  })

  it('of another kind is told as well, each kind once until it works again', async () => {
    const { server, timers, watch } = await asked([{ port: 80 }])
    await watch.set(1)
    const answers = [500, 403, 500, 403, 502]
    let n = 0
    server.broken = (res) => res.writeHead(answers[n] as number).end(`request ${n++} failed`)
    await timers.fire(200)
    for (const wait of [375, 750, 1_500, 3_000]) await timers.fire(wait)
    await timers.next(6_000)
    expect(warnings).toEqual(
      ['500: request 0', '403: request 1', '502: request 4'].map(
        (says) =>
          `discovery consul web: GET /v1/health/service/web answered ${says} failed; the last targets stay`,
      ),
    )
    server.broken = undefined
    await timers.fire(6_000)
    n = 0
    await timers.next(200)
    server.broken = (res) => res.writeHead(500).end('request 9 failed')
    await timers.fire(200)
    await timers.next(375)
    expect(warnings).toHaveLength(4)
  })

  it('of an agent that isn’t there', async () => {
    const dead = own(await deadTarget())
    const timers = handTimers()
    const seams = { after: timers.after, random: () => 0.5 }
    own(watched(consulTargets('web', { api: { url: dead.url } }, seams)))
    await timers.next(375)
    expect(warnings[0]).toContain('ECONNREFUSED')
  })

  it('of one that takes longer than the wait and what is added to it', async () => {
    const { server, timers, watch } = await asked([{ port: 80 }], { wait: '16s', api: { timeout: '3s' } })
    await watch.set(1)
    await timers.fire(200)
    const query = await server.query(1)
    await timers.fire(20_000)
    await timers.next(375)
    expect(warnings[0]).toContain('no answer within 20000 ms')
    await until(() => !query.open, 'the question to be given up')
  })
})

it.each([
  ['keep', 1],
  ['apply', 2],
] as const)('an empty set: %s', async (empty, sets) => {
  const { server, timers, watch } = await asked([{ port: 80 }], { empty })
  await timers.fire(200)
  await server.query(1)
  server.set([])
  await timers.next(200)
  expect(watch.sets).toHaveLength(sets)
  expect(warnings).toHaveLength(1)
  await timers.fire(200)
  await server.query(2)
  server.set([{ port: 80 }])
  await timers.next(200)
  expect(watch.sets).toHaveLength(empty === 'keep' ? 1 : 3)
})

it('leaves targets that stay as they are: health, statistics, leases', async () => {
  const server = own(await consulServer('web', [{ port: 80 }, { port: 81 }]))
  const upstream = createUpstream({
    name: 'x',
    targets: consulTargets('web', { api: { url: server.url }, pause: 1 }),
  })
  own(upstream)
  expect(upstream.available).toEqual([])
  await until(() => upstream.all.length === 2, 'targets')
  const [kept, gone] = upstream.all
  const lease = upstream.lease(kept as never)
  upstream.lease(kept as never).release({ ok: true, ttfb: 50 })
  upstream.mark(kept as never, 'healthy', 'test')
  server.set([{ port: 80, weights: { Passing: 7, Warning: 1 } }, { port: 82 }])
  await until(() => upstream.all[1] !== gone, 'the new set')
  expect(upstream.all[0]).toBe(kept)
  expect([kept?.state, kept?.ewma, kept?.inFlight, kept?.weight]).toEqual(['healthy', 50, 1, 7])
  lease.release()
  expect(kept?.inFlight).toBe(0)
})

it('stops at once when disposed: a question is given up, nothing waits', async () => {
  const { server, timers, watch } = await asked([{ port: 80 }])
  await timers.fire(200)
  await server.query(1)
  watch.close()
  expect(timers.waits).toEqual([])
  await until(() => server.sockets === 0, 'the connection to end')
  expect([timers.waits, watch.sets.length, warnings]).toEqual([[], 1, []])
})

it('stops at once when disposed while it waits for a token', async () => {
  const { timers, watch } = await asked([], { api: { token: () => new Promise(() => {}) } })
  await timers.next(10_000)
  watch.close()
  expect(timers.waits).toEqual([])
})

it.each<[unknown, unknown, string]>([
  ['', {}, "consulTargets: got '', takes a name such as 'web'"],
  ['a', { api: { url: 'consul:8500' } }, 'consulTargets.api.url: got "consul:8500"'],
  ['a', { api: { url: 'http://a:1?token=b' } }, 'consulTargets.api.url'],
  ['a', { api: { url: 'https://a', tls: { ca: 7 } } }, 'consulTargets.api.tls.ca'],
  ['a', { api: { token: 'a b' } }, 'consulTargets.api.token: got a text, takes a token without blanks'],
  ['a', { wait: '11m' }, 'consulTargets.wait: got '],
  ['a', { health: 'good' }, 'consulTargets.health'],
  ['a', { tags: 'v1' }, 'consulTargets.tags'],
  ['a', { pause: 0 }, 'consulTargets.pause'],
  ['a', { datacentre: 'x' }, 'consulTargets.datacentre: unknown option, did you mean datacenter?'],
])('refuses %j with %j', (name, options, says) => {
  expect(() => consulTargets(name as never, options as never)).toThrow(says)
})
