// The processes that a run starts. None is left behind: not after an error, not after Ctrl-C.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { pinned } from './cores.mjs'

const children = new Set()
const startsWithin = 10_000
const endsWithin = 5000
/** What a generator of load may take beyond its time, to connect and to sum up. */
const overtime = 20_000

process.on('exit', () => {
  for (const child of children) child.process.kill('SIGKILL')
})

/**
 * Starts a script that speaks by announce.mjs.
 * @param script its URL
 * @param options `cores` it is pinned to, else it runs where this process does; `node` that runs it, else the one that
 *   runs this process, and `flags` for it
 * @returns `{ port, pid, stop() }` once it serves
 * @throws Error with what it said, if it doesn't
 */
export async function startServer(script, args, { cores, node = process.execPath, flags = [] } = {}) {
  const words = [...flags, fileURLToPath(script), ...args]
  // The pipe is how it notices that this process is no more.
  const child = start(...pinned(cores, node, words), 'pipe')
  const ready = new Promise((resolve) => {
    child.process.stdout.on('data', () => child.out.includes('\n') && resolve('ready'))
  })
  const late = delay(startsWithin, `didn't serve within ${startsWithin} ms`, { ref: false })
  const how = await Promise.race([ready, child.gone, late])
  if (how !== 'ready') {
    await stop(child)
    throw new Error(fault(child.err) ?? how)
  }
  return { ...JSON.parse(child.out), stop: () => stop(child) }
}

/**
 * Runs a program that is to end after so many seconds.
 * @returns what it printed
 * @throws Error with what it complained of, or if it doesn't end
 */
export async function outputOf(command, args, seconds) {
  const child = start(command, args, 'ignore')
  const timer = setTimeout(() => child.process.kill('SIGKILL'), seconds * 1000 + overtime)
  const how = await child.gone
  clearTimeout(timer)
  if (how !== 'ended with 0') throw new Error(`${command} ${how}: ${child.err}`)
  return child.out
}

/** Ends all that is still there. */
export async function stopAll() {
  await Promise.all([...children].map(stop))
}

function start(command, args, stdin) {
  const spawned = spawn(command, args, { stdio: [stdin, 'pipe', 'pipe'] })
  const child = { process: spawned, out: '', err: '', gone: undefined }
  children.add(child)
  spawned.stdout.on('data', (chunk) => {
    child.out += chunk
  })
  spawned.stderr.on('data', (chunk) => {
    child.err = (child.err + chunk).slice(-4000)
  })
  child.gone = once(spawned, 'close')
    .then(([code, signal]) => `ended with ${code ?? signal}`)
    .catch((error) => error.message)
    .finally(() => children.delete(child))
  return child
}

async function stop(child) {
  child.process.kill('SIGTERM')
  const timer = setTimeout(() => child.process.kill('SIGKILL'), endsWithin)
  await child.gone
  clearTimeout(timer)
}

/** The line of a complaint that names the fault; Node prints the place in the source above it, the stack below. */
function fault(text) {
  const lines = text.trim().split('\n')
  return lines.find((line) => /^\w*Error\b/.test(line)) ?? (lines[0] || undefined)
}
