import { EventEmitter } from 'node:events'
import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type InboundRequest, type InboundResponse, ProxyError } from '@sluice/core'
import debug from 'debug'
import { answerError } from './answer-error.js'
import type { NodeError } from './node-error.js'
import type { OutgoingRequest } from './outgoing-request.js'
import { parseTarget } from './parse-target.js'
import { type WebPass, type WsPass, webPasses, wsPasses } from './passes.js'
import type { ParsedTarget, ProxyTarget, ServerOptions } from './server-options.js'
import { Targets } from './targets.js'
import { end } from './ws-exchange.js'

const log = debug('sluice:http-proxy')

/** Hears of the error of one call, in place of the listeners of `error`. */
export type ErrorCallback = (
  error: NodeError,
  req: IncomingMessage,
  res: ServerResponse | Socket,
  target?: ProxyTarget,
) => void

/**
 * What a {@link ProxyServer} emits. The types are those that listeners of http-proxy are written with, so that they compile as they
 * are: `proxyReq` is an {@link OutgoingRequest} and `proxyRes` a `ProxyResponse`, which have no socket, and under an HTTP/2 server
 * `req` and `res` are those of its compatibility API.
 */
export interface ProxyServerEvents {
  /** Before a request is sent: edit it here. */
  proxyReq: [
    proxyReq: OutgoingRequest & ClientRequest,
    req: IncomingMessage,
    res: ServerResponse,
    options: ServerOptions,
  ]
  /** Before an upgrade is sent. */
  proxyReqWs: [
    proxyReq: OutgoingRequest & ClientRequest,
    req: IncomingMessage,
    socket: Socket,
    options: ServerOptions,
    head: Buffer,
  ]
  /** The target's answer is there; edits of its headers reach the client. */
  proxyRes: [proxyRes: IncomingMessage, req: IncomingMessage, res: ServerResponse]
  /** A tunnel stands. */
  open: [proxySocket: Socket]
  /** A tunnel has ended. */
  close: [proxyRes: IncomingMessage, proxySocket: Socket, proxyHead: Buffer]
  /** Before anything. */
  start: [req: IncomingMessage, res: ServerResponse, target: ParsedTarget]
  /** The answer has come whole. */
  end: [req: IncomingMessage, res: ServerResponse, proxyRes: IncomingMessage]
  /** There will be no answer: a listener has to give one. On an upgrade `res` is the socket. */
  error: [error: NodeError, req: IncomingMessage, res: ServerResponse | Socket, target?: ParsedTarget]
  /** The client has left before the answer. */
  econnreset: [error: NodeError, req: IncomingMessage, res: ServerResponse | Socket, target: ParsedTarget]
  /** Another name of `open`. */
  proxySocket: [proxySocket: Socket]
}

/** The API of http-proxy over our forwarder; {@link createProxyServer} makes it. */
export class ProxyServer extends EventEmitter<ProxyServerEvents> {
  readonly options: ServerOptions
  /** Steps of `web`, in order: for apps that look at them; `before` and `after` add to them. */
  readonly webPasses: WebPass[] = webPasses()
  /** Steps of `ws`. */
  readonly wsPasses: WsPass[] = wsPasses()
  /** @internal */
  readonly targets = new Targets()
  /** What `listen` has made. */
  _server: Server | null = null

  constructor(options: ServerOptions = {}) {
    super({ captureRejections: true })
    this.options = options
    // Apps hand them over as listeners, `app.use(proxy.web)`; Express takes one of four parameters for an error handler.
    const { web, ws } = this
    this.web = (...args) => web.apply(this, args)
    this.ws = (...args) => ws.apply(this, args)
  }

  /** Sends a request on and answers it. `options` replace those of the server one by one. */
  web(
    req: InboundRequest,
    res: InboundResponse,
    options?: ServerOptions | ErrorCallback,
    callback?: ErrorCallback,
  ): void {
    const own = typeof options === 'function' ? undefined : options
    const told = typeof options === 'function' ? options : callback
    const all = own === undefined || own === null ? this.options : { ...this.options, ...own }
    parseTexts(all)
    if (!this.hasTarget(all, true)) {
      this.noTarget(req, res, told)
      return
    }
    for (const pass of [...this.webPasses]) if (pass(req, res, all, undefined, this, told)) return
  }

  /** Sends an upgrade on; call it from the server's `upgrade` event. */
  ws(
    req: IncomingMessage,
    socket: Duplex,
    given: Buffer | ServerOptions | ErrorCallback | undefined,
    options?: ServerOptions | ErrorCallback,
    callback?: ErrorCallback,
  ): void {
    // Some leave the head out, as http-proxy lets them.
    if (given !== undefined && !(given instanceof Uint8Array)) {
      this.ws(req, socket, Buffer.alloc(0), given, options as ErrorCallback)
      return
    }
    const head = given as Buffer | undefined
    // From here on a reset must not end the process.
    socket.on('error', ignore)
    const own = typeof options === 'function' ? undefined : options
    const told = typeof options === 'function' ? options : callback
    const all = own === undefined || own === null ? this.options : { ...this.options, ...own }
    parseTexts(all)
    if (!this.hasTarget(all, false)) {
      this.noTarget(req, socket, told)
      return
    }
    for (const pass of [...this.wsPasses]) if (pass(req, socket, all, head, this, told)) return
  }

