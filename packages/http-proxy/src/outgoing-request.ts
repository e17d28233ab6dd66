import { EventEmitter } from 'node:events'
import type { Outbound } from '@sluice/core'
import { get, getAll, type HeaderList, has, isFieldName, remove } from '@sluice/headers'
import { type FieldObject, toFieldObject } from './reconcile-fields.js'
import { setField } from './request-fields.js'
import type { ParsedTarget } from './server-options.js'

/**
 * The request to the target, as `proxyReq` and `proxyReqWs` hand it over: what is set here goes out, since nothing has been sent. After the listeners
 * have returned edits change nothing, and none throws.
 */
export class OutgoingRequest extends EventEmitter {
  readonly host: string
  readonly protocol: string
  /** Nothing of it has been sent while listeners run. */
  headersSent = false
  /** It was given up. */
  destroyed = false
  /** What a listener has written as the body. */
  readonly written: Buffer[] = []
  reusedSocket = false
  private why: Error | undefined = undefined
  private expired: NodeJS.Timeout | undefined = undefined

  constructor(
    private readonly out: Outbound,
    target: ParsedTarget,
    /** Gives up a request that is under way. */
    private readonly cancel: (why: Error) => void,
  ) {
    super()
    this.host = target.hostname
    this.protocol = target.protocol
    // As a stream of Node's it may fail with nobody listening.
    this.on('error', () => {})
  }

  get method(): string {
    return this.out.method
  }

  set method(method: string) {
    if (!isFieldName(method))
      throw Object.assign(new TypeError(`not a method: ${JSON.stringify(method)}`), {
        code: 'ERR_INVALID_HTTP_TOKEN',
      })
    if (!this.headersSent) this.out.method = method
  }

  get path(): string {
    return this.out.path
  }

  set path(path: string) {
    // A blank or a line break would end the request-target.
    if (!/^[!-~\x80-\xff]+$/.test(path))
      throw Object.assign(new TypeError(`not a path: ${JSON.stringify(path)}`), {
        code: 'ERR_UNESCAPED_CHARACTERS',
      })
    if (!this.headersSent) this.out.path = path
  }

  /** The list itself, for whoever needs order and repeated fields. */
  get rawHeaders(): HeaderList {
    return this.out.headers
  }

  /** Sets a field, in place of those of its name. @throws TypeError for what HTTP forbids */
  setHeader(name: string, value: string | number | readonly string[]): this {
    if (value === undefined)
      throw Object.assign(new TypeError(`the header ${name} has no value`), {
        code: 'ERR_HTTP_INVALID_HEADER_VALUE',
      })
    if (!this.headersSent) setField(this.out.headers, name, value)
    return this
  }

  /** Adds values beside those of its name. */
  appendHeader(name: string, value: string | readonly string[]): this {
    const values = [
      ...getAll(this.out.headers, name.toLowerCase()),
      ...(typeof value === 'string' ? [value] : value),
    ]
    return this.setHeader(name, values)
  }

  /** A field's value; a list where there are several. */
  getHeader(name: string): string | string[] | undefined {
    const lower = String(name).toLowerCase()
    const values = getAll(this.out.headers, lower)
    return values.length > 1 ? values : get(this.out.headers, lower)
  }

  /** Every field, by its name in lower case. */
  getHeaders(): FieldObject {
    return toFieldObject(this.out.headers)
  }

  getHeaderNames(): string[] {
    return Object.keys(this.getHeaders())
  }

  /** The names as they go out. */
  getRawHeaderNames(): string[] {
    return [...new Set(this.out.headers.filter((_, i) => i % 2 === 0))]
  }

  hasHeader(name: string): boolean {
    return has(this.out.headers, name.toLowerCase())
  }

  removeHeader(name: string): void {
    if (!this.headersSent) remove(this.out.headers, name)
  }

  /** A body in place of one that was read before; ahead of one that wasn't. */
  write(chunk: string | Uint8Array, encoding?: BufferEncoding | (() => void), done?: () => void): boolean {
    if (!this.headersSent)
      this.written.push(
        typeof chunk === 'string'
          ? Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8')
          : Buffer.from(chunk),
      )
    const told = typeof encoding === 'function' ? encoding : done
    if (told !== undefined) process.nextTick(told)
    return true
  }

  /** As `write`; the request goes out when the listeners have returned, not before. */
  end(
    chunk?: string | Uint8Array | (() => void),
    encoding?: BufferEncoding | (() => void),
    done?: () => void,
  ): this {
    if (chunk !== undefined && typeof chunk !== 'function') this.write(chunk, encoding, done)
    return this
  }

  /** Gives it up when it takes longer than this. */
  setTimeout(ms: number, fn?: () => void): this {
    clearTimeout(this.expired)
    if (fn !== undefined) this.once('timeout', fn)
    if (ms > 0) this.expired = setTimeout(() => this.emit('timeout'), ms).unref()
    return this
  }

  setNoDelay(): void {}

  setSocketKeepAlive(): void {}

  flushHeaders(): void {}

  abort(): void {
    this.destroy()
  }

  /** Gives the request up: the target's connection ends, and the client hears of an error. */
  destroy(error?: Error): this {
    if (this.destroyed) return this
    this.destroyed = true
    this.why = error ?? Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
    if (this.headersSent) this.cancel(this.why)
    return this
  }

  /** Why it was given up. */
  get reason(): Error | undefined {
    return this.why
  }

  /** It is over. */
  over(): void {
    clearTimeout(this.expired)
    this.destroyed = true
    this.emit('close')
  }
}
