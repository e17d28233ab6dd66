import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { ConnectionCounts } from './connection-counts.js'
import { PacedWork } from './paced-work.js'
import type { Refusals } from './refusals.js'
import type { ServerGuardSettings } from './server-guard-options.js'
import { openWindow } from './server-options.js'
import type { SlowSettings } from './slow-options.js'
import { SlowSenders } from './slow-senders.js'
import { type Connection, WatchedConnection } from './watched-connection.js'
import { WatchedSession } from './watched-session.js'

/** Time, as {@link ServerWatch} needs it. */
export interface Seams {
  /** Milliseconds that only go forward. */
  readonly now: () => number
  /** Calls again and again, without keeping the process, until what it gives is called. */
  readonly every: (ms: number, fn: () => void) => () => void
  /** Calls in the next turn of the event loop, behind what has come by then, without keeping the process. */
  readonly soon: (fn: () => void) => void
}

/** That of this process. */
export const realTime: Seams = {
  now: () => performance.now(),
  every: (ms, fn) => {
    const timer = setInterval(fn, ms).unref()
    return () => clearInterval(timer)
  },
  soon: (fn) => void setImmediate(fn).unref(),
}

/** How often connections are looked at, at most, in ms. */
const lookAtMost = 1_000
/** Connections and streams that are looked at in one turn of the event loop: half a millisecond's work, and one more connection's. */
const lookedAtInTurn = 100

/** All connections of one server. One timer looks at them, while there are any. */
export class ServerWatch {
  readonly #connections = new Map<Socket, WatchedConnection>()
  readonly #sessions = new Map<Socket, WatchedSession>()
  /** Too many, and not ended yet. */
  readonly #refused = new WeakSet<Socket>()
  readonly #counts: ConnectionCounts | undefined
  readonly #interval: number
  #stop: (() => void) | undefined
  #looked = 0
  /** The look that has not seen all of them yet. */
  #current: Look | undefined
  /** The connection that Node tells of now. */
  #arriving: Connection | undefined
  /** What ends connections, by the next look: many are late at once, and each end costs as much as a request. */
  readonly work: PacedWork
  readonly #slowSenders: SlowSenders

  constructor(
    private readonly settings: ServerGuardSettings,
    private readonly slow: SlowSettings | undefined,
    private readonly secure: boolean,
    private readonly refusals: Refusals,
    private readonly seams: Seams,
  ) {
    const { connectionsPerAddress, handshake, head, idle } = settings
    if (connectionsPerAddress > 0) this.#counts = new ConnectionCounts(connectionsPerAddress)
    const limits = [handshake, head, idle, ...(slow === undefined ? [] : [slow.grace, slow.readGrace])]
    const shortest = Math.min(...limits.filter((ms) => ms > 0))
    this.#interval = Math.max(10, Math.min(lookAtMost, Math.ceil(shortest / 8)))
    this.work = new PacedWork(seams.every, this.#interval)
    this.#slowSenders = new SlowSenders(seams.every)
  }

  /** Ahead of Node's own listener, which goes on with it at once. */
  readonly onConnection = (socket: Connection): void => {
    this.#arriving = socket
    // Somebody else has accepted it, and watches it.
    if ('encrypted' in socket) return
    if (!this.#mayCome(socket)) return
    const { refusals, seams, work } = this
    const watched = new WatchedConnection(socket, this.secure, seams.now(), refusals, work, this.#slowSenders)
    this.#connections.set(socket, watched)
    socket.once('close', this.#forget)
    this.#start()
  }

  /** Behind Node's own listener, which takes no socket that has ended. */
  readonly afterConnection = (socket: Socket): void => {
    if (this.#refused.delete(socket)) socket.destroy()
  }

  /** Ahead of Node's own listener. */
  readonly onSecured = (socket: Connection): void => {
    this.#arriving = socket
    this.#connections.get(socket._parent ?? socket)?.secured(socket, this.seams.now())
  }

  readonly onSession = (session: ServerHttp2Session): void => {
    const { refusals, seams, settings } = this
    openWindow(session, settings.window)
    // Node makes it while it tells of its connection.
    const socket = this.#arriving as Connection
    const watched = new WatchedSession(session, socket, settings, refusals, seams.now, this.work)
    this.#sessions.set(socket, watched)
    socket.once('close', this.#forget)
    this.#start()
  }

  /** Node has turned one away. */
  readonly onDrop = (dropped?: { remoteAddress?: string }): void => {
    this.refusals.tell('connections', 0, dropped?.remoteAddress)
  }

  end(): void {
    for (const socket of this.#connections.keys()) socket.off('close', this.#forget)
    this.#connections.clear()
    for (const [socket, session] of this.#sessions) {
      socket.off('close', this.#forget)
      session.forget()
    }
    this.#sessions.clear()
    this.#current = undefined
    this.#slowSenders.clear()
    this.work.finish()
    this.#rest()
  }

  #mayCome(socket: Socket): boolean {
    const address = socket.remoteAddress
    if (this.#counts === undefined || address === undefined) return true
    const network = this.#counts.enter(address)
    if (network !== undefined) {
      socket.once('close', () => this.#counts?.leave(network))
      return true
    }
    this.refusals.tell('connections-per-address', 0, address)
    this.#refused.add(socket)
    return false
  }

  #start(): void {
    if (this.#stop !== undefined) return
    this.#looked = this.seams.now()
    this.#stop = this.seams.every(this.#interval, this.#look)
  }

  #rest(): void {
    if (this.#connections.size > 0 || this.#sessions.size > 0) return
    this.#stop?.()
    this.#stop = undefined
  }

  readonly #look = (): void => {
    // There is more than a look's time for: the next one counts that.
    if (this.#current !== undefined) return
    const now = this.seams.now()
    // Where this process hasn't run, for whatever reason, it hasn't read either.
    const elapsed = Math.min(now - this.#looked, 2 * this.#interval)
    this.#looked = now
    this.#current = { now, elapsed, all: lookables(this.#connections, this.#sessions) }
    this.#goOn()
  }

  /** Looks at the next of them. */
  readonly #goOn = (): void => {
    const { settings, slow } = this
    const look = this.#current
    if (look === undefined) return
    for (let left = lookedAtInTurn; left > 0; ) {
      const { done, value } = look.all.next()
      if (done === true) {
        this.#current = undefined
        return
      }
      left -= 1 + value.streams
      value.look(look.now, look.elapsed, settings, slow)
    }
    this.seams.soon(this.#goOn)
  }

  /** A listener for the close of any connection, without one for each. */
  readonly #forget = forgetIn(this.#connections, this.#sessions, () => this.#rest())
}

/** One of all connections. */
interface Look {
  readonly now: number
  readonly elapsed: number
  readonly all: Iterator<WatchedConnection | WatchedSession, undefined>
}

function* lookables(
  connections: Map<Socket, WatchedConnection>,
  sessions: Map<Socket, WatchedSession>,
): Generator<WatchedConnection | WatchedSession, undefined> {
  yield* connections.values()
  yield* sessions.values()
}

function forgetIn(
  connections: Map<Socket, WatchedConnection>,
  sessions: Map<Socket, WatchedSession>,
  then: () => void,
): (this: Socket) => void {
  return function () {
    connections.get(this)?.closed()
    connections.delete(this)
    sessions.delete(this)
    then()
  }
}
