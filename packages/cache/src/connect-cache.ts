import {
  type Context,
  type InboundRequest,
  type InboundResponse,
  type Next,
  type Reply,
  toConnect,
  withFields,
} from '@sluice/core'
import { asScheme, type HeaderList, isAuthority, mountPath } from '@sluice/headers'
import { type Duration, duration, parse, v } from '@sluice/options'
import type { CacheOptions } from './cache-options.js'
import type { CacheFetch, CacheRequest } from './cache-request.js'
import { type Cache, createCache } from './create-cache.js'
import { isCache } from './is-cache.js'
import { leaves } from './leaves.js'

/** How the app is held to its end. */
export interface ConnectOptions {
  /** How long an answer may stand still once its client has left: then it counts as broken off. 0: for ever. Default 10s. */
  abandoned?: Duration
}

const connectOptions = v.strictObject({ abandoned: v.optional(duration(), 10_000) })

/** What of Express a request has, where it has come through one. */
interface Expressed {
  readonly app?: { get?(name: string): unknown }
  readonly headers: Readonly<Record<string, unknown>>
}

/** Where a request is for, as the app sees it. */
interface Seen {
  readonly scheme: string
  readonly authority: string
  /** The host of the connection, where another one has been told: the app may look at either. */
  readonly also: string | undefined
  /** Fields that the app believes, with the values that the key holds, and no others. */
  readonly believed: HeaderList
}

/**
 * A cache in front of an app with no proxy at all, as a middleware of Connect and Express: what the handlers behind it answer is stored where it
 * may be (RFC 9111, a shared cache), and served without them. An answer that others wait for goes on when its client leaves.
 *
 * A revalidation behind a stale answer (`staleWhileRevalidate`) runs the app when that answer has gone out, once more for the same request.
 *
 * What middlewares before it set on `res` is each client's and isn't stored, but for fields that speak of the content and of caching. Behind it
 * the app sees no conditions and ranges, which the cache answers, nor forwarding fields that it isn't told to trust (`trust proxy` of Express).
 * @param options of a cache of its own, which is closed with the process; or a cache that `createCache` has made, to purge it
 * @param connect how the app is held to its end
 * @throws TypeError that names the option
 */
export function connectCache(
  options: CacheOptions | Cache = {},
  connect: ConnectOptions = {},
): (req: InboundRequest, res: InboundResponse, next: Next) => void {
  const engine = isCache(options) ? options : createCache(options)
  const { abandoned } = parse(connectOptions, connect, 'connect')
  return toConnect(
    (ctx, rest) => {
      const seen = seenBy(ctx)
      const { out, req } = ctx
      const request: CacheRequest = {
        method: out.method,
        scheme: seen.scheme,
        authority: seen.authority,
        // The public URL: what links, Location and purges speak of.
        path: mountPath(req) + out.path,
        headers: out.headers,
        body: hasContent(req) ? '' : null,
        also: seen.also,
      }
      const fetch = ({ headers, inform, method, shared }: CacheFetch): Promise<Reply> => {
        if (!shared) return rest.run(ctx)
        const fork = ctx.fork({ detach: true, inform })
        fork.out.method = method
        fork.out.headers = [...headers, ...seen.believed]
        // Nobody waits for it, so the client has its answer before the app is at work.
        return rest.run(fork, inform ? undefined : new Promise((resolve) => ctx.onClose(() => resolve())))
      }
      return engine.handle(request, fetch, ctx, withFields, leaves)
    },
    { abandoned },
  )
}

/** Where somebody who is trusted has told what the client has asked for, that counts. */
function seenBy({ authority, peer, req, scheme }: Context): Seen {
  const { app, headers } = req as unknown as Expressed
  const trust = app?.get?.('trust proxy fn')
  if (typeof trust !== 'function' || trust(peer.address, 0) !== true)
    return { also: undefined, authority, believed: [], scheme }
  const first = (name: string): string | undefined => {
    const value = headers[name]
    return typeof value === 'string' ? value.split(',', 1)[0]?.trim() : undefined
  }
  const believed: HeaderList = []
  const proto = asScheme(first('x-forwarded-proto'))
  const host = first('x-forwarded-host')
  const isHost = host !== undefined && isAuthority(host)
  // What is no scheme and no host has no place in the key: whoever sent it would choose what others get.
  if (proto !== undefined) believed.push('x-forwarded-proto', proto)
  if (isHost) believed.push('x-forwarded-host', host)
  return {
    also: isHost && host !== authority ? authority : undefined,
    authority: isHost ? host : authority,
    believed,
    scheme: proto ?? scheme,
  }
}

/** A target that reads the content of a GET may answer by it. */
function hasContent({ headers }: InboundRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
