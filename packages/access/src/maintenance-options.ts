import { type Duration, duration, that, v } from '@sluice/options'

/** Options of {@link maintenance}. */
export interface MaintenanceOptions {
  /** Whether the site is closed: always, or as a function says at each request. Required. */
  on: boolean | (() => boolean)
  /** CIDR ranges of clients who pass all the same. Default none. */
  allow?: readonly string[]
  /** When clients are asked to come again. Default 5m; 0: nothing is said. */
  retryAfter?: Duration
}

/** Schema of {@link MaintenanceOptions}. */
export const maintenanceOptions = v.strictObject({
  on: that<MaintenanceOptions['on']>(
    (value) => typeof value === 'boolean' || typeof value === 'function',
    'true, false, or a function that gives one of them',
  ),
  // Its entries are read where the set is made, which names each wrong one.
  allow: v.optional(v.any() as v.GenericSchema<readonly string[]>),
  retryAfter: v.optional(duration(), '5m'),
})
