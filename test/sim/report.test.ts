import { expect, it } from 'vitest'
import { figures } from './lib/figures.mjs'
import { plot } from './lib/plot.mjs'
import { scenarios } from './lib/scenarios.mjs'
import { table } from './lib/tables.mjs'

const row = {
  policy: 'x',
  setting: 'none',
  requests: 1,
  fairness: 0.5,
  p50: 1,
  p99: 200,
  errors: 0,
  detected: undefined,
  recovered: undefined,
}

it('tables have the columns in which something stands', () => {
  expect(table([row])).toBe(
    '| policy | p50 ms | p99 ms | failed | unevenness |\n| --- | ---: | ---: | ---: | ---: |\n| `x` | 1.0 | 200 | 0 | 50.0 % |',
  )
  const both = table([row, { ...row, setting: 'probes', detected: 1_250, recovered: 40, errors: 0.0123 }])
  expect(both.split('\n')).toEqual([
    '| policy | setting | p50 ms | p99 ms | failed | unevenness | left in | back in |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    '| `x` | none | 1.0 | 200 | 0 | 50.0 % | – | – |',
    '| `x` | probes | 1.0 | 200 | 1.23 % | 50.0 % | 1.3 s | 0.04 s |',
  ])
})

it('tables have the tail, and what it costs, where somebody hedges', () => {
  const tail = { p999: 400, further: 0.0456, work: 41.26 }
  expect(table([{ ...row, ...tail }])).not.toContain('p99.9')
  expect(
    table([
      { ...row, ...tail },
      { ...row, ...tail, setting: 'hedge', tail: true },
    ]).split('\n'),
  ).toEqual([
    '| policy | setting | p50 ms | p99 ms | p99.9 ms | failed | further tries | server ms a request | unevenness |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    '| `x` | none | 1.0 | 200 | 400 | 0 | 4.56 % | 41.3 | 50.0 % |',
    '| `x` | hedge | 1.0 | 200 | 400 | 0 | 4.56 % | 41.3 | 50.0 % |',
  ])
})

it('figures are what their names say', () => {
  const [a, b] = ['http://a', 'http://b']
  const asked = (at: number, url: string, key: string, ms: number, status = 200) => ({
    at,
    key,
    work: 1,
    method: 'GET',
    tries: [{ at, url }],
    status,
    end: at + ms,
  })
  // `a` gets nothing from 2 s on, a second after its fault, and again half of all from 4 s on, a second after its end.
  const requests = Array.from({ length: 600 }, (_, i) => {
    const at = i * 10
    const out = at >= 2_000 && at < 4_000
    return asked(at, i % 2 === 1 || out ? b : a, `key-${i % 2}`, i + 1, i === 599 ? 499 : 200)
  })
  for (const { tries } of requests.slice(0, 150)) tries.push({ at: 0, url: b })
  const servers = [
    { url: a, asked: 200, weight: 1, width: 4, busy: 6_000 },
    { url: b, asked: 600, weight: 1, width: 4, busy: 18_000 },
  ]
  const scenario = { ...scenarios.dies, mark: a, at: 1_000, until: 3_000, length: 6_000 }
  const found = figures({ requests, servers } as never, scenario as never)
  expect(found).toMatchObject({
    requests: 600,
    fairness: 0.5,
    p50: 301,
    p99: 595,
    p999: 600,
    work: 40,
    moved: undefined,
    least: undefined,
  })
  expect(found.errors).toBeCloseTo(1 / 600)
  expect(found.further).toBe(0.25)
  // The second after 1.9 s holds five of its requests: a twentieth of all, which is a tenth of its half.
  expect(found.detected).toBeGreaterThanOrEqual(900)
  expect(found.detected).toBeLessThanOrEqual(1_000)
  // The second after 3.8 s holds forty of a hundred: four fifths of its half.
  expect(found.recovered).toBeGreaterThanOrEqual(800)
  expect(found.recovered).toBeLessThanOrEqual(1_000)
})

const chart = {
  title: 'a < b',
  x: 's',
  y: 'ms',
  series: ['first', 'second', 'third'].map((name, i) => ({
    name,
    points: [
      [0, 1],
      [1, 100 + i],
    ],
  })),
}

it('plots are SVG with a ground of their own', () => {
  const svg = plot({ ...chart, log: true })
  expect(svg).toMatch(/^<svg [^>]+>[\s\S]*<polyline [^>]+>[\s\S]*<\/svg>\n$/)
  expect(svg).toContain('a &#60; b')
  expect(svg).not.toContain('NaN')
  expect(svg).toMatch(/<rect class="ground"/)
})

it('names of lines that end at one place stand apart', () => {
  const svg = plot(chart)
  const places = [...svg.matchAll(/<text x="\S+" y="(\S+)" class="n\d"/g)].map(([, y]) => Number(y))
  expect(places).toHaveLength(3)
  const [first = 0, second = 0, third = 0] = places.sort((p, q) => p - q)
  expect(second - first).toBeGreaterThanOrEqual(16)
  expect(third - second).toBeGreaterThanOrEqual(16)
})
