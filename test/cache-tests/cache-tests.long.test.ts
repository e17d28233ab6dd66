import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { root } from '../../scripts/lib/workspace.mjs'
import { which } from '../bench/lib/which.mjs'
import { skipUnless } from '../kit/skip.js'
import { suiteFolder } from './lib/suite-folder.mjs'

const run = promisify(execFile)

// Once, before three look for it.
beforeAll(() => suiteFolder(), 240_000)

// At once: the suite's client pauses for seconds most of the time, and each has processes of its own.
describe.concurrent.each(['memory', 'file', 'redis'])('the cache suite over the %s store', (store) => {
  const missing = store === 'redis' && which('redis-server') === undefined
  it.skipIf(skipUnless(!missing, 'redis-server is not installed'))(
    'passes what is required and what is optimal, but for what a reason is told for',
    async () => {
      const args = ['test/cache-tests/run.mjs', '--store', store]
      // Ends with 1, and so rejects with what it said, where something fails without a reason or passes with one.
      const { stdout, stderr } = await run(process.execPath, args, { cwd: root })
      expect(stderr).toBe('')
      expect(stdout).toContain(`| Sluice, ${store} `)
    },
  )
})
