import { type Duration, positiveDuration, that, v } from '@sluice/options'
import type { IpSet } from './ip-trie.js'

/** A file that lists addresses and ranges, one a line. */
export interface IpFile {
  /** Its path. What stands behind `#` or `;` is a comment, and empty lines are none. */
  file: string
  /** It is looked at that often in any case, for file systems that tell of no change. Default 5s. */
  poll?: Duration
}

/** A function that gives addresses and ranges. */
export interface IpLoad {
  /**
   * Gives the whole list, now or later. One that throws, rejects, or takes more than 30 s, when `signal` aborts, has failed: the last list stays. As long
   * as none has come nobody gets past the list; where that isn't wanted, give `[]` for what has failed.
   */
  load: (signal: AbortSignal) => readonly string[] | Promise<readonly string[]>
  /** How often it is called. Default 5m. */
  every?: Duration
}

/** Where a list of addresses comes from: the entries themselves, a file, or a function. */
export type IpSource = readonly string[] | IpFile | IpLoad

const takes =
  "a list of ranges, { file: 'denied.txt' }, { load: () => [...], every: '5m' } or what has(address)"

const file = v.strictObject({
  file: that<string>(
    (value) => typeof value === 'string' && value !== '' && !value.includes('\0'),
    "a path such as 'denied.txt'",
  ),
  poll: v.optional(positiveDuration(), 5_000),
})

const load = v.strictObject({
  load: that<IpLoad['load']>((value) => typeof value === 'function', 'a function'),
  every: v.optional(positiveDuration(), 300_000),
})

/** An {@link IpSource} with its options filled in, or a set that somebody has made. */
export type IpSourceSettings =
  | readonly string[]
  | v.InferOutput<typeof file>
  | v.InferOutput<typeof load>
  | IpSet

/** Schema of where a list comes from. Entries are read where the list is made, which names each wrong one. */
export const ipSource: v.GenericSchema<IpSource | IpSet, IpSourceSettings> = v.lazy((value) => {
  if (Array.isArray(value) || isIpSet(value)) return v.any()
  if (typeof value !== 'object' || value === null) return that(() => false, takes)
  return 'load' in value || 'every' in value ? load : file
}) as v.GenericSchema<IpSource | IpSet, IpSourceSettings>

/** Whether it is a set of addresses already. */
export function isIpSet(value: unknown): value is IpSet {
  return typeof value === 'object' && value !== null && 'has' in value && typeof value.has === 'function'
}
