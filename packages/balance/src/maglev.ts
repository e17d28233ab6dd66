import { parse, that, v } from '@sluice/options'
import type { Target } from '@sluice/upstream'
import type { Balancer, RandomOptions } from './balancer.js'
import { hash } from './hash.js'
import { type Key, keyed } from './keyed.js'
import { byId, perList } from './per-list.js'
import { randomEntry } from './policy-options.js'
import { weightOf } from './weight-of.js'

/** Options of {@link maglev}. */
export interface MaglevOptions extends RandomOptions {
  /** Slots of the table: a prime, a hundred times the targets or more. Default 65537. */
  size?: number
}

const largest = 5_000_011
const schema = v.strictObject({
  size: v.optional(that<number>(isPrime, `a prime number from 3 to ${largest}`), 65537),
  ...randomEntry,
})

/**
 * The same target for the same key, by a table that targets fill in turn, by weight. For many targets and many requests: shares
 * are even to about a hundredth, and a pick is one look. A target that goes moves, beside its own keys, under a hundredth of the others';
 * where that is too many, `ring`. Maglev hashing (Eisenbud and others, NSDI 2016), turns by weight as in Envoy. A key whose target
 * is left out goes to the target of the next slot. For requests without a key, and key functions that throw, see the README.
 * Cost: constant; a new list costs a new table, about `size` × ln(`size`) steps.
 * @param key what requests that belong together have in common
 * @throws TypeError for a wrong option
 */
export function maglev<C = unknown>(key: Key<C>, options: MaglevOptions = {}): Balancer<C> {
  const { size, random } = parse(schema, options, 'maglev')
  const tableOf = perList((list) => makeTable(list, size))
  return keyed('maglev', key, random, (available, hashed, not) => {
    const { targets, slots } = tableOf(available)
    if (targets.length === 0) return undefined
    let at = hashed % size
    let refused: Target | undefined
    for (let steps = targets.length * 8 + 64; steps > 0; steps--) {
      const target = targets[slots[at] as number] as Target
      if (target !== refused && not?.(target) !== true) return target
      refused = target
      if (++at === size) at = 0
    }
    return undefined
  })
}

interface Table {
  readonly targets: readonly Target[]
  /** Whose each slot is. */
  readonly slots: Int32Array
}

function makeTable(list: readonly Target[], size: number): Table {
  const targets = byId(list).filter((target) => weightOf(target) > 0)
  const slots = new Int32Array(size).fill(-1)
  const next = Int32Array.from(targets, ({ id }) => hash(id) % size)
  const skip = Int32Array.from(targets, ({ id }) => (hash(id, 0x9e3779b9) % (size - 1)) + 1)
  const weights = targets.map(weightOf)
  const heaviest = weights.reduce((most, weight) => Math.max(most, weight), 0)
  const taken = new Int32Array(targets.length)
  // Whose turn a round is, as a chain: where weights are far apart most have none in most rounds, and aren't looked at.
  const begins = new Int32Array(size + 1).fill(-1)
  const ends = new Int32Array(size + 1)
  const followers = new Int32Array(targets.length).fill(-1)
  const queue = (i: number, round: number): void => {
    if (round > size) return
    if (begins[round] === -1) begins[round] = i
    else followers[ends[round] as number] = i
    ends[round] = i
    followers[i] = -1
  }
  for (let i = 0; i < targets.length; i++) queue(i, 1)
  let left = targets.length === 0 ? 0 : size
  for (let round = 1; left > 0; round++) {
    for (let i = begins[round] as number, follower = -1; i !== -1 && left > 0; i = follower, left--) {
      follower = followers[i] as number
      let at = next[i] as number
      while (slots[at] !== -1) at = (at + (skip[i] as number)) % size
      slots[at] = i
      next[i] = at
      // The heaviest one takes a slot each round, one of half its weight every other.
      const turn = (taken[i] as number) + 1
      taken[i] = turn
      queue(i, Math.max(round + 1, Math.ceil((turn * heaviest) / (weights[i] as number))))
    }
  }
  return { targets, slots }
}

function isPrime(value: unknown): boolean {
  if (!Number.isSafeInteger(value)) return false
  const number = value as number
  if (number < 3 || number > largest || number % 2 === 0) return false
  for (let i = 3; i * i <= number; i += 2) if (number % i === 0) return false
  return true
}
