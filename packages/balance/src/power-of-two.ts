import type { Target } from '@sluice/upstream'
import { type Balancer, type RandomOptions, withParts } from './balancer.js'
import { draw } from './draw.js'
import { loadOf } from './least-requests.js'
import { chanceOf } from './policy-options.js'
import { weightOf } from './weight-of.js'

/**
 * The one of two targets drawn by chance that has less in flight for its weight (Mitzenmacher, "The Power of Two Choices in
 * Randomized Load Balancing", 2001): nearly as even as looking at all, at constant cost, and no worse for several proxies that each
 * know of their own requests alone. Equal loads are shared by weighted chance. For three targets and more. Cost: constant; linear when
 * most targets are left out.
 */
export function powerOfTwo(options: RandomOptions = {}): Balancer {
  const chance = chanceOf(options, 'powerOfTwo')
  return withParts((available, _ctx, not) => lesserOfTwo(available, not, chance, loadOf), { weighted: true })
}

/** Two targets drawn by chance, and of these the one with the lesser load. */
export function lesserOfTwo(
  available: readonly Target[],
  not: ((target: Target) => boolean) | undefined,
  chance: () => number,
  load: (target: Target) => number,
): Target | undefined {
  const first = draw(available, chance, not)
  if (first === undefined || available.length === 1) return first
  const second = draw(available, chance, not, first)
  return second === undefined ? first : lesser(first, second, chance, load)
}

function lesser(
  first: Target,
  second: Target,
  chance: () => number,
  load: (target: Target) => number,
): Target {
  const one = load(first)
  const other = load(second)
  if (one !== other) return other < one ? second : first
  const weight = weightOf(first)
  const both = weight + weightOf(second)
  // Of equal weights the first will do: it was drawn by chance.
  return weight * 2 === both || chance() * both < weight ? first : second
}
