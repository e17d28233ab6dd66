import { fault, quote } from '@sluice/options'
import type { Target } from '@sluice/upstream'
import { type Balancer, withParts } from './balancer.js'
import { needPolicy } from './policy-options.js'
import { weighedLists } from './weighed-list.js'
import { weightOf } from './weight-of.js'

/**
 * A policy whose targets never get more than their share times a factor: who has that much in flight is passed over. For policies by
 * key, where one key may be asked for by everybody: `boundedLoad(ring(key), 1.25)`. The closer the factor is to 1 the more keys go
 * elsewhere. Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2018).
 *
 * bound = ⌈ factor × (in flight of all + 1) × weight / weights of all ⌉, all being those that aren't left out
 *
 * Somebody is always below its bound, so nobody is refused for it. Cost: linear, on top of the policy's.
 * @param factor above 1. Default 1.25
 * @throws TypeError for a wrong factor, or a policy that is no function
 */
export function boundedLoad<C>(policy: Balancer<C>, factor = 1.25): Balancer<C> {
  needPolicy(policy, 'boundedLoad')
  if (!(typeof factor === 'number' && factor > 1))
    throw new TypeError(fault('boundedLoad.factor', quote(factor), 'a number above 1'))
  const weigh = weighedLists()
  return withParts(
    (available, ctx, not) => {
      const { targets, weights, total } = weigh(available)
      let load = 1
      let sum = total
      for (let i = 0; i < targets.length; i++) {
        const target = targets[i] as Target
        if (not === undefined || !not(target)) load += target.inFlight
        else sum -= weights[i] as number
      }
      const bound = factor * load
      const full = (target: Target): boolean =>
        target.inFlight >= Math.ceil((bound * weightOf(target)) / sum) || not?.(target) === true
      const picked = policy(available, ctx, full)
      if (picked !== undefined && !full(picked)) return picked
      // A policy that ignores `not` is corrected: the bound holds whatever it wraps.
      return available.find((target) => !full(target))
    },
    {},
    policy,
  )
}
