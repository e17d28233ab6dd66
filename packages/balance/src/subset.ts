import { integer, parse, that, v } from '@sluice/options'
import type { Target } from '@sluice/upstream'
import { type Balancer, withParts } from './balancer.js'
import { hash, mix } from './hash.js'
import { byId, perList } from './per-list.js'

/** Options of {@link subset}. */
export interface SubsetOptions {
  /** Targets to use. */
  size: number
  /**
   * Who is asking. Numbers 0, 1, 2… for the instances of a proxy give each target the same number of instances, or one less; a name
   * of the instance is as good as a number drawn by chance.
   */
  seed: number | string
}

const schema = v.strictObject({
  size: integer(1),
  seed: that<number | string>(
    (value) =>
      (typeof value === 'string' && value !== '') || (Number.isSafeInteger(value) && Number(value) >= 0),
    'a whole number, 0 or more, or a name',
  ),
})

/**
 * A policy over some of the targets alone, always the same for a seed: keeps the connections of many proxies to many targets few.
 * Deterministic subsetting ("Site Reliability Engineering", 2016, chapter 20): instances in a row share out all targets, and then again
 * in another order. The order is by hash, so that a target that comes or goes shifts the subsets by one. The others are asked only
 * when everybody of the subset is left out. Use 20 and more. Cost: that of the policy; a new list costs a sort.
 * @throws TypeError for a wrong option
 */
export function subset<C>(policy: Balancer<C>, options: SubsetOptions): Balancer<C> {
  const { size, seed } = parse(schema, options, 'subset')
  const instance = typeof seed === 'number' ? seed : hash(seed)
  const partsOf = perList((list) => divide(list, size, instance))
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

/** Lists in two: they are as lasting as the list that they are made of, so that policies may keep tables for them. */
function divide(
  list: readonly Target[],
  size: number,
  instance: number,
): { chosen: readonly Target[]; others: readonly Target[] } {
  const count = Math.floor(list.length / size)
  if (list.length <= size) return { chosen: list, others: [] }
  const round = mix(Math.floor(instance / count))
  const from = (instance % count) * size
  const lots = new Map(list.map((target) => [target, mix(hash(target.id) ^ round)]))
  const order = byId(list).sort((a, b) => (lots.get(a) as number) - (lots.get(b) as number))
  const members = new Set(order.slice(from, from + size))
  return {
    chosen: Object.freeze(list.filter((target) => members.has(target))),
    others: Object.freeze(list.filter((target) => !members.has(target))),
  }
}
