import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  type AttachableServer,
  attach,
  type Context,
  chain,
  endConnectionIf,
  type Handler,
  type InboundRequest,
  type InboundResponse,
  type Next,
  ProxyError,
  type Reply,
  toListener,
  toUpgradeListener,
} from '@sluice/core'
import { type ServerGuardOptions, type SlowOptions, warnUnhardened } from '@sluice/guard'
import { type Duration, duration, parse, v } from '@sluice/options'
import type { Upstream } from '@sluice/upstream'
import debug from 'debug'
import { Listeners } from './listeners.js'
import type { ProxyTls, SiteTls } from './site-tls.js'

/** The real one: fake timers in an app's tests are there to stop its clock, and not its proxy's end. */
const immediately = setImmediate

/** What has come on a connection is read in the second at the latest. */
const turnsToRead = 2

const log = debug('sluice:proxy')

/** A reverse proxy, ready to be mounted, attached or listened with. */
export interface Proxy {
  /** The proxy as the handler of a chain. */
  readonly handler: Handler
  /** Request listener for `node:http`, Express, Connect. Bound. After `close()`: 503 and `Connection: close`. */
  listener(req: InboundRequest, res: InboundResponse, next?: Next): void
  /** Listener for a server's `upgrade` event: it takes all of them, those of an app's own too. Bound. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void
  /**
   * Serves a server's requests and upgrades below `path` (stripped), and leaves the rest to its other listeners. It stands before all
   * middlewares of an app, its authentication among them; for upgrades alone: `server.on('upgrade', proxy.upgrade)`.
   * @returns a function that detaches it
   * @throws TypeError for what is no server (an app isn't), or a wrong option
   */
  attach(server: AttachableServer, options?: { path?: string }): () => void
  /**
   * Listens in a server of its own: with `tls` for HTTPS and HTTP/2, and with `tls.redirect` for plain HTTP beside it.
   * @param port default 0: a free one
   * @param host default '127.0.0.1'
   * @returns where it listens; with `tls` for HTTPS
   * @throws TypeError for options or a callback, Error that says so if the port is in use or not allowed
   */
  listen(port?: number, host?: string): Promise<AddressInfo>
  /** Where it listens now, in the order in which that began: of `tls.redirect` the plain port stands behind the other. */
  readonly addresses: readonly AddressInfo[]
  /**
   * Takes no more requests, lets those in flight finish for up to `drain` (default '10s'), then ends what is left, its
   * servers, connections and timers. Calling it again waits for the same end.
   * @throws TypeError for wrong options: nothing is closed then
   */
  close(options?: { drain?: Duration }): Promise<void>
  /** The groups of targets by name, live. */
  readonly upstreams: ReadonlyMap<string, Upstream>
  /** Where `cache` is on: what to drop from it. */
  readonly cache?: ProxyCache
  /** Where `tls` is on: its certificates, and whose client certificates it takes. */
  readonly tls?: ProxyTls
}

/** What is kept of answers. */
export interface ProxyCache {
  /**
   * Drops what is stored for an absolute URL, a tag (of `Surrogate-Key` or `Cache-Tag`) or all URLs with a prefix, and tells how much
   * that was. `soft`: it is stale instead, and may be served where stale answers may.
   * @throws TypeError where it isn't one of the three, or a URL isn't absolute; and what the store does
   */
  purge(what: { url?: string; tag?: string; prefix?: string }, options?: { soft?: boolean }): Promise<number>
}

/** What a proxy stands on. */
export interface Parts {
  readonly handler: Handler
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly cache: ProxyCache | undefined
  /** What `listen` speaks TLS with. */
  readonly tls: SiteTls | undefined
  /** Whose connections begin with a header of the PROXY protocol. */
  readonly proxies: ((address: string) => boolean) | undefined
  /** What limits the servers of `listen`; `false`: nothing of ours does. */
  readonly server: false | ServerGuardOptions
  readonly slow: false | SlowOptions
  /** Somebody has said what those limits are to be, and is to hear it where they can't be. */
  readonly limitsServers: boolean
  /** Ends what nothing in flight needs: orders of certificates, timers of what guards. */
  stop(): void
  /** Ends who judges targets, whoever waits for one, and all connections to them; with `force` those in use too. */
  disconnect(force: boolean): Promise<void>
}

const closeOptions = v.strictObject({ drain: v.optional(duration(), 10_000) })

/**
 * open ──close()──▶ draining ──nothing in flight, or `drain` over──▶ closed
 */
