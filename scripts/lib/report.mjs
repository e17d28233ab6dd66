// The count of a test run, from vitest's own report.
import { readFileSync } from 'node:fs'
import { at } from './workspace.mjs'

/** The report's counts and the names of skipped tests; a file that could not be loaded counts as one failed test. */
export function count(file) {
  const report = JSON.parse(readFileSync(at(file), 'utf8'))
  const tests = report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map((test) => ({ ...test, file: name })),
  )
  const broken = report.testResults.filter(
    (one) => one.status === 'failed' && one.assertionResults.length === 0,
  )
  const skipped = tests.filter(({ status }) => status !== 'passed' && status !== 'failed')
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failed: tests.filter(({ status }) => status === 'failed').length + broken.length,
    skipped: skipped.map(({ fullName }) => fullName),
  }
}

/** The closing line. */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`
}
