import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  asProxyError,
  type Context,
  type Handler,
  type Outbound,
  type Outcome,
  ProxyError,
  type Reply,
  toUpgradeListener,
} from '@sluice/core'
import type { Attempt, Timeouts } from '@sluice/forward'
import { withoutHopByHop } from '@sluice/headers'
import type { Target } from '@sluice/upstream'
import { isTaken } from './call.js'
import { type NodeError, nodeError } from './node-error.js'
import { countSocket } from './open-sockets.js'
import { outgoingPath } from './outgoing-path.js'
import { OutgoingRequest } from './outgoing-request.js'
import { ProxyResponse } from './proxy-response.js'
import type { ErrorCallback, ProxyServer } from './proxy-server.js'
import { frame, requestFields } from './request-fields.js'
import type { ParsedTarget, ServerOptions } from './server-options.js'
import { limit, timeoutsOfUpgrade } from './timeouts-of.js'

/**
 * One call of `ws`: the tunnel itself, refusals and their ends are the core's. As with http-proxy, what a handshake must have
 * is the target's to say.
 */
export function upgrade(
  server: ProxyServer,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: ServerOptions,
  where: ParsedTarget,
  callback: ErrorCallback | undefined,
): void {
  countSocket(socket)
  const handler: Handler = async (ctx) => {
    let outgoing: OutgoingRequest | undefined
    let expires: NodeJS.Timeout | undefined
    try {
      const attempt = new WsAttempt(server, ctx, options, where)
      const { out } = attempt
      outgoing = new OutgoingRequest(out, where, (cause) =>
        attempt.cancel(new ProxyError('connection_terminated', { cause })),
      )
      server.raise('proxyReqWs', outgoing, req, socket, options, head)
      outgoing.headersSent = true
      if (outgoing.destroyed) throw new ProxyError('connection_terminated', { cause: outgoing.reason })
      // A listener has answered by itself.
      if (socket.destroyed || socket.writableEnded) return await never
      out.headers = withoutHopByHop(out.headers)
      frame(out.headers, 0, out.method)
      const most = limit(options.upgradeTimeout)
      if (most > 0) expires = setTimeout(() => attempt.cancel(tooLate()), most).unref()
      const reply = await server.targets.transport(options).send(attempt)
      if (reply.socket !== undefined) {
        process.nextTick(opened, server, reply, outgoing, reply.socket, (cause: Error) => {
          // Only where somebody listens: the tunnel ends by itself.
          if (callback === undefined && server.listenerCount('error') === 0) return
          const failure = new ProxyError('http_upgrade_failed', { cause })
          server.fault(nodeError(failure), failure, req, socket, where, callback)
        })
      }
      return reply
    } catch (error) {
      const failure = asProxyError(error)
      const answered = await tell({ server, req, socket, options, where, callback }, failure)
      if (!answered || socket.destroyed) throw failure
      end(socket)
      return await never
    } finally {
      clearTimeout(expires)
      outgoing?.over()
    }
  }
  toUpgradeListener(handler, keyless)(req, socket, head)
}

/**
 * There will be no tunnel: tells whoever hears of it. False if nobody does, and for a client that has just closed its socket, which has changed its mind;
 * of a socket that has failed the forks of http-proxy tell as an error.
 */
async function tell(
  { server, req, socket, options, where, callback }: UpgradeCall,
  failure: ProxyError,
): Promise<boolean> {
  const left = socket.destroyed || failure.code === 'client_left'
  const broken = left ? (socket.errored as NodeError | null | undefined) : undefined
  if (left && !broken) {
    if (server.listenerCount('econnreset') > 0)
      server.tell('econnreset', nodeError(new ProxyError('client_left')), req, socket, where)
    return false
  }
  const told = broken ?? nodeError(failure, options)
  if (callback === undefined && server.listenerCount('error') === 0) return isTaken(socket, told)
  server.fault(told, failure, req, socket, where, callback)
  return true
}

interface UpgradeCall {
  readonly server: ProxyServer
  readonly req: IncomingMessage
  readonly socket: Duplex
  readonly options: ServerOptions
  readonly where: ParsedTarget
  readonly callback: ErrorCallback | undefined
}

const keyless = { keyless: true }

/** The socket's close ends the exchange. */
const never = new Promise<Reply>(() => {})

/** Ends a connection after what was written to it; a client that never closes its side keeps none. */
export function end(socket: Duplex): void {
  if ('destroySoon' in socket) (socket as Socket).destroySoon()
  else socket.end()
}

/** The tunnel stands: the mount has opened it in the turn before. */
function opened(
  server: ProxyServer,
  reply: Reply,
  outgoing: OutgoingRequest,
  socket: Duplex,
  lost: (cause: Error) => void,
): void {
  if (socket.destroyed) return
  countSocket(socket)
  const proxyRes = new ProxyResponse({ ...reply, body: null }, outgoing)
  let closed = false
  const close = (): void => {
    if (closed) return
    closed = true
    server.tell('close', proxyRes, socket, Buffer.alloc(0))
  }
  socket.once('error', lost)
  socket.once('end', close)
  socket.once('close', close)
  server.tell('open', socket)
  server.tell('proxySocket', socket)
}

/** As httpxy says it. */
function tooLate(): ProxyError {
  const cause = Object.assign(new Error('the target has not answered the upgrade in time'), {
    code: 'ERR_UPSTREAM_UPGRADE_TIMEOUT',
    statusCode: 504,
  })
  return new ProxyError('http_response_timeout', { cause })
}

class WsAttempt implements Attempt {
  readonly target: Target
  readonly out: Outbound
  readonly timeouts: Timeouts
  readonly upgrade: string
  private closer: ((end: Outcome) => void) | undefined = undefined

  constructor(
    server: ProxyServer,
    private readonly ctx: Context,
    options: ServerOptions,
    where: ParsedTarget,
  ) {
    const { out, req, authority, upgrade: protocol } = ctx
    this.upgrade = protocol ?? 'websocket'
    this.target = server.targets.target(where, options)
    this.timeouts = timeoutsOfUpgrade(options)
    this.out = {
      method: out.method,
      path: outgoingPath(req.url as string, where, options),
      headers: requestFields(req, out.headers, authority, options, where, true),
      body: null,
    }
  }

  inform(): void {}

  onClose<T>(fn: (end: Outcome, arg: T) => void, arg: T): void {
    this.closer = (end) => fn(end, arg)
    this.ctx.onClose(fn, arg)
  }

  /** Gives up what is under way. */
  cancel(error: ProxyError): void {
    this.closer?.({ kind: 'error', error, bytes: 0 })
  }
}
