import type { Balancer } from './balancer.js'

/**
 * Each target in turn. For targets alike and requests alike; weights don't count. One instance for each upstream, since it
 * counts. Cost: constant.
 */
export function roundRobin(): Balancer {
  let turn = -1
  return (available, _ctx, not) => {
    const { length } = available
    for (let tries = 0; tries < length; tries++) {
      turn = (turn + 1) % length
      const target = available[turn]
      if (target !== undefined && (not === undefined || !not(target))) return target
    }
    return undefined
  }
}