  /** http-proxy's older name of `web`. */
  proxyRequest(...args: Parameters<ProxyServer['web']>): void {
    this.web(...args)
  }

  /** http-proxy's older name of `ws`. */
  proxyWebsocketRequest(...args: Parameters<ProxyServer['ws']>): void {
    this.ws(...args)
  }

  /** Makes a server of its own for the proxy: with TLS if there is `options.ssl`, with upgrades if there is `options.ws`. */
  listen(port?: number, hostname?: string): this {
    const { ssl, ws } = this.options
    const onRequest = (req: IncomingMessage, res: ServerResponse): void => this.web(req, res)
    const server = ssl ? createTlsServer(ssl, onRequest) : createServer(onRequest)
    if (ws) server.on('upgrade', (req, socket, head) => this.ws(req, socket, head))
    this._server = server as Server
    server.listen(port, hostname)
    return this
  }

  /** Closes what `listen` has made, and idle connections to targets. What is under way goes on to its end. */
  close(callback?: (error?: Error) => void): void {
    this.targets.close()
    const server = this._server
    if (server === null) {
      if (callback !== undefined) process.nextTick(callback)
      return
    }
    server.close((error) => {
      this._server = null
      callback?.(error)
    })
  }

  /** Puts a step before the one of this name. @throws Error if there is none */
  before(type: 'web' | 'ws', passName: string, pass: WebPass | WsPass): void {
    this.insert(type, passName, pass)
  }

  /** As http-proxy's, which apps rest on: the step goes before the one of this name, too. @throws Error if there is none */
  after(type: 'web' | 'ws', passName: string, pass: WebPass | WsPass): void {
    this.insert(type, passName, pass)
  }

  /** @internal There will be no answer: tells the one who has to give one, or gives it. */
  fault(
    error: NodeError,
    failure: ProxyError,
    req: InboundRequest,
    res: InboundResponse | Duplex | undefined,
    target: ParsedTarget | undefined,
    callback: ErrorCallback | undefined,
  ): void {
    try {
      if (callback !== undefined) callback(error, req as IncomingMessage, res as ServerResponse, target)
      else if (this.listenerCount('error') > 0) this.raise('error', error, req, res, target)
      else if (res !== undefined) this.answer(res, failure)
    } catch (thrown) {
      if (log.enabled) log('a listener of error threw: %O', thrown)
      if (res !== undefined) this.answer(res, new ProxyError('proxy_internal_error', { cause: thrown }))
    }
  }

  /** @internal Emits; what a listener throws is thrown. The types that listeners see are wider than what there is. */
  raise(event: keyof ProxyServerEvents, ...args: unknown[]): void {
    this.emit(event as never, ...(args as never))
  }

  /** @internal Emits what nobody waits for: a listener that throws harms nobody else. */
  tell(event: keyof ProxyServerEvents, ...args: unknown[]): void {
    try {
      this.raise(event, ...args)
    } catch (thrown) {
      if (log.enabled) log('a listener of %s threw: %O', event, thrown)
    }
  }

  /** A listener that is async has failed: nobody else would answer, and the rejection would end the process. */
  [Symbol.for('nodejs.rejection')](error: unknown, event: string, ...args: unknown[]): void {
    if (log.enabled) log('a listener of %s failed: %O', event, error)
    const res = args[2] as InboundResponse | Duplex | undefined
    if (!/^(proxyReq|proxyRes|error)$/.test(event) || res === undefined) return
    if (!('setHeader' in res)) end(res)
    else if (!res.headersSent) this.answer(res, new ProxyError('proxy_internal_error', { cause: error }))
  }

  private answer(res: InboundResponse | Duplex, failure: ProxyError): void {
    if ('setHeader' in res) {
      if (!res.writableEnded) answerError(res, failure)
    } else if (!res.writableEnded) end(res)
  }

  private hasTarget({ target, forward }: ServerOptions, web: boolean): boolean {
    const none = (one: ProxyTarget | undefined): boolean => one === undefined || one === null
    if (none(target) && (!web || none(forward))) return false
    return [target, forward].every(
      (one) => one === undefined || one === null || parseTarget(one) !== undefined,
    )
  }

  private noTarget(
    req: InboundRequest,
    res: InboundResponse | Duplex,
    callback: ErrorCallback | undefined,
  ): void {
    const error: NodeError = new Error('Must provide a proper URL as target')
    const failure = new ProxyError('proxy_internal_error', { cause: error })
    this.fault(error, failure, req, res, undefined, callback)
    if (!('setHeader' in res)) end(res)
  }

  private insert(type: 'web' | 'ws', passName: string, pass: WebPass | WsPass): void {
    if (type !== 'web' && type !== 'ws') throw new Error('type must be `web` or `ws`')
    const passes = (type === 'ws' ? this.wsPasses : this.webPasses) as (WebPass | WsPass)[]
    const at = passes.findLastIndex(({ name }) => name === passName)
    if (at === -1) throw new Error('No such pass')
    passes.splice(at, 0, pass)
  }
}

/** As http-proxy does, also in the options of the server: listeners read `options.target.host`. */
function parseTexts(options: ServerOptions): void {
  if (typeof options.target === 'string') options.target = parseTarget(options.target) ?? options.target
  if (typeof options.forward === 'string') options.forward = parseTarget(options.forward) ?? options.forward
}

function ignore(): void {}
