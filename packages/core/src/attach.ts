import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { needFunction, parse, that, v } from '@sluice/options'
import type { Handler } from './chain.js'
import { watchHalfClosed } from './half-closed.js'
import { lingeringClose } from './lingering-close.js'
import { type InboundRequest, type InboundResponse, toContinueListener, toListener } from './mount.js'
import { offeredProtocols } from './offered-protocols.js'
import { type ConnectListener, toConnectListener, toUpgradeListener } from './tunnel-mount.js'

// biome-ignore lint/suspicious/noExplicitAny: each kind of server types its listeners in its own way
type AnyListener = (...args: any[]) => void

/** Any server of `node:http`, `https` or `http2`. */
export interface AttachableServer {
  on(event: string, listener: AnyListener): unknown
  off(event: string, listener: AnyListener): unknown
  // biome-ignore lint/suspicious/noExplicitAny: as above
  emit(event: string, ...args: any[]): boolean
  listenerCount(event: string): number
  /** What an app that only looks like a server hasn't. */
  readonly listening: boolean
  /** With the wrappers that `once` makes. */
  rawListeners(event: string): Function[]
  /** On HTTP/1: whether a client that has ended its half still gets its answer. */
  httpAllowHalfOpen?: boolean
  /** On HTTP/1, from Node 22.21 and 24.9 on: whether a request that asks for an upgrade is one. */
  shouldUpgradeCallback?: ((req: IncomingMessage) => boolean) | undefined
  /** On HTTP/2. */
  updateSettings?(settings: { enableConnectProtocol?: boolean }): void
}

interface Attachment {
  readonly path: string
  readonly request: (req: InboundRequest, res: InboundResponse) => void
  readonly checkContinue: (req: InboundRequest, res: InboundResponse) => void
  readonly upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void
  readonly connect: ConnectListener
}

type Event = Exclude<keyof Attachment, 'path'>

/** Of a request whose upgrade is ignored. */
const ignored = Symbol('sluice.ignored-upgrade')
type Ignored = IncomingMessage & { [ignored]?: true }

const events: readonly Event[] = ['request', 'checkContinue', 'upgrade', 'connect']

/** What is attached to a server, and the listeners that serve all of it. */
class Attached {
  readonly entries: Attachment[] = []
  /** The server's own listeners, which hear through ours. */
  private readonly own: Readonly<Record<Event, readonly AnyListener[]>>
  private readonly ours: Readonly<Record<Event, AnyListener>> = {
    request: (req, res) => this.serve('request', [req, res]),
    checkContinue: (req, res) => this.serve('checkContinue', [req, res]),
    upgrade: (req, socket, head) => this.serve('upgrade', [req, socket, head]),
    connect: (req, socket, head) => this.serve('connect', [req, socket, head]),
  }

  private halfClosed = false
  private readonly ownShouldUpgrade: AttachableServer['shouldUpgradeCallback']

  constructor(private readonly server: AttachableServer) {
    this.own = {
      request: taken(server, 'request'),
      checkContinue: taken(server, 'checkContinue'),
      upgrade: taken(server, 'upgrade'),
      connect: taken(server, 'connect'),
    }
    for (const event of events) server.on(event, this.ours[event])
    this.ownShouldUpgrade = server.shouldUpgradeCallback
    if (this.ownShouldUpgrade !== undefined) server.shouldUpgradeCallback = this.shouldUpgrade
  }

  /**
   * RFC 9110 section 7.8: what offers nothing that we have is a request like any other, whose body would be left alone else.
   */
  private readonly shouldUpgrade = (req: IncomingMessage): boolean => {
    if (this.ownShouldUpgrade?.call(this.server, req) !== true) return false
    if (offeredProtocols(req) !== undefined) return true
    const isOurs = this.entries.some(({ path }) => below(path, req.url ?? '/') !== undefined)
    // Where nobody else listens either there would be no upgrades without us.
    if (!isOurs && (this.own.upgrade.length > 0 || this.server.listenerCount('upgrade') > 1)) return true
    ;(req as Ignored)[ignored] = true
    return false
  }

  /** Lets clients end their half and still get their answer. It is the whole server's, so only who serves all of it may. */
  allowHalfClosed(): void {
    const { server } = this
    // Of TLS the connection underneath ends with either half.
    if (server.httpAllowHalfOpen !== false || 'setSecureContext' in server) return
    server.httpAllowHalfOpen = true
    server.on('connection', watchHalfClosed)
    this.halfClosed = true
  }

  /** As it was: an end of a client's half is an end again. */
  refuseHalfClosed(): void {
    if (!this.halfClosed) return
    this.server.httpAllowHalfOpen = false
    this.server.off('connection', watchHalfClosed)
    this.halfClosed = false
  }

  /** Gives the server's own listeners back, where ours stands among those added since. */
  restore(): void {
    const { server } = this
    if (server.shouldUpgradeCallback === this.shouldUpgrade)
      server.shouldUpgradeCallback = this.ownShouldUpgrade
    for (const event of events) {
      const all = server.rawListeners(event) as AnyListener[]
      const at = all.indexOf(this.ours[event])
      // Something that was attached later has taken ours, as we have taken these: they hear through it as before.
      if (at === -1) continue
      const later = all.slice(at + 1)
      for (const listener of [this.ours[event], ...later]) server.off(event, listener)
      for (const listener of [...this.own[event], ...later]) server.on(event, listener)
    }
  }

