import { createUpstream } from '@sluice/upstream'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { fakeTime } from '../../../test/kit/fake-time.js'
import { originServer } from '../../../test/kit/origin-server.js'
import { owner } from '../../../test/kit/owner.js'
import { rawOrigin } from '../../../test/kit/raw-origin.js'
import {
  type Declaration,
  declared,
  ejection,
  grpcProbe,
  HealthState,
  healthCheck,
  http2Probe,
  httpProbe,
  type MonitorOptions,
  monitor,
  type Probe,
  tcpProbe,
} from './index.js'

const own = owner()
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const options: MonitorOptions = { interval: 5_000, unhealthyInterval: 1_000, timeout: 2_000, jitter: 0 }

function watched(probe: Probe, given: MonitorOptions = {}, urls = ['http://a']) {
  const upstream = createUpstream({ name: 'x', targets: urls })
  const changes: string[] = []
  upstream.on('state', ({ target, from, to, reason }) =>
    changes.push(`${target.id} ${from} ${to}: ${reason}`),
  )
  const watch = monitor(upstream, probe, { ...options, ...given }, { random: () => 0.5 })
  own({ close: () => watch[Symbol.dispose]() })
  return { upstream, changes, watch }
}

it('lets the first probe decide, then fall and rise in a row', async () => {
  let fit = true
  let probes = 0
  const { changes } = watched(async () => {
    probes++
    if (!fit) throw new Error('answered 500')
  })
  await vi.advanceTimersByTimeAsync(0)
  expect(changes).toEqual(['http://a unknown healthy: probe passed'])
  fit = false
  await vi.advanceTimersByTimeAsync(5_000)
  expect(changes).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(5_000)
  expect(changes[1]).toBe('http://a healthy unhealthy: probe failed: answered 500')
  expect(probes).toBe(3)
  fit = true
  await vi.advanceTimersByTimeAsync(1_000)
  expect(changes).toHaveLength(2)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(changes[2]).toBe('http://a unhealthy healthy: probe passed')
})

it('lets no target that is new be known to be fit before all are', async () => {
  const urls = ['http://a', 'http://b', 'http://c', 'http://d']
  const { changes, upstream } = watched(
    async ({ id }) => {
      if (id === 'http://b') throw new Error('no')
    },
    {},
    urls,
  )
  await vi.advanceTimersByTimeAsync(200)
  expect(changes).toEqual(['http://b unknown unhealthy: probe failed: no'])
  upstream.replace(urls.slice(0, 3))
  expect(changes.slice(2)).toEqual([
    'http://a unknown healthy: probe passed',
    'http://c unknown healthy: probe passed',
  ])
  // Who joins later is behind those that are known.
  upstream.replace(urls)
  await vi.advanceTimersByTimeAsync(0)
  expect(changes.slice(4)).toEqual(['http://d unknown healthy: probe passed'])
})

it.each(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])(
  'takes %s for no word of the target, and asks again',
  async (code) => {
    let failure: Error | undefined = Object.assign(new Error('connect'), { code, syscall: 'connect' })
    let probes = 0
    const { changes } = watched(
      async () => {
        probes++
        if (failure !== undefined) throw failure
      },
      { fall: 1 },
    )
    await vi.advanceTimersByTimeAsync(3_000)
    expect([changes, probes]).toEqual([[], 4])
    failure = undefined
    await vi.advanceTimersByTimeAsync(1_000)
    expect(changes).toEqual(['http://a unknown healthy: probe passed'])
    failure = Object.assign(new Error('a bug'), { code: 'ERR_INVALID_ARG_TYPE' })
    await vi.advanceTimersByTimeAsync(5_000)
    expect(changes[1]).toBe('http://a healthy unhealthy: probe failed: a bug')
  },
)

it('takes a limit beneath `fetch failed` for no word of the target, and a lost connect there for one', async () => {
  let code = 'EMFILE'
  const { changes } = watched(
    async () => {
      const cause = Object.assign(new Error('connect'), { code, syscall: 'connect' })
      throw new TypeError('fetch failed', { cause })
    },
    { fall: 1 },
  )
  await vi.advanceTimersByTimeAsync(3_000)
  expect(changes).toEqual([])
  code = 'ECONNREFUSED'
  await vi.advanceTimersByTimeAsync(1_000)
  expect(changes).toEqual(['http://a unknown unhealthy: probe failed: fetch failed'])
})

