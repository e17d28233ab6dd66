import { isIP } from 'node:net'
import { type Outbound, ProxyError, type Reply } from '@sluice/core'
import { type Duration, duration, integer, parse, that, v } from '@sluice/options'
import { connectionKey, onRetire, type Target } from '@sluice/upstream'
import { type ConnectHook, connectHookTakes, isConnectHook } from './connect-hook.js'
import { Deadlines } from './deadlines.js'
import type { Attempt, EditingAttempt, Transport } from './transport.js'
import { type ConnectSettings, wireConnector } from './wire-connector.js'
import { WireExchange } from './wire-exchange.js'
import { WirePool } from './wire-pool.js'

/** Options of {@link wireTransport}. */
export interface WireTransportOptions {
  /**
   * Connections to a target at most. Further requests wait for one, and while any waits, exchanges with slow clients give up
   * theirs; requests whose bodies have yet to come hold three quarters at most. Default 128; 0: no limit.
   */
  connections?: number
  /** How long a connection may be idle before it is closed. A target may ask for less. Default 60s; 0: no limit. */
  idle?: Duration
  /**
   * Each connection begins, ahead of TLS, with a header of the PROXY protocol of this version, which names the client and
   * what it has connected to. Such a connection serves one request: on a kept one the next client would pass for this one.
   * Off by default; a target that doesn't expect the header refuses every request, and one that expects it must take it
   * from the proxy alone, since it believes what it says.
   */
  proxyProtocol?: 1 | 2
  /**
   * Says where connections may go, and resolves names: `safeTargets()` where targets follow from requests, or one's own.
   * Default: anywhere.
   */
  connect?: ConnectHook
  /** The address of this machine that connections come from. Default: the system chooses. */
  localAddress?: string
}

const optionsSchema = v.strictObject({
  connections: v.optional(integer(0), 128),
  idle: v.optional(duration(), 60_000),
  proxyProtocol: v.optional(that<1 | 2>((value) => value === 1 || value === 2, '1 or 2')),
  connect: v.optional(that<ConnectHook>(isConnectHook, connectHookTakes)),
  localAddress: v.optional(
    that<string>((value) => typeof value === 'string' && isIP(value) > 0, 'an IP address'),
  ),
})

interface WireSettings extends ConnectSettings {
  readonly connections: number
  readonly idle: number
}

/**
 * HTTP/1.1 to targets, on Node's sockets, with kept connections: made for proxying. Fields go out as they are in the list;
 * bytes go on as they came. Replies that two parsers could read in two ways are refused.
 * @throws TypeError for a wrong option
 */
export function wireTransport(options: WireTransportOptions = {}): Transport {
  return new WireTransport(parse(optionsSchema, options, 'wireTransport') as WireSettings)
}

/** What {@link wireTransport} makes. */
export class WireTransport implements Transport {
  readonly name = 'wire'
  readonly connect: ConnectHook | undefined
  private readonly deadlines = new Deadlines()
  /** By {@link connectionKey}. */
  private readonly pools = new Map<object, WirePool>()
  private closing: Promise<void> | undefined = undefined
  private closed: (() => void) | undefined = undefined

  constructor(private readonly settings: WireSettings) {
    this.connect = settings.connect
  }

  accepts(_out: Outbound): boolean {
    return true
  }

  send(attempt: Attempt): Promise<Reply> {
    return this.begin(attempt, undefined)
  }

  /** As `send`, and the attempt edits the answer as its head is there: a promise less, which would cost more than the rest of it. */
  sendEdited(attempt: EditingAttempt): Promise<Reply> {
    return this.begin(attempt, attempt)
  }

  private begin(attempt: Attempt, editing: EditingAttempt | undefined): Promise<Reply> {
    if (this.closing !== undefined) return Promise.reject(new ProxyError('proxy_closing'))
    return new Promise((settle, refuse) => {
      const { target } = attempt
      const pool = this.pools.get(connectionKey(target)) ?? this.open(target)
      const exchange = new WireExchange(attempt, pool, settle, refuse, editing)
      if (exchange.gone) pool.endIfEmpty()
      else pool.send(exchange)
    })
  }

  close(force = false): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.closed = resolve
    })
    for (const pool of [...this.pools.values()]) pool.close(force)
    this.checkEmpty()
    return this.closing
  }

  private open(target: Target): WirePool {
    const key = connectionKey(target)
    const forget = onRetire(key, () => pool.close(false))
    const pool: WirePool = new WirePool(
      wireConnector(target, this.deadlines, this.settings),
      this.settings,
      this.deadlines,
      () => {
        // A target that was removed or isn't used any more leaves no pool behind.
        forget()
        if (this.pools.get(key) === pool) this.pools.delete(key)
        this.checkEmpty()
      },
    )
    this.pools.set(key, pool)
    return pool
  }

  private checkEmpty(): void {
    if (this.closed === undefined || this.pools.size > 0) return
    this.deadlines.close()
    this.closed()
  }
}
