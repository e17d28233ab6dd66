import { type Duration, parse, positiveDuration, v } from '@sluice/options'
import type { LeaseResult, Target } from '@sluice/upstream'
import { type Balancer, type RandomOptions, withParts } from './balancer.js'
import { clockEntry, randomEntry } from './policy-options.js'
import { lesserOfTwo } from './power-of-two.js'
import { behind } from './ramping-target.js'
import { weightOf } from './weight-of.js'

/** Options of {@link peakEwma}. */
export interface PeakEwmaOptions extends RandomOptions {
  /** Time in which what was measured fades to 1/e, more than 0. Default 10s. */
  decay?: Duration
  /** Monotonic milliseconds. Default `turnTime`: as of the event loop's turn. */
  clock?: () => number
}

const schema = v.strictObject({
  decay: v.optional(positiveDuration(), 10_000),
  ...clockEntry,
  ...randomEntry,
})

/** A policy that goes by what `balance`, or whoever else calls `observe`, tells it of each attempt. */
export interface ObservingBalancer extends Balancer {
  readonly observe: (target: Target, result: LeaseResult | undefined) => void
}

/** More than any latency: for a target that has not answered yet. */
const unknownCost = 1e12

/**
 * The one of two targets drawn by chance with the lesser expected wait: peak latency × (inFlight + 1) / weight. For targets that
 * slow down, or stand at different distances. After Finagle's `PeakEwma` and linkerd, over the two choices of `powerOfTwo`.
 *
 * latency: a slower answer sets it at once, a faster one moves it by 1 - exp(-dt / decay); while nothing comes it fades by
 *          exp(-dt / decay), so that a slow target is asked again some day
 *
 * A target without an answer yet is given one request and waited for. Failed attempts and answers of 5xx may come fast: they make
 * nobody faster, nor does what is known fade over them; where nothing is known, the slowest of late counts. So a target that fails isn't
 * sought, but isn't avoided either: let it be ejected. `balance` tells it of each answer; without it: `upstream.on('result',
 * policy.observe)`, or else `target.ewma` counts.
 * Cost: constant; linear when most targets are left out.
 * @throws TypeError for a wrong option
 */
export function peakEwma(options: PeakEwmaOptions = {}): ObservingBalancer {
  const { clock, decay, random: chance } = parse(schema, options, 'peakEwma')
  const peaks = new WeakMap<Target, Peak>()
  const cost = (target: Target): number => {
    const peak = peaks.get(behind(target))
    const latency = peak === undefined ? target.ewma : peak.cost * fading(age(peak, clock()), decay)
    const { inFlight } = target
    const weight = weightOf(target)
    if (weight === 0) return Number.POSITIVE_INFINITY
    return (latency === 0 && inFlight > 0 ? unknownCost + inFlight : latency * (inFlight + 1)) / weight
  }
  const slowest: Peak = { cost: 0, at: Number.NEGATIVE_INFINITY }
  const observe = (target: Target, result: LeaseResult | undefined): void => {
    if (result === undefined) return
    const { ok, status = 0, ttfb } = result
    const failed = !ok || status >= 500
    const took = ok && isTime(ttfb) ? ttfb : undefined
    if (took === undefined && !failed) return
    const now = clock()
    const peak = peaks.get(target)
    const known = peak?.cost ?? (failed ? slowest.cost : 0)
    // Nobody has answered yet.
    if (failed && known === 0) return
    const kept = failed || peak === undefined ? 1 : fading(age(peak, now), decay)
    const cost = took === undefined ? known : took > known ? took : known * kept + took * (1 - kept)
    if (peak === undefined) peaks.set(target, { cost, at: now })
    else {
      peak.cost = cost
      peak.at = now
    }
    if (failed || (cost < slowest.cost && age(slowest, now) <= decay)) return
    slowest.cost = cost
    slowest.at = now
  }
  const pick: Balancer = (available, _ctx, not) => lesserOfTwo(available, not, chance, cost)
  return withParts(pick, { weighted: true, observe }) as ObservingBalancer
}

interface Peak {
  cost: number
  at: number
}

/** One that is none would spoil what is known for ever. */
function isTime(ms: number | undefined): ms is number {
  return ms !== undefined && ms >= 0 && ms < Number.POSITIVE_INFINITY
}

/** Since when it fades. A clock that has jumped back behind it begins that anew: else a slow target would be left until it has caught up. */
function age(peak: Peak, now: number): number {
  if (now < peak.at) peak.at = now
  return now - peak.at
}

/** What is left of a measurement after a time. */
function fading(ms: number, decay: number): number {
  return ms > 0 ? Math.exp(-ms / decay) : 1
}
