import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { type Outcome, ProxyError, type ProxyErrorCode, PushBody, type Reply } from '@sluice/core'
import {
  type Attempt,
  addInformational,
  checkProtocol,
  cleanTrailers,
  codingFault,
  followSignal,
  isEventStream,
  type Progress,
  transportError,
} from '@sluice/forward'
import { get, type HeaderList, withoutHopByHop } from '@sluice/headers'
import debug from 'debug'
import { doorTo } from './agent-door.js'
import type { Carrier } from './carrier.js'
import {
  enforceFraming,
  framingOf,
  type RequestFraming,
  requestFields,
  restoreOrder,
} from './http-proxy-fields.js'
import { responseFields, wholeFields } from './response-fields.js'
import { bodyOf, checkSendable, unsent } from './sendable-request.js'
import { StandInRequest } from './stand-in-request.js'
import { type ResponseOwner, StandInResponse } from './stand-in-response.js'
import { StandInSocket } from './stand-in-socket.js'
import { wasDead } from './was-dead.js'
import { whenCut } from './when-cut.js'

const log = debug('sluice:http-proxy')

/** Bytes of an answer's head at most; Node's own limit is 16 KB. */
const headAtMost = 64 * 1024

/**
 * One request by http-proxy, and the body of its answer.
 *
 * connecting ──socket──▶ sent ──response──▶ answered ──end──▶ over
 *     ▲                   │                                    ▲
 *     └─ once, where a kept connection was dead and it is safe │
 *     └──────────────── failed(), or nobody waits any more ────┘
 *
 * http-proxy tells of its request only when it has a socket, or not at all, and of an answer that was cut off never: so this
 * listens to Node's own request, ahead of http-proxy.
 */
export class HttpProxyExchange extends PushBody implements ResponseOwner {
  private progress: Progress = 'connecting'
  private request: ClientRequest | undefined = undefined
  private inbound: StandInRequest | undefined = undefined
  private response: StandInResponse | undefined = undefined
  private socket: StandInSocket | undefined = undefined
  private incoming: IncomingMessage | undefined = undefined
  private framing: RequestFraming = 'none'
  private again = false
  private settled = false
  private gone = false
  private idle = 0
  /** Bytes of informational responses. */
  private informational = 0
  private timer: NodeJS.Timeout | undefined = undefined
  private totalTimer: NodeJS.Timeout | undefined = undefined
  private unfollow: (() => void) | undefined = undefined

  /** @param released is called once, when it needs nothing of the transport's any more */
  constructor(
    private readonly attempt: Attempt,
    private readonly carrier: Carrier,
    private readonly settle: (reply: Reply) => void,
    private readonly refuse: (error: ProxyError) => void,
    private readonly released: (exchange: HttpProxyExchange) => void,
  ) {
    super()
    const { total } = attempt.timeouts
    if (total > 0) this.totalTimer = setTimeout(totalExpired, total, this).unref()
    if (attempt.onClose !== undefined) attempt.onClose(attemptClosed, this)
    else if (attempt.signal !== undefined)
      this.unfollow = followSignal(attempt.signal, (error) => this.leave(error))
  }

  /** It is over, or nobody waits for it. */
  get isGone(): boolean {
    return this.gone
  }

  /** Hands the request to http-proxy. */
  start(): void {
    if (this.gone) return
    const { attempt, carrier } = this
    const { out, upgrade, timeouts } = attempt
    try {
      checkSendable(out)
      const body = bodyOf(out)
      if (body !== null && upgrade !== undefined)
        throw new ProxyError('http_request_error', { message: 'an upgrade with a body' })
      this.framing = framingOf(out, body === null ? null : body.length)
      const fields = requestFields(out.headers, this.framing, upgrade)
      const inbound = new StandInRequest(out, fields, body, timeouts.requestBody)
      this.inbound = inbound
      // Of a request that http-proxy can't make, and of one that its own listeners have failed.
      const failed = (error: unknown): void => this.failed(error, inbound)
      inbound.on('error', failed)
      const options = { ...carrier.options, agent: this.agent() }
      if (upgrade === undefined) this.web(inbound, options, failed)
      else this.ws(inbound, options, failed)
    } catch (error) {
      this.failed(unsent(error, this.request), this.inbound)
    }
  }

  /** Nobody waits for it any more. */
  leave(error: ProxyError): void {
    if (!this.gone) this.failed(error, this.inbound)
  }

  headWritten(status: number, set: readonly (readonly [string, readonly string[]])[]): void {
    if (!this.gone) this.answer(status, responseFields(this.incoming?.rawHeaders ?? [], set))
  }

  bodyWritten(chunk: Uint8Array): boolean {
    if (this.gone || !this.hasBody) return true
    const room = this.push(chunk)
    // While the client can't take more it isn't the target that is idle.
    if (this.timer !== undefined) room ? this.timer.refresh() : this.stopTimer()
    return room
  }