it('forgets a good first verdict that another probe has taken back before it was told', async () => {
  let fit = true
  const { changes } = watched(
    async ({ id }, signal) => {
      if (id === 'http://b') return new Promise((_, reject) => signal.addEventListener('abort', reject))
      if (!fit) throw new Error('no')
    },
    { fall: 1, interval: 500, timeout: 2_000 },
    ['http://a', 'http://b'],
  )
  await vi.advanceTimersByTimeAsync(0)
  fit = false
  await vi.advanceTimersByTimeAsync(5_000)
  expect(changes).toEqual([
    'http://a unknown unhealthy: probe failed: no',
    'http://b unknown unhealthy: probe failed: no answer within 2000 ms',
  ])
})

it('marks a target that fails its first probe, and goes on probing it', async () => {
  let probes = 0
  const { upstream } = watched(async () => {
    probes++
    throw new Error('no')
  })
  await vi.advanceTimersByTimeAsync(3_000)
  expect([upstream.all[0]?.state, probes]).toEqual(['unhealthy', 4])
})

it.each<[string, Probe, string]>([
  ['never settles', () => new Promise(() => {}), 'no answer within 2000 ms'],
  [
    'throws',
    () => {
      throw new Error('thrown')
    },
    'thrown',
  ],
  ['rejects with nothing', () => Promise.reject(undefined), 'the probe failed'],
])('takes a probe that %s for a failed one', async (_name, probe, reason) => {
  const { changes } = watched(probe)
  await vi.advanceTimersByTimeAsync(2_000)
  expect(changes).toEqual([`http://a unknown unhealthy: probe failed: ${reason}`])
})

it('aborts a probe that takes too long, and ignores what it says later', async () => {
  let aborted = false
  let finish: () => void = () => {}
  const { changes } = watched((_target, signal) => {
    signal.addEventListener('abort', () => {
      aborted = true
    })
    return new Promise((resolve) => {
      finish = resolve
    })
  })
  await vi.advanceTimersByTimeAsync(2_000)
  expect(aborted).toBe(true)
  finish()
  await vi.advanceTimersByTimeAsync(0)
  expect(changes).toHaveLength(1)
})

it('leaves a part of each interval to chance, and spreads the first probes', async () => {
  let probes = 0
  watched(async () => void probes++, { jitter: 0.5 })
  // First after 0.5 * 0.5 of 1 s, then every 5 s * (1 - 0.5 * 0.5).
  await vi.advanceTimersByTimeAsync(249)
  expect(probes).toBe(0)
  await vi.advanceTimersByTimeAsync(1)
  expect(probes).toBe(1)
  await vi.advanceTimersByTimeAsync(3_749)
  expect(probes).toBe(1)
  await vi.advanceTimersByTimeAsync(1)
  expect(probes).toBe(2)
})

it('follows the membership and stops when disposed', async () => {
  const seen: string[] = []
  const { upstream, watch } = watched(async ({ id }) => void seen.push(id), {}, ['http://a', 'http://b'])
  await vi.advanceTimersByTimeAsync(100)
  expect(seen).toEqual(['http://a', 'http://b'])
  upstream.replace(['http://b', 'http://c'])
  await vi.advanceTimersByTimeAsync(5_000)
  expect(seen.slice(2).sort()).toEqual(['http://b', 'http://c', 'http://c'])
  watch[Symbol.dispose]()
  seen.length = 0
  upstream.replace(['http://d'])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(seen).toEqual([])
})

it('leaves nobody unhealthy for good when it is disposed: they are behind those that passed', async () => {
  const { upstream, changes, watch } = watched(
    async ({ id }) => {
      if (id === 'http://a') throw new Error('no')
    },
    {},
    ['http://a', 'http://b'],
  )
  await vi.advanceTimersByTimeAsync(1_000)
  changes.length = 0
  watch[Symbol.dispose]()
  watch[Symbol.dispose]()
  expect(changes).toEqual(['http://a unhealthy unknown: is probed no more'])
  expect(upstream.ranks.map((rank) => rank.map(({ id }) => id))).toEqual([['http://b'], ['http://a']])
})

