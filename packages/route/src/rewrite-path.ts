import { type Middleware, ProxyError } from '@sluice/core'
import { parse, v } from '@sluice/options'
import { pathRewriter } from './path-rewriter.js'
import { type RewritePathOptions, rewritePathEntries } from './rewrite-options.js'

/** What `rewritePath` adds: what it took off the front of the path, for Location, cookies and X-Forwarded-Prefix. */
export interface Stripped {
  stripped: string
}

const schema = v.strictObject(rewritePathEntries)

/**
 * Changes the path and query that go to the target: edits `ctx.out.path`, adds `stripped`. It does so once an exchange: a
 * fork of a context that it has rewritten keeps what is there, so a retry outside of it never strips twice. `*` and the
 * target of a CONNECT are left alone.
 * @throws TypeError for a wrong option
 */
export function rewritePath(options: RewritePathOptions): Middleware<{}, Stripped> {
  parse(schema, options, 'rewrite')
  const rewrite = pathRewriter(options)
  // In the context, where forks inherit it just as they inherit the path.
  const done = Symbol('rewritten')
  return (next) => (ctx) => {
    const added = ctx as typeof ctx & Stripped & { [done]?: true }
    if (added[done]) return next(added)
    // A layer further out may have taken off a part as well.
    const outer = added.stripped ?? ''
    added.stripped = outer
    const { out } = ctx
    if (out.method !== 'CONNECT' && out.path !== '*') {
      const result = rewrite(out.path)
      if (result === undefined)
        throw new ProxyError('http_request_error', {
          message: 'the path is too long to be matched by rewrite.replace',
        })
      out.path = result.path
      added.stripped = outer + result.stripped
    }
    // Not before it is done: whoever catches the fault and asks again must not get past the rule.
    added[done] = true
    return next(added)
  }
}
