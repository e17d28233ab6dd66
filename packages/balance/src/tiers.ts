import type { Target, Upstream } from '@sluice/upstream'

type Ranks = readonly (readonly Target[])[]

/**
 * Priority tiers with overflow. A tier whose targets have partly failed is given what they can still take, and the next tiers the
 * rest, before the first is overloaded. After Envoy's priority levels:
 *
 * a tier's load = min(factor × fit / all, what the tiers before it have left); if all of them together can't take it,
 * each gets its part of what they can
 *
 * Fit are those in use that haven't said they would rather not, in panic too; those that drain count for nothing. With a factor of 1.4
 * the first tier keeps all until less than 72 % of it is fit.
 */
export class Tiers {
  private known: Ranks | undefined = undefined
  private orders: readonly { readonly upTo: number; readonly ranks: Ranks }[] = []

  constructor(
    private readonly upstream: Upstream,
    private readonly factor: number,
    private readonly chance: () => number,
  ) {}

  /** The ranks in the order in which to ask them this time: those of the tier that was drawn, then the others. */
  order(): Ranks {
    const { ranks } = this.upstream
    if (ranks !== this.known) {
      this.known = ranks
      this.orders = ordersOf(this.upstream, this.factor)
    }
    if (this.orders.length < 2) return ranks
    const drawn = this.chance()
    return (this.orders.find(({ upTo }) => drawn < upTo) ?? this.orders.at(-1))?.ranks ?? ranks
  }
}

function ordersOf({ all, ranks }: Upstream, factor: number): { upTo: number; ranks: Ranks }[] {
  const tiers = [...new Set(all.map(({ priority }) => priority))].sort((a, b) => a - b)
  let left = 1
  const loads = tiers.map((tier) => {
    const members = all.filter(({ priority, state }) => priority === tier && state !== 'draining').length
    const fit = all.filter((target) => target.priority === tier && isFit(target)).length
    const load = members === 0 ? 0 : Math.min((factor * fit) / members, left)
    left -= load
    return load
  })
  const taken = 1 - left
  if (taken <= 0) return []
  let upTo = 0
  return tiers.flatMap((tier, i) => {
    const load = loads[i] as number
    if (load === 0) return []
    upTo += load / taken
    const own = ranks.filter((rank) => rank[0]?.priority === tier)
    return [{ upTo, ranks: [...own, ...ranks.filter((rank) => !own.includes(rank))] }]
  })
}

function isFit({ degraded, state }: Target): boolean {
  return !degraded && (state === 'healthy' || state === 'unknown')
}
