import {
  type Duration,
  duration,
  integer,
  parse,
  positiveDuration,
  ranged,
  shortOr,
  v,
} from '@sluice/options'

/** A target is out when its share of successes is far below the others'. */
export interface SuccessRateOptions {
  /** Standard deviations below the mean. Default 1.9. */
  factor?: number
  /** Share of successes, 0 to 1, from which on nobody is an outlier, however good the others are. Default 0.95. */
  below?: number
  /** Targets with enough answers, at least: of fewer none can stand out. Default 5. */
  minHosts?: number
  /** Answers of a target within an interval, at least. Default 100. */
  minVolume?: number
}

/** A target is out when it fails too often, whatever the others do. */
export interface FailurePercentOptions {
  /** Percent of failures. Default 85. */
  threshold?: number
  /** Targets with enough answers, at least. Default 5. */
  minHosts?: number
  /** Answers of a target within an interval, at least. Default 50. */
  minVolume?: number
}

/** A target is out when it loses too many connects, though never `local` of them in a row. */
export interface LocalPercentOptions {
  /** Percent of the requests whose connect was lost. Default 30. */
  threshold?: number
  /** Targets with enough requests, at least. Default 1. */
  minHosts?: number
  /** Requests of a target within an interval, at least; those on kept connections count as connected. Default 10. */
  minVolume?: number
}

/** A target is out when it is far slower than the others. */
export interface LatencyOptions {
  /** Times the median of the targets' averages (`target.ewma`). Default 3. */
  factor?: number
  /** And so much above it: nobody is out for a millisecond. Default 100ms. */
  over?: Duration
  /** Targets with enough answers, at least. Default 3. */
  minHosts?: number
  /** Answers of a target within an interval, at least. Default 10. */
  minVolume?: number
}

/** When a target is taken out for what it does to requests, and for how long. */
export interface EjectionOptions {
  /** Gateway failures in a row: answers of 502, 503 and 504, and exchanges that the target broke. Default 5; 0: never. */
  consecutive?: number
  /**
   * Connects in a row that were refused, reset or too late, or new connections lost before an answer. Default 1; 0: they are gateway failures.
   * A kept connection may be closed at any time, so of those it takes `consecutive` in a row.
   */
  local?: number
  /** How long a target is out for the first time, and has to behave to be forgiven one time, more than 0. Default 10s. */
  base?: Duration
  /** The same where connects have failed, more than 0. Default 1s. */
  localBase?: Duration
  /** How long at most, no less than a `base` or `localBase` that is given. Default 5m, or as long as the longer of these; 0: no limit. */
  max?: Duration
  /** How many percent of the targets may be out at the same time, a whole number; one always may, the last one that is fit never. Default 50; 0: none. */
  maxPercent?: number
  /**
   * For whoever balances (`slowStart` of `@sluice/balance`): how long a target that comes back gets a growing part of its share. Default
   * 5s; 0: all of it at once.
   */
  ramp?: Duration
  /** Between looks at the statistics, more than 0. Default 10s. */
  interval?: Duration
  /** Default on; `false` turns it off. With `local` above 1 the share of requests that got a connection is judged by it apart. */
  successRate?: boolean | SuccessRateOptions
  /** Default off; `true` turns it on. */
  failurePercent?: boolean | FailurePercentOptions
  /** Where `local` is above 1; there default on, `false` turns it off. Else the first lost connect takes a target out anyway. */
  localPercent?: boolean | LocalPercentOptions
  /** Default off; `true` turns it on. */
  latency?: boolean | LatencyOptions
}

/** {@link SuccessRateOptions} with none left out. */
export type SuccessRateSettings = Readonly<Required<SuccessRateOptions>>

/** {@link FailurePercentOptions} with none left out. */
export type FailurePercentSettings = Readonly<Required<FailurePercentOptions>>

