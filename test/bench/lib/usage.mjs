// What a process and its children have used, from /proc (Linux alone).
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks a second, the unit of the times in /proc (proc(5)). */
let ticksPerSecond

/**
 * CPU time in microseconds, user and system, of all threads, for the whole tree below `pid`. The kernel rounds to a tick,
 * 10 ms nearly everywhere: a quarter of a percent of four seconds.
 */
export function cpuMicroseconds(pid) {
  return microseconds(tree(pid).reduce((sum, { user, system }) => sum + user + system, 0))
}

/** CPU time in microseconds that processes have had on a core, whichever they are. */
export function coreMicroseconds(core) {
  const [, user = 0, nice = 0, system = 0] =
    new RegExp(`^cpu${core} (\\d+) (\\d+) (\\d+)`, 'm').exec(read('/proc/stat')) ?? []
  return microseconds(Number(user) + Number(nice) + Number(system))
}

function microseconds(ticks) {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  return (ticks / ticksPerSecond) * 1e6
}

/** Resident memory in bytes of the tree below `pid`. Pages that two of its processes share count twice. */
export function residentBytes(pid) {
  return tree(pid).reduce((sum, { pid: one }) => sum + residentOf(one), 0)
}

function residentOf(pid) {
  const [, kilobytes = 0] = /^VmRSS:\s*(\d+)/m.exec(read(`/proc/${pid}/status`)) ?? []
  return Number(kilobytes) * 1024
}

/** The process and all below it. */
function tree(root) {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(stat)
  const found = all.filter(({ pid }) => pid === root)
  for (const { pid } of found) found.push(...all.filter(({ parent }) => parent === pid))
  return found
}

function stat(pid) {
  const line = read(`/proc/${pid}/stat`)
  // The second field is a name in parentheses, with blanks and parentheses of its own; state is the third.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return { pid: Number(pid), parent: Number(fields[1]), user: Number(fields[11]), system: Number(fields[12]) }
}

/** A file of /proc; empty when its process has just ended. */
function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
