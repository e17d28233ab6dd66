import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { consulTargets, fileTargets, kubernetesTargets, srvTargets } from '@sluice/discovery'
import type { Discovery, Upstream } from '@sluice/upstream'
import { createProxy } from 'sluice'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { consulServer } from '../kit/consul-server.js'
import { kubernetesServer } from '../kit/kubernetes-server.js'
import { type NameRecord, nameServer } from '../kit/name-server.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { type Closable, owner } from '../kit/owner.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'

trapUnhandled()
const own = owner()

/** A source, and how a test changes what it says: the ports of targets on 127.0.0.1. */
interface Source {
  readonly discovery: Discovery
  set(ports: readonly number[]): void
}

type Own = <T extends Closable>(thing: T) => T

const sources: Record<string, (own: Own) => Promise<Source>> = {
  async fileTargets(own) {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-discovery-'))
    own({ close: () => rmSync(folder, { recursive: true }) })
    const file = join(folder, 'targets.yaml')
    return {
      discovery: fileTargets(file, { debounce: 1 }),
      set(ports) {
        writeFileSync(`${file}.new`, ports.map((port) => `- http://127.0.0.1:${port}\n`).join(''))
        renameSync(`${file}.new`, file)
      },
    }
  },
  async srvTargets(own) {
    const name = '_http._tcp.api.test'
    const server = own(await nameServer({ 'host.test': [{ type: 'A', address: '127.0.0.1' }] }))
    const options = {
      servers: [server.address],
      family: 4,
      minTtl: 5,
      maxTtl: 5,
      retry: { min: 5, max: 5 },
    } as const
    return {
      discovery: srvTargets(name, options),
      set: (ports) =>
        server.records.set(
          name,
          ports.map((port): NameRecord => ({ type: 'SRV', target: 'host.test', port, weight: 1 })),
        ),
    }
  },
  async consulTargets(own) {
    const server = own(await consulServer('web'))
    return {
      discovery: consulTargets('web', { api: { url: server.url }, pause: 1 }),
      set: (ports) => server.set(ports.map((port) => ({ address: '127.0.0.1', port }))),
    }
  },
  async kubernetesTargets(own) {
    const server = own(await kubernetesServer('web'))
    let now: readonly number[] = []
    return {
      discovery: kubernetesTargets({ service: 'web', namespace: 'default', api: { url: server.url } }),
      set(ports) {
        // The new ones first, as a rollout does it.
        for (const port of ports)
          if (!now.includes(port))
            server.put({
              name: `web-${port}`,
              endpoints: [{ address: '127.0.0.1', ready: true }],
              ports: [{ port }],
            })
        for (const port of now) if (!ports.includes(port)) server.remove(`web-${port}`)
        now = ports
      },
    }
  },
}

async function served(discovery: Discovery) {
  const proxy = createProxy({ upstreams: { default: { targets: discovery } } })
  own({ close: () => proxy.close({ drain: 0 }) })
  const { port } = await proxy.listen()
  const client = own(httpClient({ port }))
  return { client, upstream: proxy.upstreams.get('default') as Upstream }
}

/** Until the upstream has just these. */
function members(upstream: Upstream, origins: readonly Origin[]): Promise<unknown> {
  const wanted = origins.map(({ url }) => url).sort()
  return until(
    () =>
      upstream.all
        .map(({ url }) => url)
        .sort()
        .join() === wanted.join(),
    'the new targets',
  )
}

describe.each(Object.entries(sources))('%s', (_name, start) => {
  it('loses no request while targets come and go, and keeps the connections of those that stay', async () => {
    const source = await start(own)
    const { client, upstream } = await served(source.discovery)
    const origins = await Promise.all(Array.from({ length: 4 }, async () => own(await originServer())))
    const [stays, ...others] = origins as [Origin, ...Origin[]]
    source.set([stays.port])
    await members(upstream, [stays])
    const [first] = upstream.all

    const callers = 4
    let over = false
    const statuses = new Map<number, number>()
    const traffic = Promise.all(
      Array.from({ length: callers }, async () => {
        while (!over) {
          const { status, text, complete } = await client.ask()
          const outcome = status === 200 && text === 'ok' && complete ? 200 : -status
          statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1)
        }
      }),
    )
    for (let turn = 0; turn < 8; turn++) {
      const present = [stays, others[turn % 3] as Origin]
      const before = present.map(({ requests }) => requests.length)
      source.set(present.map(({ port }) => port))
      await members(upstream, present)
      await until(
        () => present.every(({ requests }, i) => requests.length > (before[i] as number)),
        'traffic',
      )
    }
    over = true
    await traffic
    expect([...statuses.keys()]).toEqual([200])
    expect(upstream.all).toContain(first)
    expect(stays.connections).toBeLessThanOrEqual(callers)
    expect(upstream.all.map(({ inFlight }) => inFlight)).toEqual([0, 0])

    // Who is gone gets nothing more.
    source.set([stays.port])
    await members(upstream, [stays])
    const counts = others.map(({ requests }) => requests.length)
    for (let i = 0; i < 5; i++) expect((await client.ask()).status).toBe(200)
    expect(others.map(({ requests }) => requests.length)).toEqual(counts)
  })
})

it('answers 503 until the first targets are there, and finishes on a target what it began there', async () => {
  const source = await (sources.fileTargets as (own: Own) => Promise<Source>)(own)
  const { client, upstream } = await served(source.discovery)
  expect((await client.ask()).status).toBe(503)
  const held = deferred()
  const old = own(
    await originServer(async (_req, res) => {
      res.write('half')
      await held.promise
      res.end(' and half')
    }),
  )
  const young = own(await originServer())
  source.set([old.port])
  await members(upstream, [old])
  const call = client.call()
  expect((await call.head).status).toBe(200)
  source.set([young.port])
  await members(upstream, [young])
  expect((await client.ask()).text).toBe('ok')
  held.resolve()
  expect(await call.answer()).toMatchObject({ text: 'half and half', complete: true })
})
