import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  createTarget,
  createUpstream,
  leaseOn,
  onRetire,
  type Target,
  type TargetInit,
  type Upstream,
} from './index.js'

const [a, b, c] = ['http://a', 'http://b', 'http://c'] as const
const ids = (targets: Upstream['all']): string[] => targets.map(({ id }) => id)

function fault(targets: unknown): string[] {
  try {
    createUpstream({ name: 'api', targets: targets as TargetInit[] }, 'upstreams.api')
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message.split('\n')
  }
  return []
}

it.each([
  ['http://a/', 'http://a'],
  ['HTTP://A:80/base', 'http://a/base'],
  ['https://a:443', 'https://a'],
  ['http://[::1]:3000', 'http://[::1]:3000'],
  ['http://unix:8080/', 'http://unix:8080'],
  ['http://unix/', 'http://unix'],
  ['unix:/run/app.sock', 'unix:/run/app.sock'],
])('takes %s', (url, id) => {
  expect(ids(createUpstream({ name: 'x', targets: [url] }).all)).toEqual([id])
})

it.each([
  [
    'localhost:3000',
    'upstreams.api.targets[0]: got "localhost:3000", takes a URL with its scheme: \'http://localhost:3000\'',
  ],
  ['http://u:p@a', 'user and password'],
  ['http://x:u:p@ss@u:p@a', 'user and password'],
  ['http://u:p/@a', 'takes a URL such as'],
  ['u:p@a', 'takes a URL such as'],
  ['http://a/?x', 'without a query'],
  ['http://a:0', 'a port from 1 to 65535'],
  [new URL('http://u:p@a'), 'takes its text: url.href'],
  ['http://a/#x', 'without a fragment'],
  ['ftp://a', 'takes a URL such as'],
  ['http://', 'takes a URL such as'],
  ['unix:relative', 'absolute path'],
  ['http://unix:/run/app.sock', "takes a socket as 'unix:/run/app.sock'"],
  ['HTTPS://UNIX:/run/app.sock:/base', "takes a socket as 'unix:/run/app.sock'"],
  [{ url: 'http://a', weight: 0 }, 'upstreams.api.targets[0].weight: got 0'],
  [{ url: 'http://a', weight: Number.NaN }, 'weight'],
  [{ url: 'http://a', priority: -1 }, 'priority'],
  [{ url: 'http://a', tls: {} }, 'upstreams.api.targets[0].tls: got settings for a target without TLS'],
  [7, 'takes a URL or {'],
])('refuses %j', (target, says) => {
  const [text] = fault([target])
  expect(text).toContain(says)
  expect(text).not.toContain('u:p')
})

it('tells every fault at once, and duplicates', () => {
  expect(fault([a, 'b:1', 'http://a/', { url: b, id: a }])).toHaveLength(3)
  expect(fault([])).toEqual([expect.stringContaining('empty list')])
  expect(fault('http://a')).toEqual([expect.stringContaining('takes a list of URLs')])
})

it('refuses options that there are none of', () => {
  expect(() => createUpstream({ name: 'x', targets: [a], pannic: 0.5, tsl: {} } as never)).toThrow(
    new TypeError(
      'upstream.pannic: unknown option, takes { name, targets, tls, panic }\n' +
        'upstream.tsl: unknown option, takes { name, targets, tls, panic }',
    ),
  )
})

it('counts what is in flight; a lease ends once', () => {
  let now = 1_000
  const upstream = createUpstream({ name: 'x', targets: [a] }, 'x', () => now)
  const [target] = upstream.all
  const one = upstream.lease(target as never)
  const two = upstream.lease(target as never)
  expect(target?.inFlight).toBe(2)
  one.release({ ok: true, ttfb: 100 })
  one.release({ ok: true, ttfb: 900 })
  expect([target?.inFlight, target?.ewma]).toEqual([1, 100])
  now += 10_000
  two.release({ ok: true, ttfb: 200 })
  expect(target?.ewma).toBeCloseTo(100 + 100 * (1 - Math.exp(-1)))
  upstream.lease(target as never).release()
  expect(target?.inFlight).toBe(0)
})