it('spreads the first probes of many targets over an interval, and begins at once', async () => {
  const at: number[] = []
  const begun = performance.now()
  const urls = Array.from({ length: 100 }, (_, i) => `http://t${i}`)
  const { upstream } = watched(async () => void at.push(performance.now() - begun), {}, urls)
  await vi.advanceTimersByTimeAsync(4_999)
  expect(at).toEqual(urls.map((_, i) => i * 50))
  at.length = 0
  await vi.advanceTimersByTimeAsync(5_000)
  // And so it goes on.
  expect(Math.max(...at.map((each) => at.filter((other) => each <= other && other < each + 50).length))).toBe(
    1,
  )
  at.length = 0
  upstream.replace([...urls, 'http://new'])
  const joined = performance.now() - begun
  await vi.advanceTimersByTimeAsync(0)
  expect(at).toContain(joined)
})

it('keeps what it knows of targets that stay when the membership changes', async () => {
  let fit = true
  const { upstream, changes } = watched(
    async () => {
      if (!fit) throw new Error('no')
    },
    {},
    ['http://a', 'http://b'],
  )
  await vi.advanceTimersByTimeAsync(5_050)
  fit = false
  await vi.advanceTimersByTimeAsync(5_000)
  changes.length = 0
  upstream.replace(['http://c', { url: 'http://a', weight: 5 }])
  expect(upstream.all.map(({ id, state }) => `${id} ${state}`)).toEqual([
    'http://c unknown',
    'http://a healthy',
  ])
  await vi.advanceTimersByTimeAsync(5_000)
  // One fail before and one after are two in a row.
  expect(changes.filter((change) => change.startsWith('http://a'))).toEqual([
    'http://a healthy unhealthy: probe failed: no',
  ])
})

it('aborts the probe of a target that leaves, and takes nothing from it any more', async () => {
  let aborted = false
  let finish: () => void = () => {}
  const { upstream, changes } = watched((_target, signal) => {
    signal.addEventListener('abort', () => {
      aborted = true
    })
    return new Promise((resolve) => {
      finish = resolve
    })
  })
  await vi.advanceTimersByTimeAsync(0)
  upstream.replace(['http://b'])
  expect(aborted).toBe(true)
  changes.length = 0
  finish()
  await vi.advanceTimersByTimeAsync(0)
  expect(changes).toEqual([])
})

it('spreads probes anew when the machine has slept, and holds nothing of it against targets', async () => {
  const { now, pass, sleep, timers } = fakeTime()
  const urls = Array.from({ length: 50 }, (_, i) => `http://t${i}`)
  const upstream = createUpstream({ name: 'x', targets: urls }, 'upstream', now)
  const at: number[] = []
  let silent = false
  const probe: Probe = async () => {
    at.push(now())
    if (silent) await new Promise(() => {})
  }
  let n = 0
  const watch = monitor(upstream, probe, { ...options, fall: 1 }, { random: () => (n++ % 50) / 50, timers })
  own({ close: () => watch[Symbol.dispose]() })
  await pass(5_000)
  expect(upstream.all.every(({ state }) => state === 'healthy')).toBe(true)
  at.length = 0
  sleep(3_600_000)
  expect(at).toEqual([])
  await pass(4_999)
  expect(at).toHaveLength(50)
  expect(new Set(at).size).toBe(50)
  // Those that are asked when it falls asleep have no time to answer.
  silent = true
  at.length = 0
  await pass(1_500)
  expect(at.length).toBeGreaterThan(10)
  sleep(3_600_000)
  await new Promise((resolve) => setImmediate(resolve))
  silent = false
  await pass(10_000)
  expect(upstream.all.filter(({ state }) => state !== 'healthy')).toEqual([])
})

