import type { Target } from '@sluice/upstream'
import type { Balancer, RandomOptions } from './balancer.js'

/**
 * The target with the fewest requests in flight for its weight: least (inFlight + 1) / weight, ties by chance. For requests
 * that differ in length. Of several proxies each sees its own requests alone. Cost: linear.
 */
export function leastRequests(options: RandomOptions = {}): Balancer {
  const chance = options.random ?? Math.random
  return (available, _ctx, not) => {
    let best: Target | undefined
    let least = Number.POSITIVE_INFINITY
    let ties = 0
    for (const target of available) {
      const load = loadOf(target)
      if (load > least || not?.(target) === true) continue
      ties = load < least ? 1 : ties + 1
      // Each of n alike is picked with probability 1/n (reservoir sampling), so that the first doesn't get all.
      if (ties === 1 || chance() * ties < 1) best = target
      least = load
    }
    return best
  }
}

/** Requests in flight if this target got one more, for its weight. */
export function loadOf(target: Target): number {
  return (target.inFlight + 1) / target.weight
}
