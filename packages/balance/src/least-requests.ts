import type { Target } from '@sluice/upstream'
import { type Balancer, type RandomOptions, withParts } from './balancer.js'
import { chanceOf } from './policy-options.js'
import { weighedLists } from './weighed-list.js'
import { weightOf } from './weight-of.js'

/**
 * The target with the fewest requests in flight for its weight, exactly: least inFlight / weight, as `least_conn` of nginx. Ties
 * are shared by weighted chance, so that idle targets are used by weight too. For requests that differ in length; a target that
 * warms up (`slowStart`) is given one at a time at first. Of several proxies each sees its own requests alone, which is enough: they
 * don't run to the same target (docs/balancing.md). A target that fails fast has little in flight: let it be ejected. Cost: linear.
 */
export function leastRequests(options: RandomOptions = {}): Balancer {
  const chance = chanceOf(options, 'leastRequests')
  const weigh = weighedLists((targets) => new Int32Array(targets.length))
  return withParts(
    (available, _ctx, not) => {
      const { targets, weights, own: alike } = weigh(available)
      let count = 0
      let tied = 0
      let least = 0
      let of = 0
      for (let i = 0; i < weights.length; i++) {
        const target = targets[i] as Target
        const weight = weights[i] as number
        const { inFlight } = target
        // inFlight / weight against least / of, without the rounding of a division. Weight 0 is never less than another.
        const mine = inFlight * of
        const its = least * weight
        if (count > 0 && (mine > its || weight === 0)) continue
        if (not?.(target) === true) continue
        if (mine < its) {
          count = 0
          tied = 0
        }
        alike[count++] = i
        tied += weight
        least = inFlight
        of = weight
      }
      if (count === 0) return undefined
      let drawn = count === 1 ? 0 : chance() * tied
      for (let i = 0; i < count - 1; i++) {
        drawn -= weights[alike[i] as number] as number
        if (drawn < 0) return targets[alike[i] as number]
      }
      return targets[alike[count - 1] as number]
    },
    { weighted: true },
  )
}

/** Requests in flight for a target's weight. */
export function loadOf(target: Target): number {
  const weight = weightOf(target)
  return weight === 0 ? Number.POSITIVE_INFINITY : target.inFlight / weight
}
