import { expect, it } from 'vitest'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { type NameRecord, type NameServer, nameServer } from '../../../test/kit/name-server.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import { watched } from '../../../test/kit/watched.js'
import { type SrvOptions, srvTargets } from './index.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')
const service = '_http._tcp.api.test'

const A = (address: string, ttl = 60): NameRecord => ({ type: 'A', address, ttl })
const SRV = (target: string, port: number, weight = 0, priority = 0): NameRecord => ({
  type: 'SRV',
  target,
  port,
  weight,
  priority,
})

async function looked(
  records: Record<string, NameRecord[]>,
  given: SrvOptions = {},
  before?: (server: NameServer) => void,
) {
  const server = own(await nameServer(records))
  before?.(server)
  const timers = handTimers()
  const options: SrvOptions = { servers: [server.address], jitter: 0, tries: 1, resolutionDelay: 0, ...given }
  const source = srvTargets(service, options, { after: timers.after, random: () => 0.5, now: () => 0 })
  return { server, timers, watch: own(watched(source)) }
}

it('takes over ports, weights and priorities, a weight shared by the addresses of its host', async () => {
  const { timers, watch } = await looked({
    [service]: [SRV('a.test', 8001, 6, 1), SRV('b.test', 8002, 3, 1), SRV('c.test', 8003, 5, 2)],
    'a.test': [A('10.0.0.1', 20), A('10.0.0.2', 20), { type: 'AAAA', address: '::1', ttl: 15 }],
    'b.test': [A('10.0.0.3', 25)],
    'c.test': [A('10.0.0.4')],
  })
  expect(await watch.set(1)).toEqual([
    { url: 'http://10.0.0.1:8001', weight: 2, priority: 1 },
    { url: 'http://10.0.0.2:8001', weight: 2, priority: 1 },
    { url: 'http://10.0.0.3:8002', weight: 3, priority: 1 },
    { url: 'http://10.0.0.4:8003', weight: 5, priority: 2 },
    { url: 'http://[::1]:8001', weight: 2, priority: 1 },
  ])
  expect(await timers.next()).toBe(15_000)
})

it('does not wait for AAAA records that nobody sends: each host is there with what is known of it', async () => {
  const { server, timers, watch } = await looked(
    {
      [service]: [SRV('a.test', 80), SRV('b.test', 80)],
      'a.test': [A('10.0.0.1'), { type: 'AAAA', address: '::1' }],
      'b.test': [A('10.0.0.2')],
    },
    { resolutionDelay: 50, timeout: '1m' },
    (started) => started.silent.add('AAAA'),
  )
  await until(() => timers.waits.length === 2, 'the delay of both hosts')
  await timers.fire(50)
  expect(watch.sets).toEqual([])
  await timers.fire(50)
  expect(await watch.urls(1)).toEqual(['http://10.0.0.1', 'http://10.0.0.2'])
  server.speak('AAAA')
  expect(await watch.urls(2)).toEqual(['http://10.0.0.1', 'http://10.0.0.2', 'http://[::1]'])
  expect((await watch.set(2)).map((each) => (each as { weight: number }).weight)).toEqual([0.5, 1, 0.5])
  expect([await timers.next(), timers.waits.length]).toEqual([30_000, 1])
})

it('gives weight 0 a very small share beside others, and an even one among its like', async () => {
  const { watch } = await looked(
    {
      [service]: [
        SRV('a.test', 80, 10),
        SRV('b.test', 80, 0),
        SRV('c.test', 80, 0, 1),
        SRV('d.test', 80, 0, 1),
      ],
    },
    { resolve: false },
  )
  expect((await watch.set(1)).map((target) => (target as { weight: number }).weight)).toEqual([
    10, 0.01, 1, 1,
  ])
})

it('adds up the weights of records that lead to one address, of the best priority', async () => {
  const { watch } = await looked({
    [service]: [SRV('a.test', 80, 2), SRV('b.test', 80, 3), SRV('c.test', 80, 9, 1)],
    'a.test': [A('10.0.0.1')],
    'b.test': [A('10.0.0.1')],
    'c.test': [A('10.0.0.1')],
  })
  expect(await watch.set(1)).toEqual([{ url: 'http://10.0.0.1', weight: 5, priority: 0 }])
})