it('counts the answers that flow apart from those that are waited for', () => {
  const upstream = createUpstream({ name: 'x', targets: [a] })
  const target = upstream.all[0] as Target
  const heard: unknown[] = []
  upstream.on('answer', (_target, status, ttfb, { nth, phase }) => heard.push([nth, phase, status, ttfb]))
  const counts = (): number[] => [target.inFlight, target.answering]
  const [body, tunnel, neither] = [upstream.lease(target), upstream.lease(target), upstream.lease(target)]
  expect([body.phase, counts()]).toEqual(['request', [3, 0]])
  body.answered(200, 12)
  body.answered(500, 99, true)
  tunnel.answered(101, 7, true)
  expect([body.phase, tunnel.phase, counts()]).toEqual(['body', 'tunnel', [3, 2]])
  for (const lease of [body, tunnel, neither]) lease.release()
  neither.answered(200, 1)
  expect([neither.phase, counts()]).toEqual(['request', [0, 0]])
  expect(heard).toEqual([
    [1, 'body', 200, 12],
    [2, 'tunnel', 101, 7],
  ])
})

it('takes the time to a head when that is there: at the end of a long body it would tell of long ago', () => {
  let now = 1_000
  const upstream = createUpstream({ name: 'x', targets: [a] }, 'x', () => now)
  const target = upstream.all[0] as Target
  const [long, tunnel] = [upstream.lease(target), upstream.lease(target)]
  long.answered(200, 900)
  tunnel.answered(101, 5_000, true)
  expect(target.ewma).toBe(900)
  now += 3_600_000
  upstream.lease(target).release({ ok: true, ttfb: 10 })
  expect(target.ewma).toBeCloseTo(10)
  now += 60_000
  for (const lease of [long, tunnel]) lease.release({ ok: true, status: 200, ttfb: 900 })
  expect(target.ewma).toBeCloseTo(10)
})

it('survives a listener of answers that throws', async () => {
  const upstream = createUpstream({ name: 'x', targets: [a] })
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
  upstream.on('answer', () => {
    throw new Error('no')
  })
  upstream.lease(upstream.all[0] as Target).answered(200, 1)
  expect((await warned).message).toBe('upstream x: no')
})

it.each([Number.NaN, Number.POSITIVE_INFINITY, -5])('learns nothing from a time of %s', (ttfb) => {
  let now = 1_000
  const upstream = createUpstream({ name: 'x', targets: [a] }, 'x', () => now)
  const live = upstream.all[0] as Target
  for (const each of [ttfb, 20, ttfb]) {
    now += 1_000
    upstream.lease(live).release({ ok: true, ttfb: each })
  }
  expect(live.ewma).toBe(20)
})

it('orders who may be used: fit, then unknown, by priority; everyone when none is fit; nobody that drains', () => {
  const upstream = createUpstream({ name: 'x', targets: [{ url: a, priority: 1 }, b, c] })
  expect(ids(upstream.available)).toEqual([b, c, a])
  const before = upstream.available
  expect(Object.isFrozen(before)).toBe(true)
  const [ta, tb, tc] = upstream.all as never[]
  upstream.mark(ta as never, 'healthy', 'probe')
  expect(ids(upstream.available)).toEqual([a, b, c])
  expect(upstream.available).not.toBe(before)
  upstream.mark(tb as never, 'unhealthy', 'probe')
  expect(ids(upstream.available)).toEqual([a, c])
  upstream.mark(ta as never, 'unhealthy', 'probe')
  upstream.mark(tc as never, 'unhealthy', 'probe')
  expect(ids(upstream.available).sort()).toEqual([a, b, c])
  upstream.drain(b)
  expect(ids(upstream.available).sort()).toEqual([a, c])
  for (const id of [a, c]) upstream.drain(id)
  expect(upstream.available).toEqual([])
  upstream.undrain(b)
  expect(ids(upstream.available)).toEqual([b])
})

it('keeps a target drained until everybody who has drained it has undrained it', () => {
  const upstream = createUpstream({ name: 'x', targets: [a, b] })
  const heard: string[] = []
  upstream.on('state', ({ from, to, reason }) => heard.push(`${from} ${to} ${reason}`))
  upstream.drain(a, 'says so', 'declared')
  upstream.drain(a)
  upstream.undrain(a, 'says otherwise', 'declared')
  expect(upstream.all[0]?.state).toBe('draining')
  upstream.undrain(a)
  expect(heard).toEqual(['unknown draining says so', 'draining unknown undrained by hand'])
})

