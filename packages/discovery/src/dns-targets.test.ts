import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { createUpstream } from '@sluice/upstream'
import { describe, expect, it, vi } from 'vitest'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { nameServer } from '../../../test/kit/name-server.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import { watched } from '../../../test/kit/watched.js'
import { type DnsOptions, dnsTargets } from './index.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')

const A = (address: string, ttl = 60) => ({ type: 'A' as const, address, ttl })
const AAAA = (address: string, ttl = 60) => ({ type: 'AAAA' as const, address, ttl })

async function looked(records: Parameters<typeof nameServer>[0], given: DnsOptions = {}, name = 'api.test') {
  const server = own(await nameServer(records))
  const timers = handTimers()
  // Without a resolution delay, but where it is what is tested: its timers would be among those that tests wait for.
  const common = { jitter: 0, timeout: 1_000, tries: 1, resolutionDelay: 0 }
  const options: DnsOptions = { servers: [server.address], ...common, ...given }
  const source = dnsTargets(name, options, { after: timers.after, random: () => 0.5, now: () => 0 })
  return { server, timers, source, watch: own(watched(source)) }
}

it('makes a target of each address, and asks again when the smallest TTL is over', async () => {
  const { server, timers, watch } = await looked(
    { 'api.test': [A('10.0.0.2', 30), A('10.0.0.1', 20), AAAA('2001:db8::1', 25)] },
    { port: 8080, path: '/base' },
  )
  expect(await watch.set(1)).toEqual([
    { url: 'http://10.0.0.1:8080/base', weight: 1, priority: 0 },
    { url: 'http://10.0.0.2:8080/base', weight: 1, priority: 0 },
    { url: 'http://[2001:db8::1]:8080/base', weight: 1, priority: 0 },
  ])
  server.records.set('api.test', [A('10.0.0.3', 3_600)])
  expect(await timers.fire()).toBe(20_000)
  expect(await watch.urls(2)).toEqual(['http://10.0.0.3:8080/base'])
  expect(await timers.next()).toBe(300_000)
})

it('leaves a part of the time to chance, within bounds', async () => {
  const { server, timers, watch } = await looked(
    { 'api.test': [A('10.0.0.1', 0)] },
    { jitter: 0.2, minTtl: '5s', maxTtl: '10s' },
  )
  await watch.set(1)
  expect(await timers.next()).toBe(5_500)
  server.records.set('api.test', [A('10.0.0.2', 100)])
  await timers.fire()
  await watch.set(2)
  expect(await timers.next()).toBe(11_000)
})

it('waits no longer than a timer can: one of more than that fires at once', async () => {
  const { timers } = await looked(
    { 'api.test': [A('10.0.0.1', 2_147_483_647)] },
    { maxTtl: '596h', jitter: 1, family: 4 },
  )
  await until(() => timers.waits.length === 1, 'the wait')
  expect(timers.waits[0]).toBe(2 ** 31 - 1)
})

it('delivers the same addresses once, whatever their order', async () => {
  const { server, timers, watch } = await looked(
    { 'api.test': [A('10.0.0.1'), A('10.0.0.2')] },
    { family: 4 },
  )
  await watch.set(1)
  server.records.set('api.test', [A('10.0.0.2', 7), A('10.0.0.1', 7)])
  await timers.fire()
  expect(await timers.next()).toBe(7_000)
  expect(watch.sets).toHaveLength(1)
  expect(new Set(server.asked)).toEqual(new Set(['A api.test']))
})

it('keeps the last set when a lookup fails, says so once, and tries again with longer and longer waits', async () => {
  const { server, timers, watch } = await looked({ 'api.test': [A('10.0.0.1', 9)] }, { family: 4 })
  await watch.set(1)
  server.failing.add('A')
  expect(await timers.fire()).toBe(9_000)
  // 500 ms, doubled, at most 30 s; by chance three quarters of it.
  for (const wait of [375, 750, 1_500, 3_000, 6_000, 12_000, 22_500, 22_500])
    expect(await timers.fire()).toBe(wait)
  await timers.next()
  expect(watch.sets).toHaveLength(1)
  expect(warnings).toEqual(['discovery dns api.test: queryA ESERVFAIL api.test; the last targets stay'])
  server.failing.clear()
  server.records.set('api.test', [A('10.0.0.2', 9)])
  await timers.fire()
  expect(await watch.urls(2)).toEqual(['http://10.0.0.2'])
  server.failing.add('A')
  expect(await timers.fire()).toBe(9_000)
  expect(await timers.next()).toBe(375)
  expect(warnings).toHaveLength(2)
})

