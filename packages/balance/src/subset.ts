import { integer, parse, that, v } from '@sluice/options'
import type { Target } from '@sluice/upstream'
import { type Balancer, withParts } from './balancer.js'
import { hash } from './hash.js'
import { byId, perList } from './per-list.js'
import { needPolicy } from './policy-options.js'

/** Options of {@link subset}. */
export interface SubsetOptions {
  /** Targets to use. */
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
  const partsOf = perList((list) => divide(list, size, at * 2 ** -32))
  return withParts(
    (available, ctx, not) => {
      const { chosen, others } = partsOf(available)
      const picked = policy(chosen, ctx, not)
      if (others.length === 0 || (picked !== undefined && not?.(picked) !== true)) return picked
      return policy(others, ctx, not)
    },
    {},
    policy,
  )
}

/**
 * Lists in two: they are as lasting as the list that they are made of, so that policies may keep tables for them.
 * @param at where on the circle the subset begins, from 0 to 1
 */
function divide(
  list: readonly Target[],
  size: number,
  at: number,
): { chosen: readonly Target[]; others: readonly Target[] } {
  const { length } = list
  if (length <= size) return { chosen: list, others: [] }
  const lots = new Map(list.map((target) => [target, hash(target.id)]))
  const circle = byId(list).sort((a, b) => (lots.get(a) as number) - (lots.get(b) as number))
  const from = Math.floor(at * length)
  const members = new Set([...circle.slice(from), ...circle].slice(0, size))
  return {
    chosen: Object.freeze(list.filter((target) => members.has(target))),
    others: Object.freeze(list.filter((target) => !members.has(target))),
  }
}
