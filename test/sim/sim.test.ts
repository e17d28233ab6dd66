import { expect, it } from 'vitest'
import { contenders, watches } from './lib/contenders.mjs'
import { figures } from './lib/figures.mjs'
import { plot } from './lib/plot.mjs'
import { recorded, scenarios } from './lib/scenarios.mjs'
import { simulate } from './lib/simulate.mjs'
import { compare, table } from './lib/tables.mjs'
import { VirtualTime } from './lib/virtual-time.mjs'

it('time goes from event to event, timers included, and comes back', async () => {
  const time = new VirtualTime()
  const { setTimeout: before } = globalThis
  const heard: string[] = []
  const note = (name: string) => () => void heard.push(`${name} ${performance.now()}`)
  time.install()
  try {
    setTimeout(note('late'), 20)
    setTimeout(note('early'), 10)
    time.after(10, note('as early, but later planned'))
    const repeated = setInterval(note('again'), 8)
    const refreshed = setTimeout(note('refreshed'), 5)
    time.after(4, () => refreshed.refresh())
    time.after(17, () => clearInterval(repeated))
    clearTimeout(setTimeout(note('never'), 1))
    await time.run(100)
    expect(performance.now()).toBe(100)
  } finally {
    time.restore()
  }
  expect(heard).toEqual([
    'again 8',
    'refreshed 9',
    'early 10',
    'as early, but later planned 10',
    'again 16',
    'late 20',
  ])
  expect(globalThis.setTimeout).toBe(before)
})

it('is the same for the same seed, and another for another', async () => {
  const short = { ...scenarios.dies, length: 7_000 }
  const run = async (seed: number) =>
    figures(await simulate(short, contenders['power-of-two'], { seed, watch: watches.probes }), short)
  expect(await run(3)).toEqual(await run(3))
  expect(await run(3)).not.toEqual(await run(4))
})

it('serves as queueing theory says: one server, half of its time busy', async () => {
  const one = {
    length: 400_000,
    servers: () => [{ url: 'http://10.0.0.1', width: 1, mean: 10 }],
    *trace(random: () => number) {
      for (let at = 0; at < 400_000; at += -Math.log(1 - random()) * 20)
        yield { at, key: '', work: -Math.log(1 - random()) }
    },
  }
  const { requests } = await simulate(one, contenders.random)
  const done = requests.filter(({ end }) => end !== undefined)
  const mean = done.reduce((sum, { at, end }) => sum + (end as number) - at, 0) / done.length
  // Pollaczek and Khinchine: λ E[S²] / (2 (1 - ρ)) in line, then the service and the way; E[S²] of exponential times log-normal.
  const theory = (0.05 * 2 * 100 * Math.exp(0.25)) / (2 * (1 - 0.5)) + 10 + 0.5
  expect(Math.abs(mean / theory - 1)).toBeLessThan(0.05)
})

it('power of two, least requests and peak EWMA keep p99 low beside a slow server, round robin does not', async () => {
  const rows = await compare(scenarios.slow, ['round-robin', 'least-requests', 'power-of-two', 'peak-ewma'])
  const [turns, least, two, ewma] = rows.map(({ p99 }) => p99) as [number, number, number, number]
  expect(turns / two).toBeGreaterThan(3)
  expect(turns / least).toBeGreaterThan(3)
  expect(turns / ewma).toBeGreaterThan(3)
})

it('a server that refuses loses no request where there is a second try, and gets traffic again', async () => {
  const [row] = await compare(scenarios.dies, ['round-robin'], { watch: watches.probes })
  expect(row).toMatchObject({ errors: 0 })
  expect(row?.detected).toBeLessThan(6_000)
  expect(row?.recovered).toBeLessThan(4_000)
  const [alone] = await compare(scenarios.dies, ['round-robin'], { attempts: 1 })
  expect(alone?.errors).toBeGreaterThan(0.02)
})

it('ejection takes a server out that refuses or answers errors, and lets it back gradually', async () => {
  for (const scenario of [scenarios.dies, scenarios.errors]) {
    const [row] = await compare(scenario, ['power-of-two'], { watch: watches.ejection })
    expect(row?.errors).toBeLessThan(0.001)
    expect(row?.detected).toBe(0)
    expect(row?.recovered).toBeLessThan(10_000)
  }
})

it('replays what was recorded', async () => {
  const trace = recorded('{"at":1,"key":"a"}\n\n{"at":5,"key":"b","work":3}\n')
  const { requests } = await simulate(
    { ...scenarios.steady, trace, length: 1_000 },
    contenders['round-robin'],
  )
  expect(requests.map(({ at, key, work, status }) => [at, key, work, status])).toEqual([
    [1, 'a', 1, 200],
    [5, 'b', 3, 200],
  ])
})

it('tables have the columns in which something stands; plots are SVG', () => {
  const row = {
    policy: 'x',
    requests: 1,
    fairness: 0.5,
    p50: 1,
    p99: 200,
    errors: 0,
    detected: undefined,
    recovered: undefined,
  }
  expect(table([row])).toBe(
    '| policy | p50 ms | p99 ms | failed | unevenness |\n| --- | ---: | ---: | ---: | ---: |\n| `x` | 1.0 | 200 | 0.00 % | 50.0 % |',
  )
  const svg = plot({
    title: 'a < b',
    x: 's',
    y: 'ms',
    series: [
      {
        name: 'n',
        points: [
          [0, 1],
          [1, 100],
        ],
      },
    ],
    log: true,
  })
  expect(svg).toMatch(/^<svg [^>]+>[\s\S]*<polyline [^>]+>[\s\S]*<\/svg>\n$/)
  expect(svg).toContain('a &#60; b')
})
