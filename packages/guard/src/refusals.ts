import diagnostics from 'node:diagnostics_channel'
import debug from 'debug'

const log = debug('sluice:guard')
const channel = diagnostics.channel('sluice:guard')

/** What is published on the channel `sluice:guard` of each connection or stream that a server refused. */
export interface Refusal {
  /** The name of the rule. */
  readonly reason: string
  /** What the client heard; 0: nothing, its connection or stream was ended. */
  readonly status: number
  /** The client's address, where it is still known. */
  readonly address: string | undefined
  readonly error: Error | undefined
}

/** Counts what a server refuses by its reason, and tells of it. */
export class Refusals {
  readonly counts: Record<string, number> = Object.create(null)

  tell(reason: string, status: number, address: string | undefined, error?: Error): void {
    this.counts[reason] = (this.counts[reason] ?? 0) + 1
    if (log.enabled) log('%s: refused with %s (%s)', address ?? 'somebody', status, reason, error ?? '')
    if (channel.hasSubscribers) channel.publish({ reason, status, address, error } satisfies Refusal)
  }
}
