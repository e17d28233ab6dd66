import type { Target } from '@sluice/upstream'
import type { Balancer, RandomOptions } from './balancer.js'
import { hash } from './hash.js'
import { type Key, keyed } from './keyed.js'
import { byId, perList } from './per-list.js'
import { chanceOf } from './policy-options.js'
import { weightOf } from './weight-of.js'

/**
 * The same target for the same key: each target draws a lot for the key, and the best one wins. For some hundreds of targets at
 * most: the most even of the three, exactly by weight, and a target that goes or changes its weight moves only the keys that it must.
 * Weighted rendezvous hashing (Thaler and Ravishankar, 1998; weights by Schindelhauer and Schomaker, 2005). A key whose target is
 * left out goes to the next best, each key to its own. For requests without a key, and key functions that throw, see the README.
 * Cost: linear.
 * @param key what requests that belong together have in common
 */
export function rendezvous<C = unknown>(key: Key<C>, options: RandomOptions = {}): Balancer<C> {
  const lotsOf = perList(makeLots)
  return keyed('rendezvous', key, chanceOf(options, 'rendezvous'), (available, hashed, not) => {
    const { targets, seeds, scales } = lotsOf(available)
    let best: Target | undefined
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < seeds.length; i++) {
      const lot = draw(hashed, seeds[i] as number)
      const scale = scales[i] as number
      // The lot is -ln(1 - u) / weight, exponential with the weight as its rate; u is never more than -ln(1 - u), which
      // spares the logarithm for all but a few.
      if (lot * scale >= least) continue
      const drawn = -Math.log1p(-lot) * scale
      if (drawn >= least || not?.(targets[i] as Target) === true) continue
      least = drawn
      best = targets[i] as Target
    }
    return best
  })
}

/** A number in [0, 1) of a key and a target, both well mixed before: what is left to do is less than a whole hash. */
function draw(key: number, seed: number): number {
  let h = Math.imul(key ^ seed, 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
  return (h >>> 0) * 2 ** -32
}

interface Lots {
  readonly targets: readonly Target[]
  readonly seeds: Int32Array
  readonly scales: Float64Array
}

/** Of two targets with the same seed one would win every draw. */
function seedsOf(targets: readonly Target[]): Int32Array {
  const taken = new Set<number>()
  return Int32Array.from(targets, ({ id }) => {
    let seed = hash(id)
    for (let again = 1; taken.has(seed); again++) seed = hash(id, again)
    taken.add(seed)
    return seed
  })
}

function makeLots(list: readonly Target[]): Lots {
  const targets = byId(list).filter((target) => weightOf(target) > 0)
  return {
    targets,
    seeds: seedsOf(targets),
    scales: Float64Array.from(targets, (target) => 1 / weightOf(target)),
  }
}