  private serve(event: Event, args: [req: IncomingMessage, to: unknown, head?: Buffer]): void {
    // Node loses what comes in one packet behind its body: what comes next would be read from the middle of something.
    if ((args[0] as Ignored)[ignored] === true) (args[1] as ServerResponse).shouldKeepAlive = false
    const entry = match(this.entries, args[0])
    if (entry !== undefined) {
      ;(entry[event] as AnyListener)(...args)
      return
    }
    const own = this.own[event]
    for (const listener of own) listener.apply(this.server, args)
    if (own.length === 0 && this.server.listenerCount(event) === 1) this.serveNobody(event, args)
  }

  /** What Node does where nobody listens, but that an answer is given. */
  private serveNobody(event: Event, [req, to]: [req: IncomingMessage, to: unknown, head?: Buffer]): void {
    if (event === 'checkContinue') {
      ;(to as ServerResponse).writeContinue()
      this.server.emit('request', req, to)
    } else if (event === 'request' || 'stream' in req) {
      const res = to as ServerResponse
      res.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' })
      res.end('404 Not Found\n')
    } else {
      const socket = to as Duplex
      socket.on('error', () => {})
      socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      lingeringClose(socket)
    }
  }
}

const attachOptions = v.strictObject({
  path: v.optional(
    that<string>(
      (path) => path === '' || (typeof path === 'string' && /^\/[^?#*\s]*$/.test(path)),
      "a path that begins with '/' and has no '*', such as '/api': it and all below it",
    ),
  ),
})

const attachments = new WeakMap<object, Attached>()

/**
 * Serves all that comes to a server, below `path` if given (it is stripped, as a mount of Express does): requests, those
 * that wait for `100 Continue`, upgrades, CONNECT, and on HTTP/2 what RFC 8441 has in the place of upgrades, which it turns
 * on for sessions that begin from now on. Several may be attached to one server: the longest path that matches serves. What
 * none matches is left to the server's other listeners; where there are none it gets 404. Listeners that were there before
 * hear of nothing else until it is detached, since an app that knows no such path would answer first, with its own 404;
 * those added later hear of all and decide alone.
 *
 * So it stands before all middlewares of an app, its authentication among them. For upgrades alone: `server.on('upgrade', toUpgradeListener(handler))`.
 * @returns a function that detaches it
 * @throws TypeError for what is no server (an app isn't), no handler, or a wrong option
 */
export function attach(
  server: AttachableServer,
  handler: Handler,
  options: { path?: string } = {},
): () => void {
  if (typeof (server as Partial<AttachableServer> | undefined)?.listening !== 'boolean')
    throw new TypeError('attach: takes a server, such as createServer(app) gives')
  needFunction(handler, 'attach', 'a handler')
  const path = mountPath(options)
  const entry: Attachment = {
    path,
    request: toListener(handler),
    checkContinue: toContinueListener(handler),
    upgrade: toUpgradeListener(handler),
    connect: toConnectListener(handler),
  }
  let attached = attachments.get(server)
  if (attached === undefined) {
    attached = new Attached(server)
    attachments.set(server, attached)
    // Other settings stay as they are.
    server.updateSettings?.({ enableConnectProtocol: true })
  }
  if (path === '') attached.allowHalfClosed()
  const { entries } = attached
  entries.push(entry)
  entries.sort((a, b) => b.path.length - a.path.length)
  return () => {
    const at = entries.indexOf(entry)
    if (at === -1) return
    entries.splice(at, 1)
    if (entries.every((left) => left.path !== '')) attached.refuseHalfClosed()
    if (entries.length > 0) return
    attachments.delete(server)
    attached.restore()
  }
}

/** The listeners that a server has for an event, which it has no more. */
function taken(server: AttachableServer, event: Event): AnyListener[] {
  const listeners = server.rawListeners(event) as AnyListener[]
  for (const listener of listeners) server.off(event, listener)
  return listeners
}

/** The entry whose path holds the request's, with that path stripped from `req.url` and kept in `req.baseUrl`. */
function match(entries: readonly Attachment[], req: IncomingMessage): Attachment | undefined {
  const url = req.url ?? '/'
  for (const entry of entries) {
    const { path } = entry
    const rest = below(path, url)
    if (rest === undefined) continue
    if (path === '') return entry
    const mounted = req as IncomingMessage & { baseUrl?: string; originalUrl?: string }
    mounted.originalUrl ??= url
    mounted.baseUrl = (mounted.baseUrl ?? '') + path
    req.url = rest
    return entry
  }
  return undefined
}

/** How a URL reads below a path, if it is below it. */
function below(path: string, url: string): string | undefined {
  if (path === '') return url
  // RFC 9112 section 3.2.2: a server takes the absolute form too.
  const origin = url[0] === '/' ? '' : (/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i.exec(url)?.[0] ?? '')
  if (!url.startsWith(path, origin.length)) return undefined
  const rest = url.slice(origin.length + path.length)
  if (rest !== '' && rest[0] !== '/' && rest[0] !== '?') return undefined
  return origin + (rest[0] === '/' ? rest : `/${rest}`)
}

/** `/x` for `/x` and `/x/`, nothing for `/`. */
function mountPath(options: unknown): string {
  const { path = '' } = parse(attachOptions, options, 'attach')
  return path.endsWith('/') ? path.slice(0, -1) : path
}
