import { integer, oneOf, parse, type Size, shortOr, size, that, v } from '@sluice/options'
import type { BetterFormsSettings } from './better-forms.js'
import { type Coding, codings } from './coding.js'
import { levelRanges } from './level.js'
import { isCompressible } from './worth.js'

/** Options of {@link compress}. */
export interface CompressOptions {
  /** Codings to offer, those that this Node has not are left out; the first one counts where a client likes several alike. Default `['zstd', 'br', 'gzip', 'deflate']`. */
  encodings?: readonly Coding[]
  /** Bodies that are known to be shorter stay as they are: a small one gets larger by it. Default 1024. */
  threshold?: Size
  /**
   * How hard to try, by coding: zstd 1 to 19, br 0 to 11, gzip and deflate 1 to 9. `'auto'` goes by the size of a body, and down while
   * the thread pool is behind. Default `'auto'`, also for codings that are left out.
   */
  level?: 'auto' | { readonly [coding in Coding]?: number }
  /** Which media types are worth it, in lower case and without parameters. Default: those that `compressible` knows to get smaller, and event streams. */
  types?: (type: string) => boolean
  /**
   * What becomes of a strong entity tag, which stands for other bytes: it is made weak, or gets the coding's name as a suffix. What clients send
   * back is understood either way. Default `'weak'`.
   */
  etag?: 'weak' | 'suffix'
  /** For a client that takes neither a coding nor the plain body (`identity;q=0`): the plain body all the same, or 406. Default `'identity'`. */
  unacceptable?: 'identity' | 406
  /**
   * Coded forms that a cache keeps are made again as small as can be, behind the answers, once an object has been asked for often: `true`: 32
   * times; or after how many. Default false.
   */
  best?: boolean | number
}

/** {@link CompressOptions} with none left out. */
export interface CompressSettings {
  readonly encodings: readonly Coding[]
  readonly threshold: number
  readonly level: 'auto' | Readonly<Partial<Record<Coding, number>>>
  readonly types: (type: string) => boolean
  readonly etag: 'weak' | 'suffix'
  readonly unacceptable: 'identity' | 406
  readonly best: false | BetterFormsSettings
}

const all = ['zstd', 'br', 'gzip', 'deflate'] as const

const levels = v.strictObject({
  zstd: v.optional(integer(...levelRanges.zstd)),
  br: v.optional(integer(...levelRanges.br)),
  gzip: v.optional(integer(...levelRanges.gzip)),
  deflate: v.optional(integer(...levelRanges.deflate)),
})

/** Validates {@link CompressOptions} and fills in the defaults. */
export const compressOptions = v.strictObject({
  encodings: v.optional(
    v.pipe(
      v.array(oneOf(...all)),
      v.check((list) => list.length > 0 && new Set(list).size === list.length, 'codings, each once'),
    ),
    [...all],
  ),
  threshold: v.optional(size(), 1024),
  level: v.optional(shortOr(v.literal('auto'), "'auto'", levels), 'auto'),
  types: v.optional(
    that<(type: string) => boolean>((value) => typeof value === 'function', 'a function'),
    () => isCompressible,
  ),
  etag: v.optional(oneOf('weak', 'suffix'), 'weak'),
  unacceptable: v.optional(
    that<'identity' | 406>((value) => value === 'identity' || value === 406, "'identity' or 406"),
    'identity',
  ),
  best: v.optional(
    that<boolean | number>(
      (value) => typeof value === 'boolean' || (Number.isInteger(value) && (value as number) > 0),
      'true, false or a number of uses',
    ),
    false,
  ),
})

/**
 * Options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveCompress(options: CompressOptions = {}, path = 'compress'): CompressSettings {
  const { best, encodings, level, ...rest } = parse(
    compressOptions,
    options,
    path,
  ) as Required<CompressOptions>
  return {
    ...rest,
    threshold: rest.threshold as number,
    level,
    encodings: encodings.filter((coding) => codings.includes(coding)),
    best: best === true ? {} : best === false ? false : { hits: best },
  }
}
