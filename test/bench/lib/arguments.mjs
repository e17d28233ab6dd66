// The command line of run.mjs.
import { parseArgs } from 'node:util'
import { contenders, native, usual } from './contenders.mjs'
import { nodeBinary } from './node-binary.mjs'
import { scenarios } from './scenarios.mjs'

export const usage = `usage: npm run bench -- [options]
  --rounds N          rounds, in each of which every contender is measured once (5)
  --seconds N         seconds of load a round and contender (4)
  --connections N     client connections (50)
  --only A,B          these contenders alone (those that the scenario is for): ${Object.keys(contenders).join(', ')}
  --scenario A,B      these scenarios (get-100b): ${Object.keys(scenarios).join(', ')}
  --all               every scenario, one after the other
  --json FILE         where the figures go, of one scenario (results/<scenario>.json beside run.mjs)
  --quick             3 rounds of 2 seconds
  --node PATH         another Node binary for the contenders that are Node
  --profile NAME      one round of one contender under --cpu-prof; says where the profile is
  --memory            instead: resident memory while 100 MB go down and 100 MB up through each contender`

/**
 * @returns the settings of a run; `help` when that was asked for
 * @throws Error that says which argument is wrong
 */
export function parseArguments(args) {
  const { values } = parseArgs({ args, options })
  for (const [one, other] of conflicts) {
    if (values[one] !== undefined && values[other] !== undefined)
      throw new Error(`--${one}: not together with --${other}`)
  }
  const chosen = values.all ? Object.keys(scenarios) : (values.scenario?.split(',') ?? ['get-100b'])
  const named = values.profile === undefined ? values.only?.split(',') : [values.profile]
  for (const name of named ?? []) oneOf(contenders, name, 'contender')
  for (const name of chosen) oneOf(scenarios, name, 'scenario')
  if (native.includes(values.profile)) throw new Error(`--profile: ${values.profile} isn't a Node program`)
  if (chosen.length > 1) {
    for (const name of ['json', 'profile'])
      if (values[name] !== undefined) throw new Error(`--${name}: takes one scenario`)
  }
  return {
    help: values.help === true,
    rounds: values.profile === undefined ? count(values, 'rounds', values.quick ? 3 : 5) : 1,
    seconds: count(values, 'seconds', values.quick ? 2 : 4),
    connections: count(values, 'connections', 50),
    namesFor: (scenario) => named ?? usual(scenario),
    scenarios: chosen,
    node: nodeBinary(values.node ?? process.execPath),
    json: values.json,
    profile: values.profile !== undefined,
    memory: values.memory === true,
  }
}

const text = { type: 'string' }
const flag = { type: 'boolean' }
const options = {
  rounds: text,
  seconds: text,
  connections: text,
  only: text,
  scenario: text,
  all: flag,
  json: text,
  quick: flag,
  node: text,
  profile: text,
  memory: flag,
  help: flag,
}

const conflicts = [
  ['all', 'scenario'],
  ['memory', 'scenario'],
  ['memory', 'all'],
  ['memory', 'profile'],
]

/** The most that is taken, so that a slip of the keyboard can't load a machine for days. */
const atMost = { rounds: 100, seconds: 60, connections: 1000 }

function count(values, name, otherwise) {
  const value = Number(values[name] ?? otherwise)
  if (Number.isInteger(value) && value >= 1 && value <= atMost[name]) return value
  throw new Error(`--${name}: got '${values[name]}', takes a whole number from 1 to ${atMost[name]}`)
}

function oneOf(table, name, what) {
  if (Object.hasOwn(table, name)) return
  throw new Error(`unknown ${what} '${name}', takes ${Object.keys(table).join(', ')}`)
}
