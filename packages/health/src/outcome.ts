import { isOwnFault, type LeaseResult } from '@sluice/upstream'

/**
 * What an attempt says of its target, after Envoy's outlier detection:
 * - `success`: an answer below 500
 * - `failure`: an answer of 5xx by the application itself; it counts in statistics, and for a target that is reached
 * - `gateway`: an answer of 502, 503 or 504, or an exchange that the target broke or let time out
 * - `local`: no connection, or a new one that was lost before an answer: nothing of the target's own word
 * - `kept`: a kept connection that was lost before an answer. Its target may close one that is idle at any time (RFC 9112 section
 *   9.3.1), so by itself it says little
 */
export type Outcome = 'success' | 'failure' | 'gateway' | 'local' | 'kept'

/** Of Node, for those that hold leases without the chain. */
const lost = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_SOCKET',
])

/** As much of an error as is looked at: a `ProxyError`, one of Node's, or one that wraps it, as `fetch` does. */
interface Failure {
  readonly code?: unknown
  readonly phase?: unknown
  readonly source?: unknown
  readonly reused?: unknown
  readonly cause?: unknown
}

/** What a result says of the target; nothing for a client that left, and for faults of our own. */
export function outcomeOf(result: LeaseResult | undefined): Outcome | undefined {
  if (result === undefined) return undefined
  const { ok, error, status = 0 } = result
  if (error !== undefined) return isOwnFault(error) ? undefined : ofFailure(error)
  if (status === 502 || status === 503 || status === 504) return 'gateway'
  if (status >= 500) return 'failure'
  return ok ? 'success' : 'gateway'
}

function ofFailure(failure: Failure): Outcome {
  const { code, phase, reused, source } = failure
  const below = (failure.cause as Failure | null | undefined)?.code
  // A ProxyError says by itself how far things had come.
  if (source === 'upstream') {
    if (code === 'connection_terminated') return reused === true ? 'kept' : 'local'
    return phase === 'connect' ? 'local' : 'gateway'
  }
  if (!lost.has(String(code)) && !lost.has(String(below))) return 'gateway'
  return reused === true ? 'kept' : 'local'
}
