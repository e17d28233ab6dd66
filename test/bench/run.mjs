// The benchmark: CPU time that a request costs in the proxy, beside other proxies. README.md explains the method.
import { mkdirSync, writeFileSync } from 'node:fs'
import { constants, cpus } from 'node:os'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArguments, usage } from './lib/arguments.mjs'
import { stopAll } from './lib/children.mjs'
import { cores, pinSelf } from './lib/cores.mjs'
import { originName, startContenders, startOrigin } from './lib/household.mjs'
import { generator } from './lib/load.mjs'
import { measureInTurn } from './lib/measure.mjs'
import { profileOf } from './lib/profiles.mjs'
import { disturbance, figures, goalLine, judged, table } from './lib/report.mjs'
import { scenarios } from './lib/scenarios.mjs'

const interrupt = new AbortController()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    process.exitCode = 128 + constants.signals[signal]
    interrupt.abort()
    void stopAll()
  })
}

let settings
try {
  settings = parseArguments(process.argv.slice(2))
} catch (error) {
  console.error(`${error.message}\n${usage}`)
  process.exit(2)
}

if (settings.help) {
  console.log(usage)
} else {
  try {
    await run(settings)
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
  } finally {
    await stopAll()
  }
  process.exit()
}

async function run({ names, scenario, rounds, seconds, connections, json, profile }) {
  const { signal } = interrupt
  const { size } = scenarios[scenario]
  const { proxy, rest, note } = cores()
  pinSelf(rest)
  const setting = {
    ...{ scenario, rounds, seconds, connections, load: generator, origin: originName },
    ...{ node: process.version, cpu: cpus()[0]?.model ?? 'unknown', pinned: proxy !== undefined },
  }
  console.log(introduction(setting, note))

  const flags = profile ? profileOf(names[0]).flags : []
  const origin = await startOrigin(size)
  const { servers, skipped } = await startContenders(names, origin, size, { cores: proxy, flags, signal })
  for (const [name, why] of Object.entries(skipped)) console.log(`${name} is skipped: ${why}`)

  const say = (line) => console.error(line)
  const measured = await measureInTurn(servers, { rounds, seconds, connections, core: proxy, say, signal })
  if (Object.keys(measured).length === 0) throw new Error('nothing could be measured')
  const results = figures(measured)
  console.log(`\n${table(results)}\n`)
  const warning = disturbance(results)
  if (warning !== undefined) console.log(warning)
  if (profile) {
    await stopAll()
    console.log(`The profile of ${names[0]}, warm-up included: ${profileOf(names[0]).file}`)
    return
  }
  const goals = judged(results, setting)
  for (const goal of goals) console.log(goalLine(goal))
  const file = resolve(json ?? fileURLToPath(new URL(`results/${scenario}.json`, import.meta.url)))
  const date = new Date().toISOString()
  mkdirSync(dirname(file), { recursive: true })
  const record = { date, ...setting, contenders: results, goals, skipped }
  writeFileSync(file, `${JSON.stringify(record, null, 2)}\n`)
  console.log(`Figures: ${file}`)
}

function introduction({ scenario, rounds, seconds, connections, load, origin, node, cpu, pinned }, note) {
  const lines = [
    `${scenario}: ${rounds} rounds of ${seconds} s over ${connections} connections`,
    `Node ${node} on ${cpu}; load by ${load === 'wrk' ? 'wrk' : 'a generator of our own (wrk is missing)'}`,
    `origin: ${origin === 'nginx' ? 'nginx' : 'Node in another process (nginx is missing)'}`,
    pinned ? 'the proxy has a core of its own, load and origin share the rest' : note,
    'Absolute figures belong to this machine and this hour; it is the ratios that count.',
  ]
  return `${lines.join('\n')}\n`
}
