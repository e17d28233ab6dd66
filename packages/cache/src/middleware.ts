import {
  type Client,
  type Context,
  type Handler,
  type Middleware,
  type Reply,
  unhandled,
  withFields,
} from '@sluice/core'
import { joinPath, mountPath } from '@sluice/headers'
import type { CacheOptions } from './cache-options.js'
import type { CacheFetch, CacheRequest, Fetcher } from './cache-request.js'
import { type Cache, createCache } from './create-cache.js'
import { isCache } from './is-cache.js'
import { noAnswer } from './no-answers.js'

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
      const { authority, out, scheme } = ctx
      // What the client has asked for counts, where somebody who is trusted has told it: the target is told it, too.
      const { client } = ctx as Context & Partial<Client>
      const request: Writable<CacheRequest> = {
        method: out.method,
        scheme: client?.scheme ?? scheme,
        authority,
        // The public URL: what links, Location and purges speak of.
        path: mountPath(ctx.req) + out.path,
        headers: out.headers,
        body: out.body,
        also: undefined,
      }
      if (client !== undefined && client.believed.length > 0) believe(request, client)
      return engine.handle(request, fetch, ctx, withFields)
    }
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** Two hosts, ports or prefixes are two resources: targets make links of them, and choose sites by them. */
function believe(request: Writable<CacheRequest>, { host, port, prefix }: Client['client']): void {
  const { authority } = request
  const told = host ?? authority
  const isWhole = port === undefined || /:\d*$/.test(told)
  request.authority = isWhole ? told : `${told}:${port}`
  if (told !== authority || (isWhole && port !== undefined)) request.also = `${authority}:${port ?? ''}`
  if (prefix !== undefined) request.path = joinPath(prefix, request.path)
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
