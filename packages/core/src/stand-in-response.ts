import { EventEmitter } from 'node:events'
import { type IncomingMessage, type OutgoingHttpHeader, ServerResponse } from 'node:http'
import { get, type HeaderList } from '@sluice/headers'
import type { Context, Outcome } from './context.js'
import { asProxyError, ProxyError } from './proxy-error.js'
import { PushBody } from './push-body.js'
import type { Reply } from './reply.js'
import { clientBody } from './request-body.js'

/** The body of a captured response. */
class CapturedBody extends PushBody {
  constructor(private readonly standIn: StandIn) {
    super()
  }

  get isWaiting(): boolean {
    return this.waiting
  }

  setLength(length: number): void {
    ;(this as { length?: number }).length = length
  }

  write(chunk: Uint8Array): boolean {
    return this.push(chunk)
  }

  end(trailers: HeaderList | undefined): void {
    this.finish(trailers)
  }

  lose(error: Error): void {
    this.fail(error)
  }

  protected resume(): void {
    this.standIn.res.emit('drain')
  }

  protected stop(): void {
    this.standIn.closed()
  }
}

type Informing = { writeInformation(status: number, fields?: object): void }
type Internals = { _header: string | null; finished: boolean; destroyed: boolean }

/**
 * A response for code that wants `res`: what it writes becomes a reply. It is a `ServerResponse` without a socket, whose
 * methods are replaced on the object itself, since Express exchanges the prototype of the responses that it gets.
 *
 * new ──writeHead, write, end──▶ head sent (the reply is there) ──end──▶ ended ──▶ finish, close
 *  └──────────────── destroy, or the exchange ends ──────────────────▶ closed
 */
export class StandIn {
  readonly res: ServerResponse
  private readonly body: CapturedBody
  private readonly own: Pick<ServerResponse, 'writeHead' | 'write' | 'end'>
  private sent = false
  private over = false
  private gone = false
  private writes = 0
  private added: HeaderList | undefined = undefined
  /** Where the code that writes calls the methods: another than `res` where that one only stands behind it. */
  front: Pick<ServerResponse, 'writeHead'>

  constructor(
    private readonly ctx: Context,
    private readonly settle: (reply: Reply) => void,
    private readonly refuse: (error: ProxyError) => void,
  ) {
    const res = new ServerResponse(ctx.req as IncomingMessage)
    this.res = res
    this.front = res
    this.body = new CapturedBody(this)
    res.writeHead = ((...args: unknown[]) => this.writeHead(args)) as typeof res.writeHead
    res.write = ((...args: unknown[]) => this.write(args)) as typeof res.write
    res.end = ((...args: unknown[]) => this.end(args)) as typeof res.end
    res.flushHeaders = () => this.implicitHead()
    res.addTrailers = (fields) => {
      this.added = flat(groups(fields))
    }
    res.destroy = ((error?: Error) => {
      this.fail(error ?? new Error('the response was destroyed'))
      return res
    }) as typeof res.destroy
    res.writeContinue = () => this.proceed()
    res.writeProcessing = () => ctx.inform(102, [])
    res.writeEarlyHints = (hints: Record<string, string | string[]>) => {
      ctx.inform(103, flat(Object.entries(hints)))
    }
    // Of newer versions of Node.
    ;(res as unknown as Informing).writeInformation = (status, fields) => {
      ctx.inform(status, flat(groups(fields)))
    }
    Object.defineProperty(res, 'writableFinished', { configurable: true, get: () => this.over })
    this.own = { writeHead: res.writeHead, write: res.write, end: res.end }
    const body = clientBody(ctx.out.body)
    // Code of others reads the request itself, and the client sends nothing before it is told to.
    if (body?.isExpected === true) {
      ctx.req.on('newListener', (event: string | symbol) => {
        if (event === 'data' || event === 'readable') body.proceed()
      })
    }
    ctx.onClose(exchangeClosed, this)
  }

  private proceed(): void {
    clientBody(this.ctx.out.body)?.proceed()
  }

  /** Somebody has replaced a method to see the response pass. */
  get patched(): boolean {
    const { own, res } = this
    return res.writeHead !== own.writeHead || res.write !== own.write || res.end !== own.end
  }

  /** The head is out: this is the reply. */
  get answered(): boolean {
    return this.sent
  }

  /** Nobody waits for it any more. */
  get isClosed(): boolean {
    return this.gone
  }

  /** Nothing more comes of it. */
  get isOver(): boolean {
    return this.over || this.gone
  }

  /** Another number each time the code that writes has gone on; while it waits for whoever reads, that isn't its to show. */
  get progress(): number {
    return this.body.isWaiting ? Number.NaN : this.writes
  }

  /** Fields that were set on it. */
  get headers(): HeaderList {
    return flat(rawNames(this.res).map((name) => [name, this.res.getHeader(name)]))
  }

  /** The code that wrote here has failed. */
  fail(cause: unknown): void {
    if (this.over) return
    const error = asProxyError(cause)
    if (this.sent) this.body.lose(error)
    else {
      // The error becomes an answer further out, which is not this response's to see: loggers learn its status.
      if (error.code !== 'client_left') {
        this.res.statusCode = error.status
        ;(this.res as unknown as Internals)._header = ' '
      }
      this.refuse(error)
    }
    this.closed()
  }

