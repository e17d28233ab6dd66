import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Gzip } from 'node:zlib'
import { type Body, endOfTurn } from '@sluice/core'
import { getAll, groupByName, type HeaderList, has } from '@sluice/headers'
import debug from 'debug'
import { codedFields, varyFields } from './coded-fields.js'
import type { CompressionSettings, ConnectCoding } from './compression-options.js'
import { acceptEncodingOf, Negotiation } from './negotiate.js'
import { asClient } from './validators.js'
import { isNotWorthIt, isOfRequest, type WhyNot, whyNot } from './worth.js'

const log = debug('sluice:compress')

/** Stands for a body that isn't there yet, whose length is where the fields tell it. */
const underWay = {} as Body

/** What a client says of the plain form. */
const plain = new Negotiation([])

type Flushing = ServerResponse & { flush?: () => void }
type Done = (error?: Error | null) => void
type Own = Pick<ServerResponse, 'writeHead' | 'write' | 'end' | 'on'>
type Listeners = Pick<ServerResponse, 'rawListeners' | 'removeListener'>
// biome-ignore lint/suspicious/noExplicitAny: listeners are the app's
type Listener = (...args: any[]) => void

/**
 * A response on its way through the package `compression`. Two layers of methods stand around the package's: the outer ones are what the
 * app calls, the inner ones what the package does. The package is asked for two things, the fields and the codec, and to pump what the
 * codec gives into the response; it sees this object as the request.
 *
 * waiting ──head──▶ as it is (methods are Node's again)
 *    └─────head──▶ coded ──end──▶ ended
 */
export class PassingResponse {
  /** What the package reads of a request. */
  readonly method: string
  readonly headers: { readonly 'accept-encoding': string }
  private readonly own: Own & Listeners
  private viaPackage: Own | undefined = undefined
  /** What the app calls, unless somebody has put methods of his own on them since. */
  private onTop: Pick<Own, 'write' | 'end'> | undefined = undefined
  private codec: Gzip | undefined = undefined
  /** Bytes of a body that came whole with `end`. */
  private length: number | undefined = undefined
  /** The app's, when the head was about to go out. */
  private fields: HeaderList = []
  private why: WhyNot | undefined = undefined
  private isHeaded = false
  private isEnded = false
  private isFlushDue = false
  /** `drain` tells that the codec has room, and not the connection. */
  private isCodecsDrain = false
  /** The body has no length that was told before: its parts go out as they come. */
  private isStream = false

  /** @param coding that the client gets; `undefined`: the body as it is */
  constructor(
    private readonly req: IncomingMessage,
    private readonly res: Flushing,
    private readonly settings: CompressionSettings,
    private readonly coding: ConnectCoding | undefined,
  ) {
    this.method = req.method as string
    this.headers = { 'accept-encoding': coding ?? 'identity' }
    const { writeHead, write, end, on, rawListeners, removeListener } = res
    this.own = { writeHead, write, end, on, rawListeners, removeListener }
  }

  /** Puts the package's methods on the response, with ours inside and outside of them. */
  through(bare: (req: PassingResponse, res: ServerResponse, next: () => void) => void): void {
    const { own, res } = this
    res.on = (type: string | symbol, listener: Listener) => {
      // The package's: it lets the codec go on, so it must not hear that the codec has room.
      return type === 'drain'
        ? own.on.call(res, type, () => void (this.isCodecsDrain || listener()))
        : own.on.call(res, type, listener)
    }
    res.writeHead = ((...args: unknown[]) => this.head(args)) as typeof res.writeHead
    bare(this, res, () => {})
    const viaPackage = { writeHead: res.writeHead, write: res.write, end: res.end, on: res.on }
    this.viaPackage = viaPackage
    // The package's `on` alone sends listeners of `drain` to the codec, where `once` and `pipe` never take them off again.
    res.on = own.on
    // A reason of `undefined` before the fields would make the package lose these.
    res.writeHead = ((status: number, reason: unknown, fields: unknown) =>
      viaPackage.writeHead.apply(
        res,
        (typeof reason === 'string' ? [status, reason, fields] : [status, reason ?? fields]) as never,
      )) as typeof res.writeHead
    res.write = ((...args: unknown[]) => this.write(args)) as typeof res.write
    res.end = ((...args: unknown[]) => this.end(args)) as typeof res.end
    this.onTop = { write: res.write, end: res.end }
    res.flush = () => this.flush()
  }