it('goes on with one family while the other fails', async () => {
  const { server, timers, watch } = await looked({ 'api.test': [A('10.0.0.1'), AAAA('::2')] })
  await watch.set(1)
  server.failing.add('AAAA')
  server.records.set('api.test', [A('10.0.0.3')])
  await timers.fire()
  expect(await watch.urls(2)).toEqual(['http://10.0.0.3', 'http://[::2]'])
  expect(await timers.next()).toBe(375)
})

it('asks again when the addresses of the family that is well are over, however long the other fails', async () => {
  const { server, timers, watch } = await looked({ 'api.test': [A('10.0.0.1', 2), AAAA('::2', 1)] })
  await watch.set(1)
  server.failing.add('AAAA')
  await timers.fire(1_000)
  for (const wait of [375, 750, 1_500, 2_000, 2_000]) await timers.fire(wait)
  await timers.next(2_000)
  server.failing.add('A')
  await timers.fire(2_000)
  await timers.next(22_500)
  expect(warnings).toHaveLength(1)
})

it('makes its resolver anew after a failure: the system’s name servers may be others by then', async () => {
  const made = vi.spyOn(Resolver.prototype, 'setServers')
  own({ close: () => made.mockRestore() })
  const { server, timers, watch } = await looked({ 'api.test': [A('10.0.0.1', 9)] }, { family: 4 })
  await watch.set(1)
  await timers.fire(9_000)
  await timers.next(9_000)
  const before = made.mock.calls.length
  server.failing.add('A')
  await timers.fire(9_000)
  await timers.next(375)
  expect(made.mock.calls.length).toBe(before + 1)
})

