import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { HeaderList } from '@sluice/headers'
import type { BodyInit } from './body.js'
import { watchCut } from './closed-streams.js'
import { freeMemory } from './free-memory.js'
import type { InformedResponse } from './inform.js'
import { ProxyError } from './proxy-error.js'
import { PushBody } from './push-body.js'
import { RestOfRequest } from './rest-of-request.js'
import { isUnread, readsUnseen } from './unseen.js'

/** Parts from this size on are worth a callback. */
const worthFreeing = 16 * 1024

/** Bytes of a body that Node reads ahead of us, at least: a client that has sent them is not the one who is waited for. */
const readAhead = 16 * 1024

/** The client's body, also behind those that only pass it on; `undefined` where a layer has put another in its place. */
export function clientBody(body: BodyInit): RequestBody | undefined {
  let at: BodyInit | undefined = body
  while (at instanceof PushBody && !(at instanceof RequestBody)) at = at.passes
  return at instanceof RequestBody ? at : undefined
}

/**
 * The client's body. It isn't read before somebody takes it, so a failed connect leaves it whole for the next target, and a
 * client that waits for `100 Continue` hears it then. Cancelling it doesn't destroy the request, since the reply still has
 * to reach the client: a little of the rest is read and dropped.
 */
export class RequestBody extends PushBody {
  declare readonly length?: number
  private started = false
  /** Nobody else listens, or has ever. */
  private alone = false
  /** Where the client waits for 100 Continue. */
  private expecting: InformedResponse | undefined = undefined
  private answeredOn: InformedResponse | undefined = undefined
  private bare = false
  private rest: RestOfRequest | undefined = undefined

  constructor(
    private readonly req: IncomingMessage | Http2ServerRequest,
    length: number | undefined,
  ) {
    super()
    if (length !== undefined) this.length = length
    this.waiting = true
    if ('stream' in req) watchCut(req.stream)
  }

  /** The client sends nothing before it hears `100 Continue` on `res` (RFC 9110 section 10.1.1). */
  expect(res: InformedResponse): void {
    this.expecting = res
  }

  /** Whether the client waits for 100 Continue. */
  get isExpected(): boolean {
    return this.expecting !== undefined
  }

  /** Tells a client that waits for it to go on, once. */
  proceed(): void {
    const res = this.expecting
    if (res === undefined) return
    this.expecting = undefined
    if (!res.headersSent && !res.writableEnded) res.writeContinue()
  }

  /** Nobody has to wait for its client: all of it has come, or as much as is read before somebody takes it. */
  get hasCome(): boolean {
    const { req } = this
    if (req.complete) return true
    if (this.started) return false
    const { readableLength } = 'stream' in req ? req.stream : req
    return readableLength >= Math.min(this.length ?? readAhead, readAhead)
  }

  /**
   * Whether the client has more to send and nobody reads it.
   * @param replied the whole reply is known: who has not taken the body yet never will
   */
  isUnread(replied: boolean): boolean {
    if (this.req.complete) return false
    return this.rest !== undefined || (replied && this.isForgotten)
  }

  /**
   * The reply is about to end on `res`. Who still reads the body may go on; if nobody does, the client is told to stop.
   * @param bare the reply is a head alone
   */
  answered(res: InformedResponse, bare: boolean): void {
    if (this.req.complete) return
    this.answeredOn = res
    this.bare = bare
    if (this.rest !== undefined) this.rest.answered(res, bare)
    else if (this.isForgotten) this.cancel(new Error('the reply came without it'))
  }

  protected resume(): void {
    const { req } = this
    if (this.started) {
      req.resume()
      return
    }
    this.started = true
    this.proceed()
    this.alone = isUnread(req)
    req.on('data', this.onData)
    if (this.alone) req.on('newListener', this.onListener)
    req.on('end', this.onEnded)
    req.on('error', this.onLost)
    req.on('close', this.onLost)
    // A middleware of others that had to wait has stopped it, and a listener doesn't set that going again.
    if (req.isPaused()) req.resume()
    if (req.destroyed && !req.readableEnded) this.onLost()
  }

  protected stop(_why: Error): void {
    const { req } = this
    if (this.started) {
      req.off('data', this.onData)
      req.off('end', this.onEnded)
      req.off('newListener', this.onListener)
    }
    if (req.destroyed) return
    if (req.complete) {
      // It has all come: what is left of it must not block the connection for the next request.
      req.resume()
      return
    }
    this.rest = new RestOfRequest(req)
    if (this.answeredOn !== undefined) this.rest.answered(this.answeredOn, this.bare)
  }

  /** Nobody has taken it, neither here nor as a stream of Node's. */
  private get isForgotten(): boolean {
    return !this.taken && this.req.readableFlowing === null && !this.req.readableDidRead
  }

  private readonly onData = (part: Uint8Array | string): void => {
    const { req } = this
    // The host app has set an encoding.
    const chunk =
      typeof part === 'string'
        ? Buffer.from(part, (req as IncomingMessage).readableEncoding as BufferEncoding)
        : part
    const spent =
      this.alone && chunk.length >= worthFreeing && readsUnseen(req as IncomingMessage)
        ? freeWhole
        : undefined
    if (!this.push(chunk, spent)) req.pause()
  }

  /** Who reads beside us may keep what it gets. */
  private readonly onListener = (event: string | symbol): void => {
    if (event !== 'data' && event !== 'readable') return
    this.alone = false
    this.req.off('newListener', this.onListener)
  }

  private readonly onEnded = (): void => {
    const trailers = this.req.rawTrailers as HeaderList
    this.finish(trailers.length === 0 ? undefined : trailers)
  }

  private readonly onLost = (cause?: unknown): void => {
    if (this.ended) return
    this.fail(new ProxyError('client_left', { message: 'the client left before its body was whole', cause }))
  }
}

/** A part that is all of its buffer: others are views of one that holds more. */
function freeWhole({ buffer, byteLength }: Uint8Array): void {
  if (buffer.byteLength === byteLength) freeMemory(buffer)
}
