import { resolveTimeouts, type Timeouts } from '@sluice/forward'
import type { ServerOptions } from './server-options.js'

/** http-proxy knows no limit of its own, and apps rest on that: long polls, event streams. */
const none = resolveTimeouts({ connect: 0, requestBody: 0, head: 0, body: 0, stream: 0, tunnel: 0, total: 0 })

/** The limits that `proxyTimeout` stands for, on each time without a byte, and `connectTimeout`. */
export function timeoutsOf({ proxyTimeout, connectTimeout }: ServerOptions): Timeouts {
  const connect = limit(connectTimeout)
  const idle = limit(proxyTimeout)
  if (idle === 0) return connect === 0 ? none : { ...none, connect }
  return {
    connect: connect || idle,
    requestBody: idle,
    head: idle,
    body: idle,
    stream: idle,
    tunnel: 0,
    total: 0,
  }
}

/** Those of an upgrade, which http-proxy doesn't limit. */
export function timeoutsOfUpgrade({ connectTimeout }: ServerOptions): Timeouts {
  return timeoutsOf({ connectTimeout })
}

/** Those of a copy that nobody waits for: it must not stay for ever where its target says nothing. */
export function timeoutsOfCopy(options: ServerOptions): Timeouts {
  const timeouts = timeoutsOf(options)
  return timeouts.head > 0 ? timeouts : { ...timeouts, head: 120_000, body: 120_000 }
}

/** A time that a timer takes; 0 for what is none. */
export function limit(ms: number | undefined): number {
  return ms !== undefined && ms > 0 && Number.isFinite(ms) ? Math.min(ms, 2 ** 31 - 1) : 0
}