it('tells each change with its reason, to every listener, though one of them throws', () => {
  const upstream = createUpstream({ name: 'x', targets: [a] })
  const heard: string[] = []
  upstream.on('state', () => {
    throw new Error('listener')
  })
  const off = upstream.on('state', ({ from, to, reason }) => heard.push(`${from} ${to} ${reason}`))
  upstream.mark(upstream.all[0] as never, 'healthy', 'passed')
  upstream.mark(upstream.all[0] as never, 'healthy', 'passed again')
  upstream.drain('nobody')
  upstream.drain(a)
  upstream.undrain(a)
  off()
  upstream.drain(a)
  expect(heard).toEqual([
    'unknown healthy passed',
    'healthy draining drained by hand',
    'draining healthy undrained by hand',
  ])
})

it.each(['http://127.0.0.1:80/', 'HTTP://127.0.0.1', 'http://127.0.0.1'])(
  'drains a target by its URL as it was written: %s',
  (url) => {
    const upstream = createUpstream({ name: 'x', targets: [url, { url: b, id: 'one' }] })
    const states = () => upstream.all.map(({ state }) => state)
    upstream.drain(url)
    upstream.drain(`${b}/`)
    expect(states()).toEqual(['draining', 'draining'])
    upstream.undrain(url)
    upstream.undrain(`${b}/`)
    expect(states()).toEqual(['unknown', 'unknown'])
  },
)

it('takes a name for the target of that id before the one of that URL', () => {
  const upstream = createUpstream({
    name: 'x',
    targets: [
      { url: a, id: 'one' },
      { url: b, id: a },
    ],
  })
  upstream.drain(a)
  expect(upstream.all.map(({ state }) => state)).toEqual(['unknown', 'draining'])
})

it('tells changes in their order, also those that a listener makes', () => {
  const upstream = createUpstream({ name: 'x', targets: [a, b], panic: 0.6 })
  const heard: string[] = []
  upstream.on('state', ({ target, to }) => {
    if (to === 'ejected') upstream.drain(b)
    if (to === 'draining' && target.id === b) upstream.replace([a, c])
  })
  upstream.on('state', ({ target, from, to }) => heard.push(`${target.id} ${from} ${to}`))
  upstream.on('panic', (on) => heard.push(`panic ${on}`))
  upstream.on('targets', (targets) => heard.push(ids(targets).join()))
  upstream.eject(upstream.all[0] as Target, 'x', 'refused')
  expect(heard).toEqual([
    'panic true',
    `${a} unknown ejected`,
    `${b} unknown draining`,
    `${b} draining removed`,
    `${a},${c}`,
  ])
})

it('survives listeners that reject, and those that throw what can not be shown', async () => {
  const upstream = createUpstream({ name: 'heard', targets: [a] })
  const warned: string[] = []
  const warning = ({ message }: Error): void => {
    if (message.includes('heard')) warned.push(message)
  }
  process.on('warning', warning)
  const target = upstream.all[0] as Target
  upstream.on('state', async () => {
    throw new Error('of a webhook')
  })
  upstream.on('result', async () => {
    throw new Error('of a database')
  })
  upstream.on('result', () => {
    throw Object.create(null)
  })
  upstream.mark(target, 'healthy', 'probe')
  upstream.lease(target).release({ ok: true })
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', warning)
  expect(warned.sort()).toEqual([
    'upstream heard: of a database',
    'upstream heard: of a webhook',
    'upstream heard: something that can not be shown',
  ])
})

it('closes though its source throws at that', async () => {
  const upstream = createUpstream({
    name: 'x',
    targets: {
      watch: () => ({
        [Symbol.dispose]: () => {
          throw new Error('source')
        },
      }),
    },
  })
  await expect(upstream.close()).resolves.toBeUndefined()
})

it('keeps the state of targets that stay, and their leases when they go', () => {
  const upstream = createUpstream({ name: 'x', targets: [a, b] })
  const [ta, tb] = upstream.all
  upstream.mark(ta as never, 'healthy', 'probe')
  const lease = upstream.lease(tb as never)
  const members: string[][] = []
  upstream.on('targets', (targets) => members.push(ids(targets)))
  upstream.replace([{ url: a, weight: 5 }, c])
  expect(upstream.all[0]).toBe(ta)
  expect([upstream.all[0]?.state, upstream.all[0]?.weight]).toEqual(['healthy', 5])
  expect(members).toEqual([[a, c]])
  lease.release()
  expect(tb?.inFlight).toBe(0)
  expect(() => upstream.replace(['nonsense'])).toThrow(TypeError)
  expect(ids(upstream.all)).toEqual([a, c])
})

