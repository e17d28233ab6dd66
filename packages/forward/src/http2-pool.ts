import type { ClientHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { ProxyError } from '@sluice/core'
import { isWithdrawn } from '@sluice/upstream'
import debug from 'debug'
import { Deadline, type Deadlines } from './deadlines.js'
import { Http2Connection, type Http2ConnectionLimits, type Http2ConnectionOwner } from './http2-connection.js'
import { connectHttp2, type Http2Address, type Http2Connected } from './http2-connector.js'
import type { Http2Exchange } from './http2-exchange.js'
import type { Http2Origin } from './http2-fields.js'
import { leaving, lookEvery } from './leaving-line.js'

const log = debug('sluice:forward')

/** What a pool may hold. */
export interface Http2PoolLimits extends Http2ConnectionLimits {
  /** Connections at most; 0: no limit. Those that are draining don't count. */
  readonly sessions: number
}

/** Who keeps pools. */
export interface Http2PoolOwner {
  /** Nothing is left in it. */
  emptied(pool: Http2Pool): void
  /** The target speaks HTTP/1.1 alone: these requests, and all that follow, go over that. */
  speaksHttp1(pool: Http2Pool, exchanges: readonly Http2Exchange[]): void
  /** Whether the target takes extended CONNECT. */
  connectProtocol(pool: Http2Pool, taken: boolean): void
  /** Sends one over HTTP/1.1. */
  handOver(exchange: Http2Exchange): void
}

/**
 * Connections to one target. A stream goes to the one with the fewest, of equals to the one that was used last, so that
 * those that aren't needed grow old and go. Another is opened only when none has room, one at a time, since what it can
 * carry is known when it stands; meanwhile, and at the limit, requests wait in line, until another target would have them (decision 057).
 */
export class Http2Pool implements Http2ConnectionOwner, Http2Connected {
  readonly origin: Http2Origin
  /** Those that take streams. */
  private readonly open = new Set<Http2Connection>()
  private readonly draining = new Set<Http2Connection>()
  private waiting: Http2Exchange[] = []
  private readonly look = new Deadline(() => this.review())
  private giveUp: (() => void) | undefined = undefined
  private uses = 0
  private isClosed = false
  private isRetired = false

  constructor(
    readonly address: Http2Address,
    private readonly limits: Http2PoolLimits,
    readonly deadlines: Deadlines,
    private readonly owner: Http2PoolOwner,
  ) {
    const { url } = address.target
    const host = url.startsWith('unix:') ? 'localhost' : new URL(url).host
    this.origin = { scheme: address.secure ? 'https' : 'http', host }
  }

  /** Gives an exchange a stream, now or when there is one. */
  send(exchange: Http2Exchange): void {
    if (this.isClosed) return exchange.failed(new ProxyError('proxy_closing'))
    const connection = this.pick(exchange.avoid)
    if (connection !== undefined) return this.begin(connection, exchange)
    if (exchange.avoid === undefined) exchange.waitsSince ??= this.deadlines.now()
    // It was served, and refused: it waits anew.
    else exchange.waitsSince = this.deadlines.now()
    this.waiting.push(exchange)
    this.deadlines.set(this.look, lookEvery)
    this.grow()
  }

  /** An exchange that waits has been given up. */
  forget(exchange: Http2Exchange): void {
    const at = this.waiting.indexOf(exchange)
    if (at !== -1) this.waiting.splice(at, 1)
  }

  /** The target doesn't take extended CONNECT (RFC 8441 section 3): HTTP/1.1 does, where the target may speak it. */
  cannotUpgrade(exchange: Http2Exchange): void {
    if (this.handOver(exchange)) return
    const message = `the target takes no upgrade to ${exchange.attempt.upgrade} over HTTP/2`
    exchange.failed(new ProxyError('request_unsupported', { message }))
  }

  /** Sends one over HTTP/1.1, if the target was asked by ALPN; else it is known to speak HTTP/2. */
  handOver(exchange: Http2Exchange): boolean {
    if (!this.address.alpn) return false
    this.owner.handOver(exchange)
    return true
  }

  connected(session: ClientHttp2Session, socket: Socket): void {
    this.giveUp = undefined
    const connection = new Http2Connection(session, socket, this, this.limits)
    this.open.add(connection)
    session.once('close', () => this.closed(connection))
    this.owner.connectProtocol(this, connection.connectProtocol)
    this.advance()
  }

  speaksHttp1(): void {
    this.giveUp = undefined
    this.owner.speaksHttp1(this, this.waiting.splice(0))
    this.endIfEmpty()
  }

  failed(error: Error): void {
    this.giveUp = undefined
    if (log.enabled) log('connecting to %s over HTTP/2: %O', this.address.target.id, error)
    if (this.open.size === 0) for (const exchange of this.waiting.splice(0)) exchange.failed(error)
    // While there are others those that wait may still get a stream, also of the one that has refused it: it is all there is.
    for (const exchange of this.waiting) exchange.avoid = undefined
    this.serve()
    this.endIfEmpty()
  }

  hasRoom(): void {
    this.heed()
    this.advance()
  }

  gone(connection: Http2Connection): void {
    if (!this.open.delete(connection)) return
    if (log.enabled)
      log('a connection to %s takes no more streams: %o', this.address.target.id, connection.goaway)
    this.draining.add(connection)
    this.heed()
    this.advance()
  }

  /** Ends idle connections now and the others after their streams; with `force` all now. */
  close(force: boolean): void {
    this.isClosed = true
    if (force) {
      this.giveUp?.()
      for (const exchange of this.waiting.splice(0)) exchange.failed(new ProxyError('proxy_closing'))
      for (const connection of [...this.open, ...this.draining])
        connection.destroy(new ProxyError('proxy_closing'))
    }
    this.advance()
  }

  /** Ends its connections as their streams do. What it has begun may still be sent again. */
  retire(): void {
    this.isRetired = true
    this.advance()
  }

  private begin(connection: Http2Connection, exchange: Http2Exchange): void {
    connection.lastUsed = ++this.uses
    exchange.start(connection)
  }

  private pick(not: Http2Connection | undefined): Http2Connection | undefined {
    let best: Http2Connection | undefined
    for (const each of this.open) {
      if (!each.room) continue
      if (each === not && (this.mayOpen || this.open.size > 1)) continue
      if (
        best === undefined ||
        each.active < best.active ||
        (each.active === best.active && each.lastUsed > best.lastUsed)
      )
        best = each
    }
    return best
  }

  private get mayOpen(): boolean {
    const { sessions } = this.limits
    return sessions === 0 || this.open.size < sessions
  }

  /** Serves those that wait, and sees to it that there is more room for the rest. */
  private advance(): void {
    this.serve()
    if (this.waiting.length > 0) this.grow()
    else if (this.isClosed || this.isRetired) for (const connection of [...this.open]) connection.drain()
  }

  /** Serves those that wait, in their order, as far as there is room. */
  private serve(): void {
    for (;;) {
      const exchange = this.waiting[0]
      const connection = exchange === undefined ? undefined : this.pick(exchange.avoid)
      if (exchange === undefined || connection === undefined) break
      this.waiting.shift()
      this.begin(connection, exchange)
    }
  }

  /** Looks again at those that wait. */
  private review(): void {
    this.dismiss()
    if (this.waiting.length > 0) this.deadlines.set(this.look, lookEvery)
    else this.advance()
  }

  /** A target that gets no more requests gets none from the line. */
  private heed(): void {
    const [first] = this.waiting
    // Where the first stays there is nothing to hurry for: at each end of a stream the line would be gone through.
    if (first !== undefined && isWithdrawn(first.attempt.target) && this.leaves(first)) this.dismiss()
  }

  private leaves(exchange: Http2Exchange): boolean {
    return leaving([exchange], this.deadlines.now(), this.onTheirWay).size > 0
  }

  /** For how many of the first a connection is being opened. With streams to wait for it is no more than a hope. */
  private get onTheirWay(): number {
    return this.giveUp !== undefined && this.open.size === 0 ? this.waiting.length : 0
  }

  /** Lets those go that wait no longer. */
  private dismiss(): void {
    const { deadlines, waiting } = this
    const gone = leaving(waiting, deadlines.now(), this.onTheirWay)
    if (gone.size === 0) return
    this.waiting = this.waiting.filter((each) => !gone.has(each))
    for (const [exchange, error] of gone) exchange.failed(error)
    this.endIfEmpty()
  }

  private grow(): void {
    const first = this.waiting[0]
    if (first === undefined || this.giveUp !== undefined || !this.mayOpen) return
    this.giveUp = connectHttp2(this.address, first.attempt.timeouts.connect, this.deadlines, this)
  }

  private closed(connection: Http2Connection): void {
    this.open.delete(connection)
    this.draining.delete(connection)
    this.endIfEmpty()
  }

  /** Nobody waits, and there is no connection: it can go. */
  endIfEmpty(): void {
    if (this.open.size + this.draining.size + this.waiting.length === 0 && this.giveUp === undefined)
      this.owner.emptied(this)
  }
}
