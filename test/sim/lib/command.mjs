// The command: options, and what they start.
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { chance } from './chance.mjs'
import { writeDocs } from './docs.mjs'
import { policies, readPolicies } from './policies.mjs'
import { scenarios } from './scenarios.mjs'
import { always, partNames, readSetting } from './settings.mjs'
import { compare, table } from './tables.mjs'
import { readLog, readTrace, replaying, writeTrace } from './trace.mjs'
import { UsageError } from './usage-error.mjs'

const names = (list) => Object.keys(list).join(', ')
/** A list of names, folded to the width of a terminal. */
const folded = (list) => names(list).replace(/(.{60,}?), /g, '$1,\n                   ')

const usage = `usage: npm run sim -- [options]
  --scenario A,B   what happens to the servers (all):
                   ${folded(scenarios)}
  --policy A,B     policies to compare (all):
                   ${folded(policies)},
                   or modules of one's own: ./mine.mjs, whose default export is ({ random, clock }) => policy
  --setting A,B    what stands around them (none): ${partNames.join(', ')},
                   or several joined by +
  --options JSON   options of those, as the packages take them, and of retry, balance and upstream:
                   '{"ejection":{"consecutive":3},"breaker":{"failures":0.3},"retry":{"attempts":1}}'
  --trace FILE     requests as they were recorded, in place of the scenario's:
                   lines of {"at":ms,"key":"…","work":1,"method":"GET"}
  --log FILE       the same out of an access log in the common format
  --key WHAT       its key: client (default) or path
  --record FILE    writes the requests of a scenario, or of the log, as a trace, and runs nothing
  --seed N         of all chance (1)
  --docs           writes the tables and plots of docs/balancing.md anew
  --help`

const text = { type: 'string' }
const taken = {
  scenario: text,
  policy: text,
  setting: text,
  options: text,
  trace: text,
  log: text,
  key: text,
  record: text,
  seed: text,
  docs: { type: 'boolean' },
  help: { type: 'boolean' },
}

/**
 * Runs the command.
 * @param print hears what it finds, and `complain` what is wrong with what it was given
 * @returns the exit code: 0, or 2 for wrong options
 */
export async function main(args, print = console.log, complain = console.error) {
  try {
    const values = readArgs(args)
    if (values.help) print(usage)
    else if (values.docs) await docs(values)
    else if (values.record !== undefined) record(values, print)
    else await run(values, print)
    return 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    complain(`${error.message}\nnpm run sim -- --help says more.`)
    return 2
  }
}

function readArgs(args) {
  try {
    return parseArgs({ args, options: taken }).values
  } catch (error) {
    const takes = Object.keys(taken).map((name) => `--${name}`)
    throw new UsageError(`${error.message}\nTaken are ${takes.join(', ')}.`)
  }
}

async function docs(values) {
  if (Object.keys(values).length > 1) throw new UsageError('--docs: takes no other option beside it')
  await writeDocs()
}

async function run(values, print) {
  const chosen = scenariosOf(values)
  const policiesOf = await readPolicies(list('--policy', values.policy) ?? Object.keys(policies))
  const options = readOptions(values.options)
  const settings = (list('--setting', values.setting) ?? ['none']).map((name) => readSetting(name, options))
  const unused = Object.keys(options).filter(
    (part) => !always.includes(part) && !settings.some(({ parts }) => parts.some(([name]) => name === part)),
  )
  if (unused.length > 0)
    throw new UsageError(
      `--options: got ${unused.join(', ')}, takes options of the --setting and of ${always.join(', ')}`,
    )
  const seed = seedOf(values.seed)
  const requests = recorded(values)
  for (const name of chosen) {
    const scenario = requests === undefined ? scenarios[name] : replaying(scenarios[name], requests)
    print(`\n${name}: ${scenario.about}\n\n${table(await compare(scenario, policiesOf, settings, seed))}`)
  }
}

function record(values, print) {
  const requests = recorded(values)
  const chosen = requests === undefined ? scenariosOf(values) : []
  if (requests === undefined && chosen.length !== 1)
    throw new UsageError('--record: takes one --scenario, or a --log')
  const found = requests ?? [...scenarios[chosen[0]].trace(chance(seedOf(values.seed)))]
  try {
    writeFileSync(values.record, writeTrace(found))
  } catch (error) {
    throw new UsageError(`--record: ${error.message}`)
  }
  print(`${values.record}: ${found.length} requests`)
}

/** The requests of a file, if there is one. */
function recorded({ trace, log, key }) {
  if (trace !== undefined && log !== undefined) throw new UsageError('--trace and --log: takes one of them')
  if (key !== undefined && log === undefined) throw new UsageError('--key: takes a --log')
  if (key !== undefined && key !== 'client' && key !== 'path')
    throw new UsageError(`--key: got '${key}', takes client or path`)
  if (trace !== undefined) return readTrace(read('--trace', trace), trace)
  return log === undefined ? undefined : readLog(read('--log', log), log, key)
}

function read(option, file) {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`${option}: ${error.message}`)
  }
}

function scenariosOf({ scenario }) {
  const chosen = list('--scenario', scenario) ?? Object.keys(scenarios)
  for (const name of chosen)
    if (!Object.hasOwn(scenarios, name))
      throw new UsageError(`--scenario: got '${name}', takes ${names(scenarios)}`)
  return chosen
}

function list(option, value) {
  if (value === undefined) return undefined
  const found = value.split(',').filter((name) => name !== '')
  if (found.length === 0) throw new UsageError(`${option}: got '${value}', takes names with commas between`)
  return found
}

function readOptions(given = '{}') {
  let options
  try {
    options = JSON.parse(given)
  } catch {
    // Said below.
  }
  const takes = `takes a JSON object of ${[...partNames, ...always].join(', ')}`
  const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isObject(options)) throw new UsageError(`--options: got ${given}, ${takes}`)
  for (const [name, own] of Object.entries(options)) {
    if (!always.includes(name) && !partNames.includes(name))
      throw new UsageError(`--options: got '${name}', ${takes}`)
    if (!isObject(own))
      throw new UsageError(`--options.${name}: got ${JSON.stringify(own)}, takes an object of its options`)
  }
  return options
}

function seedOf(value = '1') {
  if (!/^\d{1,9}$/.test(value))
    throw new UsageError(`--seed: got '${value}', takes a whole number of at most nine digits`)
  return Number(value)
}
