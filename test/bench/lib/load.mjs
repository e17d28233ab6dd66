// The load: wrk, or a generator of our own where wrk is missing.
import { fileURLToPath } from 'node:url'
import { outputOf } from './children.mjs'
import { which } from './which.mjs'

const ownGenerator = fileURLToPath(new URL('../load/node.mjs', import.meta.url))

/** The name of what makes the load here. */
export const generator = which('wrk') === undefined ? 'node' : 'wrk'

/**
 * Asks `url` again and again, on so many connections, for so many seconds.
 * @returns requests answered, answers a second, p99 in ms, and how many went wrong
 */
export async function load(url, { connections, seconds }) {
  if (generator === 'node') {
    const args = [ownGenerator, url, String(connections), String(seconds)]
    return JSON.parse(await outputOf(process.execPath, args))
  }
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', url]
  return readWrk(await outputOf(which('wrk'), args))
}

/** What wrk prints, as figures. */
function readWrk(text) {
  const number = (pattern) => Number(pattern.exec(text)?.[1] ?? 0)
  const [, p99 = Number.NaN, unit = 'ms'] = /^\s*99%\s+([\d.]+)(us|ms|s|m)$/m.exec(text) ?? []
  const [, ...socketErrors] =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text) ?? []
  return {
    requests: number(/(\d+) requests in/),
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p99: p99 * { us: 0.001, ms: 1, s: 1000, m: 60_000 }[unit],
    errors: socketErrors.reduce(
      (sum, count) => sum + Number(count),
      number(/Non-2xx or 3xx responses: (\d+)/),
    ),
  }
}
