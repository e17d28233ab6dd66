import type { Lease } from './lease.js'
import { LiveTarget, TargetLease } from './live-target.js'
import { retireKey } from './on-retire.js'
import { lastContext } from './secured-options.js'
import { readTargets, type Target, type TargetInit } from './target.js'

/**
 * Makes a target that stands alone, in no upstream, with live state of its own.
 * @param path where it stands in what the user wrote, for errors
 * @throws TypeError with a line for each fault
 */
export function createTarget(init: TargetInit, path = 'target'): Target {
  const [settings] = readTargets([init], path, undefined, true)
  return new LiveTarget(settings as NonNullable<typeof settings>)
}

/** Takes a lease on a target that {@link createTarget} has made: it counts as in flight until it is released. */
export function leaseOn(target: Target, clock: () => number = () => performance.now()): Lease {
  return new TargetLease(target as LiveTarget, clock)
}

/** Says that a target is used no more. Call it when its last lease has ended. */
export function retire(target: Target): void {
  retireKey(target)
  const context = lastContext(target)
  if (context !== undefined) retireKey(context)
}
