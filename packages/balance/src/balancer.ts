import type { Target } from '@sluice/upstream'

/**
 * A balancing policy: a pure pick among targets that may be used. `not` leaves targets out (tried before, full); nobody
 * left gives `undefined`. `ctx` is whatever the caller has; policies that go by a key read it.
 */
export type Balancer<C = unknown> = (
  available: readonly Target[],
  ctx: C,
  not?: (target: Target) => boolean,
) => Target | undefined

/** Where a policy's chance comes from: numbers in [0, 1). */
export interface RandomOptions {
  /** Default `Math.random`. */
  random?: () => number
}
