import { EventEmitter } from 'node:events'
import type { ClientRequest, IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { endsBefore, type InboundRequest, type InboundResponse, ProxyError } from '@sluice/core'
import debug from 'debug'
import { answerError } from './answer-error.js'
import { type Call, endCall, isTaken, startCall } from './call.js'
import { ListeningServer } from './listening-server.js'
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
  private listening: ListeningServer | undefined = undefined

  constructor(options: ServerOptions = {}) {
    super({ captureRejections: true })
    this.options = options
    // Apps hand them over as listeners, `app.use(proxy.web)`; Express takes one of four parameters for an error handler.
    const { web, ws } = this
    this.web = (...args) => web.apply(this, args)
    this.ws = (...args) => ws.apply(this, args)
  }

  /**
   * Sends a request on and answers it.
   * @param rest options, which replace those of the server one by one, and a callback for the error of this call
   */
  web(req: InboundRequest, res: InboundResponse, ...rest: readonly CallArgument[]): Call {
    const call = startCall(res)
    if (isBehindTheLast(req, res)) {
      if (log.enabled) log('%s %s: the connection ends with an earlier answer', req.method, req.url)
      endCall(res)
      return call
    }
    const { own, told } = sorted(rest)
    const all = this.resolve(req, res, own, told, true)
    if (all === undefined) return call
    for (const pass of [...this.webPasses])
      if (pass(req, res, all, undefined, this, told)) {
        endCall(res)
        break
      }
    return call
  }

  /**
   * Sends an upgrade on; call it from the server's `upgrade` event.
   * @param rest the head, options and a callback: each may be left out, and they stand in any order
   */
  ws(req: IncomingMessage, socket: Duplex, ...rest: readonly CallArgument[]): Call {
    // From here on a reset must not end the process.
    socket.on('error', ignore)
    const call = startCall(socket)
    const { own, told, head } = sorted(rest)
    const all = this.resolve(req, socket, own, told, false)
    if (all === undefined) return call
    for (const pass of [...this.wsPasses])
      if (pass(req, socket, all, head, this, told)) {
        endCall(socket)
        break
      }
    return call
  }

  /** http-proxy's older name of `web`. */
  proxyRequest(...args: Parameters<ProxyServer['web']>): Call {
    return this.web(...args)
  }

  /** http-proxy's older name of `ws`. */
  proxyWebsocketRequest(...args: Parameters<ProxyServer['ws']>): Call {
    return this.ws(...args)
  }

  /**
   * Makes a server of its own for the proxy: with TLS if there is `options.ssl`, with upgrades if there is `options.ws`.
   * @param listener called when it listens
   * @throws TypeError for `http2` without `ssl`
   */
  listen(port?: number, hostname?: string, listener?: () => void): this {
    this.listening = new ListeningServer(this.options, {
      request: (req, res) => void this.web(req, res),
      upgrade: (req, socket, head) => void this.ws(req, socket, head),
    })
    this._server = this.listening.server
    this._server.listen(port, hostname, listener)
    return this
  }

  /** Where the server that `listen` has made listens. */
  address(): AddressInfo | string | null {
    return this._server?.address() ?? null
  }

  /** Closes what `listen` has made, and idle connections to targets. What is under way goes on to its end. */
  close(callback?: (error?: Error) => void): void {
    this.targets.close()
    const { listening } = this
    if (listening === undefined) {
      if (callback !== undefined) process.nextTick(callback)
      return
    }
    listening.close((error) => {
      this._server = null
      this.listening = undefined
      callback?.(error)
    })
  }

  /** httpxy's name of the steps. */
  get _webPasses(): WebPass[] {
    return this.webPasses
  }

  /** httpxy's name of the steps. */
  get _wsPasses(): WsPass[] {
    return this.wsPasses
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
      else if (res !== undefined) {
        void this.unheard(res, error, failure)
        return
      }
      if (res !== undefined) endCall(res)
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

  /** Neither a callback nor a listener is there. */
  private async unheard(res: InboundResponse | Duplex, error: NodeError, failure: ProxyError): Promise<void> {
    if (!(await isTaken(res, error))) this.answer(res, failure)
  }

  private answer(res: InboundResponse | Duplex, failure: ProxyError): void {
    if ('setHeader' in res) {
      if (!res.writableEnded) answerError(res, failure)
    } else if (!res.writableEnded) end(res)
  }

  /** The options of a call; `undefined` where it has failed. */
  private resolve(
    req: InboundRequest,
    res: InboundResponse | Duplex,
    own: ServerOptions | undefined,
    told: ErrorCallback | undefined,
    web: boolean,
  ): ServerOptions | undefined {
    let all = own === undefined ? this.options : { ...this.options, ...own }
    if (typeof all.target === 'function') {
      try {
        all = { ...all, target: all.target(req as IncomingMessage) }
      } catch (error) {
        this.noTarget(error as NodeError, req, res, told)
        return undefined
      }
    }
    parseTexts(all)
    if (this.hasTarget(all, web)) return all
    this.noTarget(new Error('Must provide a proper URL as target'), req, res, told)
    return undefined
  }

  private hasTarget({ target, forward }: ServerOptions, web: boolean): boolean {
    const none = (one: ServerOptions['target']): boolean => one === undefined || one === null
    if (none(target) && (!web || none(forward))) return false
    return [target, forward].every(
      (one) => one === undefined || one === null || parseTarget(one as ProxyTarget) !== undefined,
    )
  }

  private noTarget(
    error: NodeError,
    req: InboundRequest,
    res: InboundResponse | Duplex,
    callback: ErrorCallback | undefined,
  ): void {
    const failure = new ProxyError('proxy_internal_error', { cause: error })
    this.fault(error, failure, req, res, undefined, callback)
    if (isSocket(res)) end(res)
  }

  private insert(type: 'web' | 'ws', passName: string, pass: WebPass | WsPass): void {
    if (type !== 'web' && type !== 'ws') throw new Error('type must be `web` or `ws`')
    const passes = (type === 'ws' ? this.wsPasses : this.webPasses) as (WebPass | WsPass)[]
    // httpxy's steps have no names, so its callers say '' for the last one.
    const at = passName === '' ? passes.length - 1 : passes.findLastIndex(({ name }) => name === passName)
    if (at === -1) throw new Error('No such pass')
    passes.splice(at, 0, pass)
  }
}

/** What may follow the first two arguments of `web` and `ws`: http-proxy and httpxy have them in another order. */
type CallArgument = Buffer | ServerOptions | ErrorCallback | null | undefined

function sorted(rest: readonly CallArgument[]): {
  own: ServerOptions | undefined
  told: ErrorCallback | undefined
  head: Buffer | undefined
} {
  let own: ServerOptions | undefined
  let told: ErrorCallback | undefined
  let head: Buffer | undefined
  for (const each of rest) {
    if (typeof each === 'function') told = each
    else if (each instanceof Uint8Array) head = each
    else if (each !== undefined && each !== null) own = each
  }
  return { own, told, head }
}

/** Its answer would never arrive, and it may be content that poses as a request (RFC 9112 section 9.6). */
function isBehindTheLast(req: InboundRequest, res: InboundResponse): boolean {
  // What an app hands over may be no request of a server.
  if ('stream' in res || !req.socket) return false
  return endsBefore(req as IncomingMessage, res)
}

function isSocket(res: InboundResponse | Duplex): res is Duplex {
  return !('setHeader' in res) && 'destroy' in res
}

/** As http-proxy does, also in the options of the server: listeners read `options.target.host`. */
function parseTexts(options: ServerOptions): void {
  if (typeof options.target === 'string') options.target = parseTarget(options.target) ?? options.target
  if (typeof options.forward === 'string') options.forward = parseTarget(options.forward) ?? options.forward
}

function ignore(): void {}