it('keeps its lists, for which policies keep tables, when the same targets are delivered again', () => {
  const upstream = createUpstream({ name: 'x', targets: [a, { url: b, zone: 'z' }] })
  const heard: number[] = []
  upstream.on('targets', (targets) => heard.push(targets.length))
  let { all, available } = upstream
  const changes = (targets: TargetInit[]): boolean[] => {
    upstream.replace(targets)
    const changed = [upstream.all !== all, upstream.available !== available]
    ;({ all, available } = upstream)
    return changed
  }
  expect(changes(['http://a/', { url: b, zone: 'z', weight: 1 }])).toEqual([false, false])
  expect(heard).toEqual([])
  for (const other of [{ weight: 2 }, { weight: 2, priority: 1 }, { weight: 2, priority: 1, zone: 'y' }])
    expect(changes([a, { url: b, zone: 'z', ...other }])).toEqual([true, true])
  expect(changes([a, b])).toEqual([true, true])
  expect(changes([b, a])).toEqual([true, true])
  expect(heard).toEqual([2, 2, 2, 2, 2])
})

it('one that has left takes its drain along, and who wants a name kept out drains it as it joins', () => {
  const upstream = createUpstream({ name: 'api', targets: [a, b] })
  upstream.drain(b)
  upstream.replace([a])
  upstream.replace([a, b])
  expect(upstream.all.map(({ state }) => state)).toEqual(['unknown', 'unknown'])
  upstream.on('targets', () => upstream.drain(b))
  upstream.replace([a])
  upstream.replace([a, b])
  expect(upstream.all.map(({ state }) => state)).toEqual(['unknown', 'draining'])
})

it('keeps a target drained by hand under its id when other settings make it anew', () => {
  const upstream = createUpstream({ name: 'x', targets: [{ url: a, id: 'one' }, b] })
  upstream.drain('one')
  upstream.drain(b, 'says so', 'declared')
  upstream.replace([
    { url: c, id: 'one' },
    { url: 'https://b', id: b },
  ])
  expect(upstream.all.map(({ id, state }) => `${id} ${state}`)).toEqual(['one draining', `${b} unknown`])
  upstream.undrain('one')
  expect(upstream.all[0]?.state).toBe('unknown')
  upstream.drain('one')
  upstream.replace([b])
  upstream.replace([{ url: c, id: 'one' }])
  expect(upstream.all[0]?.state).toBe('unknown')
})

it('retires a target that has left when its last lease has ended, and at once when it has none', () => {
  const upstream = createUpstream({ name: 'x', targets: [a, b, c] })
  const retired: string[] = []
  for (const target of upstream.all) onRetire(target, () => retired.push(target.id))
  const [ta] = upstream.all as [Target]
  const leases = [upstream.lease(ta), upstream.lease(ta)]
  upstream.replace([c])
  expect(retired).toEqual([b])
  leases[0]?.release()
  leases[0]?.release()
  expect(retired).toEqual([b])
  leases[1]?.release({ ok: true })
  expect(retired).toEqual([b, a])
  // Who had picked it before it left may use it yet.
  upstream.lease(ta).release()
  expect(retired).toEqual([b, a, a])
  upstream.lease(upstream.all[0] as Target).release()
  expect(retired).toHaveLength(3)
})

it('follows a discovery until it is closed; what it delivers wrongly changes nothing', async () => {
  let deliver: (targets: TargetInit[]) => void = () => {}
  let disposed = false
  const upstream = createUpstream({
    name: 'x',
    targets: {
      watch(fn) {
        deliver = fn
        return {
          [Symbol.dispose]: () => {
            disposed = true
          },
        }
      },
    },
  })
  expect(upstream.all).toEqual([])
  deliver([a])
  expect(ids(upstream.all)).toEqual([a])
  const warned = new Promise((resolve) => process.once('warning', resolve))
  deliver(['nonsense'])
  await warned
  expect(ids(upstream.all)).toEqual([a])
  await upstream.close()
  expect(disposed).toBe(true)
  deliver([b])
  expect(ids(upstream.all)).toEqual([a])
})

