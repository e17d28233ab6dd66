import { resolveTimeouts, type Timeouts } from '@sluice/forward'

/** http-proxy knows no limit of its own, and apps rest on that: long polls, event streams. */
const none = resolveTimeouts({ connect: 0, requestBody: 0, head: 0, body: 0, stream: 0, tunnel: 0, total: 0 })

/** The limits that `proxyTimeout` stands for: on each time without a byte. */
export function timeoutsOf(idle: number | undefined): Timeouts {
  if (idle === undefined || !(idle > 0)) return none
  return { connect: idle, requestBody: idle, head: idle, body: idle, stream: idle, tunnel: 0, total: 0 }
}

/** Those of a copy that nobody waits for: it must not stay for ever where its target says nothing. */
export function timeoutsOfCopy(idle: number | undefined): Timeouts {
  return idle !== undefined && idle > 0 ? timeoutsOf(idle) : { ...none, head: 120_000, body: 120_000 }
}
