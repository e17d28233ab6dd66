import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { get, type HeaderList } from '@sluice/headers'
import type { InboundResponse } from './mount.js'
import type { StandIn } from './stand-in-response.js'

/** What code of an app calls on a response: it goes to the stand-in. */
const methods = [
  ...['setHeader', 'setHeaders', 'appendHeader', 'getHeader', 'getHeaderNames', 'getRawHeaderNames'],
  ...['getHeaders', 'hasHeader', 'removeHeader', 'writeHead', 'writeHeader', 'write', 'end', 'flushHeaders'],
  ...['addTrailers', 'destroy', 'cork', 'uncork', 'writeContinue', 'writeProcessing', 'writeEarlyHints'],
  ...['writeInformation'],
  ...['on', 'once', 'addListener', 'prependListener', 'prependOnceListener', 'off', 'removeListener'],
  ...['removeAllListeners', 'listeners', 'rawListeners', 'listenerCount', 'eventNames'],
  ...['setMaxListeners', 'getMaxListeners'],
] as const

/** What it looks at. Node's own code reads none of these while it sends, but those that stand in calls of ours. */
const properties = [
  ...['statusCode', 'statusMessage', 'headersSent', 'writableEnded', 'writableFinished'],
  ...['writableNeedDrain', 'writableLength'],
] as const

/** Node's own code goes by these as long as it sends. */
const ofNode = ['finished', 'destroyed', 'closed', 'errored', 'writable', '_header', 'socket'] as const

/** What Node tells of the connection; all else is the app's. */
const told = new Set<string | symbol>([
  ...['close', 'finish', 'prefinish', 'drain', 'error', 'socket', 'timeout'],
])

/** What an app says of an answer and its use also where it was said before the answer was made. */
const ofAnswers =
  /^(content-.*|.*cache-control|cache-tag|surrogate-.*|age|date|etag|expires|last-modified|pragma|vary)$/

const place = Symbol('sluice.in-place')

type Method = (...args: unknown[]) => unknown
type Open = Record<string | symbol, unknown>

/** A response as it was before anything of an answer was on it. */
export interface Before {
  readonly status: number
  readonly fields: readonly (readonly [string, number | string | string[]])[]
}

/** @returns what stands on a response now */
export function before(res: InboundResponse): Before {
  const http1 = res as ServerResponse & { getRawHeaderNames?(): string[] }
  const names = http1.getRawHeaderNames?.() ?? res.getHeaderNames()
  return {
    status: res.statusCode,
    fields: names.map((name) => [name, http1.getHeader(name) as string]),
  }
}

/**
 * One response with two sides. Code of the app has the object itself, and what it does there goes to a stand-in: fields, status, bytes, and who
 * listens to it. The other side is {@link outer}: what is written there goes to the client, past whatever middlewares further out have put on
 * the object before. So an app that has closed over `res` makes an answer that need not be this client's, nor go out at that pace.
 *
 * both sides ──the client has its answer, or has left──▶ detached: the object is the app's alone
 */
export class InPlace {
  readonly outer: InboundResponse
  readonly #res: InboundResponse
  readonly #standIn: StandIn
  readonly #before: Before
  /** One further out that has the same object. */
  readonly #around: InPlace | undefined
  #isLeft = false
  /** Those that are to be detached when the client of this one has gone. */
  #within: InPlace[] | undefined = undefined
  /** Calls of ours under way: what happens in them is the client's side. */
  #outside = 0

  constructor(res: InboundResponse, standIn: StandIn, state: Before) {
    this.#res = res
    this.#standIn = standIn
    this.#before = state
    this.#around = (res as unknown as Open)[place] as InPlace | undefined
    ;(res as unknown as Open)[place] = this
    const shadow = standIn.res
    for (const [name, value] of state.fields) shadow.setHeader(name, value)
    shadow.statusCode = state.status
    // What waits for a property of the app's side is called as the app's object.
    standIn.front = res as ServerResponse
    shadow.emit = (event: string | symbol, ...args: unknown[]) => this.#tell(event, args)
    const originals = new Map<string | symbol, unknown>([['flush', (res as unknown as Open)['flush']]])
    this.outer = new Proxy(res, {
      get: (target, name) =>
        originals.has(name) ? originals.get(name) : this.#out(() => Reflect.get(target, name, target)),
      set: (target, name, value) => this.#out(() => Reflect.set(target, name, value, target)),
    })
    this.#redirect(originals)
    for (const name of properties) this.#share(name)
  }

  /** The client has its answer, or has left: nothing is written to it any more. What waits further out for this one may not be its end: Node still sends then. */
  detach(): void {
    const outermost = this.#outermost
    if (outermost !== this && !outermost.#isLeft) {
      outermost.#within ??= []
      outermost.#within.push(this)
      return
    }
    for (const name of ofNode) this.#share(name)
  }

  /** To be told in any case: those within that wait for it are detached. */
  left(): void {
    this.#isLeft = true
    for (const each of this.#within ?? []) each.detach()
    this.#within = undefined
  }

  get #outermost(): InPlace {
    return this.#around === undefined ? this : this.#around.#outermost
  }

