import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const page = fileURLToPath(new URL('../../../docs/security.md', import.meta.url))
const [begin, end] = ['<!-- smuggling: table -->\n', '<!-- /smuggling -->']

/** What became of all cases, as a table of Markdown. */
export function table(results) {
  const lines = results.map(
    ({ id, suite, expect, did, arrived }) =>
      `| ${suite} | ${code(id)} | ${expect} | ${did} | ${arrived.map(code).join(', ') || 'nothing'} |`,
  )
  return [
    '| suite | case | expected | what Sluice does | what arrives |',
    '|---|---|---|---|---|',
    ...lines,
    '',
  ].join('\n')
}

/** How often what was done, in a line each. */
export function summary(results) {
  const counts = new Map()
  for (const { expect, did } of results) {
    const key = `${expect.padEnd(16)} ${did}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return [...counts]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, count]) => `${String(count).padStart(4)}  ${key}`)
    .join('\n')
}

/** The table as it stands in docs/security.md. */
export function kept() {
  const text = readFileSync(page, 'utf8')
  return text.slice(text.indexOf(begin) + begin.length, text.indexOf(end)).trim()
}

/** Puts the table into docs/security.md. */
export function keep(results) {
  const text = readFileSync(page, 'utf8')
  const from = text.indexOf(begin) + begin.length
  writeFileSync(page, `${text.slice(0, from)}\n${table(results)}\n${text.slice(text.indexOf(end))}`)
}

/**
 * For comparisons: what is not forwarded is that, however it is said. Whether the beginning of a request has got out before depends on which
 * packet comes first.
 */
export function settled(text) {
  return text.replaceAll(/ (refused|cut|closed)[ \d]* \| [^|]* \|/g, ' not forwarded |')
}

function code(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the ids have none, what arrives might
  const shown = text.replaceAll(/[\0-\x1f\x7f-\xff]/g, (each) => `\\x${each.charCodeAt(0).toString(16)}`)
  return `\`${shown.replaceAll('|', '\\|').replaceAll('`', "'")}\``
}
