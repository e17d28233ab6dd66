import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createUpstream } from '@sluice/upstream'
import { describe, expect, it, vi } from 'vitest'
import { testAuthority } from '../../../test/kit/authority.js'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { type KubernetesSlice, kubernetesServer } from '../../../test/kit/kubernetes-server.js'
import { owner } from '../../../test/kit/owner.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import { watched } from '../../../test/kit/watched.js'
import { type KubernetesOptions, kubernetesTargets } from './index.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')
const authority = testAuthority()

const slice = (name: string, ...addresses: string[]): KubernetesSlice => ({
  name,
  endpoints: addresses.map((address) => ({ address, ready: true })),
})

/** Waits of these tests: until a watch is begun anew, and after the first failures. */
const anew = 500
const [first, second, third] = [375, 750, 1_500] as const

async function asked(slices: KubernetesSlice[], given: Partial<KubernetesOptions> = {}) {
  const server = own(await kubernetesServer('web', { slices }))
  const timers = handTimers()
  const clock = { now: 0 }
  const api = { url: server.url, ...given.api }
  const options = { service: 'web', namespace: 'default', pause: 1, ...given, api }
  // Between two sets there is no more than a turn, unless a test is about that.
  const after: typeof timers.after = (ms, fn) => {
    if (ms !== 1) return timers.after(ms, fn)
    const turn = setImmediate(fn)
    return () => clearImmediate(turn)
  }
  const seams = { after, random: () => 0.5, now: () => clock.now }
  const source = kubernetesTargets(options, seams)
  return { server, timers, clock, watch: own(watched(source)) }
}

it('lists, then watches from the version of the list', async () => {
  const { server, watch } = await asked([slice('web-a', '10.0.0.2'), slice('web-b', '10.0.0.1')])
  expect(await watch.set(1)).toEqual([
    { url: 'http://10.0.0.1:8080', weight: 1, priority: 0 },
    { url: 'http://10.0.0.2:8080', weight: 1, priority: 0 },
  ])
  const list = await server.query(0)
  expect(list.path).toBe('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices')
  expect(Object.fromEntries(list.params)).toEqual({
    labelSelector: 'kubernetes.io/service-name=web',
    limit: '100',
  })
  expect(Object.fromEntries((await server.watch(0)).params)).toEqual({
    labelSelector: 'kubernetes.io/service-name=web',
    watch: '1',
    allowWatchBookmarks: 'true',
    resourceVersion: '100',
    timeoutSeconds: '450',
  })
})

it('follows slices that are added, changed and removed', async () => {
  const { server, watch } = await asked([slice('web-a', '10.0.0.1')])
  await server.watch(0)
  server.put(slice('web-b', '10.0.0.2'))
  expect(await watch.urls(2)).toEqual(['http://10.0.0.1:8080', 'http://10.0.0.2:8080'])
  server.put(slice('web-a', '10.0.0.3'))
  expect(await watch.urls(3)).toEqual(['http://10.0.0.2:8080', 'http://10.0.0.3:8080'])
  server.remove('web-b')
  expect(await watch.urls(4)).toEqual(['http://10.0.0.3:8080'])
})

it('counts an endpoint once that is in two slices', async () => {
  const { watch } = await asked([slice('web-a', '10.0.0.1'), slice('web-b', '10.0.0.1', '10.0.0.2')])
  expect((await watch.set(1)).map((target) => (target as { weight: number }).weight)).toEqual([1, 1])
})

