import { type Duration, integer, positiveDuration, that, v } from '@sluice/options'
import { corpus } from './corpus.js'

/** How a server is probed. */
export interface ProbeOptions {
  /** Whether another machine than this one may be probed. Only say so of one that is yours. Default: false. */
  ownThis?: boolean | undefined
  /** How long each step of a case waits for its answer. Default: `'2s'`. */
  timeout?: Duration | undefined
  /** How many connections are open at a time, up to 100. Default: 4. */
  connections?: number | undefined
  /** Which cases, by id. Default: all of them. */
  only?: readonly string[] | undefined
}

const known = new Set(corpus.map(({ id }) => id))

/** Schema of {@link ProbeOptions}. */
export const probeOptions = v.strictObject({
  ownThis: v.optional(v.boolean(), false),
  timeout: v.optional(positiveDuration(), 2_000),
  connections: v.optional(integer(1, 100), 4),
  only: v.optional(
    v.array(that<string>((id) => known.has(id as string), 'the id of a case, such as host-twice')),
  ),
})
