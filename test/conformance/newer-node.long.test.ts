import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { skipUnless } from '../kit/skip.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Node 22 and later free the memory of bodies in a way of their own. */
const node = 'transfer' in ArrayBuffer.prototype ? process.execPath : process.env.SLUICE_NEWER_NODE
const skips = skipUnless(node, 'newer-node: SLUICE_NEWER_NODE names no binary of Node 22 or later')

it.skipIf(skips)('bodies, transports and mounts by a Node that frees memory by `transfer`', async () => {
  const report = '.build/newer-node.json'
  const files = ['freed-bodies', 'bodies', 'streaming', 'retry', 'hedge', 'middlewares'].map(
    (name) => `test/conformance/${name}.test.ts`,
  )
  const tests = [...files, 'packages/core', 'packages/forward']
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--reporter=json',
    `--outputFile=${report}`,
    ...tests,
  ]
  // A run of its own, and no worker of this one.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST')))
  const child = spawn(node as string, args, { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'exit')
  const { numFailedTests, numPassedTests } = JSON.parse(readFileSync(`${root}/${report}`, 'utf8')) as {
    numFailedTests: number
    numPassedTests: number
  }
  expect({ code, numFailedTests }).toEqual({ code: 0, numFailedTests: 0 })
  expect(numPassedTests).toBeGreaterThan(1_000)
})
