import type { Target } from '@sluice/upstream'
import { type Balancer, withParts } from './balancer.js'
import { perList } from './per-list.js'

/**
 * A policy that asks among some targets of a list as long as one of them may be asked, and then among the others. Both lists are as
 * lasting as the one that they are made of, so that policies may keep tables for them.
 * @param choose those to ask first; `undefined`: all are alike
 */
export function preferred<C>(
  policy: Balancer<C>,
  choose: (list: readonly Target[]) => readonly Target[] | undefined,
): Balancer<C> {
  const halvesOf = perList((list) => divide(list, choose(list) ?? list))
  return withParts(
    (available, ctx, not) => {
      const { chosen, others } = halvesOf(available)
      const picked = policy(chosen, ctx, not)
      if (others.length === 0 || (picked !== undefined && not?.(picked) !== true)) return picked
      return policy(others, ctx, not)
    },
    {},
    policy,
  )
}

function divide(
  list: readonly Target[],
  some: readonly Target[],
): { chosen: readonly Target[]; others: readonly Target[] } {
  if (some.length === list.length) return { chosen: list, others: [] }
  const members = new Set(some)
  return {
    chosen: Object.freeze(list.filter((target) => members.has(target))),
    others: Object.freeze(list.filter((target) => !members.has(target))),
  }
}
