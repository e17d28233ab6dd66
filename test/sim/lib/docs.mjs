// Writes what the simulator finds into docs/balancing.md, between the markers, and the plots beside it.
import { readFileSync, writeFileSync } from 'node:fs'
import { contenders, watches } from './contenders.mjs'
import { quantile } from './figures.mjs'
import { plot } from './plot.mjs'
import { scenarios } from './scenarios.mjs'
import { simulate } from './simulate.mjs'
import { compare, table } from './tables.mjs'

const docs = new URL('../../../docs/', import.meta.url)

/** @returns the page, and each plot by its file's name */
export async function makeDocs(page) {
  const plots = {}
  let text = page
  for (const [name, scenario] of Object.entries(scenarios)) {
    for (const [watch, watching] of Object.entries(watches)) {
      const key = watch === 'none' ? name : `${name} ${watch}`
      if (!text.includes(`<!-- sim: ${key} -->`)) continue
      const rows = await compare(scenario, Object.keys(contenders), { watch: watching })
      text = fill(text, key, table(rows))
    }
  }
  plots['balancing-slow.svg'] = plot({
    title: 'One of ten servers is ten times slower',
    x: 'seconds',
    y: 'p99 of each second, ms',
    log: true,
    series: await series(scenarios.slow, Object.keys(contenders), 'none', p99BySecond),
  })
  for (const name of ['dies', 'errors']) {
    const { at, until, mark } = scenarios[name]
    plots[`balancing-${name}.svg`] = plot({
      title: `${scenarios[name].about[0].toUpperCase()}${scenarios[name].about.slice(1)}`,
      x: 'seconds',
      y: 'share of its fair share of first tries',
      spans: [{ from: at / 1000, to: until / 1000, name: name === 'dies' ? 'refuses' : 'answers 503' }],
      series: await byWatch(scenarios[name], shareOf(mark)),
    })
  }
  return { text, plots }
}

/** Writes page and plots. */
export async function writeDocs() {
  const page = new URL('balancing.md', docs)
  const { text, plots } = await makeDocs(readFileSync(page, 'utf8'))
  writeFileSync(page, text)
  for (const [name, svg] of Object.entries(plots)) writeFileSync(new URL(`plots/${name}`, docs), svg)
}

function fill(text, key, content) {
  const [start, end] = [`<!-- sim: ${key} -->`, '<!-- /sim -->']
  const from = text.indexOf(start) + start.length
  const to = text.indexOf(end, from)
  if (to === -1) throw new Error(`docs/balancing.md: ${start} has no ${end}`)
  return `${text.slice(0, from)}\n${content}\n${text.slice(to)}`
}

async function series(scenario, names, watch, reduce, as) {
  const lines = []
  for (const name of names) {
    const run = await simulate(scenario, contenders[name], { watch: watches[watch] })
    lines.push({ name: as ?? name, points: bySecond(run, scenario, reduce) })
  }
  return lines
}

/** The default policy under each watch. */
async function byWatch(scenario, reduce) {
  const lines = []
  for (const watch of Object.keys(watches))
    lines.push(...(await series(scenario, ['power-of-two'], watch, reduce, watch)))
  return lines
}

function bySecond({ requests, servers }, { length }, reduce) {
  // Of the last ones some requests are not answered when the run ends.
  const seconds = Array.from({ length: Math.floor(length / 1000) - 2 }, () => [])
  for (const request of requests) seconds[Math.floor(request.at / 1000)]?.push(request)
  return seconds.map((list, second) => [second, reduce(list, servers)])
}

function p99BySecond(list) {
  const times = list.map(({ at, end }) => (end ?? Number.POSITIVE_INFINITY) - at).sort((a, b) => a - b)
  const value = quantile(times, 0.99)
  return Number.isFinite(value) ? value : 20_000
}

const shareOf = (mark) => (list, servers) => {
  const firsts = list.filter(({ tries }) => tries.length > 0)
  return (firsts.filter(({ tries }) => tries[0].url === mark).length / (firsts.length || 1)) * servers.length
}