  bodyEnded(): void {
    if (this.gone) return
    const { incoming, request } = this
    // Said all without having read all: the rest isn't wanted, and the connection can't be used again.
    const early = request?.writableFinished !== true
    this.close()
    if (early) {
      request?.destroy()
      this.inbound?.destroy(
        new ProxyError('client_left', { message: 'the target has answered before the body was whole' }),
      )
    }
    const trailers = incoming?.rawTrailers ?? []
    this.finish(trailers.length === 0 ? undefined : cleanTrailers(trailers, true))
  }

  responseFailed(error: Error): void {
    if (this.gone) return
    const code = this.settled ? 'http_response_incomplete' : 'http_protocol_error'
    this.leave(new ProxyError(code, { message: error.message, cause: error }))
  }

  protected override flowing(): void {
    if (this.idle > 0) this.expect(this.idle, 'connection_read_timeout')
  }

  protected resume(): void {
    if (this.timer === undefined) this.flowing()
    if (this.response === undefined) this.incoming?.resume()
    else this.response.emit('drain')
  }

  protected stop(why: Error): void {
    this.leave(why instanceof ProxyError ? why : new ProxyError('client_left', { cause: why }))
  }

  private web(inbound: StandInRequest, options: object, failed: (error: unknown) => void): void {
    const { proxy } = this.carrier
    this.response = new StandInResponse(inbound as never, this)
    const promise = proxy.web(inbound as never, this.response, options, failed)
    // Forks tell of failures by a promise.
    if (promise instanceof Promise) promise.catch(failed)
    if (this.request === undefined && !this.settled)
      failed(new ProxyError('proxy_internal_error', { message: 'http-proxy has sent nothing' }))
  }

  private ws(inbound: StandInRequest, options: object, failed: (error: unknown) => void): void {
    const { proxy } = this.carrier
    const socket = new StandInSocket()
    this.socket = socket
    // http-proxy reads its arguments from the last one, forks from the first: the options stand where either looks.
    const promise = proxy.ws(inbound as never, socket, options, options, failed)
    if (promise instanceof Promise) promise.catch(failed)
    const { request } = this
    if (request === undefined) {
      // Its passes let nothing but WebSocket through.
      failed(new ProxyError('request_unsupported', { message: 'http-proxy carries no such upgrade' }))
      return
    }
    request.prependOnceListener('upgrade', (incoming: IncomingMessage, target: Socket) => {
      this.upgraded(incoming, target, socket)
    })
  }

  private agent(): Agent {
    const alone = this.attempt.upgrade !== undefined || this.again
    return doorTo(alone ? this.carrier.single : this.carrier.agent, (request) => this.requested(request))
  }

  /** http-proxy has made its request. Whoever listens to http-proxy may still change it. */
  private requested(request: ClientRequest): void {
    const { out } = this.attempt
    const { inbound } = this
    this.request = request
    // http-proxy joins slashes and escapes what it thinks it must.
    request.path = out.path
    if (inbound !== undefined) restoreOrder(request, inbound.headers)
    // Node has no options for these where http-proxy passes them on. Fields above the limit would be dropped unseen.
    Object.assign(request, { maxHeaderSize: headAtMost, maxHeadersCount: 0 })
    request.on('error', (error) => this.failed(error, inbound))
    request.once('close', () => {
      if (this.request === request && this.incoming === undefined)
        this.failed(new ProxyError('connection_terminated'), inbound)
    })
    request.once('socket', (socket) => this.connected(request, socket))
    request.once('finish', () => {
      if (this.progress === 'sent' && this.request === request)
        this.expect(this.attempt.timeouts.head, 'http_response_timeout')
    })
    request.on('information', ({ statusCode, rawHeaders }) => {
      try {
        this.informational = addInformational(this.informational, rawHeaders)
        if (!this.gone && statusCode !== 100)
          this.attempt.inform(statusCode, withoutHopByHop(rawHeaders, { response: true }))
      } catch (error) {
        this.leave(error as ProxyError)
      }
    })
    request.once('response', (incoming) => this.responded(request, incoming))
  }

  private connected(request: ClientRequest, socket: Socket): void {
    const secure = (socket as Socket & { secureConnecting?: boolean }).secureConnecting === true
    const ready = (): void => {
      if (this.gone || this.request !== request || socket.destroyed) return
      this.stopTimer()
      // What http-proxy's listeners have written has another framing than the body.
      if (request.headersSent && this.attempt.upgrade === undefined) {
        this.leave(new ProxyError('proxy_internal_error', { message: 'a listener has sent the request' }))
        return
      }
      if (!request.headersSent) enforceFraming(request, this.framing)
      this.progress = 'sent'
      this.inbound?.begin()
    }
    if (!socket.connecting && !secure) {
      // Behind the listeners of http-proxy, which hear of the socket now.
      process.nextTick(ready)
      return
    }
    this.expect(this.attempt.timeouts.connect, 'connection_timeout')
    socket.once(secure ? 'secureConnect' : 'connect', ready)
  }

