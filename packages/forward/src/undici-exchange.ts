import type { Duplex } from 'node:stream'
import { type Outcome, ProxyError, PushBody, type Reply } from '@sluice/core'
import { get, type HeaderList, has, withoutHopByHop } from '@sluice/headers'
import { codingFault } from './coding-fault.js'
import { isEventStream } from './event-stream.js'
import { followSignal } from './follow-signal.js'
import { addInformational } from './informational.js'
import { type Waiting, whyLeave } from './leaving-line.js'
import { trailersOf } from './reply-trailers.js'
import type { Attempt } from './transport.js'
import { type Progress, transportError } from './transport-error.js'
import { tunnelReply } from './tunnel-reply.js'
import { lossNow, wasKept } from './undici-sockets.js'
import { checkProtocol } from './upgrade-protocol.js'
import { cleanTrailers } from './wire-upload.js'

type Settle = (reply: Reply) => void
type Refuse = (error: ProxyError) => void

/**
 * One request inside undici: its handler, and the body of its answer. Bytes go from undici's parser into the sink with no
 * stream between.
 *
 * connecting ──onConnect──▶ sent ──onHeaders──▶ answered ──onComplete──▶ over
 *      └───────────────── onError, or nobody waits any more ──────────────┘
 *
 * It speaks the handler interface that undici's parser calls by itself (raw fields as buffers); the newer interface is a
 * wrapper over it that parses the fields into an object, whereby case and order would be lost.
 */
export class UndiciExchange extends PushBody implements Waiting {
  declare waitsSince?: number
  private progress: Progress = 'connecting'
  private abortRequest: ((error?: Error) => void) | undefined = undefined
  private resumeParser: (() => void) | undefined = undefined
  private gone: Error | undefined = undefined
  private idle = 0
  private uploaded = false
  /** Its body ends with its connection. */
  private untilClose = false
  /** Bytes of informational responses. */
  private informational = 0
  private idleTimer: NodeJS.Timeout | undefined = undefined
  private totalTimer: NodeJS.Timeout | undefined = undefined
  private unfollow: (() => void) | undefined = undefined

  /** @param told the connector is one that listens ahead of undici */
  constructor(
    readonly attempt: Attempt,
    private readonly settle: Settle,
    private readonly refuse: Refuse,
    private readonly told: boolean,
  ) {
    super()
    const { total } = attempt.timeouts
    if (total > 0) this.totalTimer = setTimeout(totalExpired, total, this).unref()
    if (attempt.onClose !== undefined) attempt.onClose(onClose, this)
    else if (attempt.signal !== undefined) this.follow(attempt.signal)
  }

  /** It has no connection, and somebody wants one for it. */
  get waits(): boolean {
    return this.progress === 'connecting' && this.gone === undefined
  }

  onConnect(abort: (error?: Error) => void): void {
    const { waitsSince } = this
    const why = waitsSince === undefined ? undefined : whyLeave(this, waitsSince)
    if (why !== undefined) this.leave(why)
    if (this.gone !== undefined) {
      // Of undici's own pools this drops the request alone, where `abort` would end the connection.
      if (this.told) throw this.gone
      abort(this.gone)
      return
    }
    this.abortRequest = abort
    this.progress = 'sent'
  }

  onRequestSent(): void {
    this.uploaded = true
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    const all = strings(raw)
    // End-to-end fields; each byte is one character, as Node writes them again.
    const headers = withoutHopByHop(all, { response: true })
    if (status < 200) {
      this.informational = addInformational(this.informational, headers)
      this.attempt.inform(status, headers)
      return true
    }
    if (status > 599)
      throw new ProxyError('http_protocol_error', { message: `the target answered with status ${status}` })
    const { method } = this.attempt.out
    const fault = codingFault(all, method, status)
    if (fault !== undefined) throw fault
    this.progress = 'answered'
    this.resumeParser = resume
    if (method === 'HEAD' || status === 204 || status === 304) {
      this.settle({ status, headers, body: null })
      return true
    }
    const length = get(headers, 'content-length')
    const reply: Reply = { status, headers, body: this }
    if (length === undefined) {
      reply.trailers = trailersOf(this)
      this.untilClose = this.told && !has(all, 'transfer-encoding') && !has(all, 'content-length')
    } else (this as { length?: number }).length = Number(length)
    const { timeouts } = this.attempt
    this.idle = isEventStream(get(headers, 'content-type')) ? timeouts.stream : timeouts.body
    this.settle(reply)
    return true
  }

