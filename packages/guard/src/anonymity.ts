import { STATUS_CODES } from 'node:http'
import {
  asProxyError,
  type Body,
  type Client,
  type Context,
  discard,
  isBody,
  isOwnPage,
  type Layer,
  type ProxyError,
  publicAuthority,
  publicPath,
  type Reply,
  statusFields,
  toBody,
  unhandled,
  withFields,
} from '@sluice/core'
import { get, getAll, type HeaderList, mountPath, set } from '@sluice/headers'
import debug from 'debug'
import { type Anonymity, type AnonymityOptions, resolveAnonymity } from './anonymity-options.js'
import { askForText, isOfKind, isOfParts, ofOtherBytes, whyNotRewritten } from './anonymous-body.js'
import { clientNames, withoutIdentity } from './hidden-client.js'
import { HiddenOrigins, type PublicPlace } from './hidden-origins.js'
import { hideFields } from './hide-fields.js'
import { RewrittenBody } from './rewritten-body.js'
import { fieldsToGo, type Goes } from './tell-tales.js'

const log = debug('sluice:guard')

type Site = Context & Client
/** `forward` writes this name in place of the client's addresses; `''`: nothing. */
type Named = { clientName?: string }
type Inform = Context['inform']

/**
 * Hides who serves. Of every answer, those of 1xx, upgrades and trailers included: fields by which servers tell of themselves go; URLs
 * and names of `origins` become public ones in all other fields (`Location`, `Link`, `Content-Location`, `Refresh`, CORS, CSP and so on); a
 * cookie for a target's domain becomes one for the client's host; bodies of errors are replaced by a page that says the status alone, but for pages of `errorPages` and answers of `onError` right inside of it.
 * TRACE goes no further than to this proxy: a target would show what it has been sent. What a client is called towards targets is
 * for `client` to say.
 *
 * With `bodies` targets are asked for no coding (compress further out), and answers that are parts (206) of such bodies become 416, since
 * parts of other bytes don't fit; a request for several ranges gets the whole. Bodies that say `no-transform`, or come coded all the same, pass as they are.
 *
 * It can't hide what an app says of itself in other words: names of cookies, texts, the form of its error pages below 500, how long it takes.
 * It stands outside of all that answers, and inside of what adds fields of one's own that are to stay.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function anonymity(options: AnonymityOptions = {}, path = 'anonymity'): Layer<Site> {
  const hiding = new Hiding(resolveAnonymity(options, path))
  return (next) => async (ctx) => {
    hiding.request(ctx)
    let reply: Reply
    try {
      reply = await next(ctx)
    } catch (thrown) {
      throw hiding.error(thrown, ctx)
    }
    // Nobody has answered yet: it is one shared value. What is no reply the mount tells of.
    if (reply === unhandled || typeof reply !== 'object' || reply === null) return reply
    try {
      return hiding.reply(reply, ctx)
    } catch (thrown) {
      // Its body or its socket would stay open.
      discard(reply)
      throw thrown
    }
  }
}

class Hiding {
  readonly #goes: Goes
  readonly #errors: (status: number) => boolean
  readonly #nameOf: ((address: string) => string) | undefined
  readonly #settings: Anonymity
  /** What `origins` gave last, and what that says. */
  #given: Iterable<string> | undefined
  #list: readonly string[] = []
  #hidden = new HiddenOrigins([])
  /** What `inform` was, and what takes its place: one for all requests, since all have the same. */
  #inform: Inform | undefined
  #informHidden: Inform | undefined

  constructor(settings: Anonymity) {
    this.#settings = settings
    this.#goes = fieldsToGo(settings.fields)
    this.#errors = errorsOf(settings.errors)
    const { client } = settings
    if (client === 'remove') this.#nameOf = () => ''
    else if (client !== 'pass') this.#nameOf = clientNames(client.hash)
  }

  request(ctx: Site): void {
    const { out } = ctx
    if (this.#nameOf !== undefined) {
      ;(ctx as Named).clientName = this.#nameOf(ctx.client?.address ?? ctx.peer.address)
      out.headers = withoutIdentity(out.headers)
    }
    if (this.#settings.bodies.length > 0) askForText(out.headers)
    if (out.method === 'TRACE') set(out.headers, 'Max-Forwards', '0')
    ctx.inform = this.#informed(ctx.inform)
  }

  reply(reply: Reply, ctx: Site): Reply {
    const hidden = this.#origins()
    const place = placeOf(ctx)
    const { body, socket, status, trailers } = reply
    if (socket === undefined && this.#errors(status) && !isOwnPage(reply)) {
      discard(reply)
      return page(status, this.#hide(statusFields(reply.headers), hidden, place))
    }
    const { bodies } = this.#settings
    const rewrites = socket === undefined && hidden.size > 0 && bodies.length > 0
    const text = rewrites && isOfKind(reply.headers, bodies)
    if (rewrites && status === 206 && (text || isOfParts(reply.headers))) {
      if (log.enabled) log('%s %s: a part of a body to be rewritten is refused', ctx.out.method, ctx.out.path)
      discard(reply)
      return page(416, [])
    }
    const headers = this.#hide(reply.headers.slice(), hidden, place)
    const why = text ? whyNotRewritten(headers) : 'other'
    if (text && why !== undefined && log.enabled)
      log('%s %s: the body is not rewritten: %s', ctx.out.method, ctx.out.path, why)
    const changed: Reply = { ...reply, headers }
    if (why === undefined) {
      ofOtherBytes(headers)
      // They are forms of the bytes before.
      delete changed.variants
    } else if (status === 304 && bodies.length > 0) weakenAsAsked(headers, ctx)
    if (socket !== undefined) return changed
    const edit = (fields: HeaderList): void => {
      this.#hide(fields, hidden, place)
      if (why === undefined) ofOtherBytes(fields)
    }
    if (trailers !== undefined) {
      changed.trailers = () => {
        const fields = trailers()?.slice()
        if (fields !== undefined) edit(fields)
        return fields
      }
    }
    if (body === null || ctx.req.method === 'HEAD') return changed
    if (why === undefined)
      changed.body = new RewrittenBody(toBody(body) as Body, { trailers: edit, hidden, place })
    else if (isBody(body) && (trailers !== undefined || body.length === undefined))
      changed.body = new RewrittenBody(body, { trailers: edit })
    return changed
  }

  /** What layers further in have put into the fields of an error's answer. The error itself may be thrown to several. */
  error(thrown: unknown, ctx: Site): ProxyError {
    const error = asProxyError(thrown)
    const { headers } = error
    if (headers === undefined) return error
    let hidden: HeaderList = []
    try {
      hidden = this.#hide(headers.slice(), this.#origins(), placeOf(ctx))
    } catch {
      // The fields can't be trusted then, and the error that was there first is the one to tell.
    }
    return hidden.join() === headers.join() ? error : withFields(error, hidden, true)
  }

  #hide(headers: HeaderList, hidden: HiddenOrigins, place: PublicPlace): HeaderList {
    return hideFields(headers, this.#goes, hidden, place)
  }

  #informed(inform: Inform): Inform {
    if (inform === this.#informHidden) return inform
    if (inform === this.#inform && this.#informHidden !== undefined) return this.#informHidden
    const hide = (headers: HeaderList, ctx: Site): HeaderList =>
      this.#hide(headers.slice(), this.#origins(), placeOf(ctx))
    this.#inform = inform
    // Attempts have it too, each with its own `this`.
    this.#informHidden = function informHidden(this: Site, status, headers) {
      let hidden: HeaderList
      try {
        hidden = hide(headers, this)
      } catch (error) {
        // It is called in the middle of reading from a target. The answer itself will tell.
        if (log.enabled) log('an informational response is dropped: %s', error)
        return
      }
      inform.call(this, status, hidden)
    }
    return this.#informHidden
  }

  /** @throws ProxyError if the function that gives them does */
  #origins(): HiddenOrigins {
    const { origins } = this.#settings
    try {
      const list = typeof origins === 'function' ? origins() : origins
      if (list === this.#given) return this.#hidden
      this.#given = list
      const urls = [...list]
      // Another list may say the same, each time.
      if (urls.length === this.#list.length && urls.every((url, i) => url === this.#list[i]))
        return this.#hidden
      this.#hidden = new HiddenOrigins(urls)
      this.#list = urls
    } catch (thrown) {
      this.#given = undefined
      throw asProxyError(thrown, 'anonymity.origins threw')
    }
    return this.#hidden
  }
}

function errorsOf(errors: Anonymity['errors']): (status: number) => boolean {
  if (errors === false) return () => false
  if (errors === true) return (status) => status >= 500
  const set = new Set(errors)
  return (status) => set.has(status)
}

function page(status: number, kept: HeaderList): Reply {
  return {
    status,
    headers: ['content-type', 'text/plain; charset=utf-8', 'cache-control', 'no-store', ...kept],
    body: `${status} ${STATUS_CODES[status] ?? 'Error'}\n`,
  }
}

/** The tag of a 304 is that which the client has, where that was made weak. */
function weakenAsAsked(headers: HeaderList, { req }: Context): void {
  const tag = get(headers, 'etag')
  if (tag?.startsWith('"') && getAll(req.rawHeaders, 'if-none-match').join().includes(`W/${tag}`))
    set(headers, 'ETag', `W/${tag}`)
}

/** What a page may hold as the name of a host: whatever else a client has sent as `Host` could end the place where it stands. */
const harmless = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?$/i

type Seen = Context & Partial<Client> & { readonly stripped?: unknown }

function placeOf(ctx: Seen): PublicPlace {
  const { authority, client, req, scheme, stripped } = ctx
  const asked = publicAuthority(authority, client)
  const path = publicPath(mountPath(req) + (typeof stripped === 'string' ? stripped : ''), client)
  const prefix = path.endsWith('/') ? path.slice(0, -1) : path
  return {
    scheme: client?.scheme ?? scheme,
    authority: harmless.test(asked) ? asked : '',
    // It goes into pages, and a trusted proxy passes on what a client says.
    prefix: /^(?:\/[\w.~-]+)+$/.test(prefix) ? prefix : '',
  }
}
