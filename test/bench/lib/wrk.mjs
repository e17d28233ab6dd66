import { fileURLToPath } from 'node:url'
import { outputOf } from './children.mjs'
import { which } from './which.mjs'

const distinctPaths = fileURLToPath(new URL('../load/distinct.lua', import.meta.url))
const upload = fileURLToPath(new URL('../load/upload.lua', import.meta.url))

/** Load by wrk: one thread, HTTP/1.1 with TLS or without. */
export async function wrk(address, { method, up, kept, fields, distinct }, { connections, seconds }) {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency']
  if (!kept) args.push('-H', 'Connection: close')
  for (const [name, value] of Object.entries(fields)) args.push('-H', `${name}: ${value}`)
  if (up > 0) args.push('-s', upload)
  if (distinct) args.push('-s', distinctPaths)
  args.push(address)
  if (up > 0) args.push('--', method, String(up))
  if (distinct) args.push('--', runPrefix())
  return read(await outputOf(which('wrk'), args, seconds))
}

/** Paths of one run are no other run's. */
export function runPrefix() {
  return `/${Date.now().toString(36)}-${process.pid}/`
}

/** What wrk prints, as figures. */
function read(text) {
  const number = (pattern) => Number(pattern.exec(text)?.[1] ?? 0)
  const [, p99, unit] = /^\s*99%\s+([\d.]+)(us|ms|s|m)$/m.exec(text) ?? []
  const [, ...socketErrors] =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text) ?? []
  return {
    requests: number(/(\d+) requests in/),
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p99: p99 === undefined ? null : p99 * { us: 0.001, ms: 1, s: 1000, m: 60_000 }[unit],
    errors: socketErrors.reduce(
      (sum, count) => sum + Number(count),
      number(/Non-2xx or 3xx responses: (\d+)/),
    ),
  }
}
