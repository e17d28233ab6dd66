// The command line of run.mjs.
import { parseArgs } from 'node:util'
import { contenders, native } from './contenders.mjs'
import { scenarios } from './scenarios.mjs'

export const usage = `usage: npm run bench -- [options]
  --rounds N          rounds, in each of which every contender is measured once (5)
  --seconds N         seconds of load a round and contender (4)
  --connections N     client connections (50)
  --only A,B          these contenders alone: ${Object.keys(contenders).join(', ')}
  --scenario NAME     ${Object.keys(scenarios).join(' or ')} (get-100b)
  --json FILE         where the figures go (results/<scenario>.json beside run.mjs)
  --quick             3 rounds of 2 seconds
  --profile NAME      one round of one contender under --cpu-prof; says where the profile is`

/**
 * @returns the settings of a run; `help` when that was asked for
 * @throws Error that says which argument is wrong
 */
export function parseArguments(args) {
  const { values } = parseArgs({ args, options })
  const scenario = values.scenario ?? 'get-100b'
  const only = values.only?.split(',') ?? Object.keys(contenders)
  const names = values.profile === undefined ? only : [values.profile]
  for (const name of names) oneOf(contenders, name, 'contender')
  oneOf(scenarios, scenario, 'scenario')
  if (native.includes(values.profile)) throw new Error(`--profile: ${values.profile} isn't a Node program`)
  return {
    help: values.help === true,
    rounds: values.profile === undefined ? count(values, 'rounds', values.quick ? 3 : 5) : 1,
    seconds: count(values, 'seconds', values.quick ? 2 : 4),
    connections: count(values, 'connections', 50),
    names,
    scenario,
    json: values.json,
    profile: values.profile !== undefined,
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
  json: text,
  quick: flag,
  profile: text,
  help: flag,
}

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
