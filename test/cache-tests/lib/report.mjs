// What is shown of a run.
import { markdown } from '../../bench/lib/report.mjs'
import { later, laterOf } from './published.mjs'
import { aside, suitesOf } from './suite.mjs'
import { count } from './verdicts.mjs'

export const kinds = ['required', 'optimal', 'check']

/** Tests that count: all but those of one suite. */
export const counted = (tests) => tests.filter(({ suite }) => suite !== aside)

/**
 * Passes by kind, a row for each run.
 * @param runs `{ title, found }`, the verdicts of each
 */
export function byKind(tests, runs) {
  const ofKind = kinds.map((kind) => counted(tests).filter((test) => test.kind === kind))
  const head = ['', ...kinds.map((kind, i) => `${kind}, of ${ofKind[i].length}`)]
  const rows = runs.map(({ title, found }) => [title, ...ofKind.map((list) => both(count(list, found)))])
  return markdown(head, rows)
}

/** Passes of what is required and of what is optimal by suite, a column for each run. */
export function bySuite(tests, runs) {
  const head = ['suite', ...runs.map(({ title }) => title)]
  const rows = suitesOf(tests).map((suite) => {
    const list = tests.filter((test) => test.suite === suite)
    return [suite, ...runs.map(({ found }) => ofKinds(list, found))]
  })
  return markdown(head, rows)
}

/** What others reach in a later version of the suite. */
export function laterTable() {
  const { required, optimal } = laterOf
  const head = ['', `required, of ${required}`, `optimal, of ${optimal}`]
  return markdown(
    head,
    later.map(([who, ...figures]) => [who, ...figures.map(String)]),
  )
}

/** Those that didn't pass, a line each, with what the suite says of it. */
export function failures(tests, found) {
  return tests
    .filter(({ id }) => !found.get(id).honoured)
    .map(({ id, kind, suite, name }) => `${kind} ${suite}/${id}: ${name}\n    ${found.get(id).says}`)
}

/** `passed (with needs honoured)`, the second where it differs. */
function both({ passed, honoured }) {
  return passed === honoured ? String(passed) : `${passed} (${honoured})`
}

function ofKinds(list, found) {
  return kinds
    .map((kind) => [kind, list.filter((test) => test.kind === kind)])
    .filter(([, some]) => some.length > 0)
    .map(([kind, some]) => `${both(count(some, found))}/${some.length} ${kind}`)
    .join(', ')
}