it('takes zones, and reads events that come in pieces', async () => {
  const { server, watch } = await asked([
    { name: 'web-a', endpoints: [{ address: '10.0.0.1', zone: 'eu-1a' }], ports: [{ port: 80 }] },
  ])
  expect(await watch.set(1)).toEqual([{ url: 'http://10.0.0.1', weight: 1, priority: 0, zone: 'eu-1a' }])
  const { res } = await server.watch(0)
  const object = {
    metadata: { name: 'web-ü', resourceVersion: '7' },
    addressType: 'IPv4',
    ports: [{ port: 80 }],
  }
  const added = { ...object, endpoints: [{ addresses: ['10.0.0.2'], zone: 'zürich' }] }
  const line = Buffer.from(`${JSON.stringify({ type: 'ADDED', object: added })}\n`)
  // Each byte for itself: no character and no event may be taken for whole too early.
  for (const byte of line) {
    res.write(Uint8Array.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect((await watch.set(2))[1]).toEqual({ url: 'http://10.0.0.2', weight: 1, priority: 0, zone: 'zürich' })
})

it('reads a list in pages', async () => {
  const server = own(
    await kubernetesServer('web', { slices: ['1', '2', '3'].map((n) => slice(n, `10.0.0.${n}`)) }),
  )
  server.pageSize = 1
  const watch = own(
    watched(kubernetesTargets({ service: 'web', namespace: 'default', api: { url: server.url } })),
  )
  expect(await watch.set(1)).toHaveLength(3)
})

it('reads the list of a service of tens of thousands, whose slices are as long as they get', async () => {
  const zone = 'z'.repeat(80_000)
  const slices = Array.from({ length: 250 }, (_, n) => ({
    name: `web-${n}`,
    endpoints: [{ address: `10.0.0.${n}`, ready: true, zone }],
  }))
  const { watch } = await asked(slices)
  expect(await watch.set(1)).toHaveLength(250)
  expect(warnings).toEqual([])
})

describe('endpoints', () => {
  it.each<[string, KubernetesSlice['endpoints'], string[]]>([
    [
      'are used when ready',
      [
        { address: '10.0.0.1', ready: true },
        { address: '10.0.0.2', ready: false },
      ],
      ['10.0.0.1'],
    ],
    [
      'are ready when nothing is said',
      [{ address: '10.0.0.1' }, { address: '10.0.0.2', ready: null }],
      ['10.0.0.1', '10.0.0.2'],
    ],
    [
      'that end are not used while others are ready',
      [
        { address: '10.0.0.1', ready: false, serving: true, terminating: true },
        { address: '10.0.0.2', ready: true, serving: true, terminating: false },
      ],
      ['10.0.0.2'],
    ],
    [
      'that end and still serve are used when no other is left',
      [
        { address: '10.0.0.1', ready: false, serving: true, terminating: true },
        { address: '10.0.0.2', ready: false, serving: false, terminating: true },
        { address: '10.0.0.3', ready: false, serving: false, terminating: false },
      ],
      ['10.0.0.1'],
    ],
  ])('%s', async (_what, endpoints, addresses) => {
    const { watch } = await asked([
      { name: 'web-a', endpoints },
      { name: 'web-b', endpoints: null },
    ])
    expect(await watch.urls(1)).toEqual(addresses.map((each) => `http://${each}:8080`))
  })

  it('of a dual-stack service are those of IPv4, unless others are wanted', async () => {
    const slices = [slice('web-4', '10.0.0.1'), { ...slice('web-6', '2001:db8::1'), addressType: 'IPv6' }]
    expect(await (await asked(slices)).watch.urls(1)).toEqual(['http://10.0.0.1:8080'])
    const { watch } = await asked(slices, { addressType: 'IPv6' })
    expect(await watch.urls(1)).toEqual(['http://[2001:db8::1]:8080'])
    const only = await asked(slices.slice(1))
    expect(await only.watch.urls(1)).toEqual(['http://[2001:db8::1]:8080'])
  })

  it('that are no address are left out, and it is said', async () => {
    const { watch } = await asked([slice('web-a', '10.0.0.1', '10.0.0.2/x', '')])
    expect(await watch.urls(1)).toEqual(['http://10.0.0.1:8080'])
    await until(() => warnings.length === 1, 'a warning')
    expect(warnings[0]).toContain('left out: "10.0.0.2/x" with port 8080 is no address')
  })
})

describe('the port', () => {
  const ports = [
    { name: 'web', port: 8080, appProtocol: 'https' },
    { name: 'metrics', port: 9090 },
    { name: 'dns', port: 53, protocol: 'UDP' },
  ]
  it.each<[string | number, string]>([
    ['web', 'https://10.0.0.1:8080/base'],
    ['metrics', 'http://10.0.0.1:9090/base'],
    [9090, 'http://10.0.0.1:9090/base'],
  ])('%j', async (port, url) => {
    const { watch } = await asked([{ ...slice('web-a', '10.0.0.1'), ports }], { port, path: '/base' })
    expect(await watch.urls(1)).toEqual([url])
  })

  it.each<[string | number | undefined]>([[undefined], [8080], ['tls']])(
    '%j is one, where two of the Service lead to the same of the pods',
    async (port) => {
      const same = [
        { name: 'web', port: 8080 },
        { name: 'tls', port: 8080 },
      ]
      const { watch } = await asked(
        [{ ...slice('web-a', '10.0.0.1'), ports: same }],
        port === undefined ? {} : { port },
      )
      expect(await watch.urls(1)).toEqual(['http://10.0.0.1:8080'])
      expect(warnings).toEqual([])
    },
  )

  it('is not known where two are spoken to in different ways', async () => {
    const mixed = [
      { name: 'web', port: 8080 },
      { name: 'tls', port: 8080, appProtocol: 'https' },
    ]
    const { watch } = await asked([{ ...slice('web-a', '10.0.0.1'), ports: mixed }], { port: 8080 })
    await until(() => warnings.length === 2, 'warnings')
    expect(warnings[0]).toContain('web-a has the ports web:8080, tls:8080: say by the name in `port` which')
    const given = await asked([{ ...slice('web-a', '10.0.0.1'), ports: mixed }], {
      port: 8080,
      scheme: 'https',
    })
    expect(await given.watch.urls(1)).toEqual(['https://10.0.0.1:8080'])
    expect(watch.sets).toEqual([])
  })

  it.each<[string | number | undefined, string]>([
    [undefined, 'left out: web-a has the ports web:8080, metrics:9090: say by the name in `port` which'],
    ['dns', 'left out: web-a has no port dns, but web:8080, metrics:9090'],
    [80, 'left out: web-a has no port 80, but web:8080, metrics:9090'],
  ])('%j is none: said, and taken for an empty set', async (port, says) => {
    const { watch } = await asked(
      [{ ...slice('web-a', '10.0.0.1'), ports }],
      port === undefined ? {} : { port },
    )
    await until(() => warnings.length === 2, 'warnings')
    expect(warnings).toEqual([
      `discovery kubernetes default/web: ${says}`,
      'discovery kubernetes default/web: no targets, the last ones stay',
    ])
    expect(watch.sets).toEqual([])
  })

  it('may be encrypted by the port’s own word, with the settings for it', async () => {
    const tls = { servername: 'web.test' }
    const { watch } = await asked([{ ...slice('web-a', '10.0.0.1'), ports }], { port: 'web', tls })
    expect(await watch.set(1)).toEqual([{ url: 'https://10.0.0.1:8080', weight: 1, priority: 0, tls }])
  })
})

describe('a roll-out', () => {
  it('is told at once, then in steps with a pause between them, and to its end', async () => {
    const { server, timers, clock, watch } = await asked([slice('web-a', '10.0.0.1')], { pause: '200ms' })
    await watch.set(1)
    await server.watch(0)
    await until(() => timers.waits.length === 1, 'the head')
    clock.now += 1_000
    server.put(slice('web-a', '10.0.0.2'))
    expect(await watch.urls(2)).toEqual(['http://10.0.0.2:8080'])
    clock.now += 50
    for (const n of [3, 4, 5]) {
      server.put(slice('web-a', `10.0.0.${n}`))
      await timers.next(150)
    }
    // It comes whatever becomes of the watch meanwhile.
    server.endWatches()
    await timers.next(anew)
    clock.now += 150
    await timers.fire(150)
    expect(await watch.urls(3)).toEqual(['http://10.0.0.5:8080'])
    expect([timers.waits, watch.sets.length]).toEqual([[anew], 3])
  })

  it('is not told once disposed', async () => {
    const { server, timers, watch } = await asked([slice('web-a', '10.0.0.1')], { pause: '200ms' })
    await server.watch(0)
    server.put(slice('web-a', '10.0.0.2'))
    await timers.next(200)
    watch.close()
    expect([timers.waits, watch.sets.length]).toEqual([[], 1])
  })

  it('is over when all is listed anew', async () => {
    const { server, timers, watch } = await asked([slice('web-a', '10.0.0.1')], { pause: '200ms' })
    const { res } = await server.watch(0)
    server.put(slice('web-a', '10.0.0.2'))
    await timers.next(200)
    res.write('x\n')
    await timers.fire(first)
    expect(await watch.urls(2)).toEqual(['http://10.0.0.2:8080'])
    await server.watch(1)
    expect(timers.waits).not.toContain(200)
  })
})

describe('a watch that ends', () => {
  it('is begun anew from the last event, or the last bookmark', async () => {
    const { server, timers, clock, watch } = await asked([slice('web-a', '10.0.0.1')])
    await server.watch(0)
    server.put(slice('web-b', '10.0.0.2'))
    await watch.set(2)
    server.endWatches()
    await timers.fire(anew)
    expect((await server.watch(1)).params.get('resourceVersion')).toBe('101')
    server.bookmark()
    server.endWatches()
    await timers.fire(anew)
    expect((await server.watch(2)).params.get('resourceVersion')).toBe('102')
    // In silence, but after a time.
    await until(() => timers.waits.length === 1, 'the head')
    clock.now += 60_000
    server.endWatches()
    await timers.fire(anew)
    expect((await server.watch(3)).params.get('resourceVersion')).toBe('102')
    expect([server.queries.length, watch.sets.length, warnings]).toEqual([5, 2, []])
  })

  it('misses nothing: changes from before the next watch come with it', async () => {
    const { server, timers, watch } = await asked([slice('web-a', '10.0.0.1')])
    await server.watch(0)
    server.bookmark()
    server.endWatches()
    await timers.next(anew)
    server.put(slice('web-b', '10.0.0.2'))
    await timers.fire(anew)
    expect(await watch.set(2)).toHaveLength(2)
  })

  it('by a connection that breaks is begun anew, too', async () => {
    const { server, timers, watch } = await asked([slice('web-a', '10.0.0.1')])
    const { res } = await server.watch(0)
    server.put(slice('web-b', '10.0.0.2'))
    await watch.set(2)
    res.destroy()
    await timers.fire(anew)
    expect((await server.watch(1)).params.get('resourceVersion')).toBe('101')
    expect(warnings).toEqual([])
  })

  it('is begun anew, and nothing listed, while the server is away or too busy for a moment', async () => {
    const { server, timers, watch } = await asked([slice('web-a', '10.0.0.1')])
    await server.watch(0)
    server.bookmark()
    const answers: ((res: import('node:http').ServerResponse) => unknown)[] = [
      (res) => res.destroy(),
      (res) => res.writeHead(429).end(),
      (res) => res.writeHead(503).end(),
    ]
    server.instead = ({ res }) => answers.shift()?.(res) !== undefined
    server.endWatches()
    await timers.fire(anew)
    for (const wait of [first, second, third]) await timers.fire(wait)
    await server.watch(4)
    server.put(slice('web-b', '10.0.0.2'))
    expect(await watch.urls(2)).toHaveLength(2)
    expect(server.queries.map(({ params }) => params.get('resourceVersion'))).toEqual([
      null,
      '100',
      ...Array(4).fill('101'),
    ])
    expect(warnings).toHaveLength(3)
  })

  it.each([400, 403, 404, 500, 504])(
    'is listed anew where the server refuses to watch: %d',
    async (status) => {
      const { server, timers } = await asked([slice('web-a', '10.0.0.1')])
      await server.watch(0)
      server.bookmark()
      server.instead = ({ res, params }) =>
        params.get('watch') === '1' && res.writeHead(status).end() !== undefined
      server.endWatches()
      await timers.fire(anew)
      await timers.fire(first)
      await server.query(3)
      expect(server.queries[3]?.params.has('watch')).toBe(false)
    },
  )

  it('after it has lasted is no further failure: told, and begun anew as after the first', async () => {
    const { server, timers, clock } = await asked([slice('web-a', '10.0.0.1')])
    const fault = '{"type":"ERROR","object":{"code":500,"message":"etcd"}}\n'
    const waits = [first, second, third, 3_000]
    for (const [i, wait] of waits.entries()) {
      const { res } = await server.watch(i)
      res.write(fault)
      await timers.fire(wait)
    }
    expect(warnings).toHaveLength(1)
    const { res } = await server.watch(waits.length)
    await until(() => timers.waits.length === 1, 'the head')
    clock.now += 30_000
    res.write(fault)
    await timers.next(first)
    expect(warnings).toHaveLength(2)
  })

  it('at once, again and again, is a fault: longer and longer waits, and lists', async () => {
    const { server, timers } = await asked([slice('web-a', '10.0.0.1')])
    server.instead = ({ params, res }) => {
      if (params.get('watch') === '1') res.writeHead(200).end()
      return params.get('watch') === '1'
    }
    await server.watch(0)
    await timers.fire(first)
    await timers.fire(second)
    await timers.next(third)
    expect(warnings).toEqual([
      'discovery kubernetes default/web: the watch ended at once; the last targets stay',
    ])
  })

  it.each([['says nothing at all', 10_000, 'no answer within 10000 ms']])(
    'of a server that %s is a fault',
    async (_what, limit, says) => {
      const { server, timers, clock } = await asked([slice('web-a', '10.0.0.1')])
      server.instead = ({ params }) => params.get('watch') === '1'
      await server.watch(0)
      clock.now += limit
      await timers.fire(limit)
      await timers.next(first)
      expect(warnings[0]).toContain(says)
    },
  )

  it('because its time is long over is begun anew', async () => {
    const { server, timers, clock } = await asked([slice('web-a', '10.0.0.1')], { watch: '10s' })
    await server.watch(0)
    await until(() => timers.waits.length === 1, 'the head')
    clock.now += 25_000
    await timers.fire(25_000)
    await timers.fire(anew)
    await server.watch(1)
    expect(warnings).toEqual([])
  })
})

describe('410 Gone', () => {
  it.each(['event', 'status'] as const)(
    'by %s leads to a new list, and to what changed meanwhile',
    async (goneBy) => {
      const { server, timers, watch } = await asked([slice('web-a', '10.0.0.1')])
      await server.watch(0)
      server.bookmark()
      server.endWatches()
      await timers.next(anew)
      server.remove('web-a')
      server.put(slice('web-c', '10.0.0.9'))
      server.forget(server.version)
      server.goneBy = goneBy
      await timers.fire(anew)
      await server.watch(1)
      await timers.fire(anew)
      expect(await watch.urls(2)).toEqual(['http://10.0.0.9:8080'])
      expect((await server.watch(2)).params.get('resourceVersion')).toBe('103')
      expect(warnings).toEqual([])
    },
  )

  it('right after a list is a fault, and no reason to list and list', async () => {
    const { server, timers } = await asked([slice('web-a', '10.0.0.1')])
    server.forget(1_000)
    await timers.fire(first)
    await timers.fire(second)
    await timers.next(third)
    expect(warnings).toEqual([
      'discovery kubernetes default/web: the resource version is gone (410); the last targets stay',
    ])
  })

  it('in the middle of a list begins it anew', async () => {
    const { server, timers, watch } = await asked(
      [slice('web-a', '10.0.0.1'), slice('web-b', '10.0.0.2')],
      {},
    )
    await watch.set(1)
    server.pageSize = 1
    let once = true
    server.instead = ({ params, res }) => {
      if (!params.has('continue') || !once) return false
      once = false
      res.writeHead(410).end('{"kind":"Status","code":410}')
      return true
    }
    // Lost in such a way that it lists.
    const { res } = await server.watch(0)
    res.write('{"type":"ERROR","object":{"code":500,"message":"etcd"}}\n')
    await timers.fire(first)
    await timers.fire(second)
    await server.watch(1)
    expect(warnings).toEqual([
      'discovery kubernetes default/web: the watch ended with 500: etcd; the last targets stay',
      expect.stringContaining(
        'endpointslices answered 410: {"kind":"Status","code":410}; the last targets stay',
      ),
    ])
  })
})

describe('a failure', () => {
  it.each([
    [
      '403, with all that it says',
      403,
      JSON.stringify({
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message: `endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:team:default" cannot list resource "endpointslices" in API group "discovery.k8s.io" in the namespace "team"`,
        code: 403,
      }),
      'in the namespace \\"team\\"',
    ],
    ['no list', 200, '{}', 'the answer is no list of EndpointSlices'],
    ['no JSON', 200, 'x', 'JSON'],
  ])('of the list is told once, and it is tried again: %s', async (_what, status, body, says) => {
    const server = own(await kubernetesServer('web', { slices: [slice('web-a', '10.0.0.1')] }))
    server.instead = ({ res }) => res.writeHead(status).end(body) !== undefined
    const timers = handTimers()
    const seams = { after: timers.after, random: () => 0.5 }
    const source = kubernetesTargets(
      { service: 'web', namespace: 'default', api: { url: server.url } },
      seams,
    )
    const watch = own(watched(source))
    await timers.fire(first)
    await timers.next(second)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain(says)
    server.instead = undefined
    await timers.fire(second)
    await watch.set(1)
  })

  it.each([
    ['no JSON', 'x\n', 'the watch has brought what is no JSON'],
    [
      'an error',
      '{"type":"ERROR","object":{"code":504,"message":"too late"}}\n',
      'the watch ended with 504: too late',
    ],
  ])('of a watch leads to a new list: %s', async (_what, line, says) => {
    const { server, timers } = await asked([slice('web-a', '10.0.0.1')])
    const { res } = await server.watch(0)
    server.put(slice('web-b', '10.0.0.2'))
    res.write(line)
    await timers.fire(first)
    await server.watch(1)
    expect(server.queries.map(({ params }) => params.get('watch'))).toEqual([null, '1', null, '1'])
    expect(warnings[0]).toContain(says)
  })
})

it.each([
  ['keep', 1],
  ['apply', 2],
] as const)('a service without endpoints: %s', async (empty, sets) => {
  const { server, watch } = await asked([slice('web-a', '10.0.0.1')], { empty })
  await server.watch(0)
  server.put({ name: 'web-a', endpoints: [] })
  await until(() => warnings.length === 1, 'a warning')
  server.put({ name: 'web-a', endpoints: null })
  server.put(slice('web-a', '10.0.0.2'))
  expect(await watch.urls(sets + 1)).toEqual(['http://10.0.0.2:8080'])
  expect(warnings).toHaveLength(1)
})

it('leaves targets that stay as they are', async () => {
  const server = own(await kubernetesServer('web', { slices: [slice('web-a', '10.0.0.1', '10.0.0.2')] }))
  const targets = kubernetesTargets({ service: 'web', namespace: 'default', api: { url: server.url } })
  const upstream = createUpstream({ name: 'x', targets })
  own(upstream)
  await until(() => upstream.all.length === 2, 'targets')
  const [kept] = upstream.all
  const lease = upstream.lease(kept as never)
  upstream.mark(kept as never, 'healthy', 'test')
  await server.watch(0)
  server.put(slice('web-a', '10.0.0.1', '10.0.0.3'))
  await until(() => upstream.all[1]?.url === 'http://10.0.0.3:8080', 'the new set')
  expect(upstream.all[0]).toBe(kept)
  expect([kept?.state, kept?.inFlight]).toEqual(['healthy', 1])
  lease.release()
})

it('stops at once when disposed: the watch is given up, nothing waits', async () => {
  const { server, timers, watch } = await asked([slice('web-a', '10.0.0.1')])
  await server.watch(0)
  watch.close()
  expect(timers.waits).toEqual([])
  await until(() => server.sockets === 0, 'the connection to end')
  expect([timers.waits, warnings]).toEqual([[], []])
})

describe.skipIf(skipUnless(authority, 'the API server over TLS: there is no openssl'))('in a pod', () => {
  it('finds server, namespace, token and authority, and reads token and authority again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-account-'))
    own({ close: () => rmSync(folder, { recursive: true }) })
    let token = 'first-token'
    const tls = (authority as NonNullable<typeof authority>).issue('IP:127.0.0.1')
    const slices = [slice('web-a', '10.0.0.1')]
    const server = own(await kubernetesServer('web', { namespace: 'team', slices, tls, token: () => token }))
    vi.stubEnv('KUBERNETES_SERVICE_HOST', '127.0.0.1')
    vi.stubEnv('KUBERNETES_SERVICE_PORT', String(server.port))
    own({ close: () => vi.unstubAllEnvs() })
    writeFileSync(join(folder, 'namespace'), 'team')
    writeFileSync(join(folder, 'token'), 'first-token\n')
    // Of another authority: a server that isn't the cluster's gets no token.
    writeFileSync(join(folder, 'ca.crt'), (testAuthority() as NonNullable<typeof authority>).cert)
    const timers = handTimers()
    const seams = { after: timers.after, random: () => 0.5 }
    const watch = own(watched(kubernetesTargets({ service: 'web', api: { serviceAccount: folder } }, seams)))
    await timers.next(first)
    expect(server.queries).toEqual([])
    expect(warnings).toHaveLength(1)
    writeFileSync(join(folder, 'ca.crt'), (authority as NonNullable<typeof authority>).cert)
    await timers.fire(first)
    expect(await watch.urls(1)).toEqual(['http://10.0.0.1:8080'])
    expect((await server.watch(0)).headers.authorization).toBe('Bearer first-token')
    token = 'second-token'
    writeFileSync(join(folder, 'token'), 'second-token')
    server.bookmark()
    server.endWatches()
    await timers.fire(anew)
    expect((await server.watch(1)).headers.authorization).toBe('Bearer second-token')
    expect(warnings).toHaveLength(1)
  })
})

