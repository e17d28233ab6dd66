import type { Socket } from 'node:net'
import {
  type Body,
  clientBody,
  discard,
  endOfTurn,
  isBody,
  type Outcome,
  ProxyError,
  PushBody,
  type Reply,
  type Spent,
} from '@sluice/core'
import { get, type HeaderList, withoutHopByHop } from '@sluice/headers'
import { ClientWait } from './client-wait.js'
import { Deadline } from './deadlines.js'
import { isEventStream } from './event-stream.js'
import { attemptClosed, sendWhole, uncork } from './exchange-steps.js'
import { flowingBody } from './flowing-body.js'
import { followSignal } from './follow-signal.js'
import { addInformational } from './informational.js'
import type { Waiting } from './leaving-line.js'
import { isSafe } from './safe-method.js'
import { continueWithin } from './timeouts.js'
import type { Attempt, EditingAttempt } from './transport.js'
import { isLoss, type Progress, transportError } from './transport-error.js'
import { tunnelReply } from './tunnel-reply.js'
import { isUnawaited } from './unawaited-content.js'
import { checkProtocol } from './upgrade-protocol.js'
import type { WireConnection } from './wire-connection.js'
import { flowsIntoTunnel, tooLate, unwanted, yielded } from './wire-errors.js'
import type { WirePool } from './wire-pool.js'
import { replyOf } from './wire-reply.js'
import { requestHead } from './wire-request-head.js'
import type { Asked, ResponseHead } from './wire-response-parser.js'
import { cleanTrailers, type UploadOwner, WireUpload } from './wire-upload.js'
import { writeWith } from './write-with.js'

/**
 * One request over the wire, and the body of its reply: bytes go from the parser into the sink with no stream between.
 *
 * connecting ──start()──▶ sent ──answered()──▶ answered ──complete()──▶ over
 *      ▲                   │  └─ a kept connection was dead ─┐              ▲
 *      └───────────────────┴─────── once, where safe ────────┘              │
 *      └──────────────── failed(), or nobody waits any more ────────────────┘
 */
export class WireExchange extends PushBody implements UploadOwner, Asked, Waiting {
  readonly method: string
  readonly upgrade: boolean
  /** It was sent on a kept connection that turned out to be dead: the next one must be new. */
  again = false
  declare waitsSince?: number
  private progress: Progress = 'connecting'
  private connection: WireConnection | undefined = undefined
  /** What is to be written at the end of this turn of the event loop. */
  private head: string | undefined = undefined
  /** The head waits in the socket for the first parts of the body. */
  private corked = false
  /** Its connection carries no other. */
  private last = false
  private upload: WireUpload | undefined = undefined
  /** The request's body, while it waits for the target to say 100. */
  private withheld: Body | undefined = undefined
  private source: Body | undefined = undefined
  private total: Deadline | undefined = undefined
  private unfollow: (() => void) | undefined = undefined
  /** Whether it is the client that is waited for; made where there may be a wait. */
  private wait: ClientWait | undefined = undefined
  private idle = 0
  /** Bytes of informational responses. */
  private informational = 0
  /** A body in memory is on its way. */
  private flushing = false
  private done = false

  constructor(
    readonly attempt: Attempt,
    private readonly pool: WirePool,
    private readonly settle: (reply: Reply) => void,
    private readonly refuse: (error: unknown) => void,
    private readonly editing: EditingAttempt | undefined,
  ) {
    super()
    this.method = attempt.out.method
    this.upgrade = attempt.upgrade !== undefined
    const { total } = attempt.timeouts
    if (total > 0) {
      this.total = new Deadline(() => this.leave(new ProxyError('total_timeout')))
      pool.deadlines.set(this.total, total)
    }
    if (attempt.onClose !== undefined) attempt.onClose(attemptClosed, this)
    else if (attempt.signal !== undefined)
      this.unfollow = followSignal(attempt.signal, (error) => this.leave(error))
  }

  /** Nobody waits for it any more, or it has failed. */
  get gone(): boolean {
    return this.done
  }

  /** Its method changes nothing at the target. */
  get safe(): boolean {
    return isSafe(this.method)
  }

  /** Its body is still being sent, or waits for the target to ask for it. */
  get uploads(): boolean {
    return this.upload !== undefined || this.withheld !== undefined
  }

  /** Its client has yet to send its body. One that a layer has made in place of it isn't the client's. */
  get awaitsBody(): boolean {
    return clientBody(this.attempt.out.body)?.hasCome === false
  }

  slowFor(now: number): number {
    const { progress, upload, wait } = this
    if (wait === undefined) return 0
    if (progress === 'answered') return this.taken && this.waiting ? wait.ofReader(now) : 0
    return upload?.waitsForClient === true && this.awaitsBody ? wait.ofBody(now, upload.written) : 0
  }

