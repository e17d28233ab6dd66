import { ProxyError } from '@sluice/core'
import { isWithdrawn, leftLine } from '@sluice/upstream'
import type { Attempt } from './transport.js'

/** How often those are looked at that wait for a connection, in ms. */
export const lookEvery = 250

/** What waits for a connection to a target. */
export interface Waiting {
  readonly attempt: Attempt
  /** Since when, by the clock of who keeps the line. */
  readonly waitsSince?: number
}

/**
 * Why one that waits for a connection waits no longer; `undefined`: it waits on. Where another target would have it, it goes as soon as this one
 * gets no more requests, and after `connect`; nobody has seen it, so any method may be sent there. Else it stays, since
 * to be served late is better than an error, but for no longer than it would wait for an answer, `head` (decision 057).
 */
export function whyLeave(
  { attempt, waitsSince = Number.POSITIVE_INFINITY }: Waiting,
  now: number,
): ProxyError | undefined {
  const { target, timeouts } = attempt
  const withdrawn = isWithdrawn(target)
  const waited = now - waitsSince
  const long = timeouts.connect > 0 && waited >= timeouts.connect
  if ((withdrawn || long) && attempt.movable === true) {
    const [reason, why] = withdrawn
      ? ['withdrawn-in-line', 'the target gets no more requests']
      : ['too-long-in-line', 'no connection to the target was free in time']
    return new ProxyError('connection_timeout', {
      message: `${why} [${target.id}]`,
      reason,
      cause: leftLine,
      target: target.id,
    })
  }
  if (timeouts.head === 0 || waited < Math.max(timeouts.connect, timeouts.head)) return undefined
  const message = `no connection to any target was free in time [${target.id}]`
  return new ProxyError('proxy_overloaded', { message, reason: 'too-long-in-line', target: target.id })
}

/**
 * Those of a line that wait no longer, and why. It takes nobody out: to ask what other targets there are may let somebody in.
 * @param opening for how many of the first a connection is being opened: they are on their way, and how that ends says something of the target
 */
export function leaving<T extends Waiting>(
  line: readonly T[],
  now: number,
  opening: number,
): ReadonlyMap<T, ProxyError> {
  const errors = new Map<T, ProxyError>()
  for (const each of line.slice(opening)) {
    const error = whyLeave(each, now)
    if (error !== undefined) errors.set(each, error)
  }
  return errors
}