  /** Of what stands on the response: what belongs to the answer, and not to whoever has set it before the answer was made. */
  fieldsOf(headers: HeaderList): HeaderList {
    const { fields } = this.#before
    if (fields.length === 0) return headers
    const was = new Map(fields.map(([name, value]) => [name.toLowerCase(), [value].flat().map(String)]))
    const shadow = this.#standIn.res
    const list: HeaderList = []
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      const value = headers[i + 1] as string
      const lower = name.toLowerCase()
      const old = was.get(lower)
      if (old !== undefined && !ofAnswers.test(lower)) {
        // Each cookie is its own; of other fields the whole counts.
        const now = lower === 'set-cookie' ? [value] : [shadow.getHeader(name)].flat().map(String)
        if (now.every((one) => old.includes(one))) continue
      }
      list.push(name, value)
    }
    return list
  }

  private get isOutside(): boolean {
    return this.#outside > 0 || this.#around?.isOutside === true
  }

  #redirect(originals: Map<string | symbol, unknown>): void {
    const res = this.#res as unknown as Open
    const shadow = this.#standIn.res as unknown as Open
    const replace = (name: string, instead: Method): void => {
      const original = res[name]
      if (typeof original === 'function') {
        originals.set(name, (...args: unknown[]) => {
          const result = this.#out(() => Reflect.apply(original as Method, res, args) as unknown)
          return result === res ? this.outer : result
        })
      }
      res[name] = (...args: unknown[]) => {
        if (this.isOutside) {
          if (name === 'cork' && this.#around === undefined) this.#uncorkSoon(originals)
          return Reflect.apply(original as Method, res, args) as unknown
        }
        const result = instead(...args)
        return result === shadow ? res : result
      }
    }
    for (const name of methods) {
      const method = shadow[name]
      if (typeof method === 'function') replace(name, method.bind(shadow) as Method)
    }
    replace('_implicitHeader', () => {
      if (!this.#standIn.answered) (res['writeHead'] as Method)(shadow['statusCode'])
    })
    const emit = res['emit'] as Method
    originals.set('emit', (...args: unknown[]) => this.#out(() => Reflect.apply(emit, res, args)))
    res['emit'] = (event: string | symbol, ...args: unknown[]) =>
      this.isOutside || told.has(event)
        ? this.#out(() => Reflect.apply(emit, res, [event, ...args]))
        : this.#tell(event, args)
  }

  /**
   * From version 26 on Node holds back on the object what is written in a turn, and asks it for that when the turn is over: the call would pass
   * for one of the app's. So it is made before.
   */
  #uncorkSoon(originals: ReadonlyMap<string | symbol, unknown>): void {
    process.nextTick(() => {
      if (this.#res.writableCorked > 0) (originals.get('uncork') as Method)()
    })
  }

  /** From now on the app's side has its own value of it. */
  #share(name: string): void {
    const res = this.#res
    const shadow = this.#standIn.res as unknown as Open
    const found = descriptorOf(res, name)
    let value = found?.value as unknown
    Object.defineProperty(res, name, {
      configurable: true,
      enumerable: found?.enumerable ?? false,
      get: () => {
        if (!this.isOutside) return shadow[name]
        return found?.get === undefined ? value : found.get.call(res)
      },
      set: (next: unknown) => {
        if (!this.isOutside) shadow[name] = next
        else if (found?.get === undefined) value = next
        else found.set?.call(res, next)
      },
    })
  }

  /** Those who listen on the app's side hear it, as if the object told it. */
  #tell(event: string | symbol, args: unknown[]): boolean {
    const shadow = this.#standIn.res
    const listeners = EventEmitter.prototype.rawListeners.call(shadow, event)
    const outside = this.#outside
    this.#outside = 0
    try {
      for (const each of listeners) {
        const { listener } = each as { listener?: Method }
        if (listener !== undefined) shadow.removeListener(event, listener as never)
        Reflect.apply((listener ?? each) as Method, this.#res, args)
      }
    } finally {
      this.#outside = outside
    }
    return listeners.length > 0
  }

  #out<T>(call: () => T): T {
    this.#outside++
    try {
      return call()
    } finally {
      this.#outside--
    }
  }
}

/** Whether what is written to a response goes to a stand-in, which speaks HTTP/1 and takes trailers: it has no connection of its own. */
export function isInPlace(res: InboundResponse): boolean {
  return (res as unknown as Open)[place] !== undefined
}

function descriptorOf(of: object, name: string): PropertyDescriptor | undefined {
  for (let at: object | null = of; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const found = Object.getOwnPropertyDescriptor(at, name)
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * Gives the request, which the app has closed over, the fields of a fetch in the place of those that the client has sent.
 * @param sent those of the client, without what is of its connection
 */
export function putFields(req: IncomingMessage, sent: HeaderList, fields: HeaderList): void {
  const changed = new Set<string>()
  for (const [from, to] of [
    [sent, fields],
    [fields, sent],
  ] as const) {
    for (let i = 0; i < from.length; i += 2) {
      const name = (from[i] as string).toLowerCase()
      if (get(to, name) !== get(from, name)) changed.add(name)
    }
  }
  if (changed.size === 0) return
  const { headers, rawHeaders } = req
  let to = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (changed.has((rawHeaders[i] as string).toLowerCase())) continue
    rawHeaders[to] = rawHeaders[i] as string
    rawHeaders[to + 1] = rawHeaders[i + 1] as string
    to += 2
  }
  rawHeaders.length = to
  for (const name of changed) {
    const value = get(fields, name)
    if (value === undefined) delete headers[name]
    else {
      headers[name] = value
      rawHeaders.push(name, value)
    }
  }
}
