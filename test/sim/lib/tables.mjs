// Runs of many policies side by side.
import { contenders } from './contenders.mjs'
import { figures } from './figures.mjs'
import { simulate } from './simulate.mjs'

/** The figures of each policy in one scenario. */
export async function compare(scenario, names, settings = {}) {
  const rows = []
  for (const name of names) {
    const run = await simulate(scenario, contenders[name], settings)
    rows.push({ policy: name, ...figures(run, scenario) })
  }
  return rows
}

const ms = (value) => (value === undefined ? '–' : value < 100 ? value.toFixed(1) : value.toFixed(0))
const part = (value) => `${(value * 100).toFixed(value < 0.1 ? 2 : 1)} %`
const seconds = (value) => (value === undefined ? '–' : `${(value / 1000).toFixed(1)} s`)

const columns = [
  ['policy', ({ policy }) => `\`${policy}\``],
  ['p50 ms', ({ p50 }) => ms(p50)],
  ['p99 ms', ({ p99 }) => ms(p99)],
  ['failed', ({ errors }) => part(errors)],
  ['unevenness', ({ fairness }) => part(fairness)],
  ['left in', ({ detected }) => seconds(detected)],
  ['back in', ({ recovered }) => seconds(recovered)],
]

/** Markdown, without the columns in which nothing stands. */
export function table(rows) {
  const shown = columns.filter(([, cell]) => rows.some((row) => cell(row) !== '–'))
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [
    line(shown.map(([head]) => head)),
    line(shown.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...rows.map((row) => line(shown.map(([, cell]) => cell(row)))),
  ].join('\n')
}
