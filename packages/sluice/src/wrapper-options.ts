import {
  type Balancer,
  byCount,
  type PreferZoneOptions,
  preferZone,
  preferZoneOptions,
  type SlowStartOptions,
  type SubsetOptions,
  slowStart,
  slowStartOptions,
  subset,
  zoneName,
} from '@sluice/balance'
import { type Duration, duration, parseDuration, shortOr, type v } from '@sluice/options'

/** How long targets that join or come back warm up, and how. */
export interface SlowStartOption extends Pick<SlowStartOptions, 'from' | 'aggression' | 'steps'> {
  window: Duration
}

/** Where this proxy stands, and how few targets of that zone are too few. */
export interface PreferZoneOption extends PreferZoneOptions {
  zone: string
}

/** What stands around the policy of an upstream. */
export interface WrapperOptions {
  slowStart?: Duration | SlowStartOption
  subset?: SubsetOptions
  preferZone?: string | PreferZoneOption
}

/** Schema of a slow start: a time, or that with more. */
export const slowStartOption: v.GenericSchema = shortOr(
  duration(),
  "milliseconds, a text such as '30s'",
  slowStartOptions,
)

/** Schema of the zone to keep to: its name, or that with more. */
export const preferZoneOption: v.GenericSchema = shortOr(zoneName, "a name such as 'eu-1'", preferZoneOptions)

/**
 * A policy with what is wanted around it, from the inside out: slow start, subset, zone. So of a zone only some targets are asked, and
 * tables are kept for the lists that the outer ones make of it.
 * @param policy `undefined`: by count
 * @param ramp how long targets warm up where no slow start is set, in ms
 * @returns `undefined` if there is nothing to be around
 */
export function wrapped<C>(
  policy: Balancer<C> | undefined,
  options: WrapperOptions,
  ramp: number,
): Balancer<C> | undefined {
  const { slowStart: warming = ramp, subset: some, preferZone: near } = options
  let own = policy
  const { window, ...how } = typeof warming === 'object' ? warming : { window: warming }
  if (parseDuration(window, 'slowStart') > 0) own = slowStart(own ?? byCount(), window, how)
  if (some !== undefined) own = subset(own ?? byCount(), some)
  if (near === undefined) return own
  const { zone, ...rest } = typeof near === 'object' ? near : { zone: near }
  return preferZone(own ?? byCount(), zone, rest)
}
