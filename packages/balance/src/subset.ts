import { integer, parse, that, v } from '@sluice/options'
import type { Target } from '@sluice/upstream'
import type { Balancer } from './balancer.js'
import { hash } from './hash.js'
import { byId } from './per-list.js'
import { needPolicy } from './policy-options.js'
import { preferred } from './preferred.js'

/** Options of {@link subset}. */
export interface SubsetOptions {
  /** Targets to use, 1 or more; where there are no more than that, all. */
  size: number
  /**
   * Who is asking. Numbers 0, 1, 2… for the instances of a proxy give each target nearly the same number of instances; a name of the
   * instance is as good as a number drawn by chance.
   */
  seed: number | string
}

/** Validates {@link SubsetOptions}. */
export const subsetOptions = v.strictObject({
  size: integer(1),
  seed: that<number | string>(
    (value) =>
      (typeof value === 'string' && value !== '') || (Number.isSafeInteger(value) && Number(value) >= 0),
    'a whole number, 0 or more, or a name',
  ),
})

/**
 * A policy over some of the targets alone, always the same for a seed: keeps the connections of many proxies to many targets few.
 * Deterministic subsetting ("Site Reliability Engineering", 2016, chapter 20), but without its rounds, which deal all subsets anew when
 * their number changes, with one target ejected for instance:
 *
 * all targets in a circle by hash; an instance takes `size` in a row, from seed × golden ratio of the way round on
 *
 * Instances in a row begin evenly spread, and a target that comes or goes changes two of a subset at most. The others are asked only when
 * everybody of the subset is left out. Use 20 and more. Cost: that of the policy; a new list costs a sort.
 * @throws TypeError for a wrong option, or a policy that is no function
 */
export function subset<C>(policy: Balancer<C>, options: SubsetOptions): Balancer<C> {
  needPolicy(policy, 'subset')
  const { size, seed } = parse(subsetOptions, options, 'subset')
  // By 2^32 / golden ratio: the multiples of no other number keep further apart.
  const at = typeof seed === 'number' ? Math.imul(seed, 0x9e3779b1) >>> 0 : hash(seed)
  const from = at * 2 ** -32
  return preferred(policy, (list) => (list.length <= size ? undefined : inARow(list, size, from)))
}

/** So many of the circle, from a place on it on: 0 to 1. */
function inARow(list: readonly Target[], size: number, at: number): Target[] {
  const lots = new Map(list.map((target) => [target, hash(target.id)]))
  const circle = byId(list).sort((a, b) => (lots.get(a) as number) - (lots.get(b) as number))
  return [...circle.slice(Math.floor(at * list.length)), ...circle].slice(0, size)
}
