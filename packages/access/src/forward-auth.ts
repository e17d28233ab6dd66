import { Agent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import {
  type Client,
  type Context,
  type Handler,
  type Middleware,
  ProxyError,
  publicAuthority,
  publicPath,
  type Reply,
  withFields,
} from '@sluice/core'
import { getAll, type HeaderList, has, mountPath } from '@sluice/headers'
import { parse } from '@sluice/options'
import { type Answered, ask } from './ask.js'
import { type ForwardAuthOptions, forwardAuthOptions } from './forward-auth-options.js'
import { identityFields } from './identity-fields.js'
import { ownList } from './own-list.js'

const allows = (status: number): boolean => status >= 200 && status < 300

/**
 * Asks another service about each request, and lets pass what that answers with 2xx. The service gets a GET with the chosen fields of the request,
 * and method, scheme, host, URI and address of the client in `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`. What it says in `copy` the
 * target hears, and nobody else can say it. Any other answer up to 499 goes to the client: a redirect to a login, say. Where it doesn't answer in
 * time, or with 5xx, it is 503, and nobody passes.
 *
 * It never sends bodies, follows redirects or keeps an answer for another request. The service must read the URI as targets do: with `paths` of
 * `createProxy` or `pathPolicy` there is one reading of dots and slashes.
 *
 * `Symbol.dispose` closes the connections that it has kept; an agent that it was given is its owner's.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function forwardAuth(options: ForwardAuthOptions, path = 'forwardAuth'): Middleware & Disposable {
  const settings = parse(forwardAuthOptions, options, path)
  const { copy, cookies, timeout, maxBody } = settings
  const url = new URL(settings.url)
  const kept = settings.agent === undefined ? agentFor(url, settings.connections) : undefined
  const agent = kept ?? (settings.agent as Agent)
  const asked = new Set(lower(settings.request))
  const copied = new Set(lower(copy))
  const replied = new Set(lower(settings.reply))
  const fields = identityFields(copy)
  const wantsBody = (status: number): boolean => !allows(status)

  const enter = async <C extends Context>(next: Handler<C>, ctx: C): Promise<Reply> => {
    const { out } = ctx
    // The service may go by one of them, and the target by another.
    if (getAll(out.headers, 'authorization').length > 1)
      throw new ProxyError('http_request_error', { reason: 'authorization-repeated' })
    let answer: Answered
    try {
      const headers = [...only(out.headers, asked), ...told(ctx)]
      answer = await ask({ url, headers, agent, timeout, maxBody, wantsBody, signal: ctx.signal })
    } catch (error) {
      if (ctx.signal.aborted) throw new ProxyError('client_left')
      throw closed(`the service that decides did not answer: ${(error as Error).message}`, error)
    }
    const { status, body } = answer
    if (!allows(status)) {
      // 304 would tell the client of a page that it may have, and means nothing here.
      if (status < 300 || status > 499 || status === 304)
        throw closed(`the service that decides answered ${status}`)
      return refusal(status, only(answer.headers, replied), body)
    }
    ctx.authorized = true
    fields.clear(ctx)
    out.headers.push(...only(answer.headers, copied))
    return cookies ? withCookies(next, ctx, only(answer.headers, cookie)) : next(ctx)
  }

  const layer: Middleware = (next) => (ctx) => enter(next, ctx)
  return Object.assign(layer, { [Symbol.dispose]: () => kept?.destroy() })
}

const cookie: ReadonlySet<string> = new Set(['set-cookie'])

/** A session that was renewed is, also where the target then fails: the client's old one may be over. */
async function withCookies<C extends Context>(next: Handler<C>, ctx: C, fields: HeaderList): Promise<Reply> {
  let reply: Reply
  try {
    reply = await next(ctx)
  } catch (error) {
    throw withFields(error, fields)
  }
  const own = ownList(reply)
  if (own === undefined) return reply
  own.headers.push(...fields)
  return own
}

function agentFor(url: URL, maxSockets: number): Agent {
  const options = { keepAlive: true, maxSockets, maxFreeSockets: maxSockets }
  return url.protocol === 'https:' ? new HttpsAgent(options) : new Agent(options)
}

function lower(names: readonly string[]): string[] {
  return names.map((name) => name.toLowerCase())
}

function only(headers: readonly string[], names: ReadonlySet<string>): HeaderList {
  const list: HeaderList = []
  for (let i = 0; i < headers.length; i += 2)
    if (names.has((headers[i] as string).toLowerCase()))
      list.push(headers[i] as string, headers[i + 1] as string)
  return list
}

/** What is asked about. Whatever clients write in these fields isn't in the list that they are added to. */
function told(ctx: Context): HeaderList {
  const { authority, out, peer, req, scheme } = ctx
  const { client } = ctx as Context & Partial<Client>
  return [
    'X-Forwarded-Method',
    out.method,
    'X-Forwarded-Proto',
    client?.scheme ?? scheme,
    'X-Forwarded-Host',
    publicAuthority(authority, client),
    'X-Forwarded-Uri',
    publicPath(mountPath(req) + out.path, client),
    'X-Forwarded-For',
    client?.address ?? peer.address,
  ]
}

function refusal(status: number, headers: HeaderList, body: Buffer): Reply {
  // A decision about one client is nobody else's, and 404 or a redirect may be kept by caches that hear nothing.
  if (!has(headers, 'cache-control')) headers.push('Cache-Control', 'no-store')
  return { status, headers, body: body.length === 0 ? null : body }
}

function closed(message: string, cause?: unknown): ProxyError {
  return new ProxyError('destination_unavailable', {
    reason: 'decision-unreachable',
    message,
    ...(cause === undefined ? {} : { cause }),
  })
}
