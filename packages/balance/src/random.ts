import type { Target } from '@sluice/upstream'
import type { Balancer, RandomOptions } from './balancer.js'

/**
 * Any target, each as likely; weights don't count. For many proxies in front of the same targets, where each one's turn
 * would fall together. Cost: constant; linear when targets are left out.
 */
export function random(options: RandomOptions = {}): Balancer {
  const chance = options.random ?? Math.random
  return (available, _ctx, not) => {
    const picked = available[Math.floor(chance() * available.length)]
    if (picked === undefined || not === undefined || !not(picked)) return picked
    const rest: readonly Target[] = available.filter((target) => !not(target))
    return rest[Math.floor(chance() * rest.length)]
  }
}