  /** Gives its connection up, since others wait and its client is slow. */
  giveUp(): void {
    this.connection?.fail(yielded(this.progress === 'answered'))
  }

  /** Its socket may become a tunnel. */
  get tunnels(): boolean {
    return this.upgrade || this.method === 'CONNECT'
  }

  /** Sends the request on a connection that is now its own. */
  start(connection: WireConnection): void {
    this.connection = connection
    this.progress = 'sent'
    const { attempt, pool } = this
    const { out, timeouts } = attempt
    const { socket } = connection
    let source: Body | null
    let head: string
    try {
      source = flowingBody(out.body)
      // The rest of it would go into the tunnel.
      if (source !== null && this.tunnels) throw flowsIntoTunnel(this.method)
      const chunked = source !== null && source.length === undefined
      this.last = pool.perExchange || (chunked && isUnawaited(out.method))
      head = requestHead(out, pool.host, attempt.upgrade, chunked, this.last)
    } catch (error) {
      connection.fail(error as Error)
      return
    }
    if (source === null) {
      this.head = head
      pool.deadlines.set(connection.deadline, timeouts.head)
      endOfTurn(sendWhole, this)
      return
    }
    if (get(out.headers, 'expect') !== undefined) {
      socket.write(head, 'latin1')
      this.withheld = source
      pool.deadlines.set(connection.deadline, continueWithin)
      return
    }
    // The body's first bytes are often there by the next tick: head and they are then one write.
    this.corked = true
    socket.cork()
    socket.write(head, 'latin1')
    this.send(source)
    process.nextTick(uncork, this, socket)
  }

  /** Nothing of it has left yet: what comes from the target can't be its answer. */
  get unsent(): boolean {
    return this.head !== undefined || this.corked
  }

  /** What the socket has held back has left, if nothing else holds it. */
  uploadLeft(socket: Socket): void {
    if (socket.writableCorked === 0) this.corked = false
  }

  /** Writes the head, with the body if that is in memory. */
  sendWhole(): void {
    const { attempt, connection, head, pool } = this
    if (connection === undefined || head === undefined) return
    const { socket } = connection
    const { body } = attempt.out
    this.head = undefined
    if (body === null) socket.write(head, 'latin1')
    else writeWith(socket, head, typeof body === 'string' ? Buffer.from(body) : (body as Uint8Array))
    // Sent it is when the target has room for the last of it.
    this.flushing = socket.writableNeedDrain && socket.writableLength > 0
    if (this.flushing) pool.deadlines.set(connection.deadline, attempt.timeouts.requestBody)
  }

  /** The socket has room again. */
  hasRoom(): void {
    if (this.flushing) {
      this.flushing = false
      this.uploaded()
    }
    const { pool, upload } = this
    if (upload === undefined) return
    upload.drain()
    this.wait?.bodyBegins(pool.deadlines.now(), upload.written)
  }

  informed(status: number, headers: HeaderList): void {
    this.informational = addInformational(this.informational, headers)
    if (status !== 100) return this.attempt.inform(status, withoutHopByHop(headers, { response: true }))
    // What was asked for; a 100 that nobody asked for means nothing.
    if (this.withheld !== undefined) this.sendWithheld()
  }

  answered(head: ResponseHead): void {
    const { framing, headers: raw, status } = head
    if (status === 101) checkProtocol(this.attempt.upgrade as string, get(raw, 'upgrade') as string)
    this.progress = 'answered'
    if (framing === 'tunnel') return
    const reply = replyOf(head, this)
    const { timeouts } = this.attempt
    this.idle = isEventStream(get(reply.headers, 'content-type')) ? timeouts.stream : timeouts.body
    this.give(reply)
  }

  /** Whoever waits for it has the answer now; a rule of the app's own that throws is its fault, and not the target's. */
  private give(reply: Reply): void {
    try {
      this.editing?.edit(reply)
    } catch (error) {
      this.refuse(error)
      discard(reply)
      return
    }
    this.settle(reply)
  }

  /** Takes bytes of the reply's body; `false` asks to wait. */
  received(chunk: Buffer, spent?: Spent): boolean {
    return this.push(chunk, spent)
  }

  /** Something has come, and more is to come. */
  moved(): void {
    const { connection, pool } = this
    if (connection === undefined || this.progress !== 'answered') return
    if (!this.waiting) return void pool.deadlines.set(connection.deadline, this.idle)
    // While the client can't take more it isn't the target that is idle.
    pool.deadlines.clear(connection.deadline)
    const now = pool.deadlines.now()
    this.wait ??= new ClientWait(now)
    this.wait.readerBegins(now)
  }

