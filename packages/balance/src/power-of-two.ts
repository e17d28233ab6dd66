import type { Target } from '@sluice/upstream'
import type { Balancer, RandomOptions } from './balancer.js'
import { loadOf } from './least-requests.js'

/**
 * The less loaded of two targets drawn by chance (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing",
 * 2001): nearly as even as looking at all, at constant cost, and without the herd that several proxies make when each
 * runs to the one that is least loaded. For three targets and more. Cost: constant; linear when targets are left out.
 */
export function powerOfTwo(options: RandomOptions = {}): Balancer {
  const chance = options.random ?? Math.random
  return (available, _ctx, not) => {
    const a = draw(available, chance, -1)
    const first = available[a]
    const second = available[draw(available, chance, a)]
    if (first === undefined || second === undefined) return allowed(available, not)[0]
    if (not === undefined || (!not(first) && !not(second)))
      return loadOf(second) < loadOf(first) ? second : first
    const rest = allowed(available, not)
    const one = rest[draw(rest, chance, -1)]
    const other = rest[draw(rest, chance, one === undefined ? -1 : rest.indexOf(one))]
    return one !== undefined && other !== undefined && loadOf(other) < loadOf(one) ? other : one
  }
}

/** An index drawn by chance, another than `except`; -1 if there is none. */
function draw(list: readonly Target[], chance: () => number, except: number): number {
  const count = except === -1 ? list.length : list.length - 1
  if (count <= 0) return -1
  const drawn = Math.floor(chance() * count)
  return except !== -1 && drawn >= except ? drawn + 1 : drawn
}

function allowed(
  available: readonly Target[],
  not: ((target: Target) => boolean) | undefined,
): readonly Target[] {
  return not === undefined ? available : available.filter((target) => !not(target))
}
