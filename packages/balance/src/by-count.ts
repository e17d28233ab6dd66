import { type Balancer, type RandomOptions, withParts } from './balancer.js'
import { chanceOf } from './policy-options.js'
import { powerOfTwo } from './power-of-two.js'
import { roundRobin } from './round-robin.js'
import { weightedRoundRobin } from './weighted-round-robin.js'

/** What `balance` takes without a policy: in turn while there are fewer than three, as often as their weights say, else the less loaded of two. */
export function byCount(options: RandomOptions = {}): Balancer {
  const few = roundRobin()
  const uneven = weightedRoundRobin()
  const many = powerOfTwo({ random: chanceOf(options, 'byCount') })
  return withParts((available, ctx, not) => {
    if (available.length > 2) return many(available, ctx, not)
    const [one, other] = available
    return (one?.weight === (other ?? one)?.weight ? few : uneven)(available, ctx, not)
  }, {})
}