it('is out until each who has ejected it has restored it, and came back then', () => {
  let now = 5
  const upstream = createUpstream({ name: 'x', targets: [a, b] }, 'x', () => now)
  const [ta, tb] = upstream.all as [Target, Target]
  const heard: string[] = []
  upstream.on('state', ({ from, to, reason }) => heard.push(`${from} ${to} ${reason}`))
  expect(ta.since).toBe(Number.NEGATIVE_INFINITY)
  upstream.eject(ta, 'one', 'refused')
  upstream.eject(ta, 'two', 'slow')
  expect([ids(upstream.available), ta.state]).toEqual([[b], 'ejected'])
  now = 50
  upstream.restore(ta, 'one', 'over')
  upstream.restore(tb, 'one', 'never was')
  expect(ids(upstream.available)).toEqual([b])
  upstream.mark(ta, 'healthy', 'probe')
  now = 60
  upstream.restore(ta, 'two', 'over')
  expect([ids(upstream.available), ta.since, tb.since]).toEqual([[a, b], 60, Number.NEGATIVE_INFINITY])
  expect(heard).toEqual(['unknown ejected refused', 'ejected healthy over'])
  now = 70
  upstream.replace([a, b, c])
  expect(upstream.all[2]?.since).toBe(70)
})

it('uses one that would rather not when no other of its priority is left', () => {
  const upstream = createUpstream({ name: 'x', targets: [a, b, { url: c, priority: 1 }] })
  const [ta] = upstream.all as [Target]
  const heard: string[] = []
  upstream.on('state', ({ from, to }) => heard.push(`${from} ${to}`))
  upstream.degrade(ta, true, 'says so')
  expect(ids(upstream.available)).toEqual([b, c, a])
  expect(upstream.ranks.map(ids)).toEqual([[b], [c], [a]])
  upstream.degrade(ta, false, 'says so no more')
  expect(upstream.ranks.map(ids)).toEqual([[a, b], [c]])
  expect(heard).toEqual(['unknown degraded', 'degraded unknown'])
})

it('panics below the share: all that drain not are available, and it is told', () => {
  const upstream = createUpstream({ name: 'x', targets: [a, b, c], panic: 0.5 })
  const heard: boolean[] = []
  upstream.on('panic', (on) => heard.push(on))
  const [ta, tb, tc] = upstream.all as [Target, Target, Target]
  upstream.mark(ta, 'unhealthy', 'probe')
  expect(ids(upstream.available)).toEqual([b, c])
  upstream.eject(tb, 'x', 'slow')
  expect([ids(upstream.available), upstream.ranks.map(ids), upstream.panicking]).toEqual([
    [a, b, c],
    [[a, b, c]],
    true,
  ])
  upstream.drain(c)
  expect(ids(upstream.available)).toEqual([a, b])
  upstream.undrain(c)
  upstream.restore(tb, 'x', 'over')
  expect([ids(upstream.available), heard]).toEqual([
    [b, c],
    [true, false],
  ])
  expect(tc.state).toBe('unknown')
  expect(() => createUpstream({ name: 'x', targets: [a], panic: 2 })).toThrow(/upstream.panic: got 2, takes/)
})

it('in panic asks a tier where nobody is fit behind those that have somebody', () => {
  const d = 'http://d'
  const targets = [a, b, { url: c, priority: 1 }, { url: d, priority: 2 }]
  const upstream = createUpstream({ name: 'x', targets, panic: 0.9 })
  const [ta, tb, tc, td] = upstream.all as [Target, Target, Target, Target]
  upstream.eject(ta, 'x', 'refused')
  upstream.eject(tb, 'x', 'refused')
  expect([upstream.panicking, upstream.ranks.map(ids)]).toEqual([true, [[c], [d], [a, b]]])
  upstream.restore(tb, 'x', 'over')
  expect(upstream.ranks.map(ids)).toEqual([[a, b], [c], [d]])
  for (const each of [tb, tc, td]) upstream.eject(each, 'x', 'refused')
  expect(upstream.ranks.map(ids)).toEqual([[a, b], [c], [d]])
})

it('tells the end of each lease, and asks its gates', () => {
  const upstream = createUpstream({ name: 'x', targets: [a, b] })
  const [ta, tb] = upstream.all as [Target, Target]
  const heard: unknown[] = []
  upstream.on('result', () => {
    throw new Error('listener')
  })
  upstream.on('result', (target, result) => heard.push([target.id, result?.status, target.inFlight]))
  const open = upstream.gate(({ inFlight }) => inFlight < 1)
  const lease = upstream.lease(ta)
  expect([upstream.admits(ta), upstream.admits(tb), upstream.gated]).toEqual([false, true, true])
  lease.release({ ok: true, status: 503 })
  lease.release({ ok: true, status: 200 })
  upstream.lease(tb).release()
  expect(heard).toEqual([
    [a, 503, 0],
    [b, undefined, 0],
  ])
  open()
  expect(upstream.gated).toBe(false)
})

