// Runs side by side.
import { figures } from './figures.mjs'
import { byKey } from './policies.mjs'
import { simulate } from './simulate.mjs'

/**
 * The figures of each policy under each setting in one scenario.
 * @param policies by name
 * @param settings a list of readSetting()
 */
export async function compare(scenario, policies, settings, seed = 1) {
  const rows = []
  for (const [name, policy] of Object.entries(policies)) {
    for (const setting of settings) {
      const run = await simulate(scenario, policy, { seed, setting })
      rows.push(rowOf(name, setting, figures(run, scenario)))
    }
  }
  return rows
}

/** A row of a table. Without a key nobody stays anywhere: what moves is no figure of such a policy. */
export function rowOf(policy, { name, title = name, parts }, figure) {
  const row = { policy, setting: title, tail: parts.some(([part]) => part === 'hedge'), ...figure }
  return byKey.has(policy) ? row : { ...row, moved: undefined, wandering: undefined, least: undefined }
}

const none = '–'
const ms = (value) => (value === undefined ? none : value < 100 ? value.toFixed(1) : value.toFixed(0))
const part = (value) =>
  value === undefined ? none : value === 0 ? '0' : `${(value * 100).toFixed(value < 0.1 ? 2 : 1)} %`
const seconds = (value) => (value === undefined ? none : `${(value / 1000).toFixed(value < 1000 ? 2 : 1)} s`)

const columns = [
  ['policy', ({ policy }) => `\`${policy}\``],
  ['setting', ({ setting }) => setting],
  ['p50 ms', ({ p50 }) => ms(p50)],
  ['p99 ms', ({ p99 }) => ms(p99)],
  ['p99.9 ms', ({ p999 }) => ms(p999), 'tail'],
  ['failed', ({ errors }) => part(errors)],
  ['further tries', ({ further }) => part(further), 'tail'],
  ['server ms a request', ({ work }) => ms(work), 'tail'],
  ['unevenness', ({ fairness }) => part(fairness)],
  ['left in', ({ detected }) => seconds(detected)],
  ['back in', ({ recovered }) => seconds(recovered)],
  ['moved keys', ({ moved }) => part(moved)],
  ['at another time', ({ wandering }) => part(wandering)],
  ['least possible', ({ least }) => part(least)],
]

/**
 * Markdown, without the columns in which nothing stands, without settings where there is but one, and with what `hedge` is there for, and what
 * it costs, where one has it.
 */
export function table(rows) {
  const tail = rows.some((row) => row.tail)
  const oneSetting = rows.every(({ setting }) => setting === rows[0].setting)
  const shown = columns.filter(
    ([head, cell, only]) =>
      !(head === 'setting' && oneSetting) &&
      (only !== 'tail' || tail) &&
      rows.some((row) => cell(row) !== none),
  )
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [
    line(shown.map(([head]) => head)),
    line(shown.map(([head]) => (head === 'policy' || head === 'setting' ? '---' : '---:'))),
    ...rows.map((row) => line(shown.map(([, cell]) => cell(row)))),
  ].join('\n')
}
