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
      outgoing = new OutgoingRequest(out, where, (why) => attempt.cancel(why))
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
        process.nextTick(opened, server, reply, reply.socket, (cause: Error) => {
          // Only where somebody listens: the tunnel ends by itself.
          if (callback === undefined && server.listenerCount('error') === 0) return
          const failure = new ProxyError('http_upgrade_failed', { cause })
          server.fault(nodeError(failure), failure, req, socket, where, callback)
        })
      }
      return reply
    } catch (error) {
      const failure = asProxyError(error)
      const left = socket.destroyed || failure.code === 'client_left'
      // http-proxy tells of a socket that has failed; one that was just closed is a client that has changed its mind.
      const broken = left ? (socket.errored as NodeError | null | undefined) : undefined
      if (left && !broken) {
        if (server.listenerCount('econnreset') > 0)
          server.tell('econnreset', nodeError(new ProxyError('client_left')), req, socket, where)
        throw failure
      }
      const told = broken ?? nodeError(failure, options)
      if (callback !== undefined || server.listenerCount('error') > 0)
        server.fault(told, failure, req, socket, where, callback)
      else if (!(await isTaken(socket, told))) throw failure
      if (left) throw failure
      end(socket)
      return await never
    } finally {
      clearTimeout(expires)
      outgoing?.over()
    }
  }
  toUpgradeListener(handler, keyless)(req, socket, head)
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
function opened(server: ProxyServer, reply: Reply, socket: Duplex, lost: (cause: Error) => void): void {
  if (socket.destroyed) return
  countSocket(socket)
  const proxyRes = new ProxyResponse({ ...reply, body: null })
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

function tooLate(): Error {
  return Object.assign(new Error('the target has not answered the upgrade in time'), {
    code: 'ERR_UPSTREAM_UPGRADE_TIMEOUT',
    statusCode: 504,
  })
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
  cancel(cause: Error): void {
    this.closer?.({ kind: 'error', error: new ProxyError('http_response_timeout', { cause }), bytes: 0 })
  }
}
