import type { HeaderList } from '@sluice/headers'
import { isFieldName } from '@sluice/headers'
import { parse, type Size, size, that, v } from '@sluice/options'

/** What of the query tells one entry from another. Names are plain, not encoded, and may end in `*`: `utm_*`. */
export interface KeyQueryOptions {
  /**
   * Parameters that make no difference. Whoever is first to ask decides what they were when the target answered all the others: name
   * none that the target shows in a page. One with a `;` in it is never ignored, since some targets read two parameters in it.
   */
  ignore?: readonly string[]
  /**
   * The only parameters that make a difference; all others are ignored. One that any target might read as one of them (`ID`, `id[]`,
   * `%69d` for `id`) still does.
   */
  only?: readonly string[]
  /** Puts parameters in the order of their names, so that `?a=1&b=2` and `?b=2&a=1` share an entry. Default false. */
  sort?: boolean
}

/**
 * What tells one entry from another beside scheme, host and path. Each value that adds to it multiplies the entries, and what a
 * client may choose freely lets that client fill the store.
 */
export interface KeyOptions {
  /** Default: the query as it came. */
  query?: KeyQueryOptions
  /** Request fields whose values are part of the key. They then go to the target as they came. Default none. */
  headers?: readonly string[]
  /** Cookies whose values are part of the key. Names are case-sensitive. Default none. */
  cookies?: readonly string[]
  /**
   * The class of the client's device: `true` for `mobile`, `tablet`, `desktop` and `bot`, by `Sec-CH-UA-Mobile` and `User-Agent`, or
   * a function that tells it. Default false: none.
   */
  device?: boolean | ((headers: HeaderList) => string)
  /** Sets apart what shares a store and has the same URLs: two sites behind one host name, say. Default none. */
  scope?: string
  /** Bytes of the longest key; a request with a longer one isn't cached; 0: no bound. Default 8kb. */
  maxKey?: Size
}

/** {@link KeyOptions} with none left out. */
export interface KeySettings {
  readonly query?:
    | {
        readonly ignore: readonly string[]
        readonly only?: readonly string[] | undefined
        readonly sort: boolean
      }
    | undefined
  readonly headers: readonly string[]
  readonly cookies: readonly string[]
  readonly device: boolean | ((headers: HeaderList) => string)
  readonly scope?: string | undefined
  readonly maxKey: number
}

const parameter = (value: unknown): boolean =>
  typeof value === 'string' && value !== '' && !/\*./s.test(value) && !/\p{Cs}/u.test(value)
const parameters = v.array(that<string>(parameter, "a parameter's name, which may end in *"))
const fieldName = (value: unknown): boolean => typeof value === 'string' && isFieldName(value)

/** Validates {@link KeyOptions} and fills in the defaults. */
export const keyOptions = v.strictObject({
  query: v.optional(
    v.strictObject({
      ignore: v.optional(parameters, []),
      only: v.optional(parameters),
      sort: v.optional(v.boolean(), false),
    }),
  ),
  headers: v.optional(v.array(that<string>(fieldName, "a field's name")), []),
  cookies: v.optional(v.array(that<string>(fieldName, "a cookie's name")), []),
  device: v.optional(
    that<boolean | ((headers: HeaderList) => string)>(
      (value) => typeof value === 'boolean' || typeof value === 'function',
      'true, false or a function',
    ),
    false,
  ),
  scope: v.optional(v.string()),
  maxKey: v.optional(
    v.pipe(
      size(),
      v.transform((bytes) => (bytes === 0 ? Number.POSITIVE_INFINITY : bytes)),
    ),
    8 * 1024,
  ),
})

/**
 * Key options with defaults for those left out.
 * @throws TypeError that names the option below `path`
 */
export function resolveKey(options: KeyOptions = {}, path = 'key'): KeySettings {
  return parse(keyOptions, options, path)
}
