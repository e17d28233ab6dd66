import { integer, oneOf, type Size, size, that, v } from '@sluice/options'

/** Which requests are let through. */
export interface ValidateOptions {
  /**
   * What becomes of a request whose `Host` names another host than its absolute target. `'reject'`: 400, which is stricter than RFC 9112
   * section 3.2.2; `'use-target'`: the target counts, as that section has it, and `Host` is overwritten. Default `'reject'`.
   */
  absoluteTarget?: 'reject' | 'use-target'
  /**
   * What becomes of a header name with `_`, which servers of CGI's kind can't tell from the same name with `-`. Default `'pass'`. Whatever is
   * said here, a name that would pass for a field of framing, or for one that proxies write (`x_forwarded_for`, `content_length`), never
   * reaches a target: under `'pass'` it is dropped.
   */
  underscores?: 'pass' | 'drop' | 'reject'
  /** `%00` in the path, also in overlong forms such as `%c0%80`: where a target's language ends a text. Default `'reject'`. */
  encodedNul?: 'pass' | 'reject'
  /** `%0d` and `%0a` in the path, of which a target may make lines of a head or of a log. In a query they are data. Default `'reject'`. */
  encodedLineBreaks?: 'pass' | 'reject'
  /** A `\` in the path that isn't encoded: a slash to some targets, and in no valid URL. `%5C` is `paths`' affair. Default `'reject'`. */
  backslash?: 'pass' | 'reject'
  /**
   * `.` and `..` in the path, in every spelling that `judgePath` of `@sluice/headers` knows. `'reject'` refuses a path that doesn't decode as
   * well. Default `'pass'`: what a path means is the target's affair, and `paths` of `createProxy` can give it its one form.
   */
  dotSegments?: 'pass' | 'reject'
  /**
   * A CONNECT, which asks a target to be a proxy itself: 501. One with a protocol, by which HTTP/2 upgrades (RFC 8441), is none. Default
   * `'reject'`, unless `methods` has it.
   */
  connect?: 'pass' | 'reject'
  /** The methods that are served, in capitals; others get 405 with `Allow`. Default: any. */
  methods?: readonly string[]
  /**
   * The hosts that are served, or `*.example.com` for the names below one; others get 421. Letter case, port and a dot at the end don't count.
   * Default: any.
   */
  hosts?: readonly string[]
  /** Header fields, at most; those of `Cookie` count as one, since HTTP/2 has one for each cookie. 431 beyond. 0: no limit. Default 100. */
  maxHeaders?: number
  /** Bytes of names and values of all header fields, at most. 431 beyond. 0: no limit. Default 16kb, which is Node's own for HTTP/1.1. */
  maxHeaderBytes?: Size
  /** Bytes of the request-target, at most. 414 beyond. 0: no limit. Default 8kb. */
  maxUrl?: Size
  /** Cookies, at most. 431 beyond. 0: no limit. Default 200: browsers keep 180 for a site. */
  maxCookies?: number
  /** Parameters of the query, split at `&` and `;`, at most. 400 beyond. 0: no limit. Default 1000. */
  maxQueryParameters?: number
}

const token = (value: unknown): boolean =>
  typeof value === 'string' && /^[!#$%&'*+.^`|~\dA-Z_-]+$/.test(value)
const host = (value: unknown): boolean =>
  typeof value === 'string' && /^(?:\*\.)?[a-z\d_-]+(?:\.[a-z\d_-]+)*$|^\[[\da-f:.]+\]$/i.test(value)

/** Schema of {@link ValidateOptions}. */
export const validateOptions = v.strictObject({
  absoluteTarget: v.optional(oneOf('reject', 'use-target'), 'reject'),
  underscores: v.optional(oneOf('pass', 'drop', 'reject'), 'pass'),
  encodedNul: v.optional(oneOf('pass', 'reject'), 'reject'),
  encodedLineBreaks: v.optional(oneOf('pass', 'reject'), 'reject'),
  backslash: v.optional(oneOf('pass', 'reject'), 'reject'),
  dotSegments: v.optional(oneOf('pass', 'reject'), 'pass'),
  connect: v.optional(oneOf('pass', 'reject')),
  methods: v.optional(someOf(that<string>(token, "a method such as 'GET', in capitals"))),
  hosts: v.optional(someOf(that<string>(host, "a host such as 'example.com' or '*.example.com'"))),
  maxHeaders: v.optional(integer(0), 100),
  maxHeaderBytes: v.optional(size(), 16 * 1024),
  maxUrl: v.optional(size(), 8 * 1024),
  maxCookies: v.optional(integer(0), 200),
  maxQueryParameters: v.optional(integer(0), 1000),
})

/** A list that lets nothing through is a mistake. */
function someOf(each: v.GenericSchema<string>): v.GenericSchema<readonly string[]> {
  return v.pipe(v.array(each), v.minLength(1, 'at least one'))
}

/** {@link ValidateOptions} in bytes, those with a default filled in. */
export type ValidateSettings = v.InferOutput<typeof validateOptions>
