import type { Client, Context } from '@sluice/core'
import type { FieldRules, RewriteOptions } from '@sluice/forward'
import { type RewritePathOptions, rewritePathEntries } from '@sluice/route'
import type { Selected } from '@sluice/upstream'

type Site = Context & Client & Selected

/**
 * The rewriting of the proxy, an upstream and a route as one: their rules in this order, so that the nearest to the target has
 * the last word; of `location` and each of `cookies` the last counts. Other keys, such as those of paths, are left out.
 */
export function rewriteOf(...given: readonly (RewriteOptions<Site> | undefined)[]): RewriteOptions {
  const all: RewriteOptions = {}
  for (const { request, response, location, cookies } of given.filter((each) => each !== undefined)) {
    if (request !== undefined) all.request = after(all.request, request)
    if (response !== undefined) all.response = after(all.response, response)
    if (location !== undefined) all.location = location
    if (cookies !== undefined) all.cookies = { ...all.cookies, ...cookies }
  }
  return all
}

/** What of a route's rewriting is of its path and query; `undefined` if nothing is. */
export function pathRewriteOf(given: RewritePathOptions | undefined): RewritePathOptions | undefined {
  const entries = Object.entries(given ?? {}).filter(([key]) => key in rewritePathEntries)
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

type Rules = NonNullable<RewriteOptions['request']>

/** The chain has `clientAddress()` in it, so what rules of a proxy may read is there. */
function after(first: Rules | undefined, second: FieldRules<Site>): Rules {
  const rules = [first ?? [], second].flat()
  return rules as Rules
}