  /** Nobody wants the rest. */
  closed(): void {
    if (this.gone) return
    this.gone = true
    const internals = this.res as unknown as Internals
    internals.destroyed = true
    if (!this.sent) this.refuse(new ProxyError('client_left'))
    this.res.emit('close')
    // Loggers listen for the end of the connection instead (the package on-finished), and a stand-in has none.
    if (this.over || this.res.listenerCount('socket') === 0) return
    const connection = new EventEmitter()
    this.res.emit('socket', connection)
    connection.emit('close')
  }

  private writeHead(args: unknown[]): ServerResponse {
    const { res } = this
    if (this.sent)
      throw Object.assign(new Error('the head was sent before'), { code: 'ERR_HTTP_HEADERS_SENT' })
    const [status, second, third] = args
    res.statusCode = Number(status)
    if (typeof second === 'string') res.statusMessage = second
    const headers = typeof second === 'string' ? third : (second ?? third)
    for (const [name, values] of groups(headers)) res.setHeader(name, values)
    this.sent = true
    // What `headersSent` and `setHeader` look at.
    const internals = res as unknown as Internals
    internals._header = ' '
    const list = this.headers
    const reply: Reply = { status: res.statusCode, headers: list, body: null }
    if (this.hasBody) {
      const length = get(list, 'content-length')
      if (length !== undefined && /^\d+$/.test(length)) this.body.setLength(Number(length))
      reply.body = this.body
      reply.trailers = () => this.body.trailers
    }
    this.settle(reply)
    return res
  }

  /** As Node does when `write` or `end` come first; through the property, for whoever has wrapped it. */
  private implicitHead(): void {
    if (!this.sent) this.front.writeHead(this.res.statusCode)
  }

  private get hasBody(): boolean {
    const { statusCode } = this.res
    return this.ctx.req.method !== 'HEAD' && statusCode !== 204 && statusCode !== 304
  }

  private write(args: unknown[]): boolean {
    const { chunk, done } = writing(args)
    if (this.over || this.gone) {
      if (done !== undefined) process.nextTick(done, new Error('write after end'))
      return false
    }
    this.implicitHead()
    this.writes++
    const room = chunk === undefined || !this.hasBody || this.body.write(chunk)
    if (done !== undefined) process.nextTick(done)
    return room
  }

  private end(args: unknown[]): ServerResponse {
    const { res } = this
    const { chunk, done } = writing(args)
    if (this.over || this.gone) {
      if (done !== undefined) process.nextTick(done)
      return res
    }
    if (
      !this.sent &&
      !res.hasHeader('content-length') &&
      !res.hasHeader('transfer-encoding') &&
      this.hasBody
    ) {
      res.setHeader('Content-Length', chunk?.length ?? 0)
    }
    this.implicitHead()
    if (chunk !== undefined && this.hasBody) this.body.write(chunk)
    this.over = true
    const internals = res as unknown as Internals
    internals.finished = true
    if (this.hasBody) this.body.end(this.added)
    process.nextTick(() => {
      res.emit('finish')
      done?.()
      if (this.gone) return
      this.gone = true
      res.emit('close')
    })
    return res
  }
}

/** Names as they were given; Node has it, its types of this version don't. */
function rawNames(res: ServerResponse): string[] {
  return (res as ServerResponse & { getRawHeaderNames(): string[] }).getRawHeaderNames()
}

function exchangeClosed(end: Outcome, standIn: StandIn): void {
  // A reply that passed beside it has gone out whole: who counts or logs answers waits for `finish`.
  if (end.kind === 'done' && !standIn.answered) standIn.res.emit('finish')
  standIn.closed()
}

/** The arguments of `write` and `end`, sorted out. */
function writing(args: unknown[]): {
  chunk: Uint8Array | undefined
  done: ((error?: Error) => void) | undefined
} {
  const done = args.find((arg) => typeof arg === 'function') as ((error?: Error) => void) | undefined
  const [data, encoding] = args
  if (typeof data === 'string') {
    return {
      chunk: Buffer.from(data, (typeof encoding === 'string' ? encoding : 'utf8') as BufferEncoding),
      done,
    }
  }
  return { chunk: data instanceof Uint8Array ? data : undefined, done }
}

type Entries = readonly (readonly [string, unknown])[]

function flat(entries: Entries): HeaderList {
  return entries.flatMap(([name, value]) =>
    Array.isArray(value)
      ? value.flatMap((one) => [name, String(one)])
      : value === undefined
        ? []
        : [name, String(value)],
  )
}

/** The three forms of `writeHead`'s fields: an object, pairs, a flat list. */
function groups(headers: unknown): [string, OutgoingHttpHeader][] {
  if (typeof headers !== 'object' || headers === null) return []
  let entries: Entries
  if (!Array.isArray(headers)) entries = Object.entries(headers)
  else if (Array.isArray(headers[0])) entries = headers as [string, unknown][]
  else entries = headers.flatMap((name, i) => (i % 2 === 0 ? [[String(name), headers[i + 1]] as const] : []))
  const found = new Map<string, [string, OutgoingHttpHeader]>()
  for (const [name, value] of entries) {
    if (value === undefined) continue
    const lower = name.toLowerCase()
    const before = found.get(lower)
    if (before === undefined) found.set(lower, [name, value as OutgoingHttpHeader])
    else before[1] = [before[1], value].flat().map(String)
  }
  return [...found.values()]
}
