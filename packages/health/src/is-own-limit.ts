import { isOwnFault, ownLimits } from '@sluice/upstream'

/**
 * Whether a probe has failed by a limit of this process, also beneath `fetch failed`: the target wasn't asked, and all of them would be
 * unhealthy for it. A bug in a probe is none. Never throws: anything may be thrown, also what throws when it is looked at.
 */
export function isOwnLimit(failure: unknown): boolean {
  try {
    if (!isOwnFault(failure)) return false
    const { cause, code } = failure as { cause?: unknown; code?: unknown }
    return ownLimits.has(code) || isOwnLimit(cause)
  } catch {
    return false
  }
}
