import type { Balancer, RandomOptions } from './balancer.js'
import { draw } from './draw.js'
import { chanceOf } from './policy-options.js'

/**
 * Any target, each as likely; weights don't count. For many proxies in front of the same targets, where each one's turn
 * would fall together. Cost: constant; linear when most targets are left out.
 */
export function random(options: RandomOptions = {}): Balancer {
  const chance = chanceOf(options, 'random')
  return (available, _ctx, not) => draw(available, chance, not)
}
