import type { Socket } from 'node:net'
import { ProxyError } from '@sluice/core'
import { afterReads } from './after-reads.js'
import type { ClientEnds } from './client-ends.js'
import type { Deadlines } from './deadlines.js'
import { type ConnectionOwner, WireConnection } from './wire-connection.js'
import type { WireExchange } from './wire-exchange.js'

/** What opens sockets to one target. */
export interface Connector {
  /** The target's own name, for `Host`. */
  readonly host: string
  /** A connection names one client, so it is made for one exchange and isn't kept for another. */
  readonly perExchange: boolean
  /** Begins to connect; exactly one of `done` and `failed` is called, later. */
  connect(
    connection: WireConnection,
    plain: boolean,
    timeout: number,
    client: ClientEnds | undefined,
    done: (socket: Socket) => void,
    failed: (error: Error) => void,
  ): void
}

/** What a pool may hold. */
export interface PoolLimits {
  /** Connections at most; 0: no limit. */
  readonly connections: number
  /** How long one may be idle, in ms; 0: no limit. */
  readonly idle: number
}

/** An unsafe request isn't sent at once on a connection that has rested for this long: its end may be on the way. */
const restedFor = 1_000

/** How long idle connections may hold the process open, in ms. */
const lettingGoAfter = 50

/**
 * Connections to one target. The one that was used last is used next, so that those that aren't needed grow old and go.
 * Requests beyond the limit wait in line.
 */
export class WirePool implements ConnectionOwner {
  private readonly idle: WireConnection[] = []
  private readonly all = new Set<WireConnection>()
  private waiting: WireExchange[] = []
  /** Those that aren't in line: they look whether the connection they are to get still lives, or one of their own is opened. */
  private readonly apart = new Set<WireExchange>()
  private connecting = 0
  /** Connections in a row that could not be opened. */
  private failures = 0
  private closed = false
  private lettingGo = false

  constructor(
    private readonly connector: Connector,
    private readonly limits: PoolLimits,
    readonly deadlines: Deadlines,
    /** Hears that nothing is left in it. */
    private readonly emptied: (pool: WirePool) => void,
  ) {}

  get host(): string {
    return this.connector.host
  }

  /** Each connection serves one exchange. */
  get perExchange(): boolean {
    return this.connector.perExchange
  }

  /** Gives an exchange a connection, now or when there is one. */
  send(exchange: WireExchange): void {
    if (exchange.tunnels) {
      this.open(exchange)
      return
    }
    // One that has met a dead connection gets a new one: the others may be as dead.
    const connection = exchange.again ? undefined : this.rested()
    if (connection === undefined) {
      this.waiting.push(exchange)
      this.grow()
      return
    }
    if (exchange.safe || this.deadlines.now() - connection.idleSince < restedFor) connection.send(exchange)
    else this.after(connection, exchange)
  }

  /** An exchange that waits has been given up. */
  forget(exchange: WireExchange): void {
    const at = this.waiting.indexOf(exchange)
    if (at !== -1) this.waiting.splice(at, 1)
  }

  released(connection: WireConnection): void {
    const next = this.waiting.shift()
    if (next !== undefined) {
      connection.send(next)
      return
    }
    const limit = connection.idleLimit(this.limits.idle)
    if (this.closed || limit < 0) {
      connection.socket.destroy()
      return
    }
    connection.idleSince = this.deadlines.set(connection.deadline, limit)
    this.idle.push(connection)
    this.letGo()
  }

  gone(connection: WireConnection): void {
    const at = this.idle.lastIndexOf(connection)
    if (at !== -1) this.idle.splice(at, 1)
    if (!this.all.delete(connection)) return
    if (this.waiting.length > 0) this.grow()
    else this.endIfEmpty()
  }

  /** Nobody waits, and there is no connection: it can go. */
  endIfEmpty(): void {
    if (this.all.size === 0 && this.waiting.length === 0 && this.apart.size === 0) this.emptied(this)
  }

  /** Ends idle connections now and the others after their exchange; with `force` all now, and nobody waits any more. */
  close(force: boolean): void {
    this.closed = true
    if (force)
      for (const exchange of [...this.waiting.splice(0), ...this.apart])
        exchange.failed(new ProxyError('proxy_closing'))
    for (const connection of force ? [...this.all] : [...this.idle])
      connection.fail(new ProxyError('proxy_closing'))
    this.endIfEmpty()
  }

  /**
   * Idle connections hold no process open. Most of them rest for less than a millisecond, so they are told together, a little
   * later: to tell each time costs a hundredth of a small request.
   */
  private letGo(): void {
    if (this.lettingGo) return
    this.lettingGo = true
    setTimeout(() => {
      this.lettingGo = false
      for (const connection of this.idle) connection.rest()
    }, lettingGoAfter).unref()
  }

  /** The idle connection that was used last. */
  private rested(): WireConnection | undefined {
    for (;;) {
      const connection = this.idle.pop()
      if (connection === undefined || connection.usable) return connection
    }
  }

  /** When an end that was on the way has been read. */
  private after(connection: WireConnection, exchange: WireExchange): void {
    this.apart.add(exchange)
    afterReads(() => {
      this.apart.delete(exchange)
      if (!exchange.gone && connection.usable) connection.send(exchange)
      else if (!exchange.gone) this.send(exchange)
      else if (connection.usable) this.released(connection)
      // Nobody needs it, and it has ended: that may have been the last of all.
      else this.endIfEmpty()
    })
  }

  /** Opens connections for those that wait, up to the limit. */
  private grow(): void {
    const { connections } = this.limits
    while (this.connecting < this.waiting.length && (connections === 0 || this.all.size < connections))
      this.open((this.perExchange ? this.waiting.shift() : this.waiting[this.connecting]) as WireExchange)
  }

  /**
   * Who hears that a connection could not be opened: the first in line. Once as many in a row have failed as there may be,
   * and none stands, it is all, or the last in line would hear of a dead target after many times the connect timeout.
   */
  private victims(): WireExchange[] {
    const { connections } = this.limits
    const standing = this.all.size - 1 - this.connecting
    const dead = ++this.failures >= connections && connections > 0 && standing === 0
    return this.waiting.splice(0, dead ? this.waiting.length : 1)
  }

  /** Opens a connection: for a tunnel its own, else for whoever is first in line when it stands. */
  private open(exchange: WireExchange): void {
    const own = exchange.tunnels || this.perExchange
    const connection = new WireConnection(this)
    this.all.add(connection)
    if (own) this.apart.add(exchange)
    else this.connecting++
    this.connector.connect(
      connection,
      own,
      exchange.connectTimeout,
      this.perExchange ? exchange.client : undefined,
      () => {
        if (own) this.apart.delete(exchange)
        else this.connecting--
        this.failures = 0
        if (own && !exchange.gone) connection.send(exchange)
        else if (own) connection.socket.destroy()
        else this.released(connection)
      },
      (error) => {
        if (own) this.apart.delete(exchange)
        else this.connecting--
        if (own) exchange.failed(error)
        else for (const victim of this.victims()) victim.failed(error)
        this.gone(connection)
      },
    )
  }
}
