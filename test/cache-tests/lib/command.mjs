// The command: options, and what they start.
import { parseArgs } from 'node:util'
import { UsageError } from '../../sim/lib/usage-error.mjs'
import { stores } from '../assembled-proxy.mjs'
import { shortcomings, writeDocs } from './docs.mjs'
import { publishedRuns } from './published.mjs'
import { byKind, bySuite, counted, failures, laterTable } from './report.mjs'
import { RunError } from './run-error.mjs'
import { others, runSuite } from './run-suite.mjs'
import { readTests, select } from './suite.mjs'
import { suiteFolder, suitePackage } from './suite-folder.mjs'

const rivals = [...others, 'none']

const usage = `usage: npm run conformance:cache -- [options]
  --store A,B      what Sluice keeps responses in (memory): ${stores.join(', ')}, or all
  --against A,B    others in place of Sluice's cache: ${rivals.join(', ')} (Sluice without a cache)
  --only A,B       these tests alone, and what they need, by the id of a test or of a suite
  --verbose        what the suite says of each test that fails; with --only of one test the requests too
  --docs           runs everything, and writes what comes out into docs/cache-conformance.md
  --help`

const text = { type: 'string' }
const flag = { type: 'boolean' }
const taken = { store: text, against: text, only: text, verbose: flag, docs: flag, help: flag }

/**
 * Runs the command.
 * @param signal ends it between two runs
 * @returns the exit code: 1 if Sluice fails a test, required or optimal, without a reason (reasons.json), or if a run came
 *   to nothing; 2 for wrong options
 */
export async function main(args, signal) {
  try {
    const values = readArgs(args)
    if (values.help) {
      console.log(usage)
      return 0
    }
    return await run(values, signal)
  } catch (error) {
    if (error instanceof RunError) {
      console.error(error.message)
      return 1
    }
    if (!(error instanceof UsageError)) throw error
    console.error(`${error.message}\nnpm run conformance:cache -- --help says more.`)
    return 2
  }
}

async function run(values, signal) {
  const proxies = proxiesOf(values)
  const folder = await suiteFolder()
  const tests = await readTests(folder)
  const chosen = chosenOf(tests, values.only)
  const dump = values.verbose === true && chosen.length === 1
  const runs = []
  for (const proxy of proxies) {
    signal.throwIfAborted()
    const began = performance.now()
    const found = await runSuite(proxy, { folder, tests }, chosen, { dump }).catch((error) => {
      signal.throwIfAborted()
      throw new RunError(`${titleOf(proxy)}: ${error.message}`)
    })
    runs.push({ proxy, title: titleOf(proxy), found })
    console.log(`${titleOf(proxy)}: ${((performance.now() - began) / 1000).toFixed(1)} s`)
  }
  // Their results hold for all of the tests together.
  const beside = values.only === undefined ? publishedRuns(folder, tests) : []
  show(chosen, runs, beside, values)
  if (values.docs) writeDocs(chosen, runs, beside)
  const short = runs
    .filter(({ proxy }) => proxy.store !== undefined && proxy.store !== 'none')
    .flatMap(({ title, found }) => shortcomings(chosen, found).map((line) => `${title}: ${line}`))
  for (const line of short) console.error(line)
  return short.length === 0 ? 0 : 1
}

function show(tests, runs, beside, { verbose }) {
  if (verbose)
    for (const { title, found } of runs)
      console.log(`\n${title}:\n${failures(tests, found).join('\n') || 'nothing failed'}`)
  console.log(`\n${suitePackage}: passed (with what a test needs honoured, where that differs)\n`)
  if (counted(tests).length > 0) console.log(byKind(tests, [...runs, ...beside]))
  console.log(`\n${bySuite(tests, runs)}\n`)
  if (beside.length > 0)
    console.log(`Published for a later version of the suite, needs honoured:\n\n${laterTable()}\n`)
}

const titleOf = ({ name, store }) => name ?? (store === 'none' ? 'no cache' : `Sluice, ${store}`)

function proxiesOf({ store, against, only, docs }) {
  if (docs) {
    if (store !== undefined || against !== undefined || only !== undefined)
      throw new UsageError('--docs: takes no choice beside it')
    return [...stores, 'none'].map((name) => ({ store: name })).concat(others.map((name) => ({ name })))
  }
  const rival = list('--against', against, rivals) ?? []
  const own = list('--store', store === 'all' ? stores.join() : store, stores)
  return [
    ...(own ?? (rival.length > 0 ? [] : ['memory'])).map((name) => ({ store: name })),
    ...rival.map((name) => (name === 'none' ? { store: name } : { name })),
  ]
}

function chosenOf(tests, only) {
  if (only === undefined) return tests
  try {
    return select(tests, only.split(','))
  } catch (error) {
    throw new UsageError(`--only: ${error.message}`)
  }
}

function list(option, value, takes) {
  if (value === undefined) return undefined
  const names = value.split(',')
  for (const name of names)
    if (!takes.includes(name)) throw new UsageError(`${option}: got '${name}', takes ${takes.join(', ')}`)
  return names
}

function readArgs(args) {
  try {
    return parseArgs({ args, options: taken }).values
  } catch (error) {
    throw new UsageError(error.message)
  }
}
