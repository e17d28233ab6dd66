import { outputOf } from './children.mjs'
import { which } from './which.mjs'

const streamsAConnection = 10

/**
 * Load by h2load: one thread, HTTP/2 over TLS. As many requests are under way as in the other scenarios, over a tenth of the
 * connections.
 */
export async function h2load(address, _scenario, { connections, seconds }) {
  const streams = Math.min(streamsAConnection, connections)
  const clients = Math.ceil(connections / streams)
  const args = ['-t1', `-c${clients}`, `-m${streams}`, `-D${seconds}`, address]
  return read(await outputOf(which('h2load'), args, seconds))
}

/** What h2load prints, as figures. Of latencies it tells least, most and mean. */
function read(text) {
  const number = (pattern) => Number(pattern.exec(text)?.[1] ?? 0)
  return {
    requests: number(/(\d+) succeeded/),
    perSecond: number(/finished in [^,]+, ([\d.]+) req\/s/),
    p99: null,
    errors: number(/(\d+) failed/) + number(/(\d+) timeout/),
  }
}