  /** Asked by the package when the head is about to go out: whether some client would get this coded. */
  isWorth(): boolean {
    const { length, req, res, settings } = this
    const headers = fieldsOf(res)
    // Of a 304 it would be the length of the 200 (RFC 9110 section 8.6).
    if (length !== undefined && res.statusCode !== 304 && !res.hasHeader('content-length'))
      headers.push('Content-Length', String(length))
    const reply = { status: res.statusCode, headers, body: underWay }
    const why = whyNot(this.method, req.rawHeaders, reply, settings)
    this.fields = headers
    this.why =
      why !== undefined && isNotWorthIt(why, this.method, reply) && this.refusesPlain() ? undefined : why
    if (this.why !== undefined && log.enabled) log('%s %s isn’t coded: %s', this.method, req.url, why)
    return this.why === undefined
  }

  private refusesPlain(): boolean {
    return this.coding !== undefined && plain.choose(acceptEncodingOf(this.req.rawHeaders)) === undefined
  }

  /** The package has done its part of the head: what it has left, and then the head goes out. */
  private head(args: unknown[]): ServerResponse {
    const { own, res } = this
    if (!this.isHeaded) {
      this.isHeaded = true
      this.editFields()
      if (this.codec === undefined) this.stepAside()
    }
    try {
      return own.writeHead.apply(res, args as never)
    } catch (error) {
      // An error page may follow, whose fields say nothing of a coding.
      this.giveUp()
      throw error
    }
  }

  private editFields(): void {
    const { coding, fields, method, req, res, why } = this
    const isKnown = this.length !== undefined || has(fields, 'content-length')
    this.isStream = !isKnown
    if (why === undefined && coding !== undefined) {
      // Of HEAD whose GET may be short it isn't known: these fields may be left out (RFC 9110 section 9.3.2).
      const isCoded = method === 'HEAD' ? isKnown : this.takeCodec(coding)
      if (isCoded) replaceFields(res, codedFields(fields, coding, 'weak'))
      return
    }
    if (why !== undefined && isOfRequest(why)) {
      const asked = req.headers['if-none-match']
      replaceFields(res, varyFields(why === 'not-modified' ? asClient(fields, asked, 'weak') : fields))
    }
    this.tellLength()
  }

  /** Node tells the length of what comes whole, unless the head is written before, as it is here. */
  private tellLength(): void {
    const { length, method, res } = this
    const { statusCode: status } = res
    if (length === undefined || method === 'HEAD' || status < 200 || status === 204 || status === 304) return
    for (const name of ['content-length', 'transfer-encoding', 'trailer']) if (res.hasHeader(name)) return
    res.setHeader('Content-Length', length)
  }

  /** @returns whether the package codes this response */
  private takeCodec(coding: ConnectCoding): boolean {
    const { res, viaPackage } = this
    // Its client has left.
    if (res.getHeader('content-encoding') !== coding) return false
    // With a codec the package's `on` gives `drain` to it, and returns it: nothing else tells which it is.
    const codec = viaPackage?.on.call(res, 'drain', () => this.roomInCodec()) as unknown as Gzip
    codec.on('error', (error: Error) => {
      if (log.enabled) log('%s failed: %s', coding, error.message)
      res.destroy()
    })
    this.codec = codec
    return true
  }

  private giveUp(): void {
    const { codec, res } = this
    if (codec === undefined) return
    codec.destroy()
    this.codec = undefined
    res.removeHeader('Content-Encoding')
    this.stepAside()
  }

