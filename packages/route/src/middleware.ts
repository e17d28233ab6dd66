import type { Context, Handler, Layer } from '@sluice/core'
import { parse, that, v } from '@sluice/options'
import { type RouteMatch, routeMatchEntries } from './route-match.js'
import { createRouter, type RoutedRequest } from './router.js'

/** A rule, and what handles the requests that it takes. */
export interface Route<C extends Context = Context> extends RouteMatch {
  handler: Handler<C>
}

const routesSchema = v.array(
  v.strictObject({
    ...routeMatchEntries,
    handler: that<Handler>(
      (value) => typeof value === 'function',
      'a handler, such as a chain that was ended by handle()',
    ),
  }),
)

/**
 * Hands each request to the most specific rule that takes it, and to the rest of the chain if none does.
 * @throws TypeError for a wrong rule, or for two that take just the same requests
 */
export function route<C extends Context = Context>(routes: readonly Route<C>[]): Layer<C> {
  parse(routesSchema, routes, 'routes')
  const find = createRouter(routes.map(({ handler, ...match }) => ({ match, value: handler })))
  return (next) => (ctx) => {
    const found = find(requestOf(ctx))
    return found === undefined ? next(ctx) : found.value(ctx)
  }
}

function requestOf({ out, authority }: Context): RoutedRequest {
  return { method: out.method, authority, path: out.path, headers: out.headers }
}