  /** The reply is whole. */
  complete(trailers: HeaderList | undefined): void {
    const { connection, pool, upload, withheld } = this
    if (connection === undefined) return
    this.end()
    pool.deadlines.clear(connection.deadline)
    if (upload !== undefined || withheld !== undefined || connection.socket.writableLength > 0) {
      // The target has said all without having read all: the rest isn't wanted, and the connection can't be used again.
      upload?.stop()
      ;(this.source ?? withheld)?.cancel(unwanted())
      connection.discard()
    } else if (this.last) connection.discard()
    else connection.release()
    this.finish(trailers === undefined ? undefined : cleanTrailers(trailers, true))
  }

  /** The protocol has changed: the socket is the tunnel's. */
  upgraded(socket: Socket, { status, headers: raw }: ResponseHead): void {
    this.end()
    this.give(tunnelReply(status, raw, socket, this.attempt.timeouts.tunnel))
  }

  uploaded(): void {
    this.upload = undefined
    this.source = undefined
    const { connection, pool } = this
    pool.bodyOver(this)
    if (connection !== undefined && this.progress === 'sent')
      pool.deadlines.set(connection.deadline, this.attempt.timeouts.head)
  }

  uploadFailed(error: Error): void {
    this.connection?.fail(error)
  }

  uploadMoved(): void {
    const { connection, pool } = this
    if (connection === undefined || this.progress !== 'sent') return this.moved()
    pool.deadlines.set(connection.deadline, this.attempt.timeouts.requestBody)
  }

  /** Its deadline has passed. */
  expired(): void {
    if (this.connection === undefined) return
    if (this.withheld !== undefined && this.progress === 'sent') return this.sendWithheld()
    this.connection.fail(tooLate(this.progress, this.flushing, this.upload))
  }

  /** There was no connection, or it has ended before its time. */
  failed(cause: Error): void {
    if (this.done) return
    const { attempt, connection, source } = this
    const dead = connection?.kept === true && connection.untouched && isLoss(cause)
    this.upload?.stop()
    const unwritten = this.head !== undefined
    this.upload = undefined
    this.connection = undefined
    this.head = undefined
    if (
      dead &&
      this.progress === 'sent' &&
      !this.again &&
      (unwritten || (this.safe && source === undefined && !isBody(attempt.out.body as never)))
    ) {
      // The target had closed the connection while it was idle: nobody has seen the request (RFC 9112 section 9.3.1).
      this.again = true
      this.progress = 'connecting'
      this.pool.send(this)
      return
    }
    this.end()
    source?.cancel(cause)
    const error = transportError(cause, this.progress, attempt.target.id, dead)
    if (this.progress === 'answered') this.fail(error)
    else this.refuse(error)
  }

  /** The attempt is over. Nearly always the answer is too, and no error is made for it. */
  close(end: Outcome): void {
    if (!this.done) this.leave(end.error ?? new ProxyError('client_left'))
  }

  protected override flowing(): void {
    this.wait?.readerTakes(this.pool.deadlines.now())
  }

  protected resume(): void {
    this.wait?.readerEnds()
    this.connection?.resume()
    this.moved()
  }

  protected stop(why: Error): void {
    this.leave(why instanceof ProxyError ? why : new ProxyError('client_left', { cause: why }))
  }

  /** Nobody waits for it any more. */
  private leave(error: ProxyError): void {
    if (this.done) return
    const { connection, pool } = this
    if (connection !== undefined && this.head === undefined) return connection.fail(error)
    if (connection === undefined) pool.forget(this)
    else {
      // Nothing of it has left: the connection is as good as before.
      this.connection = undefined
      this.progress = 'connecting'
      pool.deadlines.clear(connection.deadline)
    }
    this.failed(error)
    connection?.giveBack()
  }

  private send(source: Body): void {
    const { attempt, connection, pool } = this
    if (connection === undefined) return
    this.source = source
    const upload = new WireUpload(connection.socket, source.length, this, attempt.out.trailers)
    this.upload = upload
    this.wait = new ClientWait(pool.deadlines.set(connection.deadline, attempt.timeouts.requestBody))
    try {
      source.pipe(upload)
    } catch (error) {
      this.source = undefined
      connection.fail(error as Error)
    }
  }

  private sendWithheld(): void {
    const { withheld } = this
    this.withheld = undefined
    if (withheld !== undefined) this.send(withheld)
  }

  private end(): void {
    this.done = true
    this.connection = undefined
    if (this.total !== undefined) this.pool.deadlines.drop(this.total)
    this.unfollow?.()
    this.pool.bodyOver(this)
  }
}
