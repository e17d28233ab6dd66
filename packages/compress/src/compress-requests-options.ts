import { fault, oneOf, parse, quote, type Size, size, that, v } from '@sluice/options'
import { type Coding, codings } from './coding.js'
import { levelRanges } from './level.js'
import { isCompressible } from './worth.js'

/** Options of `compressRequests`. */
export interface CompressRequestsOptions {
  /**
   * Which targets get coded bodies. `'learnt'`: those whose last `Accept-Encoding` in a response named the coding. `'all'`: you know that all of
   * them take it. One that refuses a coded body gets none for a while in either case. Default `'learnt'`.
   */
  to?: 'learnt' | 'all'
  /** The coding: one that this Node can make. Default `'gzip'`. */
  coding?: Coding
  /** How hard to try: zstd 1 to 19, br 0 to 11, gzip and deflate 1 to 9; `'auto'` goes by size and load. Default `'auto'`. */
  level?: 'auto' | number
  /** Bodies that are known to be shorter stay as they are. Default 1024. */
  threshold?: Size
  /** Which media types are worth it, in lower case and without parameters. Default: those that `compressible` knows to get smaller. */
  types?: (type: string) => boolean
  /**
   * Bytes of a flowing body that are kept plain until the target has answered, so that it can be sent again if its coding is refused. With a
   * longer one the client gets the refusal. So much memory at most for each coded request in flight. Default 64kb; 0: none.
   */
  replay?: Size
}

/** {@link CompressRequestsOptions} with none left out. */
export interface CompressRequestsSettings {
  readonly to: 'learnt' | 'all'
  readonly coding: Coding
  readonly level: 'auto' | number
  readonly threshold: number
  readonly types: (type: string) => boolean
  readonly replay: number
}

/** Validates {@link CompressRequestsOptions} and fills in the defaults. A level is seen to be the coding's by `resolveCompressRequests`. */
export const compressRequestsOptions = v.strictObject({
  to: v.optional(oneOf('learnt', 'all'), 'learnt'),
  coding: v.optional(oneOf(...codings), 'gzip'),
  level: v.optional(
    that<'auto' | number>((value) => value === 'auto' || Number.isInteger(value), "'auto', a whole number"),
    'auto',
  ),
  threshold: v.optional(size(), 1024),
  types: v.optional(
    that<(type: string) => boolean>((value) => typeof value === 'function', 'a function'),
    () => isCompressible,
  ),
  replay: v.optional(size(), 64 * 1024),
})

/**
 * Options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveCompressRequests(
  options: CompressRequestsOptions = {},
  path = 'compressRequests',
): CompressRequestsSettings {
  const settings = parse(compressRequestsOptions, options, path)
  const { coding, level } = settings
  const [least, most] = levelRanges[coding]
  if (level !== 'auto' && (level < least || level > most))
    throw new TypeError(
      fault(`${path}.level`, quote(level), `'auto', a whole number from ${least} to ${most}`),
    )
  return settings
}
