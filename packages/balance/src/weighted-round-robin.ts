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
  const weigh = weighedLists(
    (targets, total) =>
      new Turn(
        targets.map((target) => countOf(known, behind(target))),
        total,
      ),
  )
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

  constructor(
    private readonly counts: readonly Count[],
    private readonly total: number,
  ) {
    this.credits = new Float64Array(counts.length)
  }

  /** A credit is a part of a round: with other weights, or in another list, a round is worth more or less. */
  load(): void {
    for (let i = 0; i < this.counts.length; i++) {
      const { credit, total } = this.counts[i] as Count
      this.credits[i] = total === this.total || total === 0 ? credit : (credit * this.total) / total
    }
  }

  store(): void {
    for (let i = 0; i < this.counts.length; i++) {
      const count = this.counts[i] as Count
      count.credit = this.credits[i] as number
      count.total = this.total
    }
  }
}

/** How far a target is while its list isn't picked from. */
interface Count {
  credit: number
  /** Of the weights of the list that the credit is from. */
  total: number
}

function countOf(known: WeakMap<Target, Count>, target: Target): Count {
  let count = known.get(target)
  if (count === undefined) {
    count = { credit: 0, total: 0 }
    known.set(target, count)
  }
  return count
}
