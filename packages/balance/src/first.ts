import type { Balancer } from './balancer.js'

/**
 * The first target, and the next only when that isn't available or was tried. For a main server with stand-ins.
 * Cost: a look at one target.
 */
export function first(): Balancer {
  return (available, _ctx, not) => {
    if (not === undefined) return available[0]
    for (const target of available) if (!not(target)) return target
    return undefined
  }
}
