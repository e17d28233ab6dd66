import { integer, parse, v } from '@sluice/options'
import type { Target } from '@sluice/upstream'
import type { Balancer, RandomOptions } from './balancer.js'
import { hash, mix } from './hash.js'
import { type Key, keyed } from './keyed.js'
import { byId, perList } from './per-list.js'
import { randomEntry } from './policy-options.js'
import { weightOf } from './weight-of.js'

/** Options of {@link ring}. */
export interface RingOptions extends RandomOptions {
  /** Points of a target of weight 1. More make shares more even: they differ by about 1 / √points. Default 160. */
  points?: number
}

/** Points of a whole ring at most: past that each target has half as many, and so on. */
const most = 2 ** 18

const schema = v.strictObject({ points: v.optional(integer(1, 10_000), 160), ...randomEntry })

/**
 * The same target for the same key: targets have points on a ring by weight, and a key belongs to the next point. For many targets,
 * and wherever a target that goes or changes its weight must move only its own keys. After ketama (Jones, 2007; Karger and others,
 * 1997), with points that depend on the target alone and not on the sum of the weights. A key whose target is left out goes to the
 * next point of another. For requests without a key, and key functions that throw, see the README.
 * Cost: constant; a new list costs a sort of all points, 160 a target.
 * @param key what requests that belong together have in common
 * @throws TypeError for a wrong option
 */
export function ring<C = unknown>(key: Key<C>, options: RingOptions = {}): Balancer<C> {
  const { points, random } = parse(schema, options, 'ring')
  const pointsOf = perList((list) => makePoints(list, points))
  return keyed('ring', key, random, (available, hashed, not) => {
    const { targets, owners, hashes, starts, shift } = pointsOf(available)
    const { length } = hashes
    if (length === 0) return undefined
    let at = starts[hashed >>> shift] as number
    while (at < length && (hashes[at] as number) < hashed) at++
    let refused: Target | undefined
    for (let steps = targets.length * 8 + 64; steps > 0; steps--, at++) {
      if (at >= length) at = 0
      const target = targets[owners[at] as number] as Target
      if (target === refused) continue
      if (not?.(target) !== true) return target
      refused = target
    }
    return undefined
  })
}

interface Points {
  readonly targets: readonly Target[]
  /** In ascending order. */
  readonly hashes: Uint32Array
  /** Whose each of them is. */
  readonly owners: Uint32Array
  /** Where to look first, by the upper bits of a hash. */
  readonly starts: Uint32Array
  readonly shift: number
}

function makePoints(list: readonly Target[], points: number): Points {
  const targets = byId(list).filter((target) => weightOf(target) > 0)
  let counts = targets.map((target) => pointCount(weightOf(target) * points))
  // By halves, so that a target more or less seldom changes what the others have.
  for (let scale = points / 2; sum(counts) > most && scale > 1e-9; scale /= 2)
    counts = targets.map((target) => pointCount(weightOf(target) * scale))
  const length = sum(counts)
  const sorted = new Float64Array(length)
  let at = 0
  targets.forEach(({ id }, owner) => {
    const from = hash(id)
    const step = hash(id, 0x9e3779b9) | 1
    // A hash and its owner in one number of 52 bits: that is sorted fast, and equal hashes by the owner.
    for (let i = 0; i < (counts[owner] as number); i++)
      sorted[at++] = mix(from + Math.imul(i, step)) * 2 ** 20 + owner
  })
  sorted.sort()
  const hashes = new Uint32Array(length)
  const owners = new Uint32Array(length)
  for (let i = 0; i < length; i++) {
    const point = sorted[i] as number
    const upper = Math.floor(point / 2 ** 20)
    hashes[i] = upper
    owners[i] = point - upper * 2 ** 20
  }
  const bits = Math.max(1, Math.floor(Math.log2(length + 1)))
  return { targets, hashes, owners, starts: startsOf(hashes, bits), shift: 32 - bits }
}

function pointCount(ideal: number): number {
  return Math.min(most, Math.max(1, Math.round(ideal)))
}

function startsOf(hashes: Uint32Array, bits: number): Uint32Array {
  const starts = new Uint32Array(2 ** bits)
  let at = 0
  for (let i = 0; i < starts.length; i++) {
    while (at < hashes.length && (hashes[at] as number) < i * 2 ** (32 - bits)) at++
    starts[i] = at
  }
  return starts
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