  onData(chunk: Buffer): boolean {
    const room = this.push(chunk)
    // While the client can't take more it isn't the target that is idle.
    if (this.idleTimer !== undefined) room ? this.idleTimer.refresh() : this.stopIdle()
    return room
  }

  onComplete(raw: Buffer[]): void {
    if (this.untilClose && this.isCut) return this.onError(new Error('the connection was reset'))
    this.stopTimers()
    this.finish(raw !== null && raw.length > 0 ? cleanTrailers(strings(raw), true) : undefined)
  }

  onError(cause: Error): void {
    this.stopTimers()
    const kept = this.informational === 0 && wasKept(cause)
    const error = transportError(this.gone ?? cause, this.progress, this.attempt.target.id, kept)
    if (this.progress === 'answered') this.fail(error)
    else {
      // No body whose end would do it.
      this.unfollow?.()
      this.gone ??= error
      this.refuse(error)
    }
  }

  onUpgrade(status: number, raw: Buffer[] | null, socket: Duplex): void {
    this.stopTimers()
    const all = strings(raw ?? [])
    const protocol = get(all, 'upgrade') ?? ''
    // From here on the tunnel owns the socket; until it listens, a reset must not end the process.
    socket.on('error', () => {})
    try {
      checkProtocol(this.attempt.upgrade ?? '', protocol)
    } catch (error) {
      socket.destroy()
      this.onError(error as ProxyError)
      return
    }
    this.progress = 'answered'
    this.settle(tunnelReply(status, all, socket, this.attempt.timeouts.tunnel))
  }

  /** The attempt is over. Nearly always the answer is too, and no error is made for it. */
  close(end: Outcome): void {
    if (this.ended) return
    this.leave(end.error ?? new ProxyError('client_left', { message: 'nobody waits for the answer' }))
  }

  /** Nobody waits any more: the request ends, wherever it is. */
  leave(error: ProxyError): void {
    if (this.gone !== undefined || this.ended) return
    this.gone = error
    this.stopTimers()
    if (this.progress === 'answered') {
      this.cancel(error)
      return
    }
    this.abortRequest?.(error)
    this.refuse(error)
  }

  protected override flowing(): void {
    if (this.idle > 0) this.idleTimer = setTimeout(idleExpired, this.idle, this).unref()
  }

  protected resume(): void {
    if (this.idle > 0 && this.idleTimer === undefined) this.flowing()
    this.resumeParser?.()
  }

  protected stop(why: Error): void {
    this.stopTimers()
    this.gone ??= why
    this.abortRequest?.(why)
  }

  /** Ends the body with an error of our own. */
  expire(error: ProxyError): void {
    if (this.progress !== 'answered') {
      this.leave(error)
      return
    }
    this.stopTimers()
    this.gone = error
    this.fail(error)
    this.abortRequest?.(error)
  }

  /** RFC 9112 section 8: what an error ends isn't whole. While a body is sent a reset may follow a true end. */
  private get isCut(): boolean {
    const loss = lossNow()
    return loss === 'error' || (loss === 'reset' && this.uploaded)
  }

  private follow(signal: AbortSignal): void {
    this.unfollow = followSignal(signal, (error) => this.leave(error))
    this.onEnd(this.unfollow, undefined)
  }

  private stopIdle(): void {
    clearTimeout(this.idleTimer)
    this.idleTimer = undefined
  }

  private stopTimers(): void {
    if (this.idleTimer !== undefined) this.stopIdle()
    if (this.totalTimer !== undefined) clearTimeout(this.totalTimer)
  }
}

function onClose(end: Outcome, exchange: UndiciExchange): void {
  exchange.close(end)
}

function totalExpired(exchange: UndiciExchange): void {
  exchange.expire(new ProxyError('total_timeout'))
}

function idleExpired(exchange: UndiciExchange): void {
  exchange.expire(new ProxyError('connection_read_timeout'))
}

/** Node's buffers have it, its types don't: the quickest way to text. */
type Latin1Buffer = Buffer & { latin1Slice(): string }

function strings(raw: Buffer[]): HeaderList {
  const list = new Array<string>(raw.length)
  for (let i = 0; i < raw.length; i++) list[i] = (raw[i] as Latin1Buffer).latin1Slice()
  return list
}
