import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { balance, peakEwma, rendezvous, ring, roundRobin, slowStart } from '@sluice/balance'
import { chain, toListener } from '@sluice/core'
import { fileTargets } from '@sluice/discovery'
import { forward, wireTransport } from '@sluice/forward'
import { ejection, monitor, type Probe } from '@sluice/health'
import { breakers, retry } from '@sluice/resilience'
import { createUpstream, type Target, type TargetInit, type Upstream } from '@sluice/upstream'
import { createProxy, type UpstreamOptions } from 'sluice'
import { describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { deadTarget } from '../kit/dead-target.js'
import { fakeTime } from '../kit/fake-time.js'
import { mountNamed } from '../kit/mounts.js'
import { type Origin, originServer } from '../kit/origin-server.js'
import { owner } from '../kit/owner.js'
import { values } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { deferred, until } from '../kit/until.js'
import { warningsOf } from '../kit/warnings.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')

/** Origins that answer with their number. */
function origins(count: number): Promise<Origin[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, i) => own(await originServer((_req, res) => res.end(String(i))))),
  )
}

const urls = (all: readonly Origin[]): string[] => all.map(({ url }) => url)

/** A proxy of its own server, with one upstream. */
async function proxied(targets: UpstreamOptions['targets'], options: Partial<UpstreamOptions> = {}) {
  const codes: string[] = []
  const proxy = createProxy({
    upstreams: { default: { targets, ...options } },
    onError: ({ code }) => void codes.push(code),
  })
  own({ close: () => proxy.close({ drain: 0 }) })
  const { port } = await proxy.listen()
  const client = own(httpClient({ port }))
  return {
    client,
    codes,
    upstream: proxy.upstreams.get('default') as Upstream,
    /** The texts of so many answers, all of them 200. */
    async texts(count: number): Promise<string[]> {
      const texts: string[] = []
      for (let i = 0; i < count; i++) {
        const { status, text } = await client.ask()
        expect(status).toBe(200)
        texts.push(text)
      }
      return texts
    },
  }
}

/** Runs what must throw, and gives its message. */
function fault(make: () => unknown): string {
  try {
    make()
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message
  }
  throw new Error('it was accepted')
}

describe('a clock that jumps', () => {
  it.each([
    ['ahead', 3_600_000],
    ['back', -3_600_000],
  ])('%s by an hour: no request is lost, and who is out is back after its own time', async (_, jump) => {
    const time = fakeTime()
    let skew = 0
    const clock = (): number => time.now() + skew
    const dead = own(await deadTarget())
    const upstream = createUpstream({ name: 'x', targets: [dead.url, ...urls(await origins(2))] }, 'x', clock)
    const [target] = upstream.all as [Target]
    const watch = ejection(upstream, {}, { timers: time.timers })
    const after = (ms: number, fn: () => void): (() => void) => {
      const timer = time.timers.set(fn, ms)
      return () => time.timers.clear(timer)
    }
    const guard = breakers(upstream, { volume: 1, open: '3s', ramp: 0, jitter: 0 }, { after })
    const transport = own(wireTransport())
    const policy = slowStart(peakEwma({ clock }), '5s', { clock })
    const handler = chain().use(retry()).use(balance(upstream, policy)).handle(forward({ transport }))
    const { client } = own(await mountNamed('node:http').serve({ listener: toListener(handler) }))
    own({
      close() {
        watch[Symbol.dispose]()
        guard[Symbol.dispose]()
      },
    })
    const asked = async (): Promise<void> => {
      for (let i = 0; i < 12; i++) expect((await client.ask()).status).toBe(200)
    }
    await asked()
    expect([target.state, guard.stateOf(target)]).toEqual(['ejected', 'open'])
    skew = jump
    await asked()
    expect(target.state).toBe('ejected')
    // Its ejection goes by a timer; an open breaker that finds its clock behind begins its wait anew, once.
    time.passAtOnce(6_000)
    expect([target.state, guard.stateOf(target)]).toEqual(['unknown', 'half-open'])
    await asked()
    for (const each of upstream.all) expect([each.inFlight, each.ewma >= 0]).toEqual([0, true])
  })
})

