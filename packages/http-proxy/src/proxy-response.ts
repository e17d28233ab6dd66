import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { type Body, type Reply, type Sink, toBody } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import type { OutgoingRequest } from './outgoing-request.js'
import { type FieldObject, reconcile, toFieldObject } from './reconcile-fields.js'

/**
 * The target's answer as `proxyRes` and `end` hand it over: a stream with what an IncomingMessage has. Edits of `headers`
 * reach the client.
 */
export class ProxyResponse extends Readable implements Sink {
  statusCode: number
  statusMessage: string
  headers: FieldObject
  readonly rawHeaders: HeaderList
  readonly httpVersion = '1.1'
  readonly httpVersionMajor = 1
  readonly httpVersionMinor = 1
  trailers: FieldObject = {}
  rawTrailers: HeaderList = []
  complete = false
  aborted = false
  /** Who asks for it wants addresses or a timeout; connections serve many requests, so there is none to give. */
  readonly socket: Partial<Socket> = {}
  private readonly before: FieldObject
  private readonly body: Body | null
  private begun = false
  private room: (() => void) | undefined = undefined

  constructor(
    private readonly reply: Reply,
    /** What was asked. */
    readonly req: OutgoingRequest,
  ) {
    super()
    this.statusCode = reply.status
    this.statusMessage = reply.reason ?? STATUS_CODES[reply.status] ?? ''
    this.rawHeaders = reply.headers
    this.headers = toFieldObject(reply.headers)
    this.before = { ...this.headers }
    this.body = toBody(reply.body)
    // Who doesn't listen must not lose the process when a target is lost.
    this.on('error', () => {})
  }

  /** The fields with what listeners have changed. */
  get fields(): HeaderList {
    return reconcile(this.rawHeaders, this.headers, this.before)
  }

  /** Somebody reads it, or has read it to its end. */
  get isRead(): boolean {
    return this.readableFlowing === true || this.listenerCount('readable') > 0 || this.readableEnded
  }

  get connection(): Partial<Socket> {
    return this.socket
  }

  setTimeout(_ms: number, _fn?: () => void): this {
    return this
  }

  override _read(): void {
    if (this.begun) {
      this.room?.()
      return
    }
    this.begun = true
    if (this.body === null) this.end()
    else this.body.pipe(this)
  }

  write(chunk: Uint8Array): boolean {
    return this.push(chunk)
  }

  end(trailers?: HeaderList): void {
    this.complete = true
    this.rawTrailers = trailers ?? this.reply.trailers?.() ?? []
    this.trailers = toFieldObject(this.rawTrailers)
    this.push(null)
  }

  abort(error: Error): void {
    if (this.destroyed) return
    this.aborted = true
    this.emit('aborted')
    this.destroy(Object.assign(new Error('aborted', { cause: error }), { code: 'ECONNRESET' }))
  }

  onDrain(fn: () => void): void {
    this.room = fn
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.complete) this.body?.cancel(error ?? undefined)
    done(error)
  }
}
