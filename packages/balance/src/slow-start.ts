import { type Duration, duration, integer, parse, parseDuration, ranged, that, v } from '@sluice/options'
import type { Target } from '@sluice/upstream'
import { type Balancer, partsOf, type RandomOptions, withParts } from './balancer.js'
import { perList } from './per-list.js'
import { clockEntry, needPolicy, randomEntry } from './policy-options.js'
import { behind, RampingTarget } from './ramping-target.js'
import { Ramps } from './ramps.js'

/** Options of {@link slowStart}. */
export interface SlowStartOptions extends RandomOptions {
  /** The part of its weight that a target begins with, above 0. Default 0.1. */
  from?: number
  /** 1: its share grows evenly; above 1: faster at first. Default 1. */
  aggression?: number
  /** Steps in which the weight grows: tables of policies by key are made anew at each. Default 20. */
  steps?: number
  /** Monotonic milliseconds, of the upstream's clock. Default `turnTime`: as of the event loop's turn. */
  clock?: () => number
}

const entries = {
  from: v.optional(
    that<number>(
      (value) => typeof value === 'number' && value > 0 && value <= 1,
      'a number above 0, 1 at most',
    ),
    0.1,
  ),
  aggression: v.optional(ranged(0.1, 100), 1),
  steps: v.optional(integer(1, 1000), 20),
}
const schema = v.strictObject({ ...entries, ...clockEntry, ...randomEntry })

/** Validates the window of {@link slowStart} and what a person may set beside it. */
export const slowStartOptions = v.strictObject({ window: duration(), ...entries })

/**
 * A policy whose targets warm up: one that has joined or come back (`target.since`) gets a growing part of its share, so that cold
 * caches and compilers don't answer the full load. For targets that are slow at first. After Envoy's slow start mode:
 *
 * weight × max(from, (age / window) ^ (1 / aggression)), in steps
 *
 * A policy that goes by weights sees the lower weight. Of one that doesn't (`roundRobin`, `random`, `first`, one's own) the picks of a
 * warming target are taken with that chance, else it picks again. Targets of the first list are warm; where all are warming alike,
 * all get their share. A clock that jumps back behind the beginning of a ramp begins it anew, once; ahead counts as time that has passed, and who
 * is warm stays so. Cost: that of the policy; linear, and new tables, at each step while somebody is warming.
 * @param window how long it takes; 0: no warming
 * @throws TypeError for a wrong option, or a policy that is no function
 */
export function slowStart<C>(
  policy: Balancer<C>,
  window: Duration,
  options: SlowStartOptions = {},
): Balancer<C> {
  needPolicy(policy, 'slowStart')
  const length = parseDuration(window, 'slowStart.window')
  const { from, aggression, steps, clock, random } = parse(schema, options, 'slowStart')
  const ramps = new Ramps(length)
  const part = (target: Target, now: number): number => {
    const age = ramps.age(target, now)
    // NaN, of a list of one's own, is as good as warm.
    if (!(age < length)) return 1
    const step = Math.max(0, Math.floor((age / length) * steps) / steps)
    return Math.max(from, step ** (1 / aggression))
  }
  const pick = partsOf(policy).weighted === true ? byWeight() : byChance()
  return withParts(pick, { warms: true }, policy)

  function byWeight(): Balancer<C> {
    const ramping = new WeakMap<Target, RampingTarget>()
    const shown = perList(() => ({ step: Number.NaN, list: [] as readonly Target[] }))
    return (available, ctx, not) => {
      const now = clock()
      if (!ramps.among(available, now)) return policy(available, ctx, not)
      const step = Math.floor((now * steps) / length)
      const view = shown(available)
      if (view.step !== step) {
        view.step = step
        const list = available.map((target) => lower(ramping, target, part(target, now)))
        // Where all are warm after all, their own list: tables of policies stay.
        view.list = list.every((target, i) => target === available[i]) ? available : Object.freeze(list)
      }
      const picked = policy(view.list, ctx, not === undefined ? undefined : (target) => not(behind(target)))
      return picked === undefined ? undefined : behind(picked)
    }
  }

  function byChance(): Balancer<C> {
    return (available, ctx, not) => {
      const first = policy(available, ctx, not)
      const now = clock()
      if (first === undefined || !ramps.among(available, now)) return first
      const refused: Target[] = []
      let picked: Target | undefined = first
      while (picked !== undefined && !refused.includes(picked)) {
        const share = part(picked, now)
        if (share === 1 || random() < share) return picked
        refused.push(picked)
        picked = policy(available, ctx, (target) => refused.includes(target) || not?.(target) === true)
      }
      // All were refused: one that is warming is better than none.
      return first
    }
  }
}

function lower(known: WeakMap<Target, RampingTarget>, target: Target, part: number): Target {
  if (part === 1) return target
  let shown = known.get(target)
  if (shown === undefined) {
    shown = new RampingTarget(target)
    known.set(target, shown)
  }
  shown.weight = target.weight * part
  return shown
}
