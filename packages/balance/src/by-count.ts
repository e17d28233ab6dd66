import { type Balancer, type RandomOptions, withParts } from './balancer.js'
import { chanceOf } from './policy-options.js'
import { powerOfTwo } from './power-of-two.js'
import { roundRobin } from './round-robin.js'

/** What `balance` takes without a policy: in turn while there are fewer than three, else the less loaded of two. */
export function byCount(options: RandomOptions = {}): Balancer {
  const few = roundRobin()
  const many = powerOfTwo({ random: chanceOf(options, 'byCount') })
  return withParts((available, ctx, not) => (available.length < 3 ? few : many)(available, ctx, not), {})
}
