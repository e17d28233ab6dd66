import { type Outbound, ProxyError, type Reply } from '@sluice/core'
import { has } from '@sluice/headers'
import { type Duration, duration, integer, oneOf, parse, type Size, size, that, v } from '@sluice/options'
import { connectionKey, onRetire, type Target } from '@sluice/upstream'
import { type ConnectHook, connectHookTakes, isConnectHook } from './connect-hook.js'
import { Deadlines } from './deadlines.js'
import { Http2Exchange } from './http2-exchange.js'
import { Http2Pool, type Http2PoolLimits, type Http2PoolOwner } from './http2-pool.js'
import type { Attempt, Transport } from './transport.js'
import { wireTransport } from './wire-transport.js'

/** Options of {@link http2Transport}. */
export interface Http2TransportOptions {
  /**
   * How it is known that a target speaks HTTP/2. `'alpn'`: the target chooses in the TLS handshake, and what it says is kept
   * for as long as the target is; HTTP/1.1 serves those that choose that, and all without TLS. `'prior-knowledge'`: it is
   * taken for granted, with TLS or without; a target that speaks something else can't be reached. Default `'alpn'` for
   * `https:` and `'prior-knowledge'` for `http:` and `unix:`.
   */
  mode?: 'alpn' | 'prior-knowledge'
  /** Connections to a target at most, beside those that it is closing. Default 8; 0: no limit. */
  sessions?: number
  /** Streams of a connection at once at most; the target's own limit counts too. Default 128; 0: the target's limit alone. */
  streams?: number
  /** Connections over HTTP/1.1 at most, to a target that chooses that. Default 128; 0: no limit. */
  connections?: number
  /** How long a connection may be without a stream before it is closed. Default 60s; 0: no limit. */
  idle?: Duration
  /**
   * Time between pings while there are streams; one that the next finds unanswered ends the connection. Many gRPC servers
   * close connections that ping more often than every five minutes. Default 0: none.
   */
  ping?: Duration
  /**
   * Bytes of one answer that a target may send ahead of its reader: a download gets no more than that in a round trip, and so much of each is held where a client doesn't
   * take it. Beside it a connection has 16 times as much for all its streams. `'64kb'` to less than `'2gb'`. Default 256kb.
   */
  window?: Size
  /**
   * Says where connections may go, and resolves names: `safeTargets()` where targets follow from requests, or one's own.
   * Default: anywhere.
   */
  connect?: ConnectHook
}

/** What every stream begins with, and a connection can't go below (RFC 9113 section 6.9.2). */
const leastWindow = 65_535

const optionsSchema = v.strictObject({
  mode: v.optional(oneOf('alpn', 'prior-knowledge')),
  sessions: v.optional(integer(0), 8),
  streams: v.optional(integer(0), 128),
  connections: v.optional(integer(0), 128),
  idle: v.optional(duration(), 60_000),
  ping: v.optional(duration(), 0),
  window: v.optional(
    v.pipe(
      size(),
      v.check((bytes) => bytes >= leastWindow && bytes < 2 ** 31, "'64kb' to less than '2gb'"),
    ),
    262_144,
  ),
  connect: v.optional(that<ConnectHook>(isConnectHook, connectHookTakes)),
})

interface Http2Settings extends Http2PoolLimits {
  readonly mode?: 'alpn' | 'prior-knowledge'
  readonly connections: number
  readonly window: number
  readonly connect?: ConnectHook
}

/**
 * HTTP/2 to targets, on `node:http2`. Carries trailers both ways and so gRPC, 1xx, and upgrades as extended CONNECT (RFC
 * 8441) where the target announces that. What a target has refused without processing it is sent again, if its body can be.
 * It can't carry CONNECT. Of an upgrade over TLS that the target doesn't take on HTTP/2 it makes one over HTTP/1.1.
 * @throws TypeError for a wrong option
 */
export function http2Transport(options: Http2TransportOptions = {}): Transport {
  return new Http2Transport(parse(optionsSchema, options, 'http2Transport') as Http2Settings)
}