describe('a key function or a policy that fails', () => {
  const bug = (): never => {
    throw new Error('a bug')
  }

  it.each<[string, UpstreamOptions['balance']]>([
    ['a key function that throws', ring(bug)],
    ['a key function that gives no text', rendezvous((() => ({})) as never)],
    ['a policy that throws', bug],
    ['an async policy', (async (available: readonly unknown[]) => available[0]) as never],
    ['an async policy that rejects', (async () => bug()) as never],
    ['a policy that was not called', roundRobin as never],
    ['a policy that gives a URL', (available) => available[0]?.url as never],
    ['a policy that makes a target', (() => ({ url: 'http://127.0.0.1:1', id: 'a', leased: 0 })) as never],
  ])('%s: 500, told as a fault of the app, and no target is asked or blamed', async (_, policy) => {
    const all = await origins(2)
    const { client, codes, upstream } = await proxied(urls(all), { balance: policy as never })
    const { status, text } = await client.ask()
    expect([status, codes]).toEqual([500, ['proxy_internal_error']])
    expect(text).not.toMatch(/bug/)
    expect(all.flatMap(({ requests }) => requests)).toEqual([])
    expect(upstream.all.map(({ state, inFlight }) => [state, inFlight])).toEqual([
      ['unknown', 0],
      ['unknown', 0],
    ])
  })

  it.each<[string, UpstreamOptions['balance']]>([
    ['a key function that gives nothing', ring((() => undefined) as never)],
    ['a key function that gives an empty text', rendezvous(() => '')],
    ['a field that is not there', { policy: 'maglev', key: 'header:x-user' }],
  ])('%s: any target, each of them in time', async (_, policy) => {
    const { texts } = await proxied(urls(await origins(2)), { balance: policy as never })
    const seen = new Set<string>()
    await until(async () => {
      for (const text of await texts(1)) seen.add(text)
      return seen.size === 2
    }, 'both targets')
  })

  it('a policy that gives nothing: 503, since it wants nobody asked', async () => {
    const all = await origins(2)
    const { client, codes } = await proxied(urls(all), { balance: () => undefined })
    expect([(await client.ask()).status, codes]).toEqual([503, ['destination_unavailable']])
    expect(all.flatMap(({ requests }) => requests)).toEqual([])
  })
})

describe('a function of retry or hedge that throws', () => {
  const bug = (): never => {
    throw new Error('a bug')
  }
  const budget = { request() {}, take: bug }

  it.each<[string, Partial<UpstreamOptions>]>([
    ['retry.when', { retry: { when: bug } }],
    ['retry.backoff.random', { retry: { statuses: [503], backoff: { random: bug } } }],
    ['retry.budget.take', { retry: { statuses: [503], budget } }],
    ['retry.budget.request', { retry: { budget: { request: bug, take: () => true } } }],
    ['hedge.budget.take', { retry: false, hedge: { after: 0, budget } }],
    ['hedge.budget.request', { hedge: { budget: { request: bug, take: () => true } } }],
  ])('%s: 500, told by its name; the answer and its lease are let go of', async (option, options) => {
    const held: Promise<void>[] = []
    const answer: Parameters<typeof originServer>[0] = (_req, res) => {
      held.push(new Promise((resolve) => res.once('close', () => resolve())))
      // Never ends by itself; `hedge` waits for its head in vain.
      if (options.retry !== false) res.writeHead(503).write('busy')
    }
    const all = [own(await originServer(answer)), own(await originServer(answer))]
    const { client, codes, upstream } = await proxied(urls(all), options)
    const { status, text } = await client.ask()
    expect([status, codes]).toEqual([500, ['proxy_internal_error']])
    expect(text).not.toMatch(/bug/)
    await until(
      () => warnings.some((each) => each.startsWith(`upstreams.default.${option} threw`)),
      'its name',
    )
    await until(() => upstream.all.every(({ inFlight }) => inFlight === 0), 'the lease')
    await Promise.all(held)
    // A try of hedge may be cancelled before it has reached its target.
    expect(held.length).toBeLessThanOrEqual(option.endsWith('request') ? 0 : 1)
  })
})

