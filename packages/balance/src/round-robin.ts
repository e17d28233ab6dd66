import type { Balancer } from './balancer.js'

/**
 * Each target in turn. For targets alike and requests alike; weights don't count. One instance for each upstream, since it
 * counts. While the target that had the last turn is left out, tried or full, the others stand in for it in a turn of their own: with two
 * targets of which one fails, each stand-in would else end a round, and every request begin with the one that fails. Cost: constant.
 */
export function roundRobin(): Balancer {
  let turn = -1
  let standIn = -1
  return (available, _ctx, not) => {
    const { length } = available
    const last = not === undefined ? undefined : available[turn]
    const out = last !== undefined && not?.(last) === true
    for (let tries = 0; tries < length; tries++) {
      const at = ((out ? standIn : turn) + 1) % length
      if (out) standIn = at
      else turn = at
      const target = available[at]
      if (target !== undefined && (not === undefined || !not(target))) return target
    }
    return undefined
  }
}
