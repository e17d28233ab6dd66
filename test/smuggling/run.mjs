// Sends requests that two parsers may read in two ways through a proxy, and ends with 1 if one did what it may not.
import { parseArgs } from 'node:util'
import { hasCases } from './lib/corpus.mjs'
import { results } from './lib/results.mjs'
import { transports } from './lib/rig.mjs'
import { keep, summary, table } from './lib/table.mjs'

const names = Object.keys(transports)
const usage = `usage: npm run smuggling -- [--transport ${names.join('|')}|all] [--only PART-OF-AN-ID] [--docs]`

async function main() {
  const options = readOptions()
  if (options === undefined) {
    console.error(usage)
    return 2
  }
  if (!hasCases) {
    console.error(
      'the requests of other test suites are not there: they lie beside the checkout, in shared/smuggling',
    )
    return 2
  }
  const { transport, only, docs } = options
  const all = []
  for (const name of transport === 'all' ? names : [transport]) {
    const list = await results(name, only)
    console.log(`\nover ${name}: ${list.length} cases\n`)
    if (name === names[0] || transport !== 'all') console.log(table(list))
    console.log(summary(list))
    if (docs && name === names[0]) keep(list)
    all.push(...list)
  }
  const wrong = all.filter((each) => each.wrong !== undefined)
  for (const { transport: name, id, wrong: why } of wrong) console.error(`failed: ${id} over ${name}: ${why}`)
  console.log(wrong.length === 0 ? '\nnothing failed' : `\n${wrong.length} failed`)
  return wrong.length === 0 ? 0 : 1
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        transport: { type: 'string', default: 'all' },
        only: { type: 'string', default: '' },
        docs: { type: 'boolean', default: false },
      },
    })
    const { transport, only, docs } = values
    if (transport !== 'all' && !names.includes(transport)) return undefined
    // A part of the table would take the place of the whole.
    return docs && (transport !== 'all' || only !== '') ? undefined : values
  } catch {
    return undefined
  }
}

process.exitCode = await main()
