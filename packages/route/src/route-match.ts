import { regexp, that, v } from '@sluice/options'

/** What a request must be for a route to take it. What is left out takes anything. */
export interface RouteMatch {
  /** `example.com`, or `*.example.com` for the names below it; one or several. Letter case, port and a dot at the end don't count. */
  host?: string | readonly string[]
  /**
   * `/x` takes `/x` and what is below it at a `/`; `=/x` takes exactly that; a segment `:id` takes any one segment. The query
   * doesn't count; an encoded character counts as that character, but for a slash and a percent sign. There are no patterns: `*` and
   * braces are refused (of URLs that have them, `%2A` and its like are the same character), and a parameter's name is letters, digits and `_`, since others read `:id.json` as `id` and a text.
   */
  path?: string
  /** One or several. */
  method?: string | readonly string[]
  /**
   * Fields by name: equal to a text, or matched by a regular expression, which must not backtrack without end (see `regexp` of
   * `@sluice/options`). A value of more than 4096 characters matches no expression.
   */
  headers?: Record<string, string | RegExp>
}

const oneHost = (value: unknown): boolean =>
  typeof value === 'string' && /^(\*\.)?[a-z\d_-]+(\.[a-z\d_-]+)*$|^\[[\da-f:.]+\]$/i.test(value)
const onePath = (value: unknown): boolean => typeof value === 'string' && /^=?\/[^?#\s]*$/.test(value)
/** What other routers would take for a pattern: the route would be dead in silence, or take what it isn't meant to. */
const hasPattern = (path: string): boolean => /[*{}]|\/:\w*[^\w/]/.test(path)
// Methods are case-sensitive (RFC 9110 section 9.1): 'get' would never be one that a client sends.
/** `*` alone, by which other routers mean all, is a method that no request has. */
const oneMethod = (value: unknown): boolean =>
  typeof value === 'string' && /^[!#$%&'*+.^`|~\dA-Z_-]+$/.test(value) && value !== '*'
const fieldName = (value: unknown): boolean =>
  typeof value === 'string' && /^[!#$%&'*+.^`|~\w-]+$/.test(value)
const condition = v.lazy((value) =>
  value instanceof RegExp ? regexp() : that<string>(isText, 'a text or a regular expression'),
) as v.GenericSchema<string | RegExp>
const isText = (value: unknown): boolean => typeof value === 'string'

function several(is: (each: unknown) => boolean): (value: unknown) => boolean {
  return (value) => (Array.isArray(value) ? value.length > 0 && value.every(is) : is(value))
}

type Several = string | readonly string[]

/** Schemas of the parts of a {@link RouteMatch}, to be spread into the schema of a larger rule. */
export const routeMatchEntries = {
  host: v.optional(
    that<Several>(several(oneHost), "a host such as 'example.com' or '*.example.com', or several"),
  ),
  path: v.optional(
    v.pipe(
      that<string>(onePath, "a path such as '/x', '=/x' or '/users/:id'"),
      v.check(
        (path) => !hasPattern(path),
        "a path without patterns: '/x' already takes all below it, and ':name' (letters, digits, '_') any one segment; a '*' of a URL is written %2A",
      ),
    ),
  ),
  method: v.optional(that<Several>(several(oneMethod), "a method such as 'GET', in capitals, or several")),
  headers: v.optional(v.record(that<string>(fieldName, "a field's name"), condition)),
}
