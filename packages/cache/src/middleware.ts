import {
  type Client,
  type Context,
  type Handler,
  type Middleware,
  publicAuthority,
  publicPath,
  type Reply,
  unhandled,
  withFields,
} from '@sluice/core'
import { mountPath } from '@sluice/headers'
import type { CacheOptions } from './cache-options.js'
import type { CacheFetch, CacheRequest, Fetcher } from './cache-request.js'
import { type Cache, createCache } from './create-cache.js'
import { isCache } from './is-cache.js'
import { leaves } from './leaves.js'
import { noAnswer } from './no-answers.js'
import { isSafe } from './policy/invalidation.js'

noAnswer(unhandled)

/**
 * Serves from a cache what may be, and stores what may be (RFC 9111, a shared cache). A fetch that others may wait for, and a
 * revalidation in the background, go on when the client leaves. Upgrades pass by. It stands inside of `compress`, and outside of
 * `retry` and `balance`.
 * @param options of a cache of its own, which is closed with the process; or a cache that `createCache` has made, to purge it
 * @throws TypeError that names the option
 */
export function cache(options: CacheOptions | Cache = {}): Middleware {
  const engine = isCache(options) ? options : createCache(options)
  return <C extends Context>(next: Handler<C>): Handler<C> => {
    const fetch = fetcher(next)
    return (ctx) => {
      if (ctx.upgrade !== undefined) return next(ctx)
      return engine.handle(requestOf(ctx), fetch, ctx, withFields, leaves)
    }
  }
}

/**
 * Stands where requests go by no cache, and drops from these what such a request changes (RFC 9111 section 4.4), before its answer is seen: a
 * POST, say, of a site whose other pages are cached. What goes by a cache does so itself, for that one and its `peers`.
 * @param caches of the same site; read at each such request, so it may grow
 */
export function invalidation(caches: readonly Cache[]): Middleware {
  return <C extends Context>(next: Handler<C>): Handler<C> =>
    (ctx) => {
      if (isSafe(ctx.out.method) || ctx.upgrade !== undefined) return next(ctx)
      return changing(next, ctx, caches)
    }
}

async function changing<C extends Context>(
  next: Handler<C>,
  ctx: C,
  caches: readonly Cache[],
): Promise<Reply> {
  // As it is now: further in its path may be another.
  const request = requestOf(ctx)
  const reply = await next(ctx)
  await Promise.all(caches.map((cache) => cache.invalidate(request, reply)))
  return reply
}

function requestOf(ctx: Context): CacheRequest {
  const { authority, authorized, out, peer, scheme } = ctx
  // What the client has asked for counts, where somebody who is trusted has told it: the target is told it, too.
  const { client } = ctx as Context & Partial<Client>
  return {
    method: out.method,
    scheme: client?.scheme ?? scheme,
    // The public URL: what links, Location and purges speak of.
    authority: publicAuthority(authority, client),
    path: publicPath(mountPath(ctx.req) + out.path, client),
    headers: out.headers,
    body: out.body,
    also: alsoOf(authority, client),
    caller: callerOf(peer.address, client),
    authorized,
  }
}

/**
 * Two hosts or ports are two resources, also where the public URL has one of each: targets make links of them, and choose sites by them. So are
 * the path that a trusted proxy has taken a prefix off, and the same path of a client that has come past it: the target gets two.
 */
function alsoOf(authority: string, client: Client['client'] | undefined): string | undefined {
  if (client === undefined) return undefined
  const { host = authority, port, prefix } = client
  const isInUrl = port === undefined || publicAuthority(authority, client) !== host
  if (host === authority && isInUrl) return prefix
  return `${authority}:${port ?? ''}${prefix ?? ''}`
}

/** As `forward` writes it. */
function callerOf(peer: string, client: Client['client'] | undefined): string {
  if (client === undefined) return peer
  const { address, believed } = client
  return believed.length === 0 ? address : `${believed.join(', ')}, ${peer}`
}

/** One for each place in a chain, none for each request. */
function fetcher<C extends Context>(next: Handler<C>): Fetcher<C> {
  return ({ headers, inform, method, shared }: CacheFetch, ctx: C): Reply | Promise<Reply> => {
    if (!shared) return next(ctx)
    const fork = ctx.fork({ detach: true, inform })
    const { out } = fork
    out.method = method
    out.headers = headers
    out.body = null
    return next(fork)
  }
}
