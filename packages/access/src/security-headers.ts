import {
  type Client,
  type Context,
  editUnhandled,
  type Middleware,
  type ProxyError,
  type Reply,
  unhandled,
  withFields,
} from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import { parse } from '@sluice/options'
import { ownList } from './own-list.js'
import { securityFields } from './security-fields.js'
import { type SecurityHeadersOptions, securityHeadersOptions } from './security-headers-options.js'

/**
 * Adds to all answers, errors too, the fields that tell browsers to be careful, by the names and values of `helmet`, in so far as the target doesn't
 * say otherwise: it knows its own pages. With `keep: false` these take the place of the target's. What tells of TLS is sent over TLS alone (RFC 6797
 * section 7.2), where `clientAddress` with `trust` stands before it as a trusted proxy says.
 *
 * It can't know what a page needs: a policy that is too strict breaks it. Try `contentSecurityPolicy: { reportOnly: true }` first.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function securityHeaders(options: SecurityHeadersOptions = {}, path = 'securityHeaders'): Middleware {
  const settings = parse(securityHeadersOptions, options, path)
  const secure = new FieldSet(securityFields(settings, path, true), settings)
  const plain = new FieldSet(securityFields(settings, path, false), settings)
  return (next) => (ctx) => {
    const { client } = ctx as Context & Partial<Client>
    const set = (client?.scheme ?? ctx.scheme) === 'https' ? secure : plain
    let reply: Reply | Promise<Reply>
    try {
      reply = next(ctx)
    } catch (error) {
      throw set.toError(error)
    }
    if (!(reply instanceof Promise)) return set.tell(reply, ctx)
    return reply.then((came) => set.tell(came, ctx), set.rejected)
  }
}

/** What one of the two kinds of answers gets: over TLS, and without. */
class FieldSet {
  /** Bound, so that no function is made for each answer. */
  readonly toReply: (reply: Reply) => Reply
  readonly rejected: (error: unknown) => never
  /** The place of each field by its name, in lower case; -1: it is taken off. */
  readonly #places: ReadonlyMap<string, number>
  /** Lengths of those names: most fields are told apart by theirs. */
  readonly #lengths: ReadonlySet<number>
  readonly #keep: boolean

  constructor(
    private readonly fields: HeaderList,
    {
      keep,
      strictTransportSecurity,
      xPoweredBy,
    }: { keep: boolean; strictTransportSecurity: unknown; xPoweredBy: boolean },
  ) {
    const places = new Map<string, number>()
    for (let i = 0; i < fields.length; i += 2) places.set((fields[i] as string).toLowerCase(), i)
    if (xPoweredBy) places.set('x-powered-by', -1)
    const transport = 'strict-transport-security'
    if (strictTransportSecurity !== false && !places.has(transport)) places.set(transport, -1)
    this.#places = places
    this.#lengths = new Set([...places.keys()].map(({ length }) => length))
    this.#keep = keep
    this.toReply = (reply) => {
      const own = ownList(reply)
      if (own === undefined) return reply
      this.#edit(own.headers)
      return own
    }
    this.rejected = (error) => {
      throw this.toError(error)
    }
  }

  tell(reply: Reply, ctx: Context): Reply {
    return reply === unhandled ? editUnhandled(ctx, this.toReply) : this.toReply(reply)
  }

  /** An error may have fields of a layer of the same kind further in. */
  toError(error: unknown): ProxyError {
    const made = withFields(error, [])
    this.#edit(made.headers as HeaderList)
    return made
  }

  #edit(headers: HeaderList): void {
    let there = 0
    let to = 0
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      const place = this.#lengths.has(name.length) ? this.#places.get(name.toLowerCase()) : undefined
      if (place !== undefined) {
        if (place === -1 || !this.#keep) continue
        there |= 1 << (place >> 1)
      }
      headers[to++] = name
      headers[to++] = headers[i + 1] as string
    }
    headers.length = to
    const { fields } = this
    for (let i = 0; i < fields.length; i += 2)
      if ((there & (1 << (i >> 1))) === 0) headers.push(fields[i] as string, fields[i + 1] as string)
  }
}
