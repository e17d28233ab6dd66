import { type Client, type Context, type Middleware, ProxyError, publicPath, type Reply } from '@sluice/core'
import { judgePath, mountPath, parseAuthority } from '@sluice/headers'
import { integer, parse, that, v } from '@sluice/options'
import debug from 'debug'

const log = debug('sluice:tls')

/** Options of {@link redirectToHttps}. */
export interface RedirectToHttpsOptions {
  /** The port that clients find https on; 443 isn't written. Default 443. */
  port?: number
  /** 307 and 308 keep method and body, 301 and 302 may make a GET of a POST. Default 308. */
  status?: 301 | 302 | 307 | 308
  /**
   * Paths that are served without TLS, each with all below it: `['/.well-known/acme-challenge']` where something further in answers
   * challenges. A path that another server may read as another one (dot segments, `//`, encoded slashes) is never one of them.
   * Default none.
   */
  except?: readonly string[]
}

const redirectOptions = v.strictObject({
  port: v.optional(integer(1, 65_535), 443),
  status: v.optional(
    that<301 | 302 | 307 | 308>(
      (value) => [301, 302, 307, 308].includes(value as number),
      '301, 302, 307, 308',
    ),
    308,
  ),
  except: v.optional(v.array(that<string>(isPlainPath, "a path such as '/.well-known/acme-challenge'")), []),
})

/**
 * Sends clients that came without TLS to the same URL with it: same host, path and query byte for byte, the port replaced. Where
 * `clientAddress` with `trust` stands before it, what a trusted proxy says counts: the scheme, so that behind one that ends TLS nothing loops,
 * and the host, port and prefix that the client has asked for.
 *
 * The answer names no other host than the one asked for, and no cache may keep it: one that goes by host and path alone would serve it to
 * https, too, and clients would go round in circles. What spares browsers the detour is `hsts`. A handshake for a WebSocket gets the same
 * answer; browsers don't follow it, and fail the connection. A CONNECT is refused with 403, as there is no other place to send it to.
 * A request that names no host is 400.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function redirectToHttps(options: RedirectToHttpsOptions = {}, path = 'redirectToHttps'): Middleware {
  const { port, status, except } = parse(redirectOptions, options, path)
  const suffix = port === 443 ? '' : `:${port}`
  return (next) => (ctx) => {
    const { client } = ctx as Context & Partial<Client>
    if ((client?.scheme ?? ctx.scheme) === 'https') return next(ctx)
    const asked = mountPath(ctx.req) + ctx.out.path
    if (except.length > 0 && isBelow(asked, except)) return next(ctx)
    if (ctx.out.method === 'CONNECT') {
      throw new ProxyError('http_request_denied', {
        message: 'a CONNECT without TLS: it can not be sent elsewhere',
      })
    }
    const location = `https://${hostOf(client?.host ?? ctx.authority)}${suffix}${shown(publicPath(asked, client))}`
    if (log.enabled) log('%s %s -> %s', ctx.out.method, ctx.out.path, location)
    return redirect(status, location)
  }
}

/** The host without its port. @throws ProxyError http_request_error for what makes no URL */
function hostOf(authority: string): string {
  const host = parseAuthority(authority)?.host
  if (host === undefined || !URL.canParse(`https://${host}/`))
    throw new ProxyError('http_request_error', {
      message: 'a request without a host: there is no https URL of it',
    })
  return host
}

/** RFC 9112 section 3.2.4: an absolute URL without a path stands for the `*` of OPTIONS. */
function shown(path: string): string {
  return path === '*' ? '' : path
}

function redirect(status: number, location: string): Reply {
  const headers = [
    'location',
    location,
    'cache-control',
    'no-store',
    'content-type',
    'text/plain; charset=utf-8',
  ]
  return { status, headers, body: 'This is served over https.\n' }
}

function isPlainPath(value: unknown): boolean {
  return typeof value === 'string' && /^\/[^?#]+$/.test(value) && !value.endsWith('/') && isUnambiguous(value)
}

function isBelow(target: string, paths: readonly string[]): boolean {
  const query = target.indexOf('?')
  const asked = query === -1 ? target : target.slice(0, query)
  for (const path of paths) {
    if (asked.startsWith(path) && (asked.length === path.length || asked[path.length] === '/'))
      return isUnambiguous(asked)
  }
  return false
}

/** Whether all servers read a path alike: `/open/..%2fsecret` would be another one to some. */
function isUnambiguous(path: string): boolean {
  return judgePath(path, { encodedSlashes: 'reject', doubleSlashes: 'reject', dotSegments: 'reject' }).ok
}
