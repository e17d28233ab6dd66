import type { QueryRules } from '@sluice/headers'
import { regexp, that, v } from '@sluice/options'

export type { QueryRules } from '@sluice/headers'

/** How a path changes on its way to the target: `strip`, then `replace`, then `prefix`; the query by itself. */
export interface RewritePathOptions {
  /**
   * `/api` goes from `/api`, `/api/x` and `/api?x`, not from `/apix`. A path that isn't below it stays as it is, whole. There are no
   * parameters in it: `replace` takes off what differs.
   */
  strip?: string
  /** Goes before what is left, with one slash at the seam. */
  prefix?: string
  /**
   * A regular expression and what takes the place of its match in the path, without the query; `$1` and so on as in
   * `String.replace`. A `?` in it begins parameters that go before the query's. Paths over 4096 characters are refused with 400,
   * and an expression that would backtrack for long on so many when it is given (see `regexp` of `@sluice/options`).
   */
  replace?: readonly [RegExp, string]
  /** Edits the query, whatever the path; see `editQuery` of `@sluice/headers`. Without it the query's bytes stay. */
  query?: QueryRules
}

const path = that<string>(
  (value) => typeof value === 'string' && /^\/[\x21-\x7e]*$/.test(value) && !/[?#]/.test(value),
  "a path such as '/api'",
)
const literal = v.pipe(
  path,
  v.check(
    (text) => !/\/:\w/.test(text),
    "a path without parameters, which replace can take off, as in [/^\\/users\\/[^/]+/, '']; a ':' of a URL is written %3A",
  ),
)
const replacement = that<string>(
  (value) => typeof value === 'string' && /^[!"$-~]*$/.test(value),
  "a text that may stand in a path, such as '/users/$1': visible ASCII without '#'",
)
const text = that<string>(isWellFormed, 'a text')
const names = v.array(text)
const values = v.record(text, text)

function isWellFormed(value: unknown): boolean {
  if (typeof value !== 'string') return false
  try {
    encodeURIComponent(value)
    return true
  } catch {
    return false
  }
}

/** Schemas of {@link RewritePathOptions}, to be spread into the schema of a larger object. */
export const rewritePathEntries = {
  strip: v.optional(literal),
  prefix: v.optional(path),
  replace: v.optional(v.strictTuple([regexp(), replacement])),
  query: v.optional(
    v.strictObject({
      only: v.optional(names),
      remove: v.optional(names),
      set: v.optional(values),
      append: v.optional(values),
    }),
  ),
}
