// Writes what the simulator finds into docs/balancing.md, between the markers, and the plots beside it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { choices } from './choices.mjs'
import { figures } from './figures.mjs'
import { plot } from './plot.mjs'
import { policies } from './policies.mjs'
import { scenarios } from './scenarios.mjs'
import { sections } from './sections.mjs'
import { simulate } from './simulate.mjs'
import { rowOf, table } from './tables.mjs'

const docs = new URL('../../../docs/', import.meta.url)

const page = new URL('balancing.md', docs)
const plotAt = (name) => new URL(`plots/${name}`, docs)

/**
 * Runs all sections.
 * @param text the page whose marked places are filled
 * @returns the page, and each plot by its file's name
 */
export async function makeDocs(text) {
  const plots = {}
  const found = {}
  let filled = text
  // A run takes a while: a place that is missing is told of before.
  for (const key of [...Object.keys(sections), 'choices']) fill(text, key, '')
  for (const [key, section] of Object.entries(sections)) {
    const runs = await runsOf(section)
    found[key] = (policy, setting = 'none') =>
      runs.find(({ row }) => row.policy === policy && row.setting === setting).row
    filled = fill(filled, key, table(runs.map(({ row }) => row)))
    if (section.plot === undefined) continue
    const { name, of, ...chart } = section.plot(scenarios[section.scenario])
    plots[name] = plot({ ...chart, series: runs.flatMap((run) => of(run) ?? []) })
  }
  return { text: fill(filled, 'choices', choices(found)), plots }
}

/** What the repository has: the page, and the plots that are asked for. */
export function readDocs(names = []) {
  const read = (url) => readFileSync(url, 'utf8')
  return {
    text: read(page),
    plots: Object.fromEntries(names.map((name) => [name, read(plotAt(name))])),
  }
}

/** Writes page and plots. */
export async function writeDocs() {
  const { text, plots } = await makeDocs(readDocs().text)
  writeFileSync(page, text)
  mkdirSync(plotAt(''), { recursive: true })
  for (const [name, svg] of Object.entries(plots)) writeFileSync(plotAt(name), svg)
}

async function runsOf({ scenario: name, rows }) {
  const scenario = scenarios[name]
  const runs = []
  for (const [policy, setting] of rows) {
    const run = await simulate(scenario, policies[policy], { setting })
    runs.push({ ...run, scenario, row: rowOf(policy, setting, figures(run, scenario)) })
  }
  return runs
}

function fill(text, key, content) {
  const [start, end] = [`<!-- sim: ${key} -->`, '<!-- /sim -->']
  const from = text.indexOf(start)
  const to = text.indexOf(end, from)
  if (from === -1 || to === -1) throw new Error(`docs/balancing.md: no ${start} with its ${end}`)
  return `${text.slice(0, from + start.length)}\n\n${content}\n\n${text.slice(to)}`
}
