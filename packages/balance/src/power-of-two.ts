import type { Target } from '@sluice/upstream'
import { type Balancer, type RandomOptions, withParts } from './balancer.js'
import { loadOf } from './least-requests.js'
import { weightOf } from './weight-of.js'

/**
 * The one of two targets drawn by chance that has less in flight for its weight (Mitzenmacher, "The Power of Two Choices in
 * Randomized Load Balancing", 2001): nearly as even as looking at all, at constant cost, and without the herd that several proxies make
 * when each runs to the one that is least loaded. Equal loads are shared by weighted chance. For three targets and more. Cost:
 * constant; linear when targets are left out.
 */
export function powerOfTwo(options: RandomOptions = {}): Balancer {
  const chance = options.random ?? Math.random
  return withParts((available, _ctx, not) => lesserOfTwo(available, not, chance, loadOf), { weighted: true })
}

/** Two targets drawn by chance, and of these the one with the lesser load. */
export function lesserOfTwo(
  available: readonly Target[],
  not: ((target: Target) => boolean) | undefined,
  chance: () => number,
  load: (target: Target) => number,
): Target | undefined {
  const a = draw(available, chance, -1)
  const first = available[a]
  const second = available[draw(available, chance, a)]
  if (first === undefined || second === undefined) return allowed(available, not)[0]
  if (not === undefined || (!not(first) && !not(second))) return lesser(first, second, chance, load)
  const rest = allowed(available, not)
  const one = rest[draw(rest, chance, -1)]
  if (one === undefined) return undefined
  const other = rest[draw(rest, chance, rest.indexOf(one))]
  return other === undefined ? one : lesser(one, other, chance, load)
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

/** An index drawn by chance, another than `except`; -1 if there is none. */
function draw(list: readonly Target[], chance: () => number, except: number): number {
  const count = except === -1 ? list.length : list.length - 1
  if (count <= 0) return -1
  const drawn = Math.floor(chance() * count)
  return except !== -1 && drawn >= except ? drawn + 1 : drawn
}

function allowed(
  available: readonly Target[],
  not: ((target: Target) => boolean) | undefined,
): readonly Target[] {
  return not === undefined ? available : available.filter((target) => !not(target))
}
