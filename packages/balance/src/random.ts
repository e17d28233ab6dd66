import type { Balancer, RandomOptions } from './balancer.js'
import { draw } from './draw.js'
import { chanceOf } from './policy-options.js'

/**
 * Any target, each as likely; weights don't count. It keeps nothing, and is the least even of all: chance gives a target several in a row.
 * For requests that cost next to nothing. Cost: constant; linear when most targets are left out.
 */
export function random(options: RandomOptions = {}): Balancer {
  const chance = chanceOf(options, 'random')
  return (available, _ctx, not) => draw(available, chance, not)
}
