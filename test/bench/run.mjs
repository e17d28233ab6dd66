// The benchmark: CPU time that a request costs in the proxy, beside other proxies. README.md explains the method.
import { constants } from 'node:os'
import { parseArguments, usage } from './lib/arguments.mjs'
import { stopAll } from './lib/children.mjs'
import { cores, pinSelf } from './lib/cores.mjs'
import { summary } from './lib/goals.mjs'
import { measureMemory } from './lib/memory.mjs'
import { measureScenario } from './lib/speed.mjs'

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

async function run(asked) {
  const { signal } = interrupt
  const { proxy: core, rest, note } = cores()
  pinSelf(rest)
  const settings = { ...asked, core, note, signal }
  if (asked.memory) return await measureMemory(settings)
  const outcomes = {}
  for (const name of asked.scenarios) {
    signal.throwIfAborted()
    outcomes[name] = await measureScenario(name, settings)
    console.log()
  }
  if (asked.scenarios.length === 1) return
  const lines = summary(outcomes)
  if (lines.length > 0) console.log(['All goals:', ...lines].join('\n'))
}
