import type { Attempt } from './transport.js'

/** The attempt with what is left of its time in all, in ms; 0 leaves it as it is. */
export function withTotal(attempt: Attempt, total: number): Attempt {
  if (total === 0) return attempt
  const { onClose, signal, target, out, upgrade } = attempt
  return {
    target,
    out,
    timeouts: { ...attempt.timeouts, total },
    get client() {
      return attempt.client
    },
    get movable() {
      return attempt.movable === true
    },
    inform: (status, headers) => attempt.inform(status, headers),
    ...(upgrade === undefined ? {} : { upgrade }),
    ...(signal === undefined ? {} : { signal }),
    ...(onClose === undefined ? {} : { onClose: (fn, arg) => attempt.onClose?.(fn, arg) }),
  }
}
