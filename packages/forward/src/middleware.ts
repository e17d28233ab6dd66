import { randomBytes } from 'node:crypto'
import diagnostics from 'node:diagnostics_channel'
import {
  type BodyInit,
  type Context,
  discard,
  type Handler,
  isBody,
  type Outbound,
  ProxyError,
  type Reply,
} from '@sluice/core'
import { has, joinPath, maxForwards, remove, setMaxForwards } from '@sluice/headers'
import { parse, that, v } from '@sluice/options'
import type { Selected, Target } from '@sluice/upstream'
import debug from 'debug'
import { finalRecipient } from './final-recipient.js'
import { type ForwardingOptions, forwardingOptions } from './forwarding.js'
import { type AnswerEdit, compileRewrite, type RewriteOptions, type TargetName } from './rewrite.js'
import { rewriteOptions } from './rewrite-options.js'
import { resolveTimeouts, type TimeoutOptions } from './timeouts.js'
import { ContextAttempt, type EditingAttempt, isTransport, type Transport } from './transport.js'
import { type FieldPolicy, type HostPolicy, wireFields } from './wire-fields.js'
import { WireTransport, wireTransport } from './wire-transport.js'

const log = debug('sluice:forward')
const tries = diagnostics.channel('sluice:try')

/** Options of {@link forward}. */
export interface ForwardOptions {
  /**
   * How to speak to targets. Default `wireTransport()`. Each request goes to the first transport that accepts it. One
   * alone is followed by the default, for what it can't carry; a list is taken as it is, so that `[undiciTransport({
   * dispatcher })]` never goes past its dispatcher.
   */
  transport?: Transport | readonly Transport[]
  /** Limits on the phases of an attempt. */
  timeouts?: TimeoutOptions
  /** What `Host` says to the target. Default `'target'`. */
  host?: HostPolicy
  /** What is changed in the fields of requests and answers. Default: URLs that name the target become the client's. */
  rewrite?: RewriteOptions
  /** The pseudonym in `Via`, by which a loop is noticed; `false` writes none. Default a random one for each proxy. */
  via?: string | false
  /** What the target is told of who called. Default X-Forwarded-* and no `Forwarded`. */
  forwarded?: ForwardingOptions
}