  private responded(request: ClientRequest, incoming: IncomingMessage): void {
    if (this.gone || this.request !== request) {
      incoming.destroy()
      return
    }
    this.stopTimer()
    this.progress = 'answered'
    this.incoming = incoming
    const { rawHeaders, statusCode = 0 } = incoming
    const fault = codingFault(rawHeaders, this.attempt.out.method, statusCode)
    if (fault !== undefined) return this.leave(fault)
    incoming.headers = wholeFields(rawHeaders)
    whenCut(request, incoming, (why) => this.failed(why, this.inbound))
    if (this.attempt.upgrade === undefined) return
    // No upgrade: http-proxy would write this answer as bytes.
    this.answer(statusCode, rawHeaders)
    incoming.on('data', (chunk: Buffer) => {
      if (!this.bodyWritten(chunk)) incoming.pause()
    })
    incoming.once('end', () => this.bodyEnded())
  }

  private answer(status: number, fields: HeaderList): void {
    // To Node's parser a 101 that doesn't say what to change to is an answer like any other.
    if (status < 200 || status > 599)
      return this.leave(new ProxyError('http_protocol_error', { message: `the answer has status ${status}` }))
    const headers = withoutHopByHop(fields, { response: true })
    const { timeouts } = this.attempt
    const type = get(headers, 'content-type')
    this.idle = isEventStream(type) ? timeouts.stream : timeouts.body
    this.progress = 'answered'
    this.settled = true
    const reply: Reply = { status, headers, body: null }
    if (this.incoming?.httpVersion === '1.0') reply.version = '1.0'
    if (status !== 204 && status !== 304 && this.hasBody) {
      const length = get(headers, 'content-length')
      if (length === undefined) reply.trailers = () => this.trailers
      else (this as { length?: number }).length = Number(length)
      reply.body = this
    }
    this.settle(reply)
  }

  private upgraded(incoming: IncomingMessage, target: Socket, socket: StandInSocket): void {
    // From here on the tunnel owns the socket; until it listens, a reset must not end the process.
    target.on('error', () => {})
    target.once('close', () => socket.destroy())
    if (this.gone) {
      target.destroy()
      return
    }
    const { rawHeaders } = incoming
    const protocol = get(rawHeaders, 'upgrade') ?? ''
    try {
      checkProtocol(this.attempt.upgrade ?? '', protocol)
    } catch (error) {
      this.leave(error as ProxyError)
      target.destroy()
      return
    }
    // It ends with the tunnel: http-proxy would end the target's socket with it.
    this.socket = undefined
    this.close()
    const headers = withoutHopByHop(rawHeaders, { response: true })
    headers.push('Connection', 'Upgrade', 'Upgrade', protocol)
    // When http-proxy has joined the two.
    process.nextTick(() => {
      target.unpipe(socket)
      socket.unpipe(target)
      const { tunnel } = this.attempt.timeouts
      if (tunnel > 0) {
        target.setTimeout(tunnel, () => {
          target.destroy(
            new ProxyError('connection_read_timeout', { message: `the tunnel was idle for ${tunnel} ms` }),
          )
        })
      }
      this.settle({ status: 101, headers, body: null, socket: target })
    })
  }

  private get hasBody(): boolean {
    return this.attempt.out.method !== 'HEAD'
  }

  /** It has failed, or nobody wants it: its request ends, wherever it is. */
  private failed(cause: unknown, of: StandInRequest | undefined): void {
    // What an earlier try still tells is nothing any more.
    if (this.gone || of !== this.inbound) return
    const { inbound, request } = this
    if (!this.again && this.progress === 'sent' && wasDead(this.attempt.out, cause, request)) {
      // The target had closed the connection while it was idle: nobody has seen the request (RFC 9112 section 9.3.1).
      if (log.enabled) log('a kept connection to %s was dead', this.attempt.target.id)
      this.again = true
      this.progress = 'connecting'
      this.request = undefined
      this.inbound = undefined
      this.stopTimer()
      request?.destroy()
      inbound?.destroy()
      this.start()
      return
    }
    const kept = request?.reusedSocket === true && this.informational === 0
    const error = transportError(cause, this.progress, this.attempt.target.id, kept)
    this.close()
    request?.destroy()
    inbound?.destroy(error)
    this.response?.destroy()
    if (this.settled) this.fail(error)
    else this.refuse(error)
  }

  private close(): void {
    this.gone = true
    this.stopTimer()
    if (this.totalTimer !== undefined) clearTimeout(this.totalTimer)
    this.unfollow?.()
    this.socket?.destroy()
    this.released(this)
  }

  /** Something is due within `ms`; 0 for no limit. */
  private expect(ms: number, code: ProxyErrorCode): void {
    this.stopTimer()
    if (ms > 0) this.timer = setTimeout(expired, ms, this, code).unref()
  }

  private stopTimer(): void {
    if (this.timer !== undefined) clearTimeout(this.timer)
    this.timer = undefined
  }
}

function attemptClosed(end: Outcome, exchange: HttpProxyExchange): void {
  exchange.leave(end.error ?? new ProxyError('client_left', { message: 'nobody waits for the answer' }))
}

function totalExpired(exchange: HttpProxyExchange): void {
  exchange.leave(new ProxyError('total_timeout'))
}

function expired(exchange: HttpProxyExchange, code: ProxyErrorCode): void {
  exchange.leave(new ProxyError(code))
}