  /** Methods of others that stand on ours are left: they would miss the rest of the body. Ours pass it on then. */
  private stepAside(): void {
    const { onTop, own, res } = this
    if (res.write === onTop?.write) res.write = own.write
    if (res.end === onTop?.end) res.end = own.end
  }

  private write(args: unknown[]): boolean {
    const { own, res } = this
    if (!res.headersSent) res.writeHead(res.statusCode)
    const { codec } = this
    if (codec === undefined) return own.write.apply(res, args as never)
    const { chunk, encoding, done } = sorted(args)
    if (this.isEnded) {
      if (done !== undefined) process.nextTick(done, new Error('write after end'))
      return false
    }
    const room = codec.write(chunk, encoding, done)
    if (this.isStream) this.flushSoon()
    return room
  }

  private end(args: unknown[]): ServerResponse {
    const { own, res } = this
    const { chunk, encoding, done } = sorted(args)
    if (!res.headersSent) {
      this.length = chunk === undefined || chunk === null ? 0 : Buffer.byteLength(chunk as string, encoding)
      if (this.method === 'HEAD' && this.length === 0) this.length = undefined
      res.writeHead(res.statusCode)
    }
    const { codec } = this
    if (codec === undefined) return own.end.apply(res, args as never)
    if (done !== undefined) res.once('finish', done)
    if (this.isEnded) return res
    this.isEnded = true
    if (chunk === undefined || chunk === null) codec.end()
    else codec.end(chunk, encoding)
    return res
  }

  /** Where somebody further out stands between (`connectCache`), what is emitted passes for what Node tells of the connection, and those who wait here wouldn't hear it. */
  private roomInCodec(): void {
    const { own, res } = this
    this.isCodecsDrain = true
    try {
      for (const each of own.rawListeners.call(res, 'drain')) {
        const { listener } = each as { listener?: Listener }
        if (listener !== undefined) own.removeListener.call(res, 'drain', listener)
        ;((listener ?? each) as Listener).call(res)
      }
    } finally {
      this.isCodecsDrain = false
    }
  }

  /** Once a turn, since each flush costs bytes. */
  private flushSoon(): void {
    if (this.isFlushDue) return
    this.isFlushDue = true
    endOfTurn(flush, this)
  }

  /** What has been written goes out. The package would do it by a full flush, after which nothing said before is referred to any more. */
  flush(): void {
    this.isFlushDue = false
    const { codec } = this
    if (codec === undefined || this.isEnded || codec.destroyed) return
    codec.flush(this.coding === 'br' ? constants.BROTLI_OPERATION_FLUSH : constants.Z_SYNC_FLUSH)
  }
}

function flush(passing: PassingResponse): void {
  passing.flush()
}

function fieldsOf(res: ServerResponse): HeaderList {
  const list: HeaderList = []
  for (const [name, value] of Object.entries(res.getHeaders())) {
    if (value === undefined) continue
    for (const each of Array.isArray(value) ? value : [value]) list.push(name, String(each))
  }
  return list
}

/** Those whose values stay are left as they were written. */
function replaceFields(res: ServerResponse, fields: HeaderList): void {
  const now = fieldsOf(res)
  for (const name of res.getHeaderNames()) if (!has(fields, name)) res.removeHeader(name)
  for (const [name, values] of groupByName(fields)) {
    const before = getAll(now, name)
    if ([values].flat().join('\n') !== before.join('\n')) res.setHeader(name, values)
  }
}

/** The arguments of `write` and `end`. */
function sorted(args: unknown[]): {
  chunk: unknown
  encoding: BufferEncoding
  done: Done | undefined
} {
  const [chunk, encoding] = args
  return {
    chunk: typeof chunk === 'function' ? undefined : chunk,
    encoding: (typeof encoding === 'string' ? encoding : 'utf8') as BufferEncoding,
    done: args.find((arg) => typeof arg === 'function') as Done | undefined,
  }
}