it('sends no token of a service account in the clear', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-account-'))
  own({ close: () => rmSync(folder, { recursive: true }) })
  writeFileSync(join(folder, 'namespace'), 'default\n')
  writeFileSync(join(folder, 'token'), 'secret')
  const server = own(await kubernetesServer('web', { slices: [slice('web-a', '10.0.0.1')] }))
  const watch = own(
    watched(kubernetesTargets({ service: 'web', api: { url: server.url, serviceAccount: folder } })),
  )
  await watch.set(1)
  expect((await server.query(0)).headers).not.toHaveProperty('authorization')
})

it.each<[unknown, string]>([
  [undefined, "kubernetesTargets: got nothing, takes options such as { service: 'web' }"],
  [{}, 'kubernetesTargets.service: got nothing'],
  [{ service: 'Web' }, "kubernetesTargets.service: got 'Web', takes a name of Kubernetes', such as 'web'"],
  [{ service: 'web', namespace: '../x' }, 'kubernetesTargets.namespace'],
  [{ service: 'web', port: 0 }, "kubernetesTargets.port: got 0, takes a port's name or number"],
  [{ service: 'web', watch: 0 }, 'kubernetesTargets.watch'],
  [{ service: 'web', pause: 0 }, 'kubernetesTargets.pause'],
  [{ service: 'web', api: { url: 'ftp://x' } }, 'kubernetesTargets.api.url'],
  [{ service: 'web', tls: { ca: 1 }, api: { url: 'http://a' } }, 'kubernetesTargets.tls.ca'],
  [{ service: 'web' }, "kubernetesTargets.api.url: got nothing, takes a URL such as 'http://127.0.0.1:8001'"],
  [{ service: 'web', nmespace: 'x' }, 'kubernetesTargets.nmespace: unknown option, did you mean namespace?'],
])('refuses %j', (options, says) => {
  expect(() => kubernetesTargets(options as never)).toThrow(says)
})
