import type { Target } from '@sluice/upstream'
import type { Declaration } from './declaration.js'

/**
 * A check of one target: resolves if it is fit, rejects with the reason if not, and stops when `signal` aborts.
 * @param declare takes what the target has said of itself, in an answer that passes as in one that fails
 */
export type Probe = (
  target: Target,
  signal: AbortSignal,
  declare?: (said: Declaration) => void,
) => Promise<void>
