import type { Lease } from './lease.js'
import { LiveTarget, TargetLease } from './live-target.js'
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

const watchers = new WeakMap<Target, Set<() => void>>()

/**
 * Hears that a target is used no more, so that connections to it can be closed: those without an exchange at once. For
 * transports.
 * @returns the undo
 */
export function onRetire(target: Target, fn: () => void): () => void {
  let set = watchers.get(target)
  if (set === undefined) {
    set = new Set()
    watchers.set(target, set)
  }
  set.add(fn)
  return () => void set.delete(fn)
}

/** Says that a target is used no more. Call it when its last lease has ended. */
export function retire(target: Target): void {
  for (const fn of [...(watchers.get(target) ?? [])]) fn()
}
