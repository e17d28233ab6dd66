import {
  type Client,
  type Context,
  editUnhandled,
  type Middleware,
  type Reply,
  unhandled,
  withFields,
} from '@sluice/core'
import { type HeaderList, has, remove, set } from '@sluice/headers'
import { type Duration, fault, parse, parseDuration, quote, v } from '@sluice/options'

/** Options of {@link hsts}. */
export interface HstsOptions {
  /** For how long browsers go by https alone, from each answer on. 0 tells them to forget it. Default '8760h', a year. */
  maxAge?: Duration
  /** Counts for all subdomains, too: each of them has to speak https. Default false. */
  includeSubDomains?: boolean
  /**
   * Asks for a place in the list that browsers come with, which is hard to leave. That takes `includeSubDomains` and a `maxAge` of a year
   * at least. Default false.
   */
  preload?: boolean
  /** Where a target has sent a `Strict-Transport-Security` of its own, that one stays. Default false: it is replaced. */
  keep?: boolean
}

const year = 31_536_000

const hstsOptions = v.strictObject({
  // In no timer, so it may be longer than those can hold.
  maxAge: v.optional(v.any(), '8760h'),
  includeSubDomains: v.optional(v.boolean(), false),
  preload: v.optional(v.boolean(), false),
  keep: v.optional(v.boolean(), false),
})

const name = 'Strict-Transport-Security'
const lower = 'strict-transport-security'

/**
 * Tells browsers to come by https alone from now on (RFC 6797), in answers over TLS and in those that errors become. Without TLS the
 * field means nothing and must not be sent (section 7.2), so there it is taken out of targets' answers. Where `clientAddress` with `trust`
 * stands before it, a trusted proxy says whether the client speaks TLS.
 *
 * A browser that has heard it lets nobody click past a certificate that it doesn't trust: try it with a short `maxAge` first.
 * @param path what messages call the options
 * @throws TypeError for a wrong option
 */
export function hsts(options: HstsOptions = {}, path = 'hsts'): Middleware {
  const { keep, ...policy } = parse(hstsOptions, options, path)
  const value = valueOf(policy as Required<Omit<HstsOptions, 'keep'>>, path)
  const add = (reply: Reply): Reply => {
    if (typeof reply !== 'object' || reply === null) return reply
    if (!keep || !has(reply.headers, lower)) set(reply.headers, name, value)
    return reply
  }
  const tell = (reply: Reply, ctx: Context): Reply =>
    reply === unhandled ? editUnhandled(ctx, add) : add(reply)
  const addToError = (error: unknown): never => {
    throw withFields(error, [name, value])
  }
  return (next) => (ctx) => {
    const { client } = ctx as Context & Partial<Client>
    const secure = (client?.scheme ?? ctx.scheme) === 'https'
    let reply: Reply | Promise<Reply>
    try {
      reply = next(ctx)
    } catch (error) {
      if (secure) addToError(error)
      throw error
    }
    if (!secure) return reply instanceof Promise ? reply.then(withoutIt) : withoutIt(reply)
    return reply instanceof Promise ? reply.then((came) => tell(came, ctx), addToError) : tell(reply, ctx)
  }
}

function withoutIt(reply: Reply): Reply {
  const headers: HeaderList | undefined = reply?.headers
  if (reply !== unhandled && headers !== undefined && has(headers, lower)) remove(headers, lower)
  return reply
}

/** The field's value (RFC 6797 section 6.1). */
function valueOf(options: Required<Omit<HstsOptions, 'keep'>>, path: string): string {
  const { includeSubDomains, preload } = options
  const at = (option: string): string => (path === '' ? option : `${path}.${option}`)
  const seconds = Math.floor(parseDuration(options.maxAge, at('maxAge')) / 1_000)
  const faults: string[] = []
  if (preload && !includeSubDomains)
    faults.push(fault(at('preload'), 'true', 'false without includeSubDomains: the list takes whole domains'))
  if (preload && seconds < year)
    faults.push(
      fault(at('maxAge'), quote(options.maxAge), `'8760h' or more with preload: the list asks for a year`),
    )
  if (faults.length > 0) throw new TypeError(faults.join('\n'))
  return `max-age=${seconds}${includeSubDomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`
}
