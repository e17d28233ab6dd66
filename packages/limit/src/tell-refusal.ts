import { channel } from 'node:diagnostics_channel'
import type { Context } from '@sluice/core'
import debug from 'debug'
import type { Verdict } from './limiter.js'

/** What `sluice:limit` of `node:diagnostics_channel` tells of each request that a limit refuses. */
export interface LimitEvent {
  readonly ctx: Context
  /** A rate, or requests at once. */
  readonly kind: 'rate' | 'concurrency'
  /** The limit's name. */
  readonly name: string
  /** Whose limit is used up. It may be an address or a key of an API. */
  readonly key: string
  /** Of a rate. */
  readonly verdict?: Verdict
}

const refusals = channel('sluice:limit')
const log = debug('sluice:limit')

/** Tells of a refused request who wants to hear it. The key stays out of the log: it may be a secret. */
export function tellRefusal(event: LimitEvent): void {
  if (log.enabled)
    log('%s %s is refused: %s limit %s', event.ctx.out.method, event.ctx.out.path, event.kind, event.name)
  if (refusals.hasSubscribers) refusals.publish(event)
}

/** Tells of a limiter that has failed: as a warning of the process the first time, since nothing is limited then. */
export class LimiterFailures {
  private told = false
  private readonly path: string

  constructor(path: string) {
    this.path = path
  }

  tell(error: unknown): void {
    const said = error instanceof Error ? error.message : typeof error
    if (log.enabled) log('%s failed, the request passes: %s', this.path, said)
    if (this.told) return
    this.told = true
    process.emitWarning(`${this.path}: a limiter failed, and requests pass without it: ${said}`, {
      code: 'SLUICE_LIMITER',
    })
  }
}
