// Who runs where: the proxy has a core of its own, load, origin and this run share what is left.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { which } from './which.mjs'

/**
 * @returns `{ proxy, rest }` as lists of cores in the words of taskset; both undefined, with a `note`, where it can't be so
 */
export function cores() {
  if (which('taskset') === undefined) return { note: 'taskset is missing: nothing is pinned to a core' }
  const free = allowed()
  if (free.length < 2) return { note: 'there is one core: proxy, load and origin share it' }
  // The last one: interrupts of devices tend to go to the first.
  return { proxy: free.at(-1), rest: free.slice(0, -1).join(',') }
}

/** A command that runs on these cores. taskset puts the program in its own place, so the process id stays. */
export function pinned(list, command, args) {
  return list === undefined ? [command, args] : [which('taskset'), ['-c', list, command, ...args]]
}

/** Keeps this process, and what it starts from now on, away from the proxy's core. */
export function pinSelf(list) {
  if (list === undefined) return
  execFileSync(which('taskset'), ['-a', '-c', '-p', list, String(process.pid)], { stdio: 'ignore' })
}

/** The cores that this process may use: a container can be given some of the machine's. */
function allowed() {
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return list.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => String(from + i))
  })
}
