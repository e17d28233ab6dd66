// Whether a proxy hands a large body on or gathers it: resident memory while one goes through.
import { cpus } from 'node:os'
import { addressOf } from './addresses.mjs'
import { startServer } from './children.mjs'
import { startContender, unable } from './household.mjs'
import { writeRecord } from './record.mjs'
import { markdown } from './report.mjs'
import { scenarios } from './scenarios.mjs'
import { download, upload } from './transfers.mjs'
import { residentBytes } from './usage.mjs'

const origin = new URL('../origins/large.mjs', import.meta.url)
/** What the contenders are set up for. Sizes aren't theirs to know. */
const asFor = 'get-1mb'
const size = 100_000_000
/** What goes through first, so that code and heap are there when the start is taken. */
const warmUp = 20_000_000
const every = 20
const patience = 60_000

/** Measures each contender by itself, says what came out and writes it. */
export async function measureMemory({ namesFor, node, core, json, signal }) {
  console.log(`memory: ${size / 1e6} MB down, then as much up, to a receiver that is slower than the sender`)
  console.log(
    `contenders by Node ${node.version} on ${cpus()[0]?.model ?? 'unknown'}; origin: Node in another process\n`,
  )
  const { port } = await startServer(origin, [])
  const names = namesFor(scenarios[asFor])
  const skipped = unable(names, 'memory')
  const measured = {}
  for (const name of names.filter((one) => !(one in skipped))) {
    let server
    try {
      server = await startContender(name, [`http://127.0.0.1:${port}`, asFor], {
        cores: core,
        node: node.path,
      })
      measured[name] = await through(server, signal)
    } catch (error) {
      signal.throwIfAborted()
      skipped[name] = error.message
    }
    await server?.stop()
  }
  for (const [name, why] of Object.entries(skipped)) console.log(`${name} is skipped: ${why}`)
  console.log(`\n${table(measured)}\n`)
  writeRecord('memory', json, { size, node: node.version, contenders: measured, skipped })
}

/** @returns bytes: resident at the `start`, and the most over it while the body went `down` and `up` */
async function through({ port, pid }, run) {
  const address = addressOf(scenarios[asFor], port)
  const signal = () => AbortSignal.any([run, AbortSignal.timeout(patience)])
  await download(address, warmUp, signal())
  await upload(address, warmUp, signal())
  const start = residentBytes(pid)
  const down = await highest(pid, () => download(address, size, signal()))
  const up = await highest(pid, () => upload(address, size, signal()))
  return { start, down: down - start, up: up - start }
}

/** The most memory that a process had while something was done. */
async function highest(pid, act) {
  let most = residentBytes(pid)
  const timer = setInterval(() => {
    most = Math.max(most, residentBytes(pid))
  }, every)
  try {
    await act()
  } finally {
    clearInterval(timer)
  }
  return most
}

function table(measured) {
  const megabytes = (bytes) => (bytes / 1e6).toFixed(1)
  const rows = Object.entries(measured).map(([name, { start, down, up }]) => [
    name,
    ...[start, down, up].map(megabytes),
  ])
  return markdown(['contender', 'RSS MB at the start', 'most over it, down', 'most over it, up'], rows)
}