it('numbers the leases of each target, so that who listens knows which began before a moment', () => {
  const upstream = createUpstream({ name: 'x', targets: [a, b] })
  const [ta, tb] = upstream.all as [Target, Target]
  const heard: unknown[] = []
  upstream.on('result', ({ id }, result, { nth }) => heard.push([id, result?.status, nth]))
  const early = upstream.lease(ta)
  const other = upstream.lease(tb)
  const noted = ta.leased
  const late = upstream.lease(ta)
  for (const lease of [late, other, early]) lease.release({ ok: true, status: 200 })
  expect(heard).toEqual([
    [a, 200, 2],
    [b, 200, 1],
    [a, 200, 1],
  ])
  expect([noted, ta.leased, leaseOn(createTarget(a)).nth]).toEqual([1, 2, 1])
})

it('knows when gates open for the first target, where all of them tell', () => {
  const upstream = createUpstream({ name: 'x', targets: [a, b] })
  const [ta, tb] = upstream.all as [Target, Target]
  const undo = [
    upstream.gate(
      () => false,
      (target) => (target === ta ? 300 : 100),
    ),
  ]
  expect(upstream.opensIn()).toBe(100)
  expect([upstream.opensIn(ta), upstream.opensIn(tb)]).toEqual([300, 100])
  // Two that refuse the same one: the later counts.
  undo.push(
    upstream.gate(
      () => false,
      () => 200,
    ),
  )
  expect(upstream.opensIn()).toBe(200)
  // Whose time isn't known may open at any moment.
  const unknown = upstream.gate((target) => target !== ta)
  expect(upstream.opensIn()).toBeUndefined()
  unknown()
  for (const each of undo) each()
  expect(upstream.opensIn()).toBe(0)
  for (const { id } of upstream.all) upstream.drain(id)
  expect(upstream.opensIn()).toBeUndefined()
})

it('keeps its counts under any order of leases, membership and verdicts', () => {
  const urls = [a, b, c]
  type Step = {
    do: 'lease' | 'release' | 'replace' | 'mark' | 'drain' | 'undrain' | 'eject' | 'restore'
    n: number
  }
  const step: fc.Arbitrary<Step> = fc.record({
    do: fc.constantFrom('lease', 'release', 'replace', 'mark', 'drain', 'undrain', 'eject', 'restore'),
    n: fc.nat(20),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const upstream = createUpstream({ name: 'x', targets: urls })
      const held: ReturnType<Upstream['lease']>[] = []
      for (const { do: what, n } of steps) {
        const target = upstream.all[n % upstream.all.length]
        if (target === undefined) continue
        if (what === 'lease') held.push(upstream.lease(target))
        else if (what === 'release') held.splice(n % (held.length || 1), 1)[0]?.release()
        else if (what === 'replace') upstream.replace(urls.filter((_, i) => i !== n % 4))
        else if (what === 'mark') upstream.mark(target, n % 2 === 0 ? 'healthy' : 'unhealthy', 'model')
        else if (what === 'eject' || what === 'restore') upstream[what](target, `${n % 3}`, 'model')
        else upstream[what](target.id)
        for (const each of upstream.all) {
          expect(each.inFlight).toBe(held.filter((lease) => lease.target === each).length)
        }
        const states = upstream.all.map(({ state }) => state)
        const fit = states.filter((state) => state === 'healthy' || state === 'unknown').length
        const undrained = states.filter((state) => state !== 'draining').length
        expect(upstream.available).toHaveLength(fit > 0 ? fit : undrained)
      }
    }),
  )
})

it('makes its lists when they are read: of many targets that go at once, each makes none', () => {
  const upstream = createUpstream({
    name: 'api',
    targets: Array.from({ length: 50 }, (_, i) => `http://t${i}`),
  })
  let looked = 0
  for (const target of upstream.all) {
    Object.defineProperty(target, 'priority', {
      get() {
        looked++
        return 0
      },
    })
  }
  const panics: boolean[] = []
  upstream.on('panic', (on) => panics.push(on))
  for (const target of upstream.all) upstream.mark(target, 'unhealthy', 'probe failed')
  for (const target of upstream.all) upstream.mark(target, 'healthy', 'probe passed')
  expect([looked, panics, upstream.panicking]).toEqual([0, [true, false], false])
  const { available, ranks } = upstream
  expect([available.length, ranks[0]]).toEqual([50, available])
  const once = looked
  expect([upstream.available, upstream.ranks, looked]).toEqual([available, ranks, once])
})
