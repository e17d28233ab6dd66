import { LiveTarget } from './live-target.js'
import type { Target } from './target.js'

/**
 * Whether an upstream gives a target no more requests: it is drained, ejected, unhealthy or removed, and not asked in panic. What it has been
 * given and hasn't got yet, since it waits for a connection, may go elsewhere then: see {@link hasOther}. Never true of a target that is in no upstream.
 */
export function isWithdrawn(target: Target): boolean {
  return target instanceof LiveTarget && target.withdrawn
}

/**
 * Whether a request that was picked for a target could go to another of its upstream now: an available one that no gate keeps shut. Those of a lower rank (a lower
 * priority, rather not used) are for when nobody else is left, and count where this one is no longer available.
 * @param tried that have failed it before, and don't count
 */
export function hasOther(target: Target, tried?: readonly Target[]): boolean {
  return target instanceof LiveTarget && target.hasOther(tried)
}
