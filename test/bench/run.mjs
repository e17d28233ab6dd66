// The benchmark: CPU time that a request costs in the proxy, beside other proxies. README.md explains the method.
import { mkdirSync, writeFileSync } from 'node:fs'
import { constants, cpus } from 'node:os'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArguments, usage } from './lib/arguments.mjs'
import { stopAll } from './lib/children.mjs'
import { native } from './lib/contenders.mjs'
import { cores, pinSelf } from './lib/cores.mjs'
import { originName, startContenders, startOrigin } from './lib/household.mjs'
import { generator } from './lib/load.mjs'
import { measureInTurn } from './lib/measure.mjs'
import { profileOf } from './lib/profiles.mjs'
import { figures, goalLines, judged, table } from './lib/report.mjs'
import { scenarios } from './lib/scenarios.mjs'

const interrupt = new AbortController()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    process.exitCode = 128 + constants.signals[signal]
    interrupt.abort()
    stopAll()
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

  const warmUp = Math.min(3, seconds)
  const say = (line) => console.error(line)
  const measured = await measureInTurn(servers, { rounds, seconds, connections, warmUp, say, signal })
  if (Object.keys(measured).length === 0) throw new Error('nothing could be measured')
  const results = figures(measured)
  console.log(`\n${table(results)}\n`)
  if (profile) {
    await stopAll()
    console.log(`The profile of ${names[0]}, warm-up included: ${profileOf(names[0]).file}`)
    return
  }
  if (scenario === 'get-100b') for (const line of goalLines(results)) console.log(line)
  const file = resolve(json ?? fileURLToPath(new URL(`results/${scenario}.json`, import.meta.url)))
  const date = new Date().toISOString()
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ date, ...setting, contenders: results, skipped, goals: judged(results) }, null, 2)}\n`)
  console.log(`Figures: ${file}`)
}