it('goes on probing though the process is always late', async () => {
  const { now, sleep, timers } = fakeTime()
  const upstream = createUpstream({ name: 'x', targets: ['http://a'] }, 'upstream', now)
  let probes = 0
  const watch = monitor(upstream, async () => void probes++, options, { random: () => 0, timers })
  own({ close: () => watch[Symbol.dispose]() })
  for (let i = 0; i < 10; i++) {
    sleep(20_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(probes).toBeGreaterThan(3)
})

it('takes what a target says of itself in a probe, until it says something else', async () => {
  let word: Declaration | undefined
  const { upstream, changes, watch } = watched(
    async ({ id }, _signal, declare) => {
      if (id === 'http://a' && word !== undefined) declare?.(word)
    },
    {},
    ['http://a', 'http://b'],
  )
  await vi.advanceTimersByTimeAsync(200)
  const step = async (said: Declaration | undefined): Promise<string[]> => {
    changes.length = 0
    word = said
    await vi.advanceTimersByTimeAsync(5_000)
    return [...changes]
  }
  expect(await step('degraded')).toEqual(['http://a healthy degraded: says that it is degraded'])
  expect(await step('draining')).toEqual(['http://a degraded draining: says that it is draining'])
  expect(await step('draining')).toEqual([])
  expect(await step(undefined)).toEqual(['http://a draining healthy: says nothing of draining any more'])
  await step('draining')
  upstream.drain('http://a')
  expect(await step('ok')).toEqual([])
  upstream.undrain('http://a')
  expect(upstream.all[0]?.state).toBe('healthy')
  await step('draining')
  watch[Symbol.dispose]()
  expect(upstream.all[0]?.state).toBe('healthy')
})

it('believes nobody any more who says something while it is disposed', async () => {
  const { upstream, watch } = watched(async (_target, _signal, declare) => declare?.('draining'))
  upstream.on('state', () => watch[Symbol.dispose]())
  await vi.advanceTimersByTimeAsync(10_000)
  expect(upstream.all.map(({ state }) => state)).toEqual(['healthy'])
})

it('finds nobody healthy any more while it is disposed', async () => {
  const { upstream, watch } = watched(async () => {}, {}, ['http://a', 'http://b'])
  upstream.on('state', () => watch[Symbol.dispose]())
  await vi.advanceTimersByTimeAsync(10_000)
  expect(upstream.all.map(({ state }) => state)).toEqual(['healthy', 'unknown'])
})

it('counts in a row', () => {
  const state = new HealthState(2, 3)
  const take = (...results: boolean[]): string[] =>
    results.map((passed) => (state.take(passed) ? state.verdict : '-'))
  expect(take(true, false, false, true, false, false, false)).toEqual([
    'healthy',
    '-',
    '-',
    '-',
    '-',
    '-',
    'unhealthy',
  ])
  expect(take(true, false, true, true)).toEqual(['-', '-', '-', 'healthy'])
})

it.each([
  [{ path: 'health' }, 'health.path'],
  [{ status: ['399-200'] }, 'health.status[0]'],
  [{ status: [] }, 'health.status: got [], takes at least one'],
  [{ rise: 0 }, 'health.rise'],
  [{ method: 'get' }, 'health.method'],
  [{ interval: 0 }, 'health.interval'],
  [{ unhealthyInterval: '0s' }, 'health.unhealthyInterval'],
  [{ jitter: 2 }, 'health.jitter'],
  [{ type: 'udp' }, 'health.type'],
  [{ type: 'tcp', path: '/health' }, 'health.path: unknown option'],
  [{ type: 'grpc', body: 'ok' }, 'health.body: unknown option'],
  [{ service: 'pkg.Service' }, 'health.service: unknown option'],
  [{ headers: { 'a b': 'c' } }, 'health.headers'],
  [{ headers: { Host: 'c' } }, 'health.headers'],
  [{ body: /(a+)+$/ }, 'health.body'],
  [{ body: '' }, 'health.body'],
  [{ body: 'x', method: 'HEAD' }, 'takes no body to be seen with HEAD'],
  [{ headrs: {} }, 'health.headrs: unknown option, did you mean headers?'],
  [{ header: 'x y' }, 'health.header'],
])('refuses %j', (given, says) => {
  expect(() => healthCheck(createUpstream({ name: 'x', targets: ['http://a'] }), given as never)).toThrow(
    says,
  )
})

it.each([
  ['a path, which its probe would never hear of', { path: '/health' }, 'monitor.path: unknown option'],
  ['no pause', { interval: 0 }, 'monitor.interval: got 0, takes more than 0'],
  ['a typo', { intervall: 5 }, 'monitor.intervall: unknown option, did you mean interval?'],
])('a monitor refuses %s', (_, given, says) => {
  const upstream = createUpstream({ name: 'x', targets: ['http://a'] })
  expect(() => monitor(upstream, httpProbe(), given as never)).toThrow(says)
})

it('refuses what is no probe, and no upstream', () => {
  const upstream = createUpstream({ name: 'x', targets: ['http://a'] })
  expect(() => monitor(upstream, { path: '/' } as never)).toThrow(
    "monitor: got { path: '/' } as its probe, takes a function such as httpProbe()",
  )
  expect(() => monitor('x' as never, httpProbe())).toThrow('monitor: got "x" as its upstream')
  expect(() => ejection(['http://a'] as never)).toThrow('ejection: got a list as its upstream')
  expect(() => declared(undefined as never)).toThrow('declared: got nothing as its upstream')
  expect(() => httpProbe({ interval: 5 } as never)).toThrow('httpProbe.interval: unknown option')
  expect(() => http2Probe({ pat: '/' } as never)).toThrow(
    'http2Probe.pat: unknown option, did you mean path?',
  )
  expect(() => grpcProbe({ path: '/' } as never)).toThrow('grpcProbe.path: unknown option')
})

it.each([
  ['what makes a probe and is none', tcpProbe as never, 'it gave a function: call it first'],
  ['a probe that gives false', (async () => false) as never, 'it gave false'],
])('finds nobody fit by %s', async (_, probe, reason) => {
  const { changes } = watched(probe)
  await vi.advanceTimersByTimeAsync(10)
  expect(changes).toEqual([`http://a unknown unhealthy: probe failed: ${reason}`])
})

it.each(['nonsense', '', 5, undefined])('takes %j for no word of a target', async (word) => {
  const { changes, upstream } = watched(async (_target, _signal, declare) => declare?.(word as never))
  await vi.advanceTimersByTimeAsync(10)
  expect(changes).toEqual(['http://a unknown healthy: probe passed'])
  expect(upstream.all[0]?.degraded).toBe(false)
})

it('httpProbe asks for its path, and goes by the status', async () => {
  vi.useRealTimers()
  let status = 204
  const origin = own(
    await originServer((_req, res) => {
      res.writeHead(status).end()
    }),
  )
  const [target] = createUpstream({ name: 'x', targets: [`${origin.url}/base`] }).all
  const probe = httpProbe({ path: '/health', host: 'api.example', status: [204, '300-399'] })
  const signal = new AbortController().signal
  await probe(target as never, signal)
  expect(origin.requests[0]?.url).toBe('/health')
  expect(origin.requests[0]?.req.headers.host).toBe('api.example')
  status = 302
  await probe(target as never, signal)
  status = 200
  await expect(probe(target as never, signal)).rejects.toThrow('GET /health answered 200')
  await origin.close()
  await expect(probe(target as never, signal)).rejects.toThrow('ECONNREFUSED')
})

it('httpProbe fails when a target switches protocols instead of answering', async () => {
  vi.useRealTimers()
  const origin = own(
    await originServer((req) => {
      req.socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n')
    }),
  )
  const [target] = createUpstream({ name: 'x', targets: [origin.url] }).all
  await expect(httpProbe()(target as never, new AbortController().signal)).rejects.toThrow('got no answer')
})

it('httpProbe names the target in TLS, whatever Host says, as requests do', async () => {
  vi.useRealTimers()
  const origin = own(
    await rawOrigin(async (connection) => {
      await connection.until('localhost')
      connection.reset()
    }),
  )
  const [target] = createUpstream({ name: 'x', targets: [`https://localhost:${origin.port}`] }).all
  const probe = httpProbe({ host: 'api.example' })(target as never, new AbortController().signal)
  await expect(probe).rejects.toThrow('ECONNRESET')
  expect(origin.connections[0]?.text).not.toContain('api.example')
})
