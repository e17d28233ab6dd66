import { type Duration, integer, positiveDuration, v } from '@sluice/options'

/** How slow a client may be once its request has a head. */
export interface SlowOptions {
  /** Bytes in a second that a client has to send of its body, and to take of its answer. Default 240; 0: any byte will do. */
  minRate?: number
  /** How far a client may be behind that rate as it sends its body; from then on it is answered 408. Default 20s. */
  grace?: Duration
  /** How far a client may be behind that rate as it takes its answer; from then on it is cut off. Default 60s. */
  readGrace?: Duration
}

/** Validates {@link SlowOptions} and fills in the defaults. */
export const slowOptions = v.strictObject({
  minRate: v.optional(integer(0), 240),
  grace: v.optional(positiveDuration(), 20_000),
  readGrace: v.optional(positiveDuration(), 60_000),
})

/** {@link SlowOptions} with none left out, in milliseconds. */
export type SlowSettings = v.InferOutput<typeof slowOptions>
