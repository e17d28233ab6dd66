// The public conformance suite for HTTP caches, run against Sluice and others. README.md explains it.
import { constants } from 'node:os'
import { stopAll } from '../bench/lib/children.mjs'
import { main } from './lib/command.mjs'

const interrupt = new AbortController()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    process.exitCode = 128 + constants.signals[signal]
    interrupt.abort()
    void stopAll()
  })
}

try {
  const code = await main(process.argv.slice(2), interrupt.signal)
  process.exitCode ??= code
} catch (error) {
  if (!interrupt.signal.aborted) throw error
} finally {
  await stopAll()
}
process.exit()
