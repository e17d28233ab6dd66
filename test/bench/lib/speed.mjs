// The measurement of one scenario, from its origin to its table and its file.
import { cpus } from 'node:os'
import { makeCertificate } from './certificate.mjs'
import { stopAll } from './children.mjs'
import { measureFlood } from './flood.mjs'
import { goalLine, judged } from './goals.mjs'
import { originTold, startContenders, startOrigin } from './household.mjs'
import { generatorFor } from './load.mjs'
import { measureInTurn } from './measure.mjs'
import { profileOf } from './profiles.mjs'
import { writeRecord } from './record.mjs'
import { apart, disturbance, figures, table } from './report.mjs'
import { scenarios } from './scenarios.mjs'

/**
 * Measures one scenario, says what came out and writes it. All that it started has ended then.
 * @param settings of the command line, with the `core` of the proxies, a `note` if there is none, and the `signal` of the run
 * @returns `{ goals }` as judged, or `{ skipped }` with the reason if it can't be measured here
 */
export async function measureScenario(name, settings) {
  const scenario = scenarios[name]
  if (scenario.flood > 0) return measureFlood(name, settings)
  let needs
  try {
    needs = { generator: generatorFor(scenario), certificate: certificateFor(scenario) }
  } catch (error) {
    console.log(`${name} is skipped: ${error.message}`)
    return { skipped: error.message }
  }
  try {
    return await measured(name, scenario, needs, settings)
  } finally {
    await stopAll()
  }
}

function certificateFor({ front }) {
  return front === 'https' || front === 'h2' ? makeCertificate() : undefined
}

async function measured(name, scenario, { generator, certificate }, settings) {
  const { namesFor, rounds, seconds, connections, json, profile, node, core, note, signal } = settings
  const setting = {
    ...{ scenario: name, rounds, seconds, connections, load: generator.name, origin: originTold(scenario) },
    ...{ node: node.version, cpu: cpus()[0]?.model ?? 'unknown', pinned: core !== undefined },
  }
  const names = namesFor(scenario)
  console.log(introduction(setting, scenario, note))

  const flags = profile ? profileOf(names[0]).flags : []
  const origin = await startOrigin(name, scenario)
  const how = { cores: core, node: node.path, flags, certificate, signal }
  const { servers, skipped } = await startContenders(names, origin, [name, scenario], how)
  for (const [one, why] of Object.entries(skipped)) console.log(`${one} is skipped: ${why}`)

  const say = (line) => console.error(line)
  const load = generator.run
  const what = { scenario, load, rounds, seconds, connections, core, say, signal }
  const rows = await measureInTurn(servers, what)
  if (Object.keys(rows).length === 0) throw new Error('nothing could be measured')
  const results = figures(rows)
  console.log(`\n${table(results, scenario.unit)}\n`)
  const more = apart(results, servers)
  if (more !== '') console.log(`${more}\n`)
  const warning = disturbance(results)
  if (warning !== undefined) console.log(warning)
  if (profile) {
    await stopAll()
    console.log(`The profile of ${names[0]}, warm-up included: ${profileOf(names[0]).file}`)
    return {}
  }
  const goals = judged(results, setting)
  for (const goal of goals) console.log(goalLine(goal))
  const bytes = Object.fromEntries(Object.keys(results).map((one) => [one, servers[one].bytes]))
  writeRecord(name, json, { ...setting, what: scenario.what, contenders: results, bytes, goals, skipped })
  return { goals }
}

function introduction(
  { scenario: name, rounds, seconds, connections, load, origin, node, cpu, pinned },
  scenario,
  note,
) {
  const { what, unit, goals } = scenario
  const wanted = goals.map(({ contender, against, atMost }) => `${contender} ≤ ${atMost} × ${against}`)
  const lines = [
    `${name}: a ${unit} is ${what}`,
    `goals: ${wanted.join(', ') || 'none'}`,
    `${rounds} rounds of ${seconds} s over ${connections} connections; load by ${load}`,
    `contenders by Node ${node} on ${cpu}`,
    `origin: ${origin}`,
    pinned ? 'the proxy has a core of its own, load and origin share the rest' : note,
    'Absolute figures belong to this machine and this hour; it is the ratios that count.',
  ]
  return `${lines.join('\n')}\n`
}