/** What a target has said of itself; kept for as long as it lives. */
interface Known {
  http1: boolean
  /** It takes extended CONNECT; undefined before its first settings. */
  connectProtocol: boolean | undefined
}

class Http2Transport implements Transport, Http2PoolOwner {
  readonly name = 'http2'
  readonly connect: ConnectHook | undefined
  private readonly forgets = new WeakMap<Http2Pool, () => void>()
  private readonly deadlines = new Deadlines()
  /** By {@link connectionKey}. */
  private readonly pools = new Map<object, Http2Pool>()
  private readonly known = new WeakMap<Target, Known>()
  private readonly wire: Transport
  private closing: Promise<void> | undefined = undefined
  private closed: (() => void) | undefined = undefined

  constructor(private readonly settings: Http2Settings) {
    const { connections, idle, connect } = settings
    this.connect = connect
    this.wire = wireTransport({ connections, idle, ...(connect === undefined ? {} : { connect }) })
  }

  accepts(out: Outbound, target: Target): boolean {
    const { http1, connectProtocol } = this.of(target)
    if (http1) return this.wire.accepts(out, target)
    if (out.method === 'CONNECT') return false
    // RFC 9113 section 8.3.1: OPTIONS alone has a path that is none.
    if (out.path.charCodeAt(0) !== 47 && (out.path !== '*' || out.method !== 'OPTIONS')) return false
    return connectProtocol !== false || this.byAlpn(target) || !has(out.headers, 'sec-websocket-key')
  }

  send(attempt: Attempt): Promise<Reply> {
    if (this.closing !== undefined) return Promise.reject(new ProxyError('proxy_closing'))
    const { target } = attempt
    if (this.of(target).http1) return this.wire.send(attempt)
    return new Promise((settle, refuse) => {
      const pool = this.pools.get(connectionKey(target)) ?? this.open(target)
      const exchange = new Http2Exchange(attempt, pool, settle, refuse)
      if (exchange.gone) pool.endIfEmpty()
      else pool.send(exchange)
    })
  }

  close(force = false): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.closed = resolve
    })
    for (const pool of [...this.pools.values()]) pool.close(force)
    this.checkEmpty(force)
    return this.closing
  }

  emptied(pool: Http2Pool): void {
    // A target that was removed or isn't used any more leaves no pool behind.
    this.forgets.get(pool)?.()
    this.checkEmpty(false)
  }

  speaksHttp1(pool: Http2Pool, exchanges: readonly Http2Exchange[]): void {
    this.of(pool.address.target).http1 = true
    for (const exchange of exchanges) exchange.handOver(this.wire)
  }

  connectProtocol(pool: Http2Pool, taken: boolean): void {
    this.of(pool.address.target).connectProtocol = taken
  }

  handOver(exchange: Http2Exchange): void {
    exchange.handOver(this.wire)
  }

  /** The last to close is the wire: what waits here may turn out to go over HTTP/1.1. */
  private checkEmpty(force: boolean): void {
    if (this.closed === undefined || this.pools.size > 0) return
    void this.wire.close(force).then(this.closed)
  }

  private of(target: Target): Known {
    let known = this.known.get(target)
    if (known === undefined) {
      known = { http1: this.settings.mode === 'alpn' && !isSecure(target), connectProtocol: undefined }
      this.known.set(target, known)
    }
    return known
  }

  private byAlpn(target: Target): boolean {
    return this.settings.mode !== 'prior-knowledge' && isSecure(target)
  }

  private open(target: Target): Http2Pool {
    const { window } = this.settings
    const address = {
      target,
      secure: isSecure(target),
      alpn: this.byAlpn(target),
      window,
      hook: this.connect,
    }
    const pool = new Http2Pool(address, this.settings, this.deadlines, this)
    const key = connectionKey(target)
    this.pools.set(key, pool)
    const forget = onRetire(key, () => pool.retire())
    this.forgets.set(pool, () => {
      forget()
      if (this.pools.get(key) === pool) this.pools.delete(key)
    })
    return pool
  }
}

function isSecure(target: Target): boolean {
  return target.url.startsWith('https:')
}
