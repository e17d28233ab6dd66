import {
  type Context,
  editUnhandled,
  type Middleware,
  ProxyError,
  type Reply,
  unhandled,
  withFields,
} from '@sluice/core'
import { get, getAll, type HeaderList } from '@sluice/headers'
import { parse } from '@sluice/options'
import { addVary } from './add-vary.js'
import { type CorsOptions, corsOptions } from './cors-options.js'
import { originSet } from './origin-set.js'
import { ownList } from './own-list.js'

/** Fields of answers that are this layer's alone: what targets say in them is taken off. */
const own = 'access-control-allow-'
const others = new Set(['access-control-expose-headers', 'access-control-max-age'])

/** Methods that pages may always use (Fetch standard, CORS-safelisted method). */
const always = ['GET', 'HEAD', 'POST']
/** Fields that pages may always send; by their names, since their values are for browsers to judge. */
const safe = new Set(['accept', 'accept-language', 'content-language', 'content-type', 'range'])

/**
 * Says whose pages may read answers (Fetch standard, CORS), in place of the targets: what those say of it is taken off. Questions ahead of a
 * request (preflights) are answered here, with 204, or with 403 and the reason in the log; no target hears them, and no credentials are asked for.
 * All other requests pass, whatever their origin: an answer that a page may not read was made all the same. Errors have the fields too, so that
 * pages see the status.
 *
 * It keeps nobody out who isn't a browser, and no WebSocket from anywhere, since browsers ask nobody about those.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function cors(options: CorsOptions, path = 'cors'): Middleware {
  const { origins, methods, headers, expose, credentials, maxAge } = parse(corsOptions, options, path)
  const named = originSet(origins, `${path}.origins`)
  // Any page can make itself one without an origin, whatever a function says.
  const isAllowed = (origin: string): boolean => !(credentials && origin === 'null') && named(origin)
  const any = origins === '*'
  const allowed = [...new Set([...always, ...methods])]
  const allowedFields = headers === '*' ? undefined : new Set(headers.map((name) => name.toLowerCase()))
  const allowedText = headers === '*' ? '*' : headers.join(', ')

  const granted = (origin: string): HeaderList => {
    const list = ['Access-Control-Allow-Origin', any ? '*' : origin]
    if (credentials) list.push('Access-Control-Allow-Credentials', 'true')
    return list
  }
  /** What an answer says; nothing to pages that may not read it, or to none. */
  const fieldsFor = (origin: string | undefined): HeaderList => {
    const list = any ? granted('*') : origin !== undefined && isAllowed(origin) ? granted(origin) : []
    if (list.length > 0 && expose.length > 0) list.push('Access-Control-Expose-Headers', expose.join(', '))
    return list
  }

  const preflight = (ctx: Context, method: string): Reply => {
    const origin = originOf(ctx)
    const vary = ['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers']
    const refuse = (reason: string): never => {
      throw new ProxyError('http_request_denied', { reason, headers: vary })
    }
    if (origin === undefined || !(any || isAllowed(origin))) return refuse('cors-origin')
    if (!allowed.includes(method)) return refuse('cors-method')
    const wanted = getAll(ctx.out.headers, 'access-control-request-headers').join(',').toLowerCase()
    for (const part of wanted.split(',')) {
      const name = part.trim()
      if (name === '' || safeBeside(name, allowedFields)) continue
      return refuse('cors-headers')
    }
    const list = [...granted(origin), 'Access-Control-Allow-Methods', allowed.join(', ')]
    if (allowedText !== '') list.push('Access-Control-Allow-Headers', allowedText)
    if (maxAge > 0) list.push('Access-Control-Max-Age', String(Math.floor(maxAge / 1_000)))
    return { status: 204, headers: [...list, ...vary], body: null }
  }

  const edit = (headers: HeaderList, fields: HeaderList): void => {
    clear(headers)
    headers.push(...fields)
    if (!any) addVary(headers, 'Origin')
  }
  const toReply = (reply: Reply, fields: HeaderList): Reply => {
    const own = ownList(reply)
    if (own === undefined) return reply
    edit(own.headers, fields)
    return own
  }
  const tell = (reply: Reply, fields: HeaderList, ctx: Context): Reply =>
    reply === unhandled ? editUnhandled(ctx, (made) => toReply(made, fields)) : toReply(reply, fields)
  /** An error may have fields of a layer of the same kind further in. */
  const toError = (error: unknown, fields: HeaderList): ProxyError => {
    const made = withFields(error, [])
    edit(made.headers as HeaderList, fields)
    return made
  }

  return (next) => (ctx) => {
    if (ctx.out.method === 'OPTIONS' && ctx.upgrade === undefined) {
      const method = get(ctx.out.headers, 'access-control-request-method')
      if (method !== undefined && get(ctx.out.headers, 'origin') !== undefined) return preflight(ctx, method)
    }
    if (ctx.upgrade !== undefined) return next(ctx)
    const fields = fieldsFor(originOf(ctx))
    let reply: Reply | Promise<Reply>
    try {
      reply = next(ctx)
    } catch (error) {
      throw toError(error, fields)
    }
    if (!(reply instanceof Promise)) return tell(reply, fields, ctx)
    return reply.then(
      (came) => tell(came, fields, ctx),
      (error: unknown) => {
        throw toError(error, fields)
      },
    )
  }
}

/** RFC 9110 section 5.3: of several nobody can say which one counts. */
function originOf(ctx: Context): string | undefined {
  const [origin, ...more] = getAll(ctx.out.headers, 'origin')
  return more.length === 0 ? origin : undefined
}

/** `'*'` is no word for Authorization (Fetch standard, CORS non-wildcard request-header name). */
function safeBeside(name: string, allowed: ReadonlySet<string> | undefined): boolean {
  if (allowed === undefined) return name !== 'authorization'
  return allowed.has(name) || (safe.has(name) && name !== 'content-type')
}

function clear(headers: HeaderList): void {
  let to = 0
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    // Few fields are of this kind, and to fold the case of each takes a new text.
    if ((name.charCodeAt(0) | 32) === 97 && name.length > 20) {
      const lower = name.toLowerCase()
      if (lower.startsWith(own) || others.has(lower)) continue
    }
    headers[to++] = name
    headers[to++] = headers[i + 1] as string
  }
  headers.length = to
}
