import { randomBytes } from 'node:crypto'
import diagnostics from 'node:diagnostics_channel'
import { type Context, type Handler, isBody, type Outbound, ProxyError, type Reply } from '@sluice/core'
import { joinPath } from '@sluice/headers'
import { parse, that, v } from '@sluice/options'
import type { Selected, Target } from '@sluice/upstream'
import debug from 'debug'
import { resolveTimeouts, type TimeoutOptions } from './timeouts.js'
import { ContextAttempt, isTransport, type Transport } from './transport.js'
import { undiciTransport } from './undici-transport.js'
import { type FieldPolicy, type HostPolicy, wireFields } from './wire-fields.js'

const log = debug('sluice:forward')
const tries = diagnostics.channel('sluice:try')

/** Options of {@link forward}. */
export interface ForwardOptions {
  /** How to speak to targets. Default `undiciTransport()`. */
  transport?: Transport
  /** Limits on the phases of an attempt. */
  timeouts?: TimeoutOptions
  /** What `Host` says to the target. Default `'target'`. */
  host?: HostPolicy
  /** The pseudonym in `Via`, by which a loop is noticed; `false` writes none. Default a random one for each proxy. */
  via?: string | false
}

const token = /^[\w!#$%&'*+.^`|~-]+(:\d+)?$/

const optionsSchema = v.strictObject({
  transport: v.optional(that(isTransport, 'a transport, such as undiciTransport()')),
  timeouts: v.optional(v.any()),
  host: v.optional(v.any()),
  via: v.optional(v.any()),
})

/**
 * The end of a chain: sends the exchange to `ctx.target` and relays the answer. It never edits `ctx.out`. Where the request
 * goes is decided by the target alone, whatever the request-target says.
 * @throws TypeError for a wrong option
 */
export function forward(options: ForwardOptions = {}): Handler<Context & Selected> {
  parse(optionsSchema, options, 'forward')
  const transport = options.transport ?? undiciTransport()
  const timeouts = resolveTimeouts(options.timeouts, 'timeouts')
  const policy: FieldPolicy = { host: hostPolicy(options.host), via: pseudonym(options.via) }
  const { via } = policy
  const responseVia = via === undefined ? undefined : `1.1 ${via}`

  const signed = (reply: Reply): Reply => {
    reply.headers.push('Via', responseVia as string)
    return reply
  }

  return function forwardTo(ctx) {
    const { target, out } = ctx
    const headers = wireFields(ctx, policy)
    if (headers === undefined) throw new ProxyError('proxy_loop_detected')
    const { body } = out
    if (isBody(body as never) && (body as { length?: number }).length !== undefined) {
      headers.push('Content-Length', String((body as { length?: number }).length))
    }
    const path = joinPath(basePath(target), out.path)
    const wire: Outbound = { method: out.method, path, headers, body }
    if (out.trailers !== undefined) wire.trailers = out.trailers
    if (!transport.accepts(wire, target)) {
      throw new ProxyError('request_unsupported', {
        message: `${transport.name} can't carry ${out.method} ${out.path}`,
      })
    }
    if (tries.hasSubscribers) tries.publish({ ctx, target })
    if (log.enabled) log('%s %s -> %s', out.method, path, target.id)
    const answer = transport.send(new ContextAttempt(ctx, target, wire, timeouts))
    return responseVia === undefined ? answer : answer.then(signed)
  }
}

const bases = new WeakMap<Target, string>()

/** The path of a target's URL, to be joined with the request's; made once for each. */
function basePath(target: Target): string {
  let base = bases.get(target)
  if (base === undefined) {
    base = target.url.startsWith('unix:') ? '' : new URL(target.url).pathname
    bases.set(target, base)
  }
  return base
}

function hostPolicy(host: HostPolicy = 'target'): HostPolicy {
  if (host === 'target' || host === 'original') return host
  if (
    typeof host === 'object' &&
    host !== null &&
    typeof host.fixed === 'string' &&
    /^[\w.:[\]-]+$/.test(host.fixed)
  ) {
    return { fixed: host.fixed }
  }
  throw new TypeError(
    `host: got ${JSON.stringify(host)}, takes 'target', 'original' or { fixed: 'example.com' }`,
  )
}

function pseudonym(via: string | false | undefined): string | undefined {
  if (via === false) return undefined
  if (via === undefined) return `sluice-${randomBytes(6).toString('hex')}`
  if (typeof via === 'string' && token.test(via)) return via
  throw new TypeError(`via: got ${JSON.stringify(via)}, takes a name without blanks and commas, or false`)
}
