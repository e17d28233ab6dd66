// The npm scripts of the root.
import { existsSync, rmSync } from 'node:fs'
import { build, isBuilt } from './build.mjs'
import { install, isInstalled } from './install.mjs'
import { locked } from './lock.mjs'
import { closingLine, count } from './report.mjs'
import { node, tool } from './run.mjs'
import { inOrder, step } from './steps.mjs'
import { at, filesBelow } from './workspace.mjs'

const commands = {
  start,
  test,
  'test:long': testLong,
  build: () => ready('all'),
  bench,
  'bench:picks': benchPicks,
  fuzz,
  sim,
  smuggling,
  'conformance:cache': conformanceCache,
}

/** Runs one of the commands. Returns the exit code. */
export async function main([name, ...args]) {
  const command = commands[name]
  if (command !== undefined) return await command(args)
  console.error(`usage: node scripts/bootstrap.mjs ${Object.keys(commands).join(' | ')}`)
  return 2
}

async function start(args) {
  const run = () => node(['examples/quickstart/dist/main.js', ...args], { stdin: 'inherit' })
  return (await ready('start')) || (await run()).code
}

async function bench(args) {
  return (await ready('all')) || (await node(['test/bench/run.mjs', ...args])).code
}

async function benchPicks(args) {
  return (await ready('all')) || (await node(['test/bench/picks.mjs', ...args])).code
}

async function fuzz(args) {
  // Its measurements of the heap want a collection first.
  return (await ready('all')) || (await node(['--expose-gc', 'test/fuzz/run.mjs', ...args])).code
}

async function sim(args) {
  return (await ready('all')) || (await node(['test/sim/run.mjs', ...args])).code
}

async function smuggling(args) {
  return (await ready('all')) || (await node(['test/smuggling/run.mjs', ...args])).code
}

async function conformanceCache(args) {
  return (await ready('all')) || (await node(['test/cache-tests/run.mjs', ...args])).code
}

async function test(args) {
  return (await ready('all')) || (await inOrder(checks)) || (await tests('tests', 'vitest.config.ts', args))
}

async function testLong(args) {
  const files = ['packages', 'test', 'examples'].flatMap(filesBelow)
  if (!files.some((file) => file.endsWith('.long.test.ts'))) console.log('There are no *.long.test.ts yet.')
  return (await ready('all')) || (await tests('long tests', 'vitest.long.config.ts', args))
}

const checks = [
  ['types', () => tool('typescript', ['-p', 'tsconfig.test.json'], { bin: 'tsc', quiet: true })],
  ['biome', () => tool('@biomejs/biome', ['check', '--error-on-warnings', '.'], { quiet: true })],
  ['oxlint', () => tool('oxlint', ['--type-aware', '--deny-warnings'], { quiet: true })],
  ['packages', () => node(['scripts/check-packages.mjs'], { quiet: true })],
  ['knip', () => tool('knip', ['--no-progress', '--no-config-hints'], { quiet: true })],
  ['sizes', () => tool('size-limit', [], { quiet: true })],
]

/** Installs and builds what is missing, one process at a time. Returns an exit code. */
async function ready(scope) {
  if (isInstalled(scope) && isBuilt(scope)) return 0
  return await locked(async () => {
    const installed = isInstalled(scope) ? 0 : await step('install', () => install(scope))
    if (installed !== 0) return installed
    return isBuilt(scope) ? 0 : await step('build', () => build(scope))
  })
}

/** Runs vitest; the last line says how many tests passed and failed. */
async function tests(name, config, args) {
  let counts
  const code = await step(name, async () => {
    const report = `.build/${config}.json`
    rmSync(at(report), { force: true })
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    const { code } = await tool('vitest', ['run', '--config', config, ...reporters, ...args])
    if (!existsSync(at(report))) return { code: code || 1 }
    counts = count(report)
    // What fails outside of a test (an unhandled rejection, a worker that died) must show in the count.
    if (code !== 0 && counts.failed === 0) counts.failed = 1
    const forbidden = process.env.SLUICE_NO_SKIP === '1' ? counts.skipped : []
    for (const test of forbidden) console.error(`skipped, which SLUICE_NO_SKIP forbids: ${test}`)
    return { code: code || (forbidden.length > 0 ? 1 : 0) }
  })
  if (counts !== undefined) console.log(closingLine(counts))
  return code
}