const token = /^[\w!#$%&'*+.^`|~-]+(:\d+)?$/

const optionsSchema = v.strictObject({
  transport: v.optional(that(isTransports, 'a transport, such as wireTransport(), or a list of them')),
  timeouts: v.optional(v.any()),
  host: v.optional(v.any()),
  rewrite: v.optional(rewriteOptions),
  via: v.optional(v.any()),
  forwarded: v.optional(forwardingOptions, {}),
})

/**
 * The end of a chain: sends the exchange to `ctx.target` and relays the answer. It never edits `ctx.out`. Where the request
 * goes is decided by the target alone, whatever the request-target says.
 * @throws TypeError for a wrong option
 */
export function forward(options: ForwardOptions = {}): Handler<Context & Selected> {
  const { forwarded } = parse(optionsSchema, options, 'forward')
  const transports = inOrder(options.transport)
  const timeouts = resolveTimeouts(options.timeouts, 'timeouts')
  const policy: FieldPolicy = { host: hostPolicy(options.host), via: pseudonym(options.via), forwarded }

  const { request, response, informed } = compileRewrite(
    options.rewrite ?? {},
    typeof policy.host === 'object' ? policy.host.fixed : undefined,
  )
  const answered = withVia(response, policy.via)

  return function forwardTo(ctx) {
    const { target, out } = ctx
    const left = hopsLeft(out)
    if (left === 0) return finalRecipient(ctx)
    if (target === undefined) throw new TypeError('forward() found no target: it stands inside of balance()')
    const place = placeOf(target)
    const { body } = out
    const headers = wireFields(ctx, policy, place.host, lengthOf(body))
    if (headers === undefined) throw new ProxyError('proxy_loop_detected')
    if (left !== undefined) setMaxForwards(headers, left - 1)
    request?.(headers, ctx)
    const path = out.method === 'CONNECT' ? out.path : joinPath(place.path, out.path)
    const wire: Outbound = { method: out.method, path, headers, body }
    if (out.trailers !== undefined) wire.trailers = out.trailers
    const transport = carrier(transports, wire, target)
    if (tries.hasSubscribers) tries.publish({ ctx, target })
    if (log.enabled) log('%s %s -> %s', out.method, path, target.id)
    const attempt = new ContextAttempt(ctx, target, wire, timeouts, informed, answered, place)
    if (answered === undefined) return transport.send(attempt)
    return transport instanceof WireTransport ? transport.sendEdited(attempt) : edited(transport, attempt)
  }
}

/** What is changed in an answer, and whom it has come through (RFC 9110 section 7.6.3). */
function withVia(edit: AnswerEdit | undefined, name: string | undefined): AnswerEdit | undefined {
  if (name === undefined) return edit
  const via = `1.1 ${name}`
  return (headers, ctx, target, version) => {
    edit?.(headers, ctx, target)
    headers.push('Via', version === undefined ? via : `${version} ${name}`)
  }
}

/** What `WireTransport` does itself. */
async function edited(transport: Transport, attempt: EditingAttempt): Promise<Reply> {
  const reply = await transport.send(attempt)
  try {
    attempt.edit(reply)
  } catch (error) {
    // Its body or its socket would stay open.
    discard(reply)
    throw error
  }
  return reply
}

/** RFC 9110 section 7.6.2: for all other methods the field may be ignored, and passes as it is. */
function hopsLeft({ method, headers }: Outbound): number | undefined {
  return method === 'OPTIONS' || method === 'TRACE' ? maxForwards(headers) : undefined
}

function isTransports(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 && value.every(isTransport) : isTransport(value)
}

function inOrder(given: Transport | readonly Transport[] | undefined): readonly Transport[] {
  if (given === undefined) return [wireTransport()]
  if (!isTransport(given)) return given
  // What this one can't carry must not get past its hook.
  const { connect } = given
  return [given, wireTransport(connect === undefined ? {} : { connect })]
}

/**
 * The first transport that can carry this request. Where none can carry an expectation it is dropped: the mount says 100 to
 * the client by itself when the body is wanted.
 */
function carrier(transports: readonly Transport[], out: Outbound, target: Target): Transport {
  for (const transport of transports) if (transport.accepts(out, target)) return transport
  if (has(out.headers, 'expect')) {
    remove(out.headers, 'expect')
    return carrier(transports, out, target)
  }
  const names = transports.map(({ name }) => name).join(', ')
  throw new ProxyError('request_unsupported', {
    message: `no transport (${names}) can carry ${out.method} ${out.path}`,
  })
}

/** Bytes of a body, where they are known. */
function lengthOf(body: BodyInit): number | undefined {
  if (body === null) return 0
  if (typeof body === 'string') return Buffer.byteLength(body)
  return body instanceof Uint8Array || isBody(body) ? body.length : undefined
}

/** What of a target's URL is needed for each request. */
interface Place extends TargetName {
  readonly host: string
  /** To be joined with the request's path. */
  readonly path: string
}

const places = new WeakMap<Target, Place>()

/** The name and the path of a target; read once for each. */
function placeOf(target: Target): Place {
  let place = places.get(target)
  if (place === undefined) {
    if (target.url.startsWith('unix:'))
      place = { host: 'localhost', path: '', origin: 'http://localhost', base: '' }
    else {
      const { host, pathname, origin } = new URL(target.url)
      place = {
        host,
        path: pathname,
        origin,
        base: pathname.endsWith('/') ? pathname.slice(0, -1) : pathname,
      }
    }
    places.set(target, place)
  }
  return place
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
