import { resolveTimeouts, type Timeouts } from '@sluice/forward'

/** http-proxy knows no limit of its own, and apps rest on that: long polls, event streams. */
const none = resolveTimeouts({ connect: 0, requestBody: 0, head: 0, body: 0, stream: 0, tunnel: 0, total: 0 })

/** The limits that `proxyTimeout` stands for: on each time without a byte. */
export function timeoutsOf(idle: number | undefined): Timeouts {
  if (idle === undefined || !(idle > 0)) return none
  return { connect: idle, requestBody: idle, head: idle, body: idle, stream: idle, tunnel: 0, total: 0 }
}
