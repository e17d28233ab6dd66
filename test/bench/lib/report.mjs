// From measurements to what is written and what is shown.
import { references } from './contenders.mjs'
import { ratio, spread } from './statistics.mjs'

/** The figures of each contender: spreads over the rounds, ratios against all of them. */
export function figures(measured) {
  return Object.fromEntries(
    Object.entries(measured).map(([name, rounds]) => [
      name,
      { ...summary(rounds), ratios: ratios(measured, name) },
    ]),
  )
}

function summary(rounds) {
  const of = (key) => spread(rounds.map((round) => round[key]))
  return {
    microseconds: { ...of('microseconds'), rounds: rounds.map((round) => round.microseconds) },
    perSecond: of('perSecond'),
    // Not every generator tells it.
    p99: rounds.some(({ p99 }) => p99 === null) ? null : of('p99'),
    firstByte: rounds.some(({ firstByte }) => firstByte === undefined) ? undefined : of('firstByte'),
    rss: of('rss'),
    busy: of('busy'),
    others: of('others'),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
  }
}

function ratios(measured, name) {
  const cost = (one) => measured[one].map((round) => round.microseconds)
  return Object.fromEntries(Object.keys(measured).map((other) => [other, ratio(cost(name), cost(other))]))
}

/**
 * The table, as Markdown.
 * @param unit what was counted
 */
export function table(results, unit) {
  const present = references.filter((name) => name in results)
  const head = ['contender', `µs/${unit}`, 'min–max', ...present.map((name) => `÷ ${name}`)]
  head.push(`${unit}s/s`, 'p99 ms', 'RSS MB', 'busy', 'others', 'errors')
  return markdown(
    head,
    Object.entries(results).map((entry) => row(entry, present)),
  )
}

function row([name, { microseconds, ratios, perSecond, p99, rss, busy, others, errors }], present) {
  return [
    name,
    microseconds.median.toFixed(1),
    `${microseconds.min.toFixed(1)}–${microseconds.max.toFixed(1)}`,
    ...present.map((reference) => ratios[reference].toFixed(2)),
    perSecond.median.toFixed(0),
    p99?.median.toFixed(1) ?? '-',
    (rss.median / 1e6).toFixed(0),
    percent(busy.median),
    percent(others.median),
    String(errors),
  ]
}

/** The bytes of each one's answer, where they differ, and when the first of them came, where that is the question. */
export function apart(results, servers) {
  const bytes = Object.keys(results).map((name) => [name, servers[name].bytes])
  const lines = []
  if (new Set(bytes.map(([, count]) => count)).size > 1)
    lines.push(`bytes of an answer: ${bytes.map(([name, count]) => `${name} ${count}`).join(', ')}`)
  const first = Object.entries(results).filter(([, { firstByte }]) => firstByte !== undefined)
  if (first.length > 0) {
    const told = first.map(
      ([
        name,
        {
          firstByte: { median, min, max },
        },
      ]) => [name, ...[median, min, max].map((ms) => ms.toFixed(2))],
    )
    lines.push(markdown(['contender', 'first byte of the content after ms', 'min', 'max'], told))
  }
  return lines.join('\n\n')
}

const percent = (share) => `${(share * 100).toFixed(0)}%`

/** The share of its core above which a measurement was disturbed by what else the machine did. */
const quiet = 0.05

/** A warning, if others ran on the proxy's core: they take time, and they empty its caches. */
export function disturbance(results) {
  const worst = Math.max(...Object.values(results).map(({ others }) => others.max))
  if (worst <= quiet) return undefined
  return `Others took up to ${percent(worst)} of the proxy's core: run it again on a quiet machine.`
}

/** A table; all columns but the first are numbers. */
export function markdown(head, rows) {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((cells) => cells[i].length)))
  const line = (cells) => {
    const padded = cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
    return `| ${padded.join(' | ')} |`
  }
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}
