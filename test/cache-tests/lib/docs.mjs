// Writes what a run finds into docs/cache-conformance.md, between the markers, and holds misses against their reasons.
import { readFileSync, writeFileSync } from 'node:fs'
import { byKind, bySuite, counted, laterTable } from './report.mjs'

const page = new URL('../../../docs/cache-conformance.md', import.meta.url)
const reasons = JSON.parse(readFileSync(new URL('../reasons.json', import.meta.url), 'utf8'))

/**
 * What must not be: a test, required or optimal, that fails for no reason told; a reason for one that passes. Needs are honoured.
 * @returns a line for each
 */
export function shortcomings(tests, found) {
  return counted(tests).flatMap(({ id, kind }) => {
    const { honoured, says } = found.get(id)
    if (honoured) return id in reasons ? [`passes ${id}, for which reasons.json has a reason to fail`] : []
    if (kind === 'check' || id in reasons) return []
    return [`fails ${id}, which is ${kind}, without a reason in reasons.json: ${says}`]
  })
}

/** Fills the marked places of the page; `beside` are runs of others. */
export function writeDocs(tests, runs, beside) {
  const own = runs.filter(({ proxy }) => proxy.store !== undefined && proxy.store !== 'none')
  const parts = {
    kinds: byKind(tests, [...runs, ...beside]),
    later: laterTable(),
    suites: bySuite(tests, own),
    misses: misses(tests, own),
  }
  let text = readFileSync(page, 'utf8')
  for (const [key, content] of Object.entries(parts)) text = fill(text, key, content)
  writeFileSync(page, text)
}

/** Tests with the same reason make one line. */
function misses(tests, runs) {
  const groups = new Map()
  for (const { id, kind } of counted(tests)) {
    const where = runs.filter(({ found }) => !found.get(id).honoured).map(({ proxy }) => proxy.store)
    if (kind === 'check' || where.length === 0) continue
    const stores = where.length === runs.length ? '' : `, with ${where.join(' and ')} alone`
    const told = `(${kind}${stores}): ${reasons[id] ?? 'no reason is told.'}`
    groups.set(told, [...(groups.get(told) ?? []), `\`${id}\``])
  }
  const lines = [...groups].map(([told, ids]) => `- ${ids.join(', ')} ${told}`)
  return lines.join('\n') || 'Nothing.'
}

function fill(text, key, content) {
  const [start, end] = [`<!-- cache-tests: ${key} -->`, '<!-- /cache-tests -->']
  const from = text.indexOf(start)
  const to = text.indexOf(end, from)
  if (from === -1 || to === -1) throw new Error(`docs/cache-conformance.md: no ${start} with its ${end}`)
  return `${text.slice(0, from + start.length)}\n\n${content}\n\n${text.slice(to)}`
}
