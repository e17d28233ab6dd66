import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { type Body, type Outbound, ProxyError, type Sink } from '@sluice/core'
import { bodyFailure } from '@sluice/forward'
import type { HeaderList } from '@sluice/headers'
import type { RequestFields } from './http-proxy-fields.js'

/** Where nothing was written yet. Of a socket http-proxy asks no more than this. */
interface NoSocket {
  destroyed: boolean
  readonly encrypted: boolean
  readonly remoteAddress: string | undefined
  setTimeout(): NoSocket
}

/**
 * A request for code that wants `req`: http-proxy reads its fields and pipes it into its own request. Nothing comes out of
 * it, not even its end, before `begin`: until then there is no connection, and the body is whole for another target.
 */
export class StandInRequest extends Readable implements Sink {
  readonly method: string
  url: string
  readonly headers: RequestFields
  readonly rawHeaders: HeaderList
  readonly httpVersion = '1.1'
  readonly httpVersionMajor = 1
  readonly httpVersionMinor = 1
  readonly trailers = {}
  readonly rawTrailers: string[] = []
  readonly socket: Socket
  readonly connection: Socket
  aborted = false
  complete = false
  private open = false
  private wanted = false
  private begun = false
  private full = false
  private sent = 0
  private timer: NodeJS.Timeout | undefined = undefined
  private drained: (() => void) | undefined = undefined

  constructor(
    out: Outbound,
    headers: RequestFields,
    private readonly source: Body | null,
    private readonly idle: number,
  ) {
    super({ highWaterMark: 64 * 1024 })
    this.method = out.method
    this.url = out.path
    this.headers = headers
    this.rawHeaders = out.headers
    const socket: NoSocket = {
      destroyed: false,
      encrypted: false,
      remoteAddress: undefined,
      setTimeout: () => socket,
    }
    this.socket = socket as unknown as Socket
    this.connection = this.socket
    // An error that comes when http-proxy has stopped listening must not end the process.
    this.on('error', ignore)
  }

  /** There is a connection: the body may go. */
  begin(): void {
    if (this.open) return
    this.open = true
    if (this.wanted) this._read()
  }

  /** Bytes have been taken from the source. */
  get touched(): boolean {
    return this.begun
  }

  override _read(): void {
    if (!this.open) {
      this.wanted = true
      return
    }
    if (this.begun) {
      this.full = false
      this.timer?.refresh()
      this.drained?.()
      return
    }
    this.begun = true
    if (this.source === null) {
      this.end()
      return
    }
    if (this.idle > 0) this.timer = setTimeout(expired, this.idle, this).unref()
    this.source.pipe(this)
  }

  write(chunk: Uint8Array): boolean {
    const length = this.source?.length
    this.sent += chunk.length
    // With more than was announced the target would take the rest for the next request.
    if (length !== undefined && this.sent > length) {
      this.refuse(`more than the ${length} bytes announced`)
      return false
    }
    this.timer?.refresh()
    this.full = !this.push(chunk)
    return !this.full
  }

  end(): void {
    const length = this.source?.length
    if (length !== undefined && this.sent !== length) {
      this.refuse(`${this.sent} of ${length} bytes`)
      return
    }
    clearTimeout(this.timer)
    this.complete = true
    this.push(null)
  }

  abort(error: Error): void {
    clearTimeout(this.timer)
    this.destroy(bodyFailure(error))
  }

  onDrain(fn: () => void): void {
    this.drained = fn
  }

  /** Who let the idle time pass: told by who kept whom waiting. */
  get waitsForTarget(): boolean {
    return this.full
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.timer)
    this.aborted = !this.complete
    ;(this.socket as unknown as NoSocket).destroyed = true
    if (this.begun && !this.complete) this.source?.cancel(error ?? undefined)
    done(error)
  }

  private refuse(what: string): void {
    this.destroy(new ProxyError('http_request_error', { message: `the body of the request: ${what}` }))
  }
}

function expired(request: StandInRequest): void {
  request.destroy(new ProxyError(request.waitsForTarget ? 'connection_write_timeout' : 'request_timeout'))
}

function ignore(): void {}