describe('targets that change', () => {
  it('during a pick: it goes where it was picked, and the next pick sees the new list', async () => {
    const [old, young] = urls(await origins(2)) as [string, string]
    let group: Upstream | undefined
    const { texts, upstream } = await proxied([old], {
      balance: (available) => {
        group?.replace([young])
        return available[0]
      },
    })
    group = upstream
    const [target] = upstream.all as [Target]
    expect(await texts(3)).toEqual(['0', '1', '1'])
    await until(() => target.inFlight === 0, 'the lease on the target that left')
    expect(upstream.all.map(({ url }) => url)).toEqual([young])
  })

  it('all the time under load: no request is lost', async () => {
    const [one, two, three] = urls(await origins(3)) as [string, string, string]
    const { client, upstream } = await proxied([one, two, three])
    const lists = [[one], [two, three], [three, one, two], [two]]
    const ask = async (i: number): Promise<number> => {
      upstream.replace(lists[i % lists.length] as string[])
      return (await client.ask()).status
    }
    const answers = Promise.all(Array.from({ length: 80 }, (_, i) => ask(i)))
    expect(await answers).toEqual(new Array(80).fill(200))
    await until(() => upstream.all.every(({ inFlight }) => inFlight === 0), 'every lease to end')
  })

  const a = 'http://127.0.0.1:1'
  const wrong: [string, TargetInit[], string][] = [
    ['a target twice', [a, a], '[1]: got'],
    ['a weight of 0', [{ url: a, weight: 0 }], '[0].weight: got 0'],
    ['a negative weight', [{ url: a, weight: -1 }], '[0].weight: got -1'],
    ['a weight that is no number', [{ url: a, weight: Number.NaN }], '[0].weight: got'],
    ['an endless weight', [{ url: a, weight: Number.POSITIVE_INFINITY }], '[0].weight: got'],
  ]
  it.each(wrong)('to %s: refused at construction, and later without harm', async (_, targets, says) => {
    expect(fault(() => createProxy({ upstreams: { api: { targets } } }))).toContain(
      `upstreams.api.targets${says}`,
    )
    const { texts, upstream } = await proxied(urls(await origins(1)))
    expect(fault(() => upstream.replace(targets))).toContain(says)
    expect(await texts(2)).toEqual(['0', '0'])
  })

  it.each(wrong)('to %s by their source: the last ones stay, and it is told', async (_, targets, says) => {
    const good = urls(await origins(1))
    let deliver: (targets: TargetInit[]) => void = () => {}
    const { texts } = await proxied({
      watch(fn) {
        deliver = fn
        fn(good)
        return { [Symbol.dispose]() {} }
      },
    })
    deliver(targets)
    expect(await texts(2)).toEqual(['0', '0'])
    await until(() => warnings.some((text) => text.includes(says)), 'a warning')
  })

  it('to nobody, all being drained: 503 at once, what is in flight finishes, and undrained they serve', async () => {
    const held = deferred()
    const origin = own(
      await originServer(async (_req, res) => {
        res.write('half')
        await held.promise
        res.end(' and half')
      }),
    )
    const { client, codes, upstream } = await proxied([origin.url])
    const call = client.call()
    expect((await call.head).status).toBe(200)
    for (const { id } of upstream.all) upstream.drain(id)
    expect(upstream.available).toEqual([])
    expect((await client.ask()).status).toBe(503)
    expect(codes).toEqual(['destination_unavailable'])
    held.resolve()
    expect(await call.answer()).toMatchObject({ text: 'half and half', complete: true })
    expect(origin.requests).toHaveLength(1)
    for (const { id } of upstream.all) upstream.undrain(id)
    expect((await client.ask()).status).toBe(200)
  })

  it('to an empty set of their source: kept, or with empty: apply 503 until there are some', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-empty-'))
    own({ close: () => rmSync(folder, { recursive: true, force: true }) })
    const file = join(folder, 'targets.json')
    const list = JSON.stringify(urls(await origins(1)))
    writeFileSync(file, list)
    const kept = await proxied(fileTargets(file, { debounce: 1 }))
    const applied = await proxied(fileTargets(file, { debounce: 1, empty: 'apply' }))
    for (const { upstream } of [kept, applied])
      await until(() => upstream.all.length === 1, 'the first targets')
    writeFileSync(file, '[]')
    await until(() => applied.upstream.all.length === 0, 'the empty set')
    expect((await applied.client.ask()).status).toBe(503)
    await until(() => warnings.some((text) => text.includes('the last ones stay')), 'a warning')
    expect(await kept.texts(2)).toEqual(['0', '0'])
    writeFileSync(file, list)
    await until(() => applied.upstream.all.length === 1, 'targets again')
    expect(await applied.texts(1)).toEqual(['0'])
  })
})

