import { type Middleware, ProxyError } from '@sluice/core'
import { judgePath, type PathMode, type PathModes } from '@sluice/headers'
import { oneOf, parse, v } from '@sluice/options'

/** A mode for each thing, or one for all. */
export type PathPolicyOptions = PathMode | PathModes

const mode = oneOf('preserve', 'reject', 'normalise')

/** Schema of {@link PathPolicyOptions}. */
export const pathPolicyOptions: v.GenericSchema<PathPolicyOptions> = v.lazy((value) =>
  typeof value === 'object'
    ? v.strictObject({
        encodedSlashes: v.optional(mode),
        doubleSlashes: v.optional(mode),
        dotSegments: v.optional(mode),
      })
    : mode,
) as v.GenericSchema<PathPolicyOptions>

/** What `pathPolicy` adds where it has given a path its one form: the path before and behind, without the query, which it leaves alone. */
export interface Respelt {
  respelt?: { readonly from: string; readonly to: string }
}

/**
 * Judges the path before routes do, so that they and the target see the same one: encoded slashes, double slashes and dot
 * segments each pass on untouched (`'preserve'`, the default), are refused (`'reject'`) or get their one form
 * (`'normalise'`, see `judgePath`). What is refused, or has no safe form, is 400 `http_request_error`; the log says by which
 * rule. How the client has spelt a path that gets its one form stands in `respelt` (see {@link Respelt}), for layers that judge
 * the client's bytes. Under `'preserve'` a target that decodes `%2f` or resolves dots may see a path that another route is for.
 * @throws TypeError for a wrong option
 */
export function pathPolicy(options: PathPolicyOptions = 'preserve'): Middleware {
  const given = parse(pathPolicyOptions, options, 'paths')
  const modes: PathModes =
    typeof given === 'string' ? { encodedSlashes: given, doubleSlashes: given, dotSegments: given } : given
  if (Object.values(modes).every((each) => each === undefined || each === 'preserve')) return (next) => next
  return (next) => (ctx) => {
    const { out } = ctx
    if (out.method === 'CONNECT') return next(ctx)
    const judged = judgePath(out.path, modes)
    if (!judged.ok)
      throw new ProxyError('http_request_error', { message: `the path breaks the rule ${judged.rule}` })
    if (judged.path !== out.path) {
      const added = ctx as typeof ctx & Respelt
      added.respelt = { from: withoutQuery(out.path), to: withoutQuery(judged.path) }
      out.path = judged.path
    }
    return next(ctx)
  }
}

function withoutQuery(path: string): string {
  const query = path.indexOf('?')
  return query === -1 ? path : path.slice(0, query)
}