it('takes a host that is an address as it is, and expects no name of it', async () => {
  const { server, timers, watch } = await looked(
    { [service]: [SRV('10.0.0.1', 8443, 1), SRV('a.test', 8443, 1)], 'a.test': [A('10.0.0.2')] },
    { scheme: 'https', tls: { ciphers: 'HIGH' } },
  )
  expect(await watch.set(1)).toEqual([
    { url: 'https://10.0.0.1:8443', weight: 1, priority: 0, tls: { ciphers: 'HIGH' } },
    { url: 'https://10.0.0.2:8443', weight: 1, priority: 0, tls: { servername: 'a.test', ciphers: 'HIGH' } },
  ])
  expect(await timers.next()).toBe(30_000)
  expect(server.asked).not.toContain('A 10.0.0.1')
  const six = await looked({ [service]: [SRV('10.0.0.1', 80, 1)] }, { family: 6, empty: 'apply' })
  expect(await six.watch.set(1)).toEqual([])
})

it('keeps hosts as names where that is wanted, with their certificates', async () => {
  const { server, timers, watch } = await looked(
    { [service]: [SRV('a.test', 8443, 1)] },
    { resolve: false, scheme: 'https' },
  )
  expect(await watch.set(1)).toEqual([
    { url: 'https://a.test:8443', weight: 1, priority: 0, tls: { servername: 'a.test' } },
  ])
  expect(await timers.next()).toBe(30_000)
  expect(server.asked).toEqual([`SRV ${service}`])
})

it('follows the records, and forgets hosts that have gone', async () => {
  const { server, timers, watch } = await looked({
    [service]: [SRV('a.test', 80, 1), SRV('b.test', 80, 1)],
    'a.test': [A('10.0.0.1')],
    'b.test': [A('10.0.0.2')],
  })
  await watch.set(1)
  server.records.set(service, [SRV('b.test', 81, 1)])
  server.asked.length = 0
  await timers.fire()
  expect(await watch.urls(2)).toEqual(['http://10.0.0.2:81'])
  expect(server.asked).not.toContain('A a.test')
})

it('keeps the addresses of a host that can’t be looked up, and tries again', async () => {
  const { server, timers, watch } = await looked(
    { [service]: [SRV('a.test', 80, 1)], 'a.test': [A('10.0.0.1')] },
    { family: 4 },
  )
  await watch.set(1)
  server.failing.add('A')
  server.records.set(service, [SRV('a.test', 80, 1), SRV('b.test', 80, 1)])
  await timers.fire()
  expect(await timers.next()).toBe(375)
  expect(watch.sets).toHaveLength(1)
  expect(warnings).toEqual([`discovery srv ${service}: queryA ESERVFAIL a.test; the last targets stay`])
})

it('takes a record for "." for no service, and no record for an empty set as well', async () => {
  const { server, timers, watch } = await looked(
    { [service]: [SRV('a.test', 80)], 'a.test': [A('10.0.0.1')] },
    { empty: 'apply' },
  )
  await watch.set(1)
  server.records.set(service, [SRV('', 0)])
  await timers.fire()
  expect(await watch.set(2)).toEqual([])
  server.records.set(service, [SRV('a.test', 80)])
  await timers.fire()
  expect(await watch.set(3)).toHaveLength(1)
  server.records.delete(service)
  await timers.fire()
  expect(await watch.set(4)).toEqual([])
})

it('leaves out what is no host or no port', async () => {
  const { watch } = await looked(
    { [service]: [SRV('a.test', 80), SRV('b.test', 0), SRV('x@evil', 80), SRV('e/v', 80)] },
    { resolve: false },
  )
  expect(await watch.urls(1)).toEqual(['http://a.test'])
})

it('refuses wrong options by their path', () => {
  expect(() => srvTargets('', {})).toThrow(
    "srvTargets: got '', takes a name such as '_http._tcp.example.com'",
  )
  expect(() => srvTargets('a', { resolve: 1 as never, port: 1 } as never)).toThrow(
    /srvTargets\.resolve.*\nsrvTargets\.port: unknown option/,
  )
})