describe('a probe', () => {
  it.each<[string, Probe]>([
    [
      'throws',
      () => {
        throw new Error('a bug')
      },
    ],
    ['never settles', () => new Promise(() => {})],
  ])('that %s for one target has failed: the others get its requests', async (_, fail) => {
    const all = await origins(2)
    const { texts, upstream } = await proxied(urls(all))
    const [bad, good] = upstream.all as [Target, Target]
    const probe: Probe = (target, signal) => (target === bad ? fail(target, signal) : Promise.resolve())
    const watch = monitor(upstream, probe, { interval: 5, unhealthyInterval: 5, timeout: 5 })
    own({ close: () => watch[Symbol.dispose]() })
    await until(() => bad.state === 'unhealthy' && good.state === 'healthy', 'both verdicts')
    expect(new Set(await texts(6))).toEqual(new Set(['1']))
  })

  it('that never ends at its target, of createProxy', async () => {
    const hanging = own(
      await originServer((req, res) => (req.url === '/health' ? undefined : res.end('hanging'))),
    )
    const well = own(await originServer((_req, res) => res.end('well')))
    const health = { path: '/health', interval: '1s', timeout: 300 } as const
    const { texts, upstream } = await proxied([hanging.url, well.url], { health })
    await until(() => upstream.all.map(({ state }) => state).join() === 'unhealthy,healthy', 'both verdicts')
    expect(new Set(await texts(6))).toEqual(new Set(['well']))
  })

  it('that throws for all: panic, and all are asked, since nobody is known to be fit', async () => {
    const { texts, upstream } = await proxied(urls(await origins(2)))
    const probe: Probe = () => {
      throw new Error('a bug')
    }
    const watch = monitor(upstream, probe, { interval: 5, unhealthyInterval: 5 })
    own({ close: () => watch[Symbol.dispose]() })
    await until(() => upstream.all.every(({ state }) => state === 'unhealthy'), 'all verdicts')
    expect(upstream.panicking).toBe(true)
    expect((await texts(4)).sort()).toEqual(['0', '0', '1', '1'])
  })
})

describe.each(['repick', 'refuse'] as const)(
  'an affinity cookie that was tampered with, gone: %s',
  (gone) => {
    it('is none: any target, and a new cookie', async () => {
      const { client } = await proxied(urls(await origins(2)), { sticky: { secret: 'of the tests', gone } })
      const first = await client.ask()
      const [cookie] = values(first.headers, 'set-cookie')
      const pair = (cookie as string).split(';', 1)[0] as string
      expect(values((await client.ask({ headers: ['Cookie', pair] })).headers, 'set-cookie')).toEqual([])
      const at = pair.indexOf('=') + 5
      const other = pair[at] === 'A' ? 'B' : 'A'
      const name = pair.slice(0, pair.indexOf('='))
      for (const forged of [
        pair.slice(0, at) + other + pair.slice(at + 1),
        pair.slice(0, -3),
        `${name}=`,
        `${name}=0`,
      ]) {
        const answer = await client.ask({ headers: ['Cookie', forged] })
        expect(answer.status).toBe(200)
        expect(values(answer.headers, 'set-cookie')).toHaveLength(1)
      }
    })
  },
)
