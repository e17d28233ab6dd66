import type { Socket } from 'node:net'
import { ProxyError } from '@sluice/core'
import { isWithdrawn } from '@sluice/upstream'
import { afterReads } from './after-reads.js'
import type { ClientEnds } from './client-ends.js'
import { Deadline, type Deadlines } from './deadlines.js'
import { leaving, lookEvery } from './leaving-line.js'
import { type ConnectionOwner, WireConnection } from './wire-connection.js'
import type { WireExchange } from './wire-exchange.js'
import { yielding } from './yielding.js'

/** What opens sockets to one target. */
export interface Connector {
  /** The target's own name, for `Host`. */
  readonly host: string
  /** A connection names one client, so it is made for one exchange and isn't kept for another. */
  readonly perExchange: boolean
  /** Over TLS. */
  readonly secure: boolean
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
 * Requests beyond the limit wait in line, those whose bodies have yet to come behind a limit of their own; while any waits,
 * exchanges with slow clients give up their places (decision 054), and those that another target would have go there (decision 057).
 */
export class WirePool implements ConnectionOwner {
  private readonly idle: WireConnection[] = []
  private readonly all = new Set<WireConnection>()
  private waiting: WireExchange[] = []
  /** Those that aren't in line: they look whether the connection they are to get still lives, or one of their own is opened. */
  private readonly apart = new Set<WireExchange>()
  /** Those whose clients had yet to send a body when their turn came, until it is sent. */
  private readonly bodies = new Set<WireExchange>()
  /** Further ones of that kind. */
  private held: WireExchange[] = []
  /** Connections that were given up for others, until they have closed. */
  private readonly leaving = new Set<WireConnection>()
  /** Places that were given up, and nobody has got yet. */
  private owed = 0
  private readonly look = new Deadline(() => this.review())
  private reviewing = false
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
    if (exchange.awaitsBody && !this.bodies.has(exchange)) {
      if (this.bodies.size >= this.bodiesAtMost) return this.hold(exchange)
      this.bodies.add(exchange)
    }
    this.enter(exchange, false)
  }

  /** Gives one a connection, or a place in line: with `first` ahead of all. */
  private enter(exchange: WireExchange, first: boolean): void {
    // One that has met a dead connection gets a new one: the others may be as dead.
    const connection = exchange.again ? undefined : this.rested()
    if (connection === undefined) {
      // One that has met a dead connection was served, and waits anew.
      if (exchange.again) exchange.waitsSince = this.deadlines.now()
      else exchange.waitsSince ??= this.deadlines.now()
      if (first) this.waiting.unshift(exchange)
      else this.waiting.push(exchange)
      this.grow()
      this.press()
      return
    }
    if (exchange.safe || this.deadlines.now() - connection.idleSince < restedFor) connection.send(exchange)
    else this.after(connection, exchange)
  }

  /** An exchange that waits has been given up. */
  forget(exchange: WireExchange): void {
    const at = this.waiting.indexOf(exchange)
    if (at !== -1) this.waiting.splice(at, 1)
    const heldAt = this.held.indexOf(exchange)
    if (heldAt !== -1) this.held.splice(heldAt, 1)
  }

  /** The body of an exchange is sent, or never will be. */
  bodyOver(exchange: WireExchange): void {
    if (this.bodies.size === 0 || !this.bodies.delete(exchange)) return
    this.heed()
    const next = this.held.shift()
    if (next === undefined) return
    this.bodies.add(next)
    // It has waited for long; and the place of the newest in line may be owed to another.
    this.enter(next, true)
  }

  released(connection: WireConnection): void {
    this.heed()
    this.take(connection)
  }

  /** Gives a connection to whoever waits for one. */
  private take(connection: WireConnection): void {
    const next = this.next()
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
    this.leaving.delete(connection)
    if (!this.all.delete(connection)) return
    this.heed()
    this.grow()
    this.endIfEmpty()
  }

  /** Nobody waits, and there is no connection: it can go. */
  endIfEmpty(): void {
    if (this.all.size === 0 && this.waiting.length + this.held.length + this.apart.size === 0)
      this.emptied(this)
  }

