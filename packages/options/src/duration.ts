import { fault, quote } from './fault.js'

/** Milliseconds, or a number with its unit. 0 turns a limit off. */
export type Duration = number | `${number}ms` | `${number}s` | `${number}m` | `${number}h`

const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** What a duration may be, for error texts. */
export const durationTakes = "milliseconds or a text such as '250ms', '2s', '5m', '1h'"

/** Milliseconds of a duration; `undefined` for what is none. */
export function readDuration(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(value) : null
  return match === null ? undefined : Number(match[1]) * (units[match[2] as string] as number)
}

/**
 * Milliseconds of a duration.
 * @param path the option's, for the error
 * @throws TypeError that names `path`
 */
export function parseDuration(value: Duration, path = 'duration'): number {
  const ms = readDuration(value)
  if (ms === undefined) throw new TypeError(fault(path, quote(value), durationTakes))
  return ms
}