describe('where one kind of addresses is answered and the other is not yet', () => {
  /** A resolver that keeps quiet about some types. */
  async function quiet(types: string[], records: Parameters<typeof nameServer>[0], given: DnsOptions = {}) {
    const server = own(await nameServer(records))
    for (const type of types) server.silent.add(type)
    const timers = handTimers()
    const options: DnsOptions = { servers: [server.address], jitter: 0, timeout: '1m', tries: 1, ...given }
    const source = dnsTargets('api.test', options, { after: timers.after, random: () => 0.5, now: () => 0 })
    return { server, timers, source }
  }
  const both = { 'api.test': [A('10.0.0.1'), AAAA('::2')] }

  it('waits 50 ms for it (RFC 8305 section 3), and takes it when it comes; targets that stay are left as they are', async () => {
    const { server, timers, source } = await quiet(['AAAA'], both)
    const upstream = createUpstream({ name: 'x', targets: source })
    own(upstream)
    await timers.next(50)
    expect([timers.waits, upstream.all]).toEqual([[50], []])
    await timers.fire(50)
    const [kept] = await until(() => upstream.all.length === 1 && upstream.all, 'the first target')
    upstream.mark(kept as never, 'healthy', 'test')
    server.speak('AAAA')
    await until(() => upstream.all.length === 2, 'the second target')
    expect(upstream.all.map(({ url }) => url)).toEqual(['http://10.0.0.1', 'http://[::2]'])
    expect(upstream.all[0]).toBe(kept)
    expect(kept?.state).toBe('healthy')
    // The next round when the TTL is over, and no other timer.
    expect([await timers.next(), timers.waits.length]).toEqual([60_000, 1])
  })

  it.each([
    ['AAAA', ['http://10.0.0.1', 'http://[::2]']],
    ['A', ['http://10.0.0.1', 'http://[::2]']],
  ])('delivers one set where the other (%s) comes in that time', async (type, urls) => {
    const { server, timers, source } = await quiet([type], both)
    const watch = own(watched(source))
    await timers.next(50)
    server.speak(type)
    expect(await watch.urls(1)).toEqual(urls)
    expect([await timers.next(), timers.waits.length, watch.sets.length]).toEqual([60_000, 1, 1])
  })

  it('waits on where that one has nothing: that is no empty set', async () => {
    const { server, timers, source } = await quiet(['A'], { 'api.test': [A('10.0.0.1')] }, { empty: 'apply' })
    const watch = own(watched(source))
    await until(() => server.asked.length === 2, 'both questions')
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    expect([timers.waits, watch.sets]).toEqual([[], []])
    server.speak('A')
    expect(await watch.urls(1)).toEqual(['http://10.0.0.1'])
  })

  it('keeps what is known of the other in later rounds, and brings changes in time', async () => {
    const { server, timers, source } = await quiet([], both)
    const watch = own(watched(source))
    await watch.set(1)
    await timers.next(60_000)
    server.silent.add('AAAA')
    server.records.set('api.test', [A('10.0.0.3'), AAAA('::4')])
    await timers.fire(60_000)
    await timers.fire(50)
    expect(await watch.urls(2)).toEqual(['http://10.0.0.3', 'http://[::2]'])
    server.speak('AAAA')
    expect(await watch.urls(3)).toEqual(['http://10.0.0.3', 'http://[::4]'])
  })

  it('counts a time to live from its answer, not from the end of what others kept it waiting for', async () => {
    const server = own(await nameServer({ 'api.test': [A('10.0.0.1', 20), AAAA('::2')] }))
    server.silent.add('AAAA')
    const timers = handTimers()
    let now = 1_000
    const options: DnsOptions = { servers: [server.address], jitter: 0, timeout: '1m', tries: 1 }
    const seams = { after: timers.after, random: () => 0.5, now: () => now }
    const watch = own(watched(dnsTargets('api.test', options, seams)))
    await timers.next(50)
    now += 7_000
    server.speak('AAAA')
    await watch.set(1)
    expect(await timers.next()).toBe(13_000)
    // One that was over meanwhile is asked for again at once, as soon as that may be.
    server.silent.add('AAAA')
    await timers.fire(13_000)
    await timers.next(50)
    now += 90_000
    server.speak('AAAA')
    expect(await timers.next(1_000)).toBe(1_000)
  })

  it('stops at once when disposed', async () => {
    const { timers, source } = await quiet(['AAAA'], both)
    const watch = watched(source)
    await timers.next(50)
    watch.close()
    await until(() => timers.waits.length === 0, 'the delay to be taken back')
    expect([watch.sets, warnings]).toEqual([[], []])
  })

  it('waits for both with a delay of 0, and for nothing where one kind is asked for', async () => {
    const all = await quiet(['AAAA'], both, { resolutionDelay: 0 })
    const watch = own(watched(all.source))
    await until(() => all.server.asked.length === 2, 'both questions')
    all.server.speak('AAAA')
    expect(await watch.urls(1)).toEqual(['http://10.0.0.1', 'http://[::2]'])
    const one = await quiet(['AAAA'], both, { family: 4 })
    expect(await own(watched(one.source)).urls(1)).toEqual(['http://10.0.0.1'])
  })
})

describe('an empty set', () => {
  it.each([
    ['a name that is gone', undefined],
    ['a name without addresses', []],
  ])('is not taken over: %s', async (_what, records) => {
    const { server, timers, watch } = await looked({ 'api.test': [A('10.0.0.1')] })
    await watch.set(1)
    if (records === undefined) server.records.delete('api.test')
    else server.records.set('api.test', records)
    await timers.fire()
    await timers.fire()
    await timers.next()
    expect(watch.sets).toHaveLength(1)
    expect(warnings).toEqual(['discovery dns api.test: no targets, the last ones stay'])
  })

  it('is taken over where that is wanted', async () => {
    const { server, timers, watch } = await looked({ 'api.test': [A('10.0.0.1')] }, { empty: 'apply' })
    await watch.set(1)
    server.records.delete('api.test')
    await timers.fire()
    expect(await watch.set(2)).toEqual([])
    expect(warnings).toEqual(['discovery dns api.test: no targets'])
  })
})

it('asks for certificates by the name, not by the address', async () => {
  const { watch } = await looked(
    { 'api.test': [A('10.0.0.1')] },
    { scheme: 'https', tls: { ciphers: 'HIGH' } },
  )
  expect(await watch.set(1)).toEqual([
    { url: 'https://10.0.0.1', weight: 1, priority: 0, tls: { servername: 'api.test', ciphers: 'HIGH' } },
  ])
})