/** {@link LatencyOptions} with none left out, in ms. */
export interface LatencySettings extends Readonly<Required<Omit<LatencyOptions, 'over'>>> {
  readonly over: number
}

/** {@link EjectionOptions} with none left out, in ms. */
export interface EjectionSettings {
  readonly consecutive: number
  readonly local: number
  readonly base: number
  readonly localBase: number
  readonly max: number
  readonly maxPercent: number
  readonly ramp: number
  readonly interval: number
  readonly successRate: SuccessRateSettings | undefined
  readonly failurePercent: FailurePercentSettings | undefined
  readonly localPercent: FailurePercentSettings | undefined
  readonly latency: LatencySettings | undefined
}

const successRate = v.strictObject({
  factor: v.optional(ranged(0, 100), 1.9),
  below: v.optional(ranged(0, 1), 0.95),
  minHosts: v.optional(integer(2), 5),
  minVolume: v.optional(integer(1), 100),
})

const failurePercent = v.strictObject({
  threshold: v.optional(ranged(1, 100), 85),
  minHosts: v.optional(integer(1), 5),
  minVolume: v.optional(integer(1), 50),
})

const localPercent = v.strictObject({
  threshold: v.optional(ranged(1, 100), 30),
  minHosts: v.optional(integer(1), 1),
  minVolume: v.optional(integer(1), 10),
})

const latency = v.strictObject({
  factor: v.optional(ranged(1, 1000), 3),
  over: v.optional(duration(), 100),
  minHosts: v.optional(integer(2), 3),
  minVolume: v.optional(integer(1), 10),
})

/** `true` or `{}` for the defaults, `false` for nothing. */
function switched<T>(
  schema: v.GenericSchema<unknown, T>,
  on: boolean,
): v.GenericSchema<unknown, T | undefined> {
  const short = v.pipe(
    v.boolean(),
    v.transform((yes) => (yes ? v.parse(schema, {}) : undefined)),
  )
  return v.optional(shortOr(short, 'true, false', schema), on) as v.GenericSchema<unknown, T | undefined>
}

const object = v.strictObject({
  consecutive: v.optional(integer(0), 5),
  local: v.optional(integer(0), 1),
  base: v.optional(positiveDuration()),
  localBase: v.optional(positiveDuration()),
  max: v.optional(duration()),
  maxPercent: v.optional(integer(0, 100), 50),
  ramp: v.optional(duration(), 5_000),
  interval: v.optional(positiveDuration(), 10_000),
  successRate: switched(successRate as v.GenericSchema<unknown, SuccessRateSettings>, true),
  failurePercent: switched(failurePercent as v.GenericSchema<unknown, FailurePercentSettings>, false),
  localPercent: switched(localPercent as v.GenericSchema<unknown, FailurePercentSettings>, true),
  latency: switched(latency as v.GenericSchema<unknown, LatencySettings>, false),
})

/** Of a first time out that is longer than the longest nothing would be left. */
const reaches = v.rawCheck<v.InferOutput<typeof object>>(({ dataset, addIssue }) => {
  if (!dataset.typed) return
  const { value } = dataset
  const { base = 0, localBase = 0, max } = value
  if (max === undefined || max === 0 || max >= Math.max(base, localBase)) return
  const at = { type: 'object', origin: 'value', input: value, key: 'max', value: max } as const
  addIssue({ message: 'no less than base and localBase, or 0 for no limit', input: max, path: [at] })
})

/** Validates {@link EjectionOptions} and fills in the defaults. */
export const ejectionOptions = v.pipe(
  object,
  reaches,
  v.transform(({ base = 10_000, localBase = 1_000, max, ...others }): EjectionSettings => {
    return { ...others, base, localBase, max: max ?? Math.max(300_000, base, localBase) }
  }),
)

/**
 * Ejection options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveEjection(options: EjectionOptions = {}, path = 'ejection'): EjectionSettings {
  return parse(ejectionOptions, options, path)
}
