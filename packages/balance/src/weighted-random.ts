import type { Target } from '@sluice/upstream'
import { type Balancer, type RandomOptions, withParts } from './balancer.js'
import { chanceOf } from './policy-options.js'
import { weighedLists } from './weighed-list.js'

/**
 * Any target, as likely as its weight says. For traffic that is split by shares, a tenth to a new version for instance. It keeps
 * nothing, so any number of upstreams may share one. Cost: linear.
 */
export function weightedRandom(options: RandomOptions = {}): Balancer {
  const chance = chanceOf(options, 'weightedRandom')
  const weigh = weighedLists()
  return withParts(
    (available, _ctx, not) => {
      const { targets, weights, total } = weigh(available)
      let drawn = chance() * total
      for (let i = 0; i < weights.length; i++) {
        drawn -= weights[i] as number
        if (drawn >= 0) continue
        const target = targets[i] as Target
        return not?.(target) === true ? among(targets, weights, not, chance) : target
      }
      // Nobody has a weight, or rounding has left something over.
      return among(targets, weights, not, chance)
    },
    { weighted: true },
  )
}

/** Any of those that aren't left out. */
function among(
  targets: readonly Target[],
  weights: Float64Array,
  not: ((target: Target) => boolean) | undefined,
  chance: () => number,
): Target | undefined {
  let picked: Target | undefined
  let sum = 0
  for (let i = 0; i < targets.length; i++) {
    const target = targets[i] as Target
    if (not?.(target) === true) continue
    const weight = weights[i] as number
    // Reservoir sampling: each stays by its part of the weights so far.
    sum += weight
    if (picked === undefined || chance() * sum < weight) picked = target
  }
  return picked
}
