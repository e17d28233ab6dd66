import type { Target } from '@sluice/upstream'
import { type Balancer, withParts } from './balancer.js'
import { behind } from './ramping-target.js'
import { weighedLists } from './weighed-list.js'

/**
 * Each target in turn, as often as its weight says, and evenly spread: 5:1:1 gives a a b a c a a, not a a a a a b c. For targets of
 * different sizes and requests alike. The smooth weighted round robin of nginx (`ngx_http_upstream_get_peer`): each pick adds to
 * every target its weight, takes the highest, and takes the sum of all weights off that one. One instance for each upstream,
 * since it counts. Cost: linear.
 */
export function weightedRoundRobin(): Balancer {
  // By target, so that one that goes and comes back, or is in several lists, goes on where it stood. While a list is picked from,
  // its credits are in an array, which is read faster.
  const known = new WeakMap<Target, Count>()
  let active: Turn | undefined
  const weigh = weighedLists((targets, weights) => {
    active?.store()
    active = undefined
    return new Turn(targets.map((target, i) => countOf(known, behind(target), weights[i] as number)))
  })
  return withParts(
    (available, _ctx, not) => {
      const { targets, weights, total, own: turn } = weigh(available)
      if (turn !== active) {
        active?.store()
        turn.load()
        active = turn
      }
      const { credits } = turn
      let best = -1
      let highest = Number.NEGATIVE_INFINITY
      let sum = total
      for (let i = 0; i < credits.length; i++) {
        const weight = weights[i] as number
        if (not?.(targets[i] as Target) === true) {
          sum -= weight
          continue
        }
        const credit = (credits[i] as number) + weight
        credits[i] = credit
        if (credit <= highest) continue
        highest = credit
        best = i
      }
      if (best === -1) return undefined
      credits[best] = highest - sum
      return targets[best]
    },
    { weighted: true },
  )
}

/** How far the targets of a list are. */
class Turn {
  readonly credits: Float64Array

  constructor(private readonly counts: readonly Count[]) {
    this.credits = new Float64Array(counts.length)
  }

  load(): void {
    for (let i = 0; i < this.counts.length; i++) this.credits[i] = (this.counts[i] as Count).credit
  }

  store(): void {
    for (let i = 0; i < this.counts.length; i++) (this.counts[i] as Count).credit = this.credits[i] as number
  }
}

/** How far a target's turn is. */
class Count {
  constructor(
    public credit: number,
    private weight: number,
  ) {}

  /** What it is owed or owes is turns: with another weight they are worth as much more or less. */
  reweigh(weight: number): void {
    if (weight === this.weight) return
    this.credit = this.weight > 0 ? (this.credit * weight) / this.weight : 0
    this.weight = weight
  }
}

function countOf(known: WeakMap<Target, Count>, target: Target, weight: number): Count {
  let count = known.get(target)
  if (count === undefined) {
    count = new Count(0, weight)
    known.set(target, count)
  }
  count.reweigh(weight)
  return count
}
