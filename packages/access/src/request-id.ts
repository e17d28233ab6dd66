import { randomUUID } from 'node:crypto'
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
import { getAll, type HeaderList, set } from '@sluice/headers'
import { type CidrSet, cidrSet, Faults, parse } from '@sluice/options'
import { identityFields } from './identity-fields.js'
import { ownList } from './own-list.js'
import { type RequestIdOptions, requestIdOptions } from './request-id-options.js'
import { saidAtOnce } from './said-at-once.js'

/** What {@link requestId} adds. */
export interface RequestId {
  /** By which logs of all who serve the request can be put together. */
  requestId: string
}

const isId = (id: unknown): boolean => typeof id === 'string' && /^[\w.~:/+=@-]{1,128}$/.test(id)

/**
 * Gives each request an id, for target, client and logs: that of a trusted proxy where it has one that can be one, else a new one. What others send
 * in the field is replaced. Errors have it too, so that who sees one can tell which.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function requestId(options: RequestIdOptions = {}, path = 'requestId'): Middleware<{}, RequestId> {
  const faults = new Faults()
  const trust = options?.trust
  const proxies = faults.collect(() => (trust === undefined ? undefined : cidrSet(trust, `${path}.trust`)))
  const settings = faults.collect(() => parse(requestIdOptions, options, path))
  faults.throwAny()
  const { header, reply: tells, generate = randomUUID } = settings as NonNullable<typeof settings>
  const lower = header.toLowerCase()
  const fields = identityFields([header])

  const make = (): string => {
    const made = saidAtOnce(generate(), `${path}.generate`)
    // It goes into fields and logs as it is.
    if (!isId(made)) throw new TypeError(`${path}.generate gave what is no id`)
    return made
  }
  const add = (reply: Reply, id: string): Reply => {
    const own = ownList(reply)
    if (own === undefined) return reply
    set(own.headers, header, id)
    return own
  }

  const tell = (reply: Reply, id: string, ctx: Context): Reply =>
    reply === unhandled ? editUnhandled(ctx, (made) => add(made, id)) : add(reply, id)
  const toError = (error: unknown, id: string): ProxyError => {
    const made = withFields(error, [])
    set(made.headers as HeaderList, header, id)
    return made
  }

  return (next) => (ctx) => {
    const { headers } = ctx.out
    const given = isTrusted(ctx, proxies) ? getAll(headers, lower) : []
    const id = given.length === 1 && isId(given[0]) ? (given[0] as string) : make()
    fields.clear(ctx)
    headers.push(header, id)
    const added = Object.assign(ctx, { requestId: id })
    if (!tells) return next(added)
    let reply: Reply | Promise<Reply>
    try {
      reply = next(added)
    } catch (error) {
      throw toError(error, id)
    }
    if (!(reply instanceof Promise)) return tell(reply, id, ctx)
    return reply.then(
      (came) => tell(came, id, ctx),
      (error: unknown) => {
        throw toError(error, id)
      },
    )
  }
}

/** Without a list of its own: where the proxy who has called is believed in what it says of the client. */
function isTrusted(ctx: Context & Partial<Client>, proxies: CidrSet | undefined): boolean {
  if (proxies !== undefined) return proxies.has(ctx.peer.address)
  const { client } = ctx
  if (client === undefined) return false
  // One that hides its clients names none, and is believed in the rest.
  const { believed, elements = [], host, port, prefix } = client
  return believed.length + elements.length > 0 || (host ?? port ?? prefix) !== undefined
}
