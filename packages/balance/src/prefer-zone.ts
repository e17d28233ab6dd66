import { integer, parse, that, v } from '@sluice/options'
import type { Balancer } from './balancer.js'
import { needPolicy } from './policy-options.js'
import { preferred } from './preferred.js'

/** Options of {@link preferZone}. */
export interface PreferZoneOptions {
  /** With fewer available targets in the zone than this, all zones are used alike: the few would break down. Default 1. */
  min?: number
}

const schema = v.strictObject({ min: v.optional(integer(1), 1) })

/** Validates the zone of {@link preferZone}. */
export const zoneName = that<string>(
  (value) => typeof value === 'string' && value !== '',
  "a name such as 'eu-1'",
)

/** Validates the zone of {@link preferZone} with its options. */
export const preferZoneOptions = v.strictObject({ zone: zoneName, ...schema.entries })

/**
 * A policy that keeps to the targets of a zone, `zone` of a target, as long as one of them may be asked; the others are for when all of
 * the zone are tried, full or gone. Spares the cost and the time of the way to another zone. Give each zone the targets that its own
 * traffic needs. Cost: that of the policy.
 * @param zone where this proxy stands
 * @throws TypeError for a wrong option, or a policy that is no function
 */
export function preferZone<C>(
  policy: Balancer<C>,
  zone: string,
  options: PreferZoneOptions = {},
): Balancer<C> {
  needPolicy(policy, 'preferZone')
  parse(zoneName, zone, 'preferZone.zone')
  const { min } = parse(schema, options, 'preferZone')
  return preferred(policy, (list) => {
    const near = list.filter((target) => target.zone === zone)
    return near.length < min ? undefined : near
  })
}
