import { type IncomingMessage, ServerResponse } from 'node:http'
import { groupByName, type HeaderList } from '@sluice/headers'

/** Who gets what is written to a {@link StandInResponse}. */
export interface ResponseOwner {
  /** The head, once. */
  headWritten(status: number, fields: readonly (readonly [string, readonly string[]])[]): void
  /** A part of the body; `false` asks to wait for `drain`. */
  bodyWritten(chunk: Uint8Array): boolean
  bodyEnded(): void
  /** It can't become an answer. */
  responseFailed(error: Error): void
}

type Internals = { _header: string | null; finished: boolean; destroyed: boolean }

/**
 * A response for code that wants `res`: http-proxy sets its fields and pipes into it what the target answers. It is a
 * `ServerResponse` without a socket.
 *
 * new ──writeHead, write, end, pipe──▶ head written ──end──▶ ended: finish, close
 *  └─────────────────────────── destroy ───────────────────────▶ closed
 */
export class StandInResponse extends ServerResponse {
  private headGone = false
  private over = false
  private closedBefore = false

  constructor(
    req: IncomingMessage,
    private readonly owner: ResponseOwner,
  ) {
    super(req)
    // An event stream says nothing for long: its head mustn't wait for the first byte. At this moment the fields are set.
    this.once('pipe', () => this.flushHeaders())
    this.on('error', ignore)
  }

  /** A field that the target may send and Node doesn't write: http-proxy would throw where nobody catches it. */
  override setHeader(name: string, value: number | string | readonly string[]): this {
    try {
      super.setHeader(name, value)
    } catch (error) {
      if (this.headGone) throw error
      this.owner.responseFailed(error as Error)
    }
    return this
  }

  override writeHead(status: number, ...rest: unknown[]): this {
    if (this.headGone)
      throw Object.assign(new Error('the head was sent before'), { code: 'ERR_HTTP_HEADERS_SENT' })
    this.statusCode = status
    const fields = rest.find((arg) => typeof arg === 'object' && arg !== null)
    for (const [name, value] of groupByName(listOf(fields))) this.setHeader(name, value)
    this.headGone = true
    const set = this.getRawHeaderNames().map(
      (name) => [name, [this.getHeader(name)].flat().map(String)] as const,
    )
    // What `headersSent` looks at.
    ;(this as unknown as Internals)._header = ' '
    this.owner.headWritten(status, set)
    return this
  }

  override flushHeaders(): void {
    if (!this.headGone) this.writeHead(this.statusCode)
  }

  override write(...args: unknown[]): boolean {
    const { chunk, done } = writing(args)
    if (this.over) {
      if (done !== undefined) process.nextTick(done, new Error('write after end'))
      return false
    }
    this.flushHeaders()
    const room = chunk === undefined || this.owner.bodyWritten(chunk)
    if (done !== undefined) process.nextTick(done)
    return room
  }

  override end(...args: unknown[]): this {
    const { chunk, done } = writing(args)
    if (this.over) {
      if (done !== undefined) process.nextTick(done)
      return this
    }
    this.flushHeaders()
    if (chunk !== undefined) this.owner.bodyWritten(chunk)
    this.over = true
    ;(this as unknown as Internals).finished = true
    this.owner.bodyEnded()
    process.nextTick(() => {
      this.emit('finish')
      done?.()
      this.closeOnce()
    })
    return this
  }

  override destroy(error?: Error): this {
    const before = this.over
    this.over = true
    ;(this as unknown as Internals).destroyed = true
    if (!before) this.owner.responseFailed(error ?? new Error('the response was destroyed'))
    process.nextTick(() => this.closeOnce())
    return this
  }

  private closeOnce(): void {
    if (this.closedBefore) return
    this.closedBefore = true
    this.emit('close')
  }

  /** Node has it, its types of this version don't. */
  declare getRawHeaderNames: () => string[]
}

/** The arguments of `write` and `end`, sorted out. */
function writing(args: unknown[]): {
  chunk: Uint8Array | undefined
  done: ((error?: Error) => void) | undefined
} {
  const done = args.find((arg) => typeof arg === 'function') as ((error?: Error) => void) | undefined
  const [data, encoding] = args
  if (typeof data === 'string')
    return {
      chunk: Buffer.from(data, (typeof encoding === 'string' ? encoding : 'utf8') as BufferEncoding),
      done,
    }
  return { chunk: data instanceof Uint8Array ? data : undefined, done }
}

/** The forms that `writeHead` takes fields in, as a list. */
function listOf(fields: unknown): HeaderList {
  if (fields === undefined) return []
  if (Array.isArray(fields)) return fields.flat().map(String)
  return Object.entries(fields as object).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().flatMap((one) => [name, String(one)]),
  )
}

function ignore(): void {}
