import { isOwnFault } from '@sluice/upstream'

/** No file left to open, here or in the system, and no memory. */
const limits = new Set<unknown>(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])

/**
 * Whether a probe has failed by a limit of this process: the target wasn't asked, and all of them would be unhealthy for it. A bug in a
 * probe is none. Never throws: anything may be thrown, also what throws when it is looked at.
 */
export function isOwnLimit(failure: unknown): boolean {
  try {
    return isOwnFault(failure) && limits.has((failure as { code?: unknown }).code)
  } catch {
    return false
  }
}
