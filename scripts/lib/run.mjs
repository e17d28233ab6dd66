// Child processes that are never left behind.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { at, root } from './workspace.mjs'

// A Ctrl-C reaches the whole process group, children included, and npm passes it on once more. So a signal is not passed
// on at once, where it would come twice and look like a second Ctrl-C: children get a moment to go by themselves, then
// one SIGTERM, and what is still there after the grace is killed.
const moment = 150
const grace = 8000

const children = new Set()
let interruptedBy

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupt(signal))
process.on('exit', () => kill('SIGKILL'))

// Under npm, npm is the parent. Killed outright it passes nothing on, so its end counts as a signal.
const parent = process.ppid
if (process.env.npm_lifecycle_event !== undefined) {
  setInterval(() => process.ppid !== parent && interrupt('SIGTERM'), 500).unref()
}

function interrupt(signal) {
  if (interruptedBy !== undefined) return
  interruptedBy = signal
  setTimeout(() => kill('SIGTERM'), moment).unref()
  setTimeout(() => kill('SIGKILL'), grace).unref()
}

function kill(signal) {
  for (const child of children) child.kill(signal)
}

/** The exit code that a shell gives to an end by a signal, once one has come; undefined until then. */
export function interruptCode() {
  return interruptedBy === undefined ? undefined : 128 + constants.signals[interruptedBy]
}

/**
 * Runs a program to its end. With `quiet` its output is gathered instead of shown.
 * @returns {Promise<{ code: number, output: string }>}
 */
export function run(command, args, { quiet = false, stdin = 'ignore', env = {} } = {}) {
  if (interruptedBy !== undefined) return Promise.resolve({ code: interruptCode(), output: '' })
  return new Promise((resolve) => {
    const out = quiet ? 'pipe' : 'inherit'
    const stdio = [stdin, out, out]
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio })
    const chunks = []
    children.add(child)
    child.stdout?.on('data', (chunk) => chunks.push(chunk))
    child.stderr?.on('data', (chunk) => chunks.push(chunk))
    const end = (code, extra = '') => {
      children.delete(child)
      resolve({ code, output: Buffer.concat(chunks).toString() + extra })
    }
    child.on('error', (error) => end(127, `${error.message}\n`))
    child.on('close', (code, signal) => end(code ?? 128 + constants.signals[signal]))
  })
}

/** Runs a script with this Node. */
export function node(args, options) {
  return run(process.execPath, args, options)
}

/** Runs the program of an installed package, without a shell and without searching PATH. */
export function tool(name, args, { from = '.', bin = name.split('/').at(-1), ...options } = {}) {
  const home = at(from, 'node_modules', name)
  const manifest = JSON.parse(readFileSync(`${home}/package.json`, 'utf8'))
  const file = typeof manifest.bin === 'string' ? manifest.bin : manifest.bin[bin]
  return node([`${home}/${file}`, ...args], options)
}
