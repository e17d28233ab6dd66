import type { Target } from '@sluice/upstream'

/** A check of one target: resolves if it is fit, rejects with the reason if not, and stops when `signal` aborts. */
export type Probe = (target: Target, signal: AbortSignal) => Promise<void>