export class AssembledProxy implements Proxy {
  readonly handler: Handler
  readonly upstreams: ReadonlyMap<string, Upstream>
  declare readonly cache?: ProxyCache
  declare readonly tls?: ProxyTls
  readonly listener: (req: InboundRequest, res: InboundResponse, next?: Next) => void
  readonly upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void
  private readonly parts: Parts
  private readonly isClosing = (): boolean => this.closing !== undefined
  private readonly listeners: Listeners
  private readonly tunnels = new Set<Duplex>()
  private inFlight = 0
  private closing: Promise<void> | undefined = undefined
  /** What had come on connections to our own servers when that began has been read: they take no more either. */
  private isShut = false
  private idle: (() => void) | undefined = undefined
  /** By which a request came last. */
  private server: object | undefined = undefined

  constructor(parts: Parts) {
    this.parts = parts
    this.upstreams = parts.upstreams
    if (parts.cache !== undefined) this.cache = parts.cache
    if (parts.tls !== undefined) this.tls = parts.tls
    this.handler = chain().handle((ctx) => this.handle(ctx))
    this.listener = toListener(this.handler)
    this.upgrade = toUpgradeListener(this.handler)
    this.listeners = new Listeners((ctx) => (this.isShut ? this.handle(ctx) : this.serve(ctx)), parts, parts)
  }

  attach(server: AttachableServer, options?: { path?: string }): () => void {
    const detach = attach(server, this.handler, options)
    // When the app has had time to harden it.
    immediately(() => this.tellOf(server))
    return detach
  }

  listen(port = 0, host = '127.0.0.1'): Promise<AddressInfo> {
    if (this.closing !== undefined) return Promise.reject(new Error('listen: the proxy is closed'))
    return this.listeners.listen(port, host)
  }

  get addresses(): readonly AddressInfo[] {
    return this.listeners.addresses
  }

  close(options: { drain?: Duration } = {}): Promise<void> {
    const { drain } = parse(closeOptions, options, 'close')
    this.closing ??= this.shut(drain)
    return this.closing
  }

  private handle(ctx: Context): Reply | Promise<Reply> {
    if (this.closing !== undefined) throw new ProxyError('proxy_closing')
    return this.serve(ctx)
  }

  private serve(ctx: Context): Reply | Promise<Reply> {
    this.inFlight++
    ctx.onClose(exchangeEnded, this)
    endConnectionIf(ctx, this.isClosing)
    if (!('stream' in ctx.req)) {
      const { server } = ctx.req.socket as { server?: object }
      if (server !== this.server) this.tellOf(server)
    }
    const tunnels = ctx.upgrade !== undefined || ctx.out.method === 'CONNECT'
    return tunnels ? this.tunnel(ctx) : this.parts.handler(ctx)
  }

  /** A server of the app's own may lack the limits that only servers have. */
  private tellOf(server: object | undefined): void {
    this.server = server
    if (server !== undefined && this.parts.server !== false) warnUnhardened(server, this.parts.limitsServers)
  }

  private async tunnel(ctx: Context): Promise<Reply> {
    const reply = await this.parts.handler(ctx)
    const { socket } = reply
    if (socket !== undefined) {
      this.tunnels.add(socket)
      socket.once('close', () => this.tunnels.delete(socket))
    }
    return reply
  }

  /** One exchange less. While draining, its connection has become idle, and the last one ends the wait. */
  ended(): void {
    this.inFlight--
    if (!this.isShut) return
    immediately(() => this.listeners.closeIdle())
    if (this.inFlight === 0) this.idle?.()
  }

  private async shut(drain: number): Promise<void> {
    if (log.enabled) log('closing, %d in flight', this.inFlight)
    this.parts.stop()
    const closed = this.listeners.shut()
    // To end a connection with a request in its buffer would reset it, and only a safe one may be sent again (RFC 9112 section 9.6).
    const turns = this.listeners.isOpen ? turnsToRead : 0
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => immediately(resolve))
    this.isShut = true
    this.listeners.closeIdle()
    await this.drained(drain)
    const undone = this.inFlight > 0
    for (const tunnel of this.tunnels) tunnel.destroy()
    await this.parts.disconnect(undone)
    // What has just been said of the end still goes out, where the client reads.
    if (undone) await new Promise((resolve) => immediately(resolve))
    this.listeners.end()
    await closed
    await this.parts.tls?.close()
    for (const upstream of this.upstreams.values()) await upstream.close()
    if (log.enabled) log('closed')
  }

  private drained(drain: number): Promise<void> {
    if (this.inFlight === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, drain)
      this.idle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

function exchangeEnded(_end: unknown, proxy: AssembledProxy): void {
  proxy.ended()
}
