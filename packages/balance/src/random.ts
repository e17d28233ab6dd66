import type { Balancer, RandomOptions } from './balancer.js'
import { draw } from './draw.js'

/**
 * Any target, each as likely; weights don't count. For many proxies in front of the same targets, where each one's turn
 * would fall together. Cost: constant; linear when most targets are left out.
 */
export function random(options: RandomOptions = {}): Balancer {
  const chance = options.random ?? Math.random
  return (available, _ctx, not) => draw(available, chance, not)
}