  /** Ends idle connections now and the others after their exchange; with `force` all now, and nobody waits any more. */
  close(force: boolean): void {
    this.closed = true
    if (force)
      for (const exchange of [...this.held.splice(0), ...this.waiting.splice(0), ...this.apart])
        exchange.failed(new ProxyError('proxy_closing'))
    for (const connection of force ? [...this.all] : [...this.idle])
      connection.fail(new ProxyError('proxy_closing'))
    this.endIfEmpty()
  }

  /** The first in line; for a place that another has given up the last: before it stand those that have filled the pool. */
  private next(): WireExchange | undefined {
    if (this.waiting.length === 0) this.owed = 0
    if (this.owed === 0) return this.waiting.shift()
    this.owed--
    return this.waiting.pop()
  }

  /** Connections that wait for bodies at most: a quarter is kept for requests that are whole. */
  private get bodiesAtMost(): number {
    const { connections } = this.limits
    return connections === 0
      ? Number.POSITIVE_INFINITY
      : Math.max(connections - Math.ceil(connections / 4), 1)
  }

  /** Has it wait until there are fewer bodies to come, or its own has come: which may be with the head, so soon. */
  private hold(exchange: WireExchange): void {
    exchange.waitsSince ??= this.deadlines.now()
    this.held.push(exchange)
    this.press()
    if (this.reviewing) return
    this.reviewing = true
    afterReads(() => {
      this.reviewing = false
      this.review()
    })
  }

  /** Looks again at those that wait, and at those that let them wait. */
  private review(): void {
    this.dismiss()
    const held = this.held
    this.held = []
    for (const exchange of held) {
      if (exchange.gone) continue
      if (exchange.awaitsBody && this.bodies.size >= this.bodiesAtMost) this.held.push(exchange)
      else this.send(exchange)
    }
    this.press()
  }

  /** A target that gets no more requests gets none from the line. */
  private heed(): void {
    const first = this.waiting[this.connecting] ?? this.held[0]
    if (first === undefined || !isWithdrawn(first.attempt.target)) return
    // Where the first stays there is nothing to hurry for: at each end of an exchange the line would be gone through.
    if (leaving([first], this.deadlines.now(), 0).size > 0) this.dismiss()
  }

  /** Lets those go that wait no longer. */
  private dismiss(): void {
    const { connecting, deadlines, held, waiting } = this
    if (waiting.length + held.length === 0) return
    const gone = leaving([...waiting, ...held], deadlines.now(), connecting)
    if (gone.size === 0) return
    this.waiting = this.waiting.filter((each) => !gone.has(each))
    this.held = this.held.filter((each) => !gone.has(each))
    for (const [exchange, error] of gone) exchange.failed(error)
    this.endIfEmpty()
  }

  /** Ends exchanges whose clients are slow for those that wait. */
  private press(): void {
    const { held, leaving, waiting } = this
    const { connections } = this.limits
    const full = connections > 0 && this.all.size >= connections
    const places = full ? waiting.length - this.connecting - leaving.size : 0
    if (places <= 0 && held.length === 0) return
    this.deadlines.set(this.look, lookEvery)
    const given = yielding(this.all, this.deadlines.now(), places, held.length)
    this.owed += Math.min(given.length, Math.max(places, 0))
    for (const connection of given) {
      leaving.add(connection)
      connection.exchange?.giveUp()
    }
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
      this.open((this.perExchange ? this.next() : this.waiting[this.connecting]) as WireExchange)
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
    const connection = new WireConnection(this, this.connector.secure)
    this.all.add(connection)
    if (own) this.apart.add(exchange)
    else this.connecting++
    this.connector.connect(
      connection,
      own,
      exchange.attempt.timeouts.connect,
      this.perExchange ? exchange.attempt.client : undefined,
      () => {
        if (own) this.apart.delete(exchange)
        else this.connecting--
        this.failures = 0
        if (own && !exchange.gone) connection.send(exchange)
        else if (own) connection.socket.destroy()
        // Whom it was opened for is on its way, whatever has become of the target.
        else this.take(connection)
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
