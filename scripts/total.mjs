// The closing line of several test runs together. Takes the exit code that they had: a failure that no test accounts for
// counts as one.
import { existsSync } from 'node:fs'
import { closingLine, count } from './lib/report.mjs'
import { at } from './lib/workspace.mjs'

const reports = ['.build/vitest.config.ts.json', '.build/vitest.long.config.ts.json'].filter((file) =>
  existsSync(at(file)),
)
const total = { passed: 0, failed: 0, skipped: [] }
for (const { passed, failed, skipped } of reports.map(count)) {
  total.passed += passed
  total.failed += failed
  total.skipped.push(...skipped)
}
if (process.argv[2] !== '0' && total.failed === 0) total.failed = 1
console.log(closingLine(total))
