// Compares policies in simulated time: what a client waits, who gets how much, what fails.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { contenders, watches } from './lib/contenders.mjs'
import { writeDocs } from './lib/docs.mjs'
import { recorded, scenarios } from './lib/scenarios.mjs'
import { compare, table } from './lib/tables.mjs'

const usage = `usage: npm run sim -- [options]
  --scenario A,B   these scenarios (all): ${Object.keys(scenarios).join(', ')}
  --policy A,B     these policies (all): ${Object.keys(contenders).join(', ')}
  --health NAME    who watches the servers (none): ${Object.keys(watches).join(', ')}
  --trace FILE     requests as they were recorded, in place of the scenario's: lines of {"at":ms,"key":"…","work":1}
  --attempts N     tries of a request in all (2)
  --seed N         of all chance (1)
  --docs           writes the tables and plots of docs/balancing.md anew`

async function main() {
  const options = readOptions()
  if (options === undefined) {
    console.error(usage)
    return 2
  }
  if (options.docs) {
    await writeDocs()
    return 0
  }
  for (const name of options.scenarios) {
    const scenario = { ...scenarios[name], ...(options.trace === undefined ? {} : { trace: options.trace }) }
    const rows = await compare(scenario, options.policies, options)
    console.log(`\n${name}: ${scenario.about}\n\n${table(rows)}`)
  }
  return 0
}

function readOptions() {
  try {
    const text = { type: 'string' }
    const { values } = parseArgs({
      options: {
        scenario: text,
        policy: text,
        health: { ...text, default: 'none' },
        trace: text,
        attempts: { ...text, default: '2' },
        seed: { ...text, default: '1' },
        docs: { type: 'boolean', default: false },
      },
    })
    const chosen = (list, all) => list?.split(',') ?? Object.keys(all)
    const names = chosen(values.scenario, scenarios)
    const policies = chosen(values.policy, contenders)
    const numbers = [values.attempts, values.seed]
    if (!names.every((name) => Object.hasOwn(scenarios, name))) return undefined
    if (!policies.every((name) => Object.hasOwn(contenders, name))) return undefined
    if (!Object.hasOwn(watches, values.health) || !numbers.every((each) => /^\d{1,9}$/.test(each)))
      return undefined
    return {
      scenarios: names,
      policies,
      docs: values.docs,
      watch: watches[values.health],
      attempts: Math.max(Number(values.attempts), 1),
      seed: Number(values.seed),
      trace: values.trace === undefined ? undefined : recorded(readFileSync(values.trace, 'utf8')),
    }
  } catch (error) {
    console.error(error.message)
    return undefined
  }
}

process.exitCode = await main()