it('leaves targets that stay as they are', async () => {
  const { server, timers, source } = await looked({ 'api.test': [A('10.0.0.1'), A('10.0.0.2')] })
  const upstream = createUpstream({ name: 'x', targets: source })
  own(upstream)
  // The first watcher's timer is in the list, too: both look again.
  const [kept] = await until(() => upstream.all.length === 2 && upstream.all, 'targets')
  const lease = upstream.lease(kept as never)
  upstream.mark(kept as never, 'unhealthy', 'test')
  server.records.set('api.test', [A('10.0.0.1'), A('10.0.0.3')])
  await until(() => timers.waits.length === 2, 'both to wait')
  await timers.fire()
  await timers.fire()
  await until(() => upstream.all[1]?.url === 'http://10.0.0.3', 'the new set')
  expect(upstream.all[0]).toBe(kept)
  expect([kept?.inFlight, kept?.state]).toEqual([1, 'unhealthy'])
  lease.release()
})

it('stops at once when disposed, with a question in flight', async () => {
  // A name server that never answers.
  const silent = createSocket('udp4')
  own(silent)
  let asked = 0
  silent.on('message', () => asked++)
  await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve))
  const timers = handTimers()
  const servers = [`127.0.0.1:${silent.address().port}`]
  const watch = watched(dnsTargets('api.test', { servers }, { after: timers.after }))
  await until(() => asked >= 2, 'both questions')
  watch.close()
  await new Promise((resolve) => setImmediate(resolve))
  expect([timers.waits, watch.sets, warnings]).toEqual([[], [], []])
})

it('survives a listener that throws', async () => {
  const server = own(await nameServer({ 'api.test': [A('10.0.0.1')] }))
  const source = dnsTargets('api.test', { servers: [server.address] })
  const watch = source.watch(() => {
    throw new Error('no')
  })
  own({ close: () => watch[Symbol.dispose]() })
  await until(() => warnings.includes('discovery dns api.test: no'), 'a warning')
})

it.each<[unknown, unknown, string]>([
  ['', {}, "dnsTargets: got '', takes a name such as 'api.example.com'"],
  [
    '10.0.0.1',
    {},
    "dnsTargets: got '10.0.0.1', takes a name such as 'api.example.com'; an address is a target as it is: 'http://10.0.0.1'",
  ],
  ['::1', {}, "an address is a target as it is: 'http://[::1]'"],
  ['a', { port: 0 }, 'dnsTargets.port'],
  ['a', { servers: ['no address'] }, 'dnsTargets.servers'],
  ['a', { servers: [] }, 'dnsTargets.servers'],
  ['a', { resolutionDelay: -1 }, 'dnsTargets.resolutionDelay'],
  ['a', { family: 5 }, 'dnsTargets.family'],
  [
    'a',
    { minTtl: '2m', maxTtl: '1m' },
    'dnsTargets.minTtl: got 120000, takes at most maxTtl, which is 60000',
  ],
  ['a', { retry: { min: 0 } }, 'dnsTargets.retry.min'],
  [
    'http://api.test',
    {},
    "got 'http://api.test', takes a name such as 'api.example.com', without scheme, port or path",
  ],
  ['api.test:80', {}, "dnsTargets: got 'api.test:80', takes a name such as 'api.example.com', without"],
  [
    'a',
    { retry: { min: '1m' } },
    'dnsTargets.retry: got { min: 60000, max: 30000 }, takes a min that is no more',
  ],
  ['a', { empty: 'drop' }, "dnsTargets.empty: got 'drop', takes 'keep', 'apply'"],
  ['a', { tls: { ca: 7 }, scheme: 'https' }, 'dnsTargets.tls.ca'],
  ['a', { tls: {} }, 'dnsTargets.tls'],
  ['a', { path: 'x' }, 'dnsTargets.path'],
  ['a', { prot: 1 }, 'dnsTargets.prot: unknown option, did you mean port?'],
])('refuses %j with %j', (name, options, says) => {
  expect(() => dnsTargets(name as never, options as never)).toThrow(says)
})
